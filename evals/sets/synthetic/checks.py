"""Checks of a made question that need no model: its form, its evidence, what it gives away.

What always holds: the reasons are the same words for the same trouble, for counting. They look at
words, so they can be strict: a good question that is dropped costs one attempt.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from evals.sets.synthetic.passages import SourcePassage
from evals.sets.synthetic.prompts import Difficulty
from rostra.core import collapse_whitespace, normalize_text

MOST_QUESTION, MOST_ANSWER, MOST_QUOTE = 400, 800, 800
_LEAST_QUESTION, _LEAST_QUOTE = 6, 12  # letters; characters
_LEAST_SHARE = 0.5  # of an answer's words that are to be in the quotes
_ITSELF = re.compile(
    r"\b(?:(?:the|this|that|these|both|which)\s+(?:\w+\s+)?(?:passages?|texts?|excerpts?|documents?)"
    r"|passage\s+\d)\b",
    re.IGNORECASE,
)
_WORD = re.compile(r"\w+")
_STEM = 5  # characters that forms of one word share, roughly


class Dropped(Exception):
    """A question is not taken; the message is the reason."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """A quote: `[start, end)` of a stored document's text."""

    passage: SourcePassage
    start: int
    end: int
    quote: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """A question that may be taken."""

    question: str
    answer: str
    evidence: tuple[Evidence, ...]


def candidate_of(
    said: dict[str, Any] | None, kind: Difficulty, passages: Sequence[SourcePassage]
) -> Candidate:
    """What a model said, as a question whose form and words are right.

    Raises:
        Dropped: it is none.
    """
    if said is None:
        raise Dropped("no JSON object")
    question = _line(said.get("question"))
    letters = sum(character.isalpha() for character in question)
    if letters < _LEAST_QUESTION or len(question) > MOST_QUESTION:
        raise Dropped("no question, or one too short or too long")
    if _ITSELF.search(question):
        raise Dropped("a question about the passage itself")
    if kind is Difficulty.NONE:
        return Candidate(question, "", ())
    answer = _line(said.get("answer"))
    if not answer or len(answer) > MOST_ANSWER:
        raise Dropped("no answer, or one too long")
    if gives_away(question, answer):
        raise Dropped("a question that contains its answer")
    evidence = _evidence(said.get("quotes"), passages)
    if not supports([one.quote for one in evidence], answer):
        raise Dropped("quotes that do not support the answer")
    return Candidate(question, answer, evidence)


def normal(text: str) -> str:
    """A text's words alone, lower case: equal for texts that differ in nothing else."""
    return " ".join(_WORD.findall(text.casefold()))


def gives_away(question: str, answer: str) -> bool:
    """Whether the answer, or all that it says, stands in the question already."""
    asked, said = normal(question), normal(answer)
    if not said or f" {said} " in f" {asked} ":
        return True
    told = _telling(said)
    return len(told) > 1 and told <= _stems(asked)


def supports(quotes: Sequence[str], answer: str) -> bool:
    """Whether quotes have the answer's numbers and most of its other words, or all of it."""
    quoted, said = normal(" ".join(quotes)), normal(answer)
    if said in quoted:
        return True
    there = _stems(quoted)
    numbers = {word for word in said.split() if any(c.isdigit() for c in word)}
    if not numbers <= set(quoted.split()):
        return False
    told = _telling(said)
    return len(told & there) >= _LEAST_SHARE * len(told)


def locate(quote: str, text: str) -> tuple[int, int] | None:
    """Where a text has a quote, whatever whitespace is between words; None if it does not.

    Models write a line break as a space; the text's own slice is then what is quoted.
    """
    quote = quote.strip()
    if (at := text.find(quote)) >= 0:
        return at, at + len(quote)
    words = quote.split()
    if not words:
        return None
    found = re.search(r"\s+".join(map(re.escape, words)), text)
    return found.span() if found else None


def _evidence(said: Any, passages: Sequence[SourcePassage]) -> tuple[Evidence, ...]:
    if not isinstance(said, list) or len(said) != len(passages):
        raise Dropped("not one quote of each passage")
    found: dict[int, Evidence] = {}
    for one in said:
        number, quote = (one.get("passage"), one.get("quote")) if isinstance(one, dict) else (0, 0)
        if isinstance(number, bool) or not isinstance(number, int) or not isinstance(quote, str):
            raise Dropped("not one quote of each passage")
        if not 1 <= number <= len(passages) or number in found:
            raise Dropped("not one quote of each passage")
        if not _LEAST_QUOTE <= len(quote.strip()) <= MOST_QUOTE:
            raise Dropped("a quote too short or too long")
        passage = passages[number - 1]
        place = locate(quote, passage.text)
        if place is None:
            raise Dropped("a quote that is not in its passage")
        start, end = place
        found[number] = Evidence(
            passage, passage.start + start, passage.start + end, passage.text[start:end]
        )
    return tuple(found[number] for number in sorted(found))


def _line(said: Any) -> str:
    return collapse_whitespace(normalize_text(said)) if isinstance(said, str) else ""


def _telling(said: str) -> set[str]:
    """Stems of the words that say something; of all where none is longer than three letters."""
    long = [word for word in said.split() if len(word) > 3 or any(c.isdigit() for c in word)]
    return _stems(" ".join(long or said.split()))


def _stems(text: str) -> set[str]:
    return {word.removesuffix("s")[:_STEM] for word in text.split()}
