"""Names of things in texts and in questions, found by rules: the entities of a graph.

Taken are headings and their parts, identifiers and commands, runs of capitalised words, and short
runs of words between function words and punctuation (as RAKE finds key phrases: Rose et al.,
"Automatic keyword extraction from individual documents", 2010). Which of them are entities is
decided later, by how many chunks have them.

What always holds: a name goes by its key, the terms of the analyzer in order, so that what is
written `gin_pending_list_limit` and "GIN pending list limit" is one thing; a name has at most five
terms; a text has a bounded number of names, and equal texts have equal ones.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from itertools import pairwise

from rostra.retrieval.analysis import Analyzer, EnglishAnalyzer

MOST_TERMS = 5
MOST_KEY_CHARS = 160
_MOST_NAMES = 400  # of one text
_MOST_QUERY_KEYS = 400
_MOST_CHARS = 100_000
_REMEMBERED_WORDS = 100_000
_LONGEST_ENTRY = 60  # characters of a line that stands above what it is about

_HEADING_BREAKS = re.compile(r"\s+[—–|/-]\s+|[:;,()\[\]{}“”\"`]|\s>\s")
_NUMBERING = re.compile(r"^(?:\d+|[A-Z])(?:\.\d+)*\.\s+")
_WORD = re.compile(r"[^\W_][\w'’-]*", re.UNICODE)
_IDENTIFIER = re.compile(
    r"""
    (?<![\w.])(?:
        [^\W\d]\w*(?:(?:\.|::)[^\W\d]\w*)+     # a.dotted.path
      | --?[a-z][a-z0-9]*(?:-[a-z0-9]+)+        # --an-option
      | \w*[^\W_]_[^\W_]\w*                     # with_underscores
      | [^\W\d_]*[a-z\d][A-Z]\w*                # inCamelCase
      | [^\W\d]\w*(?=\(\))                      # called()
    )
    """,
    re.VERBOSE,
)
_CAPITALS = re.compile(r"\b[A-Z][A-Z0-9]+(?:[ \t][A-Z][A-Z0-9]+){0,3}\b")
# English words that part phrases, beside those that the analyzer drops anyway.
_UNSPECIFIC_WORDS = """
about above after again against all almost along already also although always among another any
anything because become becomes before behind being below besides between beyond both cannot
cause certain different directly done down due during each either else enough etc even ever
every everything few following further get gets getting give given gives go goes going however
instead just let like made mainly make makes making many may maybe might more most much must
near nearly need needs neither never next no none nor not note nothing now off often once one
ones only other others otherwise out over own perhaps possible previous previously quite rather
really same say says see seen several shall simply since some something sometimes soon still
such sure take taken takes though through thus together too towards two under unless unlike
until up upon use used useful uses using usually various very via way ways well whatever
whenever where whereas whether while within without yet
"""
_UNSPECIFIC = frozenset(_UNSPECIFIC_WORDS.split())
_SPACE = re.compile(r"[ \t]*")


class NameKind(IntEnum):
    """What a name was found as; the greater says more."""

    WORD = 0  # a single word, which counts only where it is the name of something elsewhere
    TERM = 1
    NAME = 2
    CODE = 3
    HEADING = 4


@dataclass(frozen=True, slots=True)
class Name:
    """A name, as it is written and by what it goes."""

    key: str
    name: str
    kind: NameKind


class NameReader:
    """Finds names. May be shared by threads.

    Args:
        analyzer: makes keys; by default that of the lexical index.
    """

    def __init__(self, analyzer: Analyzer | None = None) -> None:
        self._analyzer = analyzer or EnglishAnalyzer()
        self._terms = lru_cache(_REMEMBERED_WORDS)(self._terms_of)

    @property
    def recipe(self) -> str:
        """Changes whenever its names do."""
        return f"names-2;{self._analyzer.name};"

    def names(self, text: str, headings: Sequence[str] = ()) -> list[Name]:
        """The names in a text and in the headings above it, each once, with its best kind.

        Args:
            text: the first 100,000 characters of it are read.
            headings: title first.
        """
        found: dict[str, Name] = {}
        text = text[:_MOST_CHARS]
        for kind, written in self._written(text, headings):
            key = self.key(written)
            if key and (key not in found or found[key].kind < kind):
                found[key] = Name(key, " ".join(written.split()), kind)
        for term in dict.fromkeys(self._analyzer.terms(text)):
            if len(term) > 2 and not term.isdigit():
                found.setdefault(term, Name(term, term, NameKind.WORD))
        # What says more is kept where there is too much; Python's sort keeps the order of places.
        return sorted(found.values(), key=lambda one: -one.kind)[:_MOST_NAMES]

    def query_keys(self, query: str) -> list[str]:
        """The keys of all that could be a name in a question: its runs of up to five terms."""
        terms = self._analyzer.terms(query)
        keys = (
            " ".join(terms[at : at + length])
            for length in range(MOST_TERMS, 0, -1)
            for at in range(len(terms) - length + 1)
        )
        fitting = (key for key in keys if len(key) <= MOST_KEY_CHARS and not key.isdigit())
        return list(dict.fromkeys(fitting))[:_MOST_QUERY_KEYS]

    def key(self, written: str) -> str:
        """By what a name goes; empty for what is none: too long, or without a telling term."""
        terms = [term for word in written.split() for term in self._terms(word)]
        key = " ".join(terms)
        if len(terms) > MOST_TERMS or len(key) > MOST_KEY_CHARS:
            return ""
        return key if any(len(term) > 1 and not term.isdigit() for term in terms) else ""

    def _written(self, text: str, headings: Sequence[str]) -> Iterator[tuple[NameKind, str]]:
        for heading in headings:
            for part in heading_parts(heading):
                yield NameKind.HEADING, part
        for entry in _entries(text):
            for part in heading_parts(entry):
                yield NameKind.HEADING, part
        for found in _IDENTIFIER.finditer(text):
            yield NameKind.CODE, found.group()
            parts = re.split(r"\.|::", found.group())
            if len(parts) > 1:
                yield NameKind.CODE, parts[-1]
        for found in _CAPITALS.finditer(text):
            yield NameKind.CODE, found.group()
        words = list(_WORD.finditer(text))
        for run in _runs(words, text, _is_capitalised, _SPACE):
            if len(run) > 1:
                yield NameKind.NAME, " ".join(run[:MOST_TERMS])
        for run in _runs(words, text, self._is_content, _SPACE):
            for one, other in pairwise(run):
                yield NameKind.TERM, f"{one} {other}"

    def _is_content(self, word: str) -> bool:
        if len(word) < 2 or word.isdigit() or word.casefold() in _UNSPECIFIC:
            return False
        return bool(self._terms(word))

    def _terms_of(self, word: str) -> tuple[str, ...]:
        return tuple(self._analyzer.terms(word))


def heading_parts(heading: str) -> list[str]:
    """A heading and its parts, without numbering: a title often names a thing and says what it is.

    >>> heading_parts("3.2. shelve — Python object persistence")
    ['shelve', 'Python object persistence']
    """
    bare = _NUMBERING.sub("", heading.strip())
    parts = [part.strip(" .¶'’‘|") for part in _HEADING_BREAKS.split(bare)]
    return [part for part in parts if part]


def _entries(text: str) -> Iterator[str]:
    """Short lines right above longer ones: headings, and what entries of a reference are about.

    Rows of tables are none.
    """
    for line, below in pairwise(text.splitlines()):
        if "|" in line and "|" in below:
            continue
        if 1 < len(line.strip()) <= _LONGEST_ENTRY < len(below) and line.strip()[-1] not in ".,;!?":
            yield line


def _is_capitalised(word: str) -> bool:
    return word[0].isupper() and len(word) > 1


def _runs(
    words: Iterable[re.Match[str]],
    text: str,
    belongs: Callable[[str], bool],
    between: re.Pattern[str],
) -> Iterator[list[str]]:
    """Words that belong, one after the other, with nothing but `between` between them."""
    run: list[str] = []
    last = 0
    for word in words:
        if run and not between.fullmatch(text, last, word.start()):
            yield run
            run = []
        if belongs(word.group()):
            run.append(word.group())
        elif run:
            yield run
            run = []
        last = word.end()
    if run:
        yield run
