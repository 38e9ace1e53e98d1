"""Calls of tools within a run: guarded, written down, made, ended.

What always holds: a call of a tool that is not repeatable is made at most once for each time that
a person or the policy said yes; its start is on disk before it is made. A call that began and whose
end is not on disk is made again only if it is repeatable, else the run waits for a person.
"""

import asyncio
import math
from collections.abc import Sequence

import msgspec

from rostra.agents.errors import RunPaused
from rostra.agents.events import (
    ApprovalAsked,
    ApprovalDecided,
    Budget,
    Effect,
    Noted,
    Outcome,
    PlannedCall,
    ToolEnded,
    ToolStarted,
)
from rostra.agents.journal import another, attempt_key, decision_key
from rostra.agents.lending import loan, plus
from rostra.agents.shared import Shared
from rostra.agents.tools.tool import CallContext, ToolFailure, ToolInfo, ToolResult
from rostra.agents.within import CallsWithin

# Attempts of a repeatable call that a dying process broke off.
_CALL_ATTEMPTS = 3


def afford_calls(run: Shared, keys: Sequence[str]) -> None:
    """Claims calls that are new; those of other branches may not have begun yet either.

    Raises:
        BudgetSpent: there are too many.
    """
    journal = run.journal
    new = [
        key
        for key in keys
        if journal.find(ToolStarted, key) is None and journal.find(ToolEnded, key) is None
    ]
    taken = journal.spent().calls + journal.loans.total.calls + len(run.claimed)
    if new and taken + len(new) > run.budget.calls:
        raise run.used_up("calls")
    run.claimed.update(new)


async def call_tool(
    run: Shared,
    key: str,
    call: PlannedCall,
    sources: Sequence[str],
    history: Sequence[tuple[PlannedCall, str]],
) -> ToolEnded:
    """The call's end: the journal's, or that of a call made now.

    Raises:
        RunPaused: it waits for a person.
        ReplayDiverged: the log has another call there.
    """
    journal = run.journal
    within = CallsWithin(run, key, call, sources)
    within.pass_over()
    began = journal.find(ToolStarted, key)
    for known in (began, journal.find(ApprovalAsked, key)):
        if known is not None and known.call != call:
            raise another(known, key)
    if (there := journal.find(ToolEnded, key)) is not None:
        if there.call != call.id:
            raise another(there, key)
        return there
    info = next((tool for tool in run.tools.tools if tool.name == call.tool), None)
    if info is None:
        close = ", ".join(tool.name for tool in run.tools.tools[:20])
        return await _end(
            run, key, call, Outcome.ERROR, f"There is no tool {call.tool!r}. Tools: {close}."
        )
    attempt = 1
    lent = began.lent if began is not None else None
    while journal.find(ToolStarted, attempt_key(key, attempt)) is not None:
        attempt += 1
    if lent is not None:
        # However often it was left, it goes on with the one run that it began.
        refusal = None
    elif attempt > 1:
        refusal = _begun_before(run, call, info.effect, attempt)
    else:
        refusal = _guarded(run, key, call, info, sources, history)
    if refusal is not None:
        return await _end(run, key, call, *refusal)
    run.claimed.discard(key)  # From here on the journal counts it.
    if lent is None:
        if call.tool in run.limits.shares and (lent := _lend(run, call.tool)) is None:
            text = "Too little of the run's budget is left for another run."
            return await _end(run, key, call, Outcome.ERROR, text)
        await journal.keep(ToolStarted(key, call, info.effect, attempt, list(sources), lent))
    context = CallContext(
        run=run.run_id,
        call=f"{run.run_id}:{key}",
        timeout=math.inf if lent is not None else run.limits.call_seconds,
        user=run.user,
        sources=tuple(sources),
        lent=lent,
        call_tool=within.begin(attempt),
    )
    try:
        async with asyncio.timeout(context.timeout):
            result = await run.tools.call(call.tool, call.arguments, context)
    except RunPaused as paused:
        # A run that it began waits for a person, and so this one does.
        for asked in paused.asked:
            journal.put(asked)
        run.resting[key] = paused.reason
        run.give_back(0)
        raise
    except TimeoutError:
        text = f"The tool did not answer within {context.timeout:.0f} s."
        if info.effect.repeatable:
            return await _end(run, key, call, Outcome.ERROR, text)
        text += " What it does may have happened all the same; do not repeat it."
        return await _end(run, key, call, Outcome.UNKNOWN, text)
    except ToolFailure as failure:
        lost = failure.began and not info.effect.repeatable
        ended = Outcome.UNKNOWN if lost else Outcome.ERROR
        return await _end(run, key, call, ended, str(failure))
    outcome = Outcome.ERROR if result.is_error else Outcome.OK
    return await _end(run, key, call, outcome, result=result)


def _lend(run: Shared, tool: str) -> Budget | None:
    taken = plus(run.journal.spent(), run.journal.loans.total)
    taken = msgspec.structs.replace(
        taken, tokens=taken.tokens + run.held, calls=taken.calls + len(run.claimed) + 1
    )
    return loan(run.budget, taken, run.limits.shares[tool])


def _begun_before(
    run: Shared, call: PlannedCall, effect: Effect, attempt: int
) -> tuple[Outcome, str] | None:
    """What to do about a call that began and whose end nobody has seen; None: make it again."""
    if effect.repeatable and attempt <= _CALL_ATTEMPTS:
        return None
    if effect.repeatable:
        return Outcome.ERROR, f"The call was broken off {attempt - 1} times."
    # A word on an earlier attempt is none on this one.
    decided = run.journal.find(ApprovalDecided, decision_key(call.id, attempt - 1))
    match decided.decision if decided else None:
        case "retry":
            return None
        case "done":
            note = f" {decided.note}" if decided and decided.note else ""
            return Outcome.UNKNOWN, f"The call happened; its result is lost.{note}"
        case "deny":
            return Outcome.DENIED, "The call may have happened; do not repeat it."
    raise RunPaused("outcome_unknown", [call.id])


def _guarded(
    run: Shared,
    key: str,
    call: PlannedCall,
    info: ToolInfo,
    sources: Sequence[str],
    history: Sequence[tuple[PlannedCall, str]],
) -> tuple[Outcome, str] | None:
    """Why a call is not made; None: make it.

    Raises:
        RunPaused: it needs a person's approval.
    """
    if (loop := run.guard.loop(history, call)) is not None:
        return Outcome.DENIED, loop
    reasons = run.guard.reasons(info, sources)
    if not reasons:
        return None
    decided = run.journal.find(ApprovalDecided, call.id)
    if decided is None:
        run.journal.put(ApprovalAsked(key, call, info.effect, list(reasons)))
        raise RunPaused("approval", [call.id])
    if decided.decision == "approve":
        return None
    why = f" {decided.note}" if decided.note else ""
    return Outcome.DENIED, f"This call was not allowed.{why}"


async def _end(
    run: Shared,
    key: str,
    call: PlannedCall,
    outcome: Outcome,
    text: str = "",
    result: ToolResult | None = None,
) -> ToolEnded:
    """Writes the end of a call and numbers its sentences."""
    result = result or ToolResult(text)
    seen = run.guard.observe(result, run.limits.observation)
    shown = run.guard.clean(seen.text, seen.documents)
    beside = run.beside.get(key)
    ended = ToolEnded(
        key,
        call.id,
        outcome,
        shown.text,
        origin=result.origin,
        first=len(run.sentences) + 1 if beside is None else 0,
        beside=beside,
        bytes=seen.bytes,
        truncated=seen.truncated,
        documents=list(shown.documents),
        spent=result.spent,
        citable=result.citable,
    )
    run.take_in(ended)
    if shown.findings:
        found = {"found": [*shown.findings]}
        run.journal.put(Noted(f"{key}!", "guard.removed", data=found))
    await run.journal.keep(ended)
    if run.limits.shares:
        run.give_back(0)  # What a loan had left, if this was the end of one.
    return ended
