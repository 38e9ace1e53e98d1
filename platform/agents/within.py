"""Calls that a tool makes within a call of its own, as code that a model wrote does.

Their results stay with the tool, which may tell the model a line about a million. What always
holds: only a tool that reads and needs nobody's approval is called from here, given all that has
influenced the calling code: what its author had read, and what earlier calls gave it. Each call
counts in the run's budget of calls, and is in the log before it is made and after it has ended,
with its arguments and the size of its result, but without the result. A tool that is called again
after an interruption makes its calls again, under other keys.
"""

import json
from collections.abc import Sequence
from itertools import count
from typing import Any

from rostra.agents.events import Effect, Outcome, PlannedCall, ToolEnded, ToolStarted
from rostra.agents.journal import attempt_key
from rostra.agents.shared import Shared
from rostra.agents.tools.tool import CallContext, ToolFailure, ToolResult

_SAID = 1000


class CallsWithin:
    """Those within one call of a run.

    Args:
        run: what its execution shares.
        key: of the call.
        call: it.
        sources: untrusted sources that influenced its arguments.
    """

    def __init__(self, run: Shared, key: str, call: PlannedCall, sources: Sequence[str]) -> None:
        self._run = run
        self._key = key
        self._call = call
        self._sources = set(sources)
        self._base = key
        self._numbers = count(1)

    def pass_over(self) -> None:
        """Tells the journal that those of earlier attempts belong to this call."""
        journal = self._run.journal
        for attempt in count(1):
            base = attempt_key(self._key, attempt)
            if journal.find(ToolStarted, base) is None:
                return
            for number in count(1):
                if journal.find(ToolStarted, within := _within(base, number)) is None:
                    break
                journal.find(ToolEnded, within)

    def begin(self, attempt: int) -> "CallsWithin":
        """What the tool is given, to call as `CallContext.call_tool`."""
        self._base = attempt_key(self._key, attempt)
        return self

    async def __call__(self, name: str, arguments: dict[str, Any]) -> ToolResult:
        """See `CallContext.call_tool`."""
        effect = self._allowed(name)
        number = next(self._numbers)
        key = _within(self._base, number)
        call = PlannedCall(_within(self._call.id, number), name, arguments)
        journal = self._run.journal
        await journal.keep(ToolStarted(key, call, effect, sources=sorted(self._sources)))
        context = CallContext(
            run=self._run.run_id,
            call=f"{self._run.run_id}:{key}",
            timeout=self._run.limits.call_seconds,
            user=self._run.user,
            sources=tuple(sorted(self._sources)),
        )
        try:
            result = await self._run.tools.call(name, arguments, context)
        except ToolFailure as failure:
            said = self._run.guard.clean(str(failure)[:_SAID], ()).text
            self._end(key, call, ToolResult("", is_error=True), said)
            raise
        self._end(key, call, result)
        return result

    def _end(self, key: str, call: PlannedCall, result: ToolResult, said: str = "") -> None:
        # What a failure says can come from who serves the tool, as a result does.
        self._sources.add(f"{result.origin}:{call.tool}")
        ended = ToolEnded(
            key,
            call.id,
            Outcome.ERROR if result.is_error else Outcome.OK,
            said,
            origin=result.origin,
            first=len(self._run.sentences) + 1,
            bytes=_size(result),
            truncated=not result.is_error,
        )
        self._run.journal.put(ended)

    def _allowed(self, name: str) -> Effect:
        """The effect of a tool that may be called.

        Raises:
            ToolFailure: it may not, or not any more.
        """
        run = self._run
        info = next((tool for tool in run.tools.tools if tool.name == name), None)
        if info is None:
            raise ToolFailure(f"There is no tool {name[:64]!r}.", began=False)
        if name == self._call.tool or name in run.limits.shares:
            raise ToolFailure(f"{name} cannot be called from here.", began=False)
        reasons = list(run.guard.reasons(info, sorted(self._sources)))
        if info.effect is not Effect.READ or reasons:
            why = " ".join(reasons) or f"{name} does more than read."
            raise ToolFailure(
                f"{name} cannot be called from here; it may be called as a step of its own. {why}",
                began=False,
            )
        journal = run.journal
        taken = journal.spent().calls + journal.loans.total.calls + len(run.claimed)
        if taken >= run.budget.calls:
            raise ToolFailure(
                f"The run has used its budget of {run.budget.calls} calls.", began=False
            )
        return info.effect


def _within(base: str, number: int) -> str:
    return f"{base}>{number}"


def _size(result: ToolResult) -> int:
    """Bytes of what the tool was given."""
    if result.size is not None:
        return result.size
    if result.text or result.structured is None:
        return len(result.text.encode("utf-8", "surrogatepass"))
    return len(json.dumps(result.structured, default=str))
