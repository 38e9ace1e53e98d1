"""Loans: parts of a budget that calls take with them, and what is left beside them."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from rostra.agents import Catalog, default_guard, prompts
from rostra.agents.equipment import Limits
from rostra.agents.errors import BudgetSpent, RunPaused
from rostra.agents.events import (
    Budget,
    Effect,
    Origin,
    Outcome,
    PlannedCall,
    Spent,
    ToolEnded,
    ToolStarted,
)
from rostra.agents.execution import Execution
from rostra.agents.journal import Journal, MemoryLog
from rostra.agents.lending import loan, plus
from rostra.agents.scope import Message, Piece
from rostra.agents.tools.tool import CallContext, StaticToolset, ToolInfo, ToolResult
from rostra.core import (
    ChatEvent,
    ChatMessage,
    Delta,
    Finish,
    FinishReason,
    GenerationOptions,
    Role,
)

CALL = PlannedCall("c", "helper", {})


@given(
    steps=st.integers(1, 50),
    tokens=st.none() | st.integers(1, 5000),
    calls=st.integers(0, 30),
    shares=st.lists(st.floats(0.01, 1), min_size=1, max_size=8),
    used=st.floats(0, 1),
)
async def test_loans_and_what_was_spent_never_exceed_the_budget(
    steps: int, tokens: int | None, calls: int, shares: list[float], used: float
) -> None:
    budget = Budget(steps=steps, tokens=tokens, calls=calls, seconds=None)
    journal = Journal(MemoryLog())
    open_keys: list[str] = []
    for number, share in enumerate(shares):
        taken = plus(journal.spent(), journal.loans.total)
        lent = loan(budget, plus(taken, Spent(calls=1)), share)
        if lent is None:
            continue
        key = str(number)
        open_keys.append(key)
        if calls > taken.calls:  # as a run makes sure of before each call
            journal.put(ToolStarted(key, CALL, Effect.READ, lent=lent))
        if number % 2 and open_keys:
            key = open_keys.pop(0)
            given_back = journal.find(ToolStarted, key)
            if given_back is None or given_back.lent is None:
                continue
            most = given_back.lent
            spent = Spent(
                steps=int(most.steps * used),
                tokens=int((most.tokens or 0) * used),
                calls=int(most.calls * used),
            )
            journal.put(ToolEnded(key, "c", Outcome.OK, "", spent=spent))
        whole = plus(journal.spent(), journal.loans.total)
        assert whole.steps <= steps
        assert whole.calls <= calls
        assert tokens is None or whole.tokens <= tokens


async def test_a_loan_ends_with_its_call_in_a_log_that_is_read_again() -> None:
    log = MemoryLog()
    journal = Journal(log)
    lent = Budget(steps=5, tokens=100, calls=3)
    await journal.keep(ToolStarted("1", CALL, Effect.READ, lent=lent))
    again = Journal(MemoryLog(), log.records)
    assert (again.loans.total, again.spent().steps) == (Spent(5, 100, 0.0, 0.0, 3), 0)
    spent = Spent(steps=2, tokens=40, seconds=9.0, calls=1)
    await journal.keep(ToolEnded("1", "c", Outcome.OK, "", spent=spent))
    again = Journal(MemoryLog(), log.records)
    assert len(again.loans) == 0
    # Its own call and the other run's; the other run's seconds passed in this one as well.
    assert (again.spent().steps, again.spent().tokens, again.spent().calls) == (2, 40, 2)
    assert again.spent().seconds < 9


def test_what_is_too_little_is_not_lent() -> None:
    assert loan(Budget(steps=3), Spent(steps=2), 0.5) is None
    assert loan(Budget(steps=9, tokens=10), Spent(tokens=10), 1) is None
    assert loan(Budget(steps=9, cost=1.0), Spent(cost=1.0), 1) is None
    assert loan(Budget(steps=9, seconds=5.0), Spent(seconds=6.0), 1) is None
    lent = loan(Budget(steps=9, tokens=100, seconds=60.0, cost=2.0, calls=7), Spent(1), 0.5)
    assert lent == Budget(steps=4, tokens=50, seconds=30.0, cost=1.0, calls=3)


# --- Branches beside a call with a loan ---

TALK = [Message(Role.USER, (Piece("hello", Origin.USER),))]


class Model:
    """Says a word for a token."""

    name = "model"

    async def stream(
        self, messages: Sequence[ChatMessage], options: GenerationOptions
    ) -> AsyncIterator[ChatEvent]:
        yield Delta("well")
        yield Finish(FinishReason.STOP, {"prompt_tokens": 0, "completion_tokens": 1})


async def branches(outcome: ToolResult | RunPaused, steps: int) -> tuple[Execution, list[Any]]:
    """Hands all that is left over in one branch and asks a model in another, meanwhile."""
    lent, asked = asyncio.Event(), asyncio.Event()

    async def hand(arguments: dict[str, Any], context: CallContext) -> ToolResult:
        assert context.lent is not None
        lent.set()
        await asked.wait()
        if isinstance(outcome, RunPaused):
            raise outcome
        return outcome

    schema = {"type": "object", "properties": {}}
    info = ToolInfo("helper", "Helps.", schema, Effect.READ)
    run = Execution(
        run_id="run",
        task="task",
        user="",
        journal=Journal(MemoryLog()),
        budget=Budget(steps=steps, calls=5),
        models={"main": Model()},
        tools=await Catalog.open({"local": StaticToolset(((info, hand),))}),
        guard=default_guard(),
        prompts=prompts.render,
        limits=Limits(shares={"helper": 1.0}),
    )

    async def ask() -> Any:
        await lent.wait()
        asked.set()
        return await run.scope("b/").ask("step", TALK, GenerationOptions(4))

    return run, await asyncio.gather(run.scope("a/").call([CALL]), ask(), return_exceptions=True)


async def test_what_a_loan_leaves_is_waited_for() -> None:
    spent = Spent(steps=2)
    run, (observed, reply) = await branches(ToolResult("Done.", spent=spent), steps=3)
    assert observed[0].outcome is Outcome.OK
    assert reply.text == "well"
    assert run.journal.spent().steps == 3


async def test_a_loan_that_was_used_up_leaves_nothing() -> None:
    _, (observed, reply) = await branches(ToolResult("Done.", spent=Spent(steps=3)), steps=3)
    assert observed[0].outcome is Outcome.OK
    assert isinstance(reply, BudgetSpent)


async def test_who_waits_for_a_loan_that_waits_for_a_person_waits_for_that_person() -> None:
    _, (paused, other) = await branches(RunPaused("approval", ["x:1"]), steps=3)
    assert isinstance(paused, RunPaused)
    assert isinstance(other, RunPaused)
    assert (other.reason, other.calls) == ("approval", [])


async def test_a_call_that_fails_gives_its_loan_back() -> None:
    run, (observed, reply) = await branches(ToolResult("No.", is_error=True), steps=3)
    assert observed[0].outcome is Outcome.ERROR
    assert reply.text == "well"
    assert len(run.journal.loans) == 0
