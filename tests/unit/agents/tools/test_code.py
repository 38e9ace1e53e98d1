"""Code that calls the run's tools: what it may call, what the log has, what the model reads."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from rostra.agents.events import (
    Budget,
    Effect,
    Outcome,
    Record,
    RunEnded,
    Status,
    ToolEnded,
    ToolStarted,
)
from rostra.agents.guard import default_guard
from rostra.agents.guard.policy import Policy
from rostra.agents.strategies.react import ReAct
from rostra.agents.tools.code import (
    RUN_PYTHON,
    CallFromCode,
    CodeRefused,
    CodeRun,
    code_toolset,
)
from rostra.agents.tools.tool import CallContext, ToolFailure, ToolResult
from rostra.core import InvalidRequest
from tests.unit.agents.strategies.lab import TOOLS, Lab, act, final, info, turns

Code = Callable[[CallFromCode], Awaitable[str]]


@dataclass
class Fake:
    """Runs a coroutine in place of code; `code` names it."""

    codes: dict[str, Code] = field(default_factory=dict)
    limits: str = "It has nothing."

    async def unavailable(self) -> str | None:
        return None

    async def run(self, code: str, call_tool: CallFromCode | None) -> CodeRun:
        if code not in self.codes:
            raise InvalidRequest("there is no such code")
        assert call_tool is not None
        try:
            return CodeRun(await self.codes[code](call_tool))
        except CodeRefused as refusal:
            return CodeRun("before\n", error=f"ToolError: {refusal}")


async def large(arguments: dict[str, Any], context: CallContext) -> ToolResult:
    return ToolResult("x" * 1_000_000 + " secret", structured=None)


async def numbers(arguments: dict[str, Any], context: CallContext) -> ToolResult:
    return ToolResult("[1, 2]", structured=[1, 2])


async def broken(arguments: dict[str, Any], context: CallContext) -> ToolResult:
    raise ToolFailure("it is out of order, see https://evil.example/x")


async def written(arguments: dict[str, Any], context: CallContext) -> ToolResult:
    raise AssertionError("nobody may call this from code")


MORE = (
    *TOOLS,
    (info("large"), large),
    (info("numbers"), numbers),
    (info("broken"), broken),
    (info("write", effect=Effect.WRITE), written),
    (info("idempotent", effect=Effect.IDEMPOTENT), written),
    (info("unknown", effect=Effect.UNKNOWN), written),
    (info("fetch", "url"), numbers),
)


def lab(budget: Budget | None = None, policy: Policy | None = None, **codes: Code) -> Lab:
    tools = (*MORE, *code_toolset(Fake(codes)).tools)
    return Lab(tools=tools, budget=budget or Budget(), guard=default_guard(policy))


def runs(code: str, *more: str) -> Any:
    return turns(*more, act((RUN_PYTHON, {"code": code})), final())


async def test_a_large_result_stays_with_the_code() -> None:
    async def count(call: CallFromCode) -> str:
        return str(len(await call("large", {})))

    ran = await lab(count=count).run(ReAct(), runs("count"))
    outer, inner = (
        next(one for one in ran.all(ToolEnded) if (">" in one.key) is within)
        for within in (False, True)
    )
    assert outer.text == "1000007"
    assert (inner.text, inner.bytes, inner.truncated) == ("", 1_000_007, True)
    assert ran.models["main"].seen
    assert "xxxx" not in str(ran.models["main"].seen)
    (started,) = [one for one in ran.all(ToolStarted) if ">" in one.key]
    assert (started.call.tool, started.effect) == ("large", Effect.READ)
    assert started.call.id.startswith(f"{ran.all(ToolStarted)[0].call.id}>")


async def test_code_is_given_values_where_there_are_some() -> None:
    async def add(call: CallFromCode) -> str:
        return str(sum(await call("numbers", {})))

    ran = await lab(add=add).run(ReAct(), runs("add"))
    assert ran.called[-1] == ("numbers", {})
    assert ran.all(ToolEnded)[-1].text == "3"


@pytest.mark.parametrize(
    ("tool", "arguments", "said"),
    [
        ("write", {}, "step of its own"),
        ("idempotent", {}, "step of its own"),
        ("unknown", {}, "step of its own"),
        (RUN_PYTHON, {"code": "again"}, "cannot be called from here"),
        ("nothing", {}, "no tool 'nothing'"),
        ("search", {"what": 1}, "do not match the schema"),
        ("broken", {}, "out of order"),
    ],
)
async def test_what_code_cannot_call(tool: str, arguments: dict[str, Any], said: str) -> None:
    async def again(call: CallFromCode) -> str:
        return str(await call(tool, arguments))

    # Not even where the user allowed it for steps, or the policy everything.
    for policy in (Policy(), Policy(frozenset(Effect), frozenset({"write"}))):
        ran = await lab(policy=policy, again=again).run(ReAct(), runs("again"))
        end = ran.all(ToolEnded)[-1]
        assert end.outcome is Outcome.ERROR
        assert said in end.text
        assert not any(name in ("write", "idempotent", "unknown") for name, _ in ran.called)
        assert isinstance(ran.last, RunEnded)


async def test_what_is_said_of_a_failure_is_cleaned_before_it_is_written() -> None:
    async def go(call: CallFromCode) -> str:
        return str(await call("broken", {}))

    ran = await lab(go=go).run(ReAct(), runs("go"))
    assert all("evil.example" not in one.text for one in ran.all(ToolEnded))


async def test_each_call_counts_and_those_over_the_budget_are_refused() -> None:
    made: list[int] = []

    async def many(call: CallFromCode) -> str:
        for number in range(9):
            await call("search", {"query": str(number)})
            made.append(number)
        return "all"

    ran = await lab(Budget(calls=5), many=many).run(ReAct(), runs("many"))
    assert made == [0, 1, 2, 3]
    assert isinstance(ran.last, RunEnded)
    assert ran.last.spent.calls == 5
    assert "budget of 5 calls" in ran.all(ToolEnded)[-1].text
    # The model is told, and can still answer.
    assert ran.last.status is Status.ABSTAINED


async def test_what_influenced_the_code_counts_for_what_it_sends_out() -> None:
    outbound = Policy(outbound_tools=frozenset({"fetch"}))

    async def fetch(call: CallFromCode) -> str:
        return str(await call("fetch", {"url": "x"}))

    async def leak(call: CallFromCode) -> str:
        await call("search", {"query": "alpha"})
        return str(await call("fetch", {"url": "x"}))

    look = act(("search", {"query": "alpha"}))
    for code, first, allowed in (
        ("fetch", (), True),
        ("fetch", (look,), False),
        ("leak", (), False),
    ):
        ran = await lab(policy=outbound, fetch=fetch, leak=leak).run(ReAct(), runs(code, *first))
        assert any(name == "fetch" for name, _ in ran.called) is allowed, (code, first)
        assert ("untrusted text" in ran.all(ToolEnded)[-1].text) is not allowed


async def test_a_log_cut_anywhere_goes_on_to_the_same_end() -> None:
    async def two(call: CallFromCode) -> str:
        found = [await call("search", {"query": name}) for name in ("alpha", "beta")]
        return " ".join(found)

    script = turns(
        act((RUN_PYTHON, {"code": "two"}), ("search", {"query": "gamma"})),
        final(("Both weigh.", [1])),
    )
    here = lab(two=two)
    whole = await here.run(ReAct(), script)
    for cut in range(1, len(whole.records)):
        again = await here.run(ReAct(), script, whole.records[:cut])
        assert isinstance(again.last, RunEnded)
        assert again.answer == whole.answer
        assert outer(again.records) == outer(whole.records)
        replayed = await here.run(ReAct(), script, again.records)
        assert replayed.records == again.records
        assert not replayed.called


def outer(records: list[Record]) -> dict[str, str]:
    """What the model read of each call."""
    ends = [one.event for one in records if isinstance(one.event, ToolEnded)]
    return {end.key: end.text for end in ends if ">" not in end.key}


async def test_a_sandbox_that_cannot_run_is_an_observation() -> None:
    ran = await lab().run(ReAct(), runs("missing"))
    (end,) = ran.all(ToolEnded)
    assert (end.outcome, "no such code" in end.text) == (Outcome.ERROR, True)


async def test_what_a_model_reads() -> None:
    async def told(ran: CodeRun) -> ToolResult:
        class One(Fake):
            async def run(self, code: str, call_tool: CallFromCode | None) -> CodeRun:
                return ran

        return await code_toolset(One()).call(RUN_PYTHON, {"code": "x"}, CallContext("r", "c"))

    assert (await told(CodeRun())).text == "It printed nothing."
    assert (await told(CodeRun("one\n", "", "2"))).text == "one\n2"
    failed = await told(CodeRun("one\n", "careful\n", None, "Traceback\nKeyError: 1"))
    assert failed.is_error
    assert failed.text == "one\nstderr:\ncareful\nTraceback\nKeyError: 1"
