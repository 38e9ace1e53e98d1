"""The set as ClapNQ's files; see `evals.rag.clapnq`.

What always holds: every passage of the collection is in a line, so that the set brings all of it;
where several sentences answer, each is an annotation of its own, and any of them is right.
"""

import json
import random
from pathlib import Path
from typing import Any

from evals.rag.sets import ANSWERABLE, UNANSWERABLE
from evals.training.atomic import write_whole
from evals.training.errors import SourcesMissing
from evals.training.examples.drafts import Draft
from evals.training.heldout.questions import HeldOutQuestions
from evals.training.pages import Passage


def write_held_out(folder: Path, questions: HeldOutQuestions, seed: int) -> dict[str, int]:
    """Replaces a folder's set; returns how many questions of each kind.

    Raises:
        SourcesMissing: there are no answerable questions or no unanswerable ones.
        OSError: the disk is full or not writable.
    """
    if not questions.answerable or not questions.unanswerable:
        raise SourcesMissing("the held-out pages give no questions")
    shares = _shared_out(questions, seed)
    count = len(questions.answerable)
    lines = [
        _line(f"held-{number}", draft, shares[number], questions.passages)
        for number, draft in enumerate([*questions.answerable, *questions.unanswerable])
    ]
    write_whole(folder / ANSWERABLE, "".join(lines[:count]))
    write_whole(folder / UNANSWERABLE, "".join(lines[count:]))
    told: dict[str, int] = {}
    for name, drafts in (
        ("answerable", questions.answerable),
        ("unanswerable", questions.unanswerable),
    ):
        for draft in drafts:
            told[f"{name} {draft.kind}"] = told.get(f"{name} {draft.kind}", 0) + 1
    return told


def _shared_out(questions: HeldOutQuestions, seed: int) -> list[list[int]]:
    """For each question the places of its passages; its own first, all others dealt out."""
    drafts = [*questions.answerable, *questions.unanswerable]
    shares = [[one.place] if one.place >= 0 else [] for one in drafts]
    given = {place for share in shares for place in share}
    rest = [place for place in range(len(questions.passages)) if place not in given]
    random.Random(f"{seed}-shares").shuffle(rest)
    for at, place in enumerate(rest):
        shares[at % len(shares)].append(place)
    for share in shares:  # a line needs a passage
        if not share:
            share.append(questions.answerable[0].place)
    return shares


def _line(name: str, draft: Draft, share: list[int], passages: list[Passage]) -> str:
    output: list[dict[str, Any]] = [{"answer": "", "selected_sentences": []}]
    if draft.gold:
        said = [passages[draft.place].sentence(number) for number in draft.gold]
        output = [{"answer": one, "selected_sentences": [one]} for one in said]
    record = {
        "id": name,
        "kind": draft.kind,
        "input": draft.question,
        "passages": [_passage(passages[place]) for place in share],
        "output": output,
    }
    return json.dumps(record, ensure_ascii=False) + "\n"


def _passage(passage: Passage) -> dict[str, Any]:
    sentences = [passage.sentence(number) for number in range(len(passage.spans))]
    title = passage.context or passage.page
    return {"title": title, "text": passage.text, "sentences": sentences}
