"""Questions before they have negatives: which passage and which sentences of it answer."""

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from evals.training.clozes import (
    ClozeMaker,
    IndexTerm,
    content_words,
    heading_question,
    is_prose,
)
from evals.training.pages import Passage

_TRIES = 5  # a question wanted
_HEADING_SENTENCES = 2  # the first ones of a section, one of which says what it is about
_MOST_TERM_SENTENCES = 3


@dataclass(frozen=True, slots=True)
class Draft:
    """See this module.

    Attributes:
        place: of the passage that answers.
        gold: sentences of it, any of which answers.
    """

    kind: str
    question: str
    place: int
    gold: list[int]


def prose_of(passages: Sequence[Passage]) -> list[list[int]]:
    """For each passage the sentences that can answer; see `is_prose`."""
    return [
        [number for number in range(len(one.spans)) if is_prose(one.sentence(number))]
        for one in passages
    ]


def cloze_drafts(
    passages: Sequence[Passage],
    prose: Sequence[Sequence[int]],
    maker: ClozeMaker,
    kind: str,
    count: int,
    rng: random.Random,
) -> list[Draft]:
    """Questions made of sentences, from easy to hard; see `ClozeMaker`."""
    usable = [place for place, numbers in enumerate(prose) if numbers]
    drafts: list[Draft] = []
    for _ in range(_TRIES * count if usable else 0):
        if len(drafts) == count:
            break
        place = rng.choice(usable)
        number = rng.choice(prose[place])
        one = passages[place]
        question = maker.make(one.sentence(number), one.context, rng, len(drafts) / count)
        if question is not None:
            drafts.append(Draft(kind, question, place, [number]))
    return drafts


def heading_drafts(
    passages: Sequence[Passage], prose: Sequence[Sequence[int]], count: int, rng: random.Random
) -> list[Draft]:
    """Headings as questions: the first sentences of their section answer."""
    first: dict[tuple[str, str], int] = {}
    for place, one in enumerate(passages):
        if one.context:
            first.setdefault((one.page, one.context), place)
    drafts = []
    for (_, context), place in first.items():
        question = heading_question(context, rng)
        if question is not None and prose[place]:
            drafts.append(
                Draft("heading", question, place, list(prose[place][:_HEADING_SENTENCES]))
            )
    return rng.sample(drafts, min(count, len(drafts)))


def term_drafts(
    passages: Sequence[Passage],
    prose: Sequence[Sequence[int]],
    terms: Sequence[IndexTerm],
    count: int,
    rng: random.Random,
) -> list[Draft]:
    """Terms of an index as questions: the sentences of their page that have all their words."""
    by_page: dict[str, list[int]] = defaultdict(list)
    for place, one in enumerate(passages):
        by_page[one.page].append(place)
    drafts = []
    for term in terms:
        wanted = {word.lower() for word in content_words(term.term)}
        for place in by_page.get(term.page, ()):
            one = passages[place]
            gold = [
                number
                for number in prose[place]
                if wanted <= {word.lower() for word in content_words(one.sentence(number))}
            ]
            if gold:  # the first passage that speaks of it
                if len(gold) <= _MOST_TERM_SENTENCES:
                    drafts.append(Draft("term", term.term.lower(), place, gold))
                break
    return rng.sample(drafts, min(count, len(drafts)))
