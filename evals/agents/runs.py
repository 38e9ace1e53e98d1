"""One run of an agent from beginning to end, in memory, as evaluations need it.

What always holds: it goes through the same driver, journal, catalog and guard as the runs of a
server, and makes the same spans; only the log is kept in memory, and a person is played by a
function that decides on calls.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from rostra.agents import (
    ApprovalAsked,
    ApprovalDecided,
    Catalog,
    Guard,
    Journal,
    Limits,
    MemoryLog,
    Parts,
    Paused,
    PlannedCall,
    Record,
    RunEnded,
    RunRequest,
    RunTracer,
    StaticToolset,
    Strategy,
    ToolStarted,
    TracedLog,
    default_guard,
    drive,
    prompts,
    started,
)
from rostra.core import ChatModel

# Pauses after which a run counts as one that never ends.
_MOST_PAUSES = 20

Decide = Callable[[PlannedCall, str], str | None]


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
        parts: models, tools, strategy, guard and limits.
        decide: a person: given a call that waits and why, `approve`, `deny`, `done` or `retry`;
            None leaves the run paused.
    """

    parts: Parts
    decide: Decide = lambda call, reason: None


def setting(
    models: Mapping[str, ChatModel],
    tools: Catalog,
    strategy: Strategy,
    *,
    guard: Guard | None = None,
    limits: Limits | None = None,
    decide: Decide = lambda call, reason: None,
) -> Setting:
    """A setting of parts that are made here; by default with what every run is guarded by."""
    own_guard, own_limits = guard or default_guard(), limits or Limits()
    return Setting(Parts(models, tools, strategy, own_guard, prompts, own_limits), decide)


async def run_once(request: RunRequest, setting: Setting, run_id: str = "eval") -> RunLogged:
    """Executes a run to its end, or to a pause that nobody decides on.

    Raises:
        RuntimeError: it pauses again and again.
    """
    log, parts = MemoryLog(), setting.parts
    traced = TracedLog(log, RunTracer(run_id))
    await Journal(traced).keep(started(request, parts.models["main"].name, prompts))
    for _ in range(_MOST_PAUSES):
        last = await drive(run_id, request, Journal(traced, log.records), parts)
        if isinstance(last, RunEnded):
            return RunLogged(log.records, last)
        waiting = planned_calls(log.records)
        words = [(call, setting.decide(waiting[call], last.reason)) for call in last.calls]
        if any(word is None for _, word in words):
            return RunLogged(log.records, last)
        for call, word in words:
            event = ApprovalDecided(call, word or "", by="eval")
            log.records.append(Record(len(log.records) + 1, datetime.now(UTC), event))
    raise RuntimeError(f"run {run_id} does not end")


def planned_calls(records: Sequence[Record]) -> dict[str, PlannedCall]:
    """Calls by their id, as far as they were begun or waited for a person."""
    found: dict[str, PlannedCall] = {}
    for record in records:
        if isinstance(record.event, ToolStarted | ApprovalAsked):
            found.setdefault(record.event.call.id, record.event.call)
    return found
