"""Filters of text on its way to a model or to a page, and how several work together.

What always holds: a filter looks at a text alone, never fails, and finds nothing more in what it
gave; findings say what kind of thing was found and never repeat it, so that they can be logged.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, Protocol

from rostra.agents.guard.rewrite import Edit, Kept, Rewritten, chain, rewrite, unchanged

MAX_FINDINGS = 20


class Filtered(NamedTuple):
    """A text that passed a filter.

    Attributes:
        findings: such as `links: image from example.org`, each once, at most `MAX_FINDINGS`.
        kept: what of the given text stands in this one; see `rewrite.moved`.
    """

    text: str
    findings: tuple[str, ...]
    kept: tuple[Kept, ...]


class OutputFilter(Protocol):
    """A small plug-in that looks for one kind of thing."""

    @property
    def name(self) -> str: ...

    def __call__(self, text: str) -> Filtered: ...


Pass = Callable[[str], tuple[list[Edit], list[str]]]
"""Looks through a text: edits in order, without overlap, and what was found."""


def run_passes(name: str, text: str, passes: Iterable[Pass]) -> Filtered:
    """Applies passes one after another; each reads what the one before it made."""
    so_far = unchanged(text)
    findings: list[str] = []
    for look in passes:
        edits, found = look(so_far.text)
        if edits:
            so_far = chain(so_far, rewrite(so_far.text, edits))
        findings += [f"{name}: {what}" for what in found]
    return Filtered(so_far.text, _once(findings), so_far.kept)


def apply(filters: Sequence[OutputFilter], text: str) -> Filtered:
    """Puts a text through filters in their order."""
    so_far = unchanged(text)
    findings: list[str] = []
    for look in filters:
        found = look(so_far.text)
        so_far = chain(so_far, Rewritten(found.text, found.kept))
        findings += found.findings
    return Filtered(so_far.text, _once(findings), so_far.kept)


def _once(findings: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(findings))[:MAX_FINDINGS]
