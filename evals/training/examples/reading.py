"""A reading set: questions of people, each with a passage and its answers.

JSON lines with `question`, `passage`, `answers` and perhaps `source`. What always holds: a question
whose answers stand nowhere in its passage is left out; a passage is held out by its text.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import msgspec

from evals.training.errors import SourcesMissing
from evals.training.holdout import is_held_out_text
from evals.training.pages import Passage
from rostra.core import sentence_spans


class _Line(msgspec.Struct):
    question: str
    passage: str
    answers: list[str]
    source: str = "reading"


@dataclass(frozen=True, slots=True)
class ReadingSet:
    """See this module.

    Attributes:
        passages: each once, in the order of the file.
        questions: (question, place of its passage, sentences that answer).
        digest: sha256 of the file.
        names: where the questions come from, sorted.
    """

    passages: list[Passage]
    questions: list[tuple[str, int, list[int]]]
    digest: str
    names: list[str]


def read_reading_set(path: Path) -> ReadingSet:
    """Reads a set.

    Raises:
        SourcesMissing: the file cannot be read, or no question is left.
    """
    decoder = msgspec.json.Decoder(_Line)
    try:
        body = path.read_bytes()
        lines = [decoder.decode(line) for line in body.splitlines() if line.strip()]
    except OSError as error:
        raise SourcesMissing(f"{path}: {error.strerror}") from None
    except msgspec.MsgspecError as error:
        raise SourcesMissing(f"{path} is no reading set: {error}") from None
    places: dict[str, int] = {}
    passages: list[Passage] = []
    questions = []
    for line in lines:
        if line.passage not in places:
            places[line.passage] = len(passages)
            passages.append(_passage(line))
        place = places[line.passage]
        gold = _answering(passages[place], line.answers)
        if gold and line.question.strip():
            questions.append((line.question.strip(), place, gold))
    if not questions:
        raise SourcesMissing(f"{path} has no question whose answer stands in its passage")
    names = sorted({line.source for line in lines})
    return ReadingSet(passages, questions, hashlib.sha256(body).hexdigest(), names)


def _passage(line: _Line) -> Passage:
    text = line.passage
    name = f"{line.source}:{hashlib.blake2b(text.encode(), digest_size=6).hexdigest()}"
    return Passage(name, "", text, sentence_spans(text), is_held_out_text(text))


def _answering(passage: Passage, answers: list[str]) -> list[int]:
    """The sentences with the first place of an answer."""
    found: set[int] = set()
    for answer in answers:
        at = passage.text.find(answer) if answer.strip() else -1
        if at >= 0:
            end = at + len(answer)
            found |= {
                number
                for number, (first, last) in enumerate(passage.spans)
                if first < end and at < last
            }
    return sorted(found)
