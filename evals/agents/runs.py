"""One run of an agent from beginning to end, in memory, as evaluations need it.

What always holds: it goes through the same driver, journal, catalog and guard as the runs of a
server; only the log is kept in memory, and a person is played by a function that decides on calls.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from rostra.agents import (
    ApprovalDecided,
    Catalog,
    Guard,
    Journal,
    Limits,
    MemoryLog,
    Parts,
    Paused,
    Record,
    RunEnded,
    RunRequest,
    StaticToolset,
    Strategy,
    default_guard,
    drive,
    prompts,
    started,
)
from rostra.core import ChatModel

# Pauses after which a run counts as one that never ends.
_MOST_PAUSES = 20


async def local_tools(toolset: StaticToolset) -> Catalog:
    """The tools of a toolset made in this process, as a run takes them."""
    return await Catalog.open({"local": toolset})


@dataclass(frozen=True, slots=True)
class RunLogged:
    """What came of a run.

    Attributes:
        records: its log.
        last: `RunEnded`, or `Paused` where nobody decided.
    """

    records: Sequence[Record]
    last: RunEnded | Paused

    def of(self, kind: type[Any]) -> list[Any]:
        """The events of a kind, in order."""
        return [record.event for record in self.records if isinstance(record.event, kind)]


@dataclass(frozen=True, slots=True)
class Setting:
    """What runs are executed with.

    Attributes:
        models: by role; `main` is always there.
        decide: a person: given a paused call's id, `approve`, `deny`, `done` or `retry`; None
            leaves the run paused.
    """

    models: Mapping[str, ChatModel]
    tools: Catalog
    strategy: Strategy
    guard: Guard = field(default_factory=default_guard)
    limits: Limits = field(default_factory=Limits)
    decide: Callable[[str], str | None] = lambda call: None


async def run_once(request: RunRequest, setting: Setting, run_id: str = "eval") -> RunLogged:
    """Executes a run to its end, or to a pause that nobody decides on.

    Raises:
        RuntimeError: it pauses again and again.
    """
    log = MemoryLog()
    parts = Parts(
        setting.models, setting.tools, setting.strategy, setting.guard, prompts, setting.limits
    )
    await Journal(log).keep(started(request, setting.models["main"].name, prompts))
    for _ in range(_MOST_PAUSES):
        last = await drive(run_id, request, Journal(log, log.records), parts)
        if isinstance(last, RunEnded):
            return RunLogged(log.records, last)
        decisions = [(call, setting.decide(call)) for call in last.calls]
        if any(decision is None for _, decision in decisions):
            return RunLogged(log.records, last)
        for call, decision in decisions:
            event = ApprovalDecided(call, decision or "", by="eval")
            log.records.append(Record(len(log.records) + 1, datetime.now(UTC), event))
    raise RuntimeError(f"run {run_id} does not end")
