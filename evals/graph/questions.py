"""Questions whose answer takes two pages, each with the words on either page that say so.

What always holds: a question has two pieces of evidence on two pages; a quote is taken where its
page has it, whatever the white space, and a page may have it more than once; a question whose
quote is not on its page is left out and counted, as documentation of another version may differ.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from evals.core.dataset import Dataset, Problems, make_dataset
from evals.core.samples import Sample
from evals.errors import DatasetError

QUESTIONS = Path(__file__).with_name("questions.jsonl")
EVIDENCE = "evidence"  # in a sample's data: uri and spans of each piece
# Signs beside headings that link to themselves; whether a parser keeps them is its affair.
_UNSEEN = re.compile(r"[\s¶]")


class Evidence(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Words on a page.

    Attributes:
        page: the end of its address: `python3.11/html/library/pickle.html`.
        quote: word for word, but for white space.
    """

    page: str
    quote: str


class TwoHopQuestion(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A question and the two places that answer it together."""

    id: str
    question: str
    evidence: tuple[Evidence, Evidence]


@dataclass(frozen=True, slots=True)
class Page:
    """A page that was taken in: its address and a way to its stored text."""

    uri: str
    text: str


def read_questions(path: Path = QUESTIONS) -> list[TwoHopQuestion]:
    """Reads questions, one a line.

    Raises:
        DatasetError: the file cannot be read, or a line is no question.
    """
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise DatasetError(f"{path}: {error.strerror}") from None
    found = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            found.append(msgspec.json.decode(line, type=TwoHopQuestion))
        except msgspec.DecodeError as error:
            raise DatasetError(f"{path}, line {number}: {error}") from None
    return found


def pages_of(questions: Sequence[TwoHopQuestion]) -> list[str]:
    """The pages that the questions take, each once, in order."""
    return sorted({evidence.page for one in questions for evidence in one.evidence})


def two_hop_samples(
    questions: Sequence[TwoHopQuestion], page_of: Callable[[str], Page | None]
) -> Dataset:
    """The questions as samples, their evidence as places in stored documents.

    Args:
        page_of: the page with an address that ends so; None where there is none.

    Raises:
        DatasetError: no question is left.
    """
    problems = Problems()
    samples = []
    for one in questions:
        places = []
        for evidence in one.evidence:
            page = page_of(evidence.page)
            if page is None:
                problems.add("a page that was not taken in", f"{one.id}: {evidence.page}")
                continue
            spans = places_of(evidence.quote, page.text)
            if not spans:
                problems.add("a quote that its page does not have", f"{one.id}: {evidence.page}")
                continue
            places.append({"uri": page.uri, "spans": spans})
        if len(places) == len(one.evidence):
            samples.append(Sample(id=one.id, input=one.question, data={EVIDENCE: places}))
    return make_dataset("two-hop", samples, problems.all())


def places_of(quote: str, text: str) -> list[list[int]]:
    """`[start, end)` of each place where a text has a quote, whatever the white space.

    >>> places_of("a  cat", "Once a\\ncat sat.")
    [[5, 10]]
    """
    at = [place for place, sign in enumerate(text) if not _UNSEEN.match(sign)]
    bare = "".join(text[place] for place in at)
    wanted = _UNSEEN.sub("", quote)
    if not wanted:
        return []
    return [
        [at[found.start()], at[found.end() - 1] + 1]
        for found in re.finditer(re.escape(wanted), bare)
    ]
