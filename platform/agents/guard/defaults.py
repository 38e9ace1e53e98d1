"""The guard that runs have unless they are given another."""

from collections.abc import Iterable, Sequence

from rostra.agents.equipment import Cleaned, Guard
from rostra.agents.events import DocumentSpan, PlannedCall
from rostra.agents.guard.filters import OutputFilter, apply
from rostra.agents.guard.hidden import HiddenText
from rostra.agents.guard.links import ForeignLinks
from rostra.agents.guard.loop import LoopDetector
from rostra.agents.guard.pii import PersonalData
from rostra.agents.guard.policy import Policy, approval_reasons
from rostra.agents.guard.rewrite import moved
from rostra.agents.guard.secrets import Secrets
from rostra.agents.tools.observe import observed
from rostra.agents.tools.tool import ToolInfo
from rostra.core import ConfigError

FILTERS = ("hidden", "secrets", "pii", "links")
"""All there are, in the order in which they work: links last, as a link may hold the others."""


def make_filters(
    names: Iterable[str] = ("hidden", "secrets", "links"), *, hosts: Iterable[str] = ()
) -> tuple[OutputFilter, ...]:
    """The filters of these names, in the order of `FILTERS`.

    Personal data is not among the default ones: finding it is what many tasks are about.

    Args:
        names: any of `FILTERS`.
        hosts: where links may go; see `ForeignLinks`.

    Raises:
        ConfigError: there is no filter of a name.
    """
    wanted = set(names)
    if unknown := wanted.difference(FILTERS):
        raise ConfigError(
            f"there is no filter {min(unknown)!r}", hint=f"Filters: {', '.join(FILTERS)}."
        )
    made: dict[str, OutputFilter] = {
        "hidden": HiddenText(),
        "secrets": Secrets(),
        "pii": PersonalData(),
        "links": ForeignLinks(frozenset(host.lower() for host in hosts)),
    }
    return tuple(made[name] for name in FILTERS if name in wanted)


def default_guard(
    policy: Policy | None = None,
    filters: Sequence[OutputFilter] | None = None,
    loop: LoopDetector | None = None,
) -> Guard:
    """A guard of these parts; of the default ones where None."""
    rules = policy or Policy()
    cleaners = make_filters() if filters is None else tuple(filters)
    detector = loop or LoopDetector()

    def reasons(info: ToolInfo, sources: Sequence[str]) -> Sequence[str]:
        return approval_reasons(info, sources, rules)

    def loops(past: Sequence[tuple[PlannedCall, str]], call: PlannedCall) -> str | None:
        return detector(past, call)

    def clean(text: str, documents: Sequence[DocumentSpan]) -> Cleaned:
        filtered = apply(cleaners, text)
        return Cleaned(filtered.text, filtered.findings, moved(documents, filtered.kept))

    return Guard(reasons=reasons, loop=loops, observe=observed, clean=clean)
