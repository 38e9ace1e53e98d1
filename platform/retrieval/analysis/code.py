"""Source code and texts about it."""

import unicodedata

import regex  # type: ignore[import-untyped] # it ships no types

from rostra.retrieval.analysis.words import folded

_IDENTIFIER = regex.compile(r"[\p{L}\p{N}_][\p{L}\p{N}\p{M}_]*")
# getHTTPResponse2 is get, HTTP, Response, 2.
_PART = regex.compile(
    r"\p{Lu}+(?=\p{Lu}\p{Ll})|\p{Lu}?[\p{Ll}\p{M}]+|\p{Lu}+|\p{N}+|[\p{Lo}\p{Lm}\p{Lt}\p{M}]+"
)


class CodeAnalyzer:
    """Identifiers as a whole and, where they are made of several words, each of these.

    Both are there, so that the whole name ranks its own uses first and a word of it finds them too.
    Nothing is stemmed or dropped.
    """

    name = "code-1"

    def terms(self, text: str) -> list[str]:
        found: list[str] = []
        for identifier in _IDENTIFIER.findall(unicodedata.normalize("NFKC", text)):
            parts = _PART.findall(identifier)
            if len(parts) != 1 or parts[0] != identifier:
                found.append(folded(identifier))
            found += map(folded, parts)
        return found
