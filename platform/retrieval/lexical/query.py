"""What a person can ask for beyond words: "a phrase in quotes" and a prefix*.

A phrase must occur; its words count as others do. A prefix stands for the terms that start with it.
Anything else, unbalanced quotes and lone stars included, is words.

What always holds: scores are those of rank-bm25 for the query's terms; a phrase only decides which
rows may be found.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import regex  # type: ignore[import-untyped] # it ships no types

from rostra.retrieval.analysis import Analyzer, folded
from rostra.retrieval.lexical.reader import LexicalReader
from rostra.retrieval.lexical.scoring import Mask

# A quote opens before a word and closes behind one; inches and feet do neither. A prefix has two
# characters or more, since fewer start too many terms to mean anything.
_OPERATOR = regex.compile(
    r"""(?<![^\s(\[])(?:
        (?:"([^"]+)"|“([^”"]+)”|«([^»"]+)»)(?![\p{L}\p{N}_])
        |([\p{L}\p{N}_][\p{L}\p{N}\p{M}_]+)\*(?![\p{L}\p{N}_*])
    )""",
    regex.VERBOSE,
)
_MOST_PHRASES = 8
_MOST_PREFIXES = 8
_MOST_TERMS_OF_PREFIX = 64


@dataclass(frozen=True, slots=True)
class ParsedQuery:
    """A query's parts.

    Attributes:
        words: its text without operators; phrases' words are in it, prefixes are not.
        phrases: texts that must occur word for word.
        prefixes: beginnings of words.
    """

    words: str
    phrases: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LexicalQuery:
    """A query as the lexical side sees it.

    Attributes:
        terms: what is counted, repeats included.
        phrases: terms that must follow one another.
    """

    terms: list[str]
    phrases: tuple[tuple[str, ...], ...] = ()

    def mask(self, reader: LexicalReader, mask: Mask | None = None) -> Mask | None:
        """bool [positions], rows that have every phrase and are in `mask`; None if all may be.

        For both sides: what a person put in quotes must be in what the dense side finds, too.
        """
        for phrase in self.phrases:
            narrowed = np.zeros(len(reader), np.bool_)
            narrowed[reader.phrase(phrase, mask)] = True
            mask = narrowed
        return mask


def parse_query(text: str) -> ParsedQuery:
    """Splits a query into words, phrases and prefixes; never fails."""
    phrases: list[str] = []
    prefixes: list[str] = []
    words: list[str] = []
    end = 0
    for match in _OPERATOR.finditer(text):
        words.append(text[end : match.start()])
        end = match.end()
        phrase = match[1] or match[2] or match[3]
        if phrase is None:
            if len(prefixes) < _MOST_PREFIXES:
                prefixes.append(match[4])
            else:
                words.append(match[4])
            continue
        words.append(phrase)
        if len(phrases) < _MOST_PHRASES:
            phrases.append(phrase)
    words.append(text[end:])
    return ParsedQuery(
        " ".join(filter(None, map(str.strip, words))), tuple(phrases), tuple(prefixes)
    )


def analyzed_query(
    parsed: ParsedQuery, analyzer: Analyzer, readers: Sequence[LexicalReader]
) -> LexicalQuery:
    """The terms of a query.

    Args:
        parsed: see `parse_query`.
        analyzer: the one that the readers' rows went through.
        readers: what is searched; a prefix stands for terms that one of them has.
    """
    terms = analyzer.terms(parsed.words)
    for prefix in parsed.prefixes:
        # Stems may be shorter than what was typed; then the prefix is a word like others.
        expanded = dict.fromkeys(analyzer.terms(prefix))
        for reader in readers:
            expanded |= dict.fromkeys(reader.prefix(folded(prefix), _MOST_TERMS_OF_PREFIX))
        terms += list(expanded)
    analyzed = (tuple(analyzer.terms(phrase)) for phrase in parsed.phrases)
    return LexicalQuery(terms, tuple(phrase for phrase in analyzed if phrase))
