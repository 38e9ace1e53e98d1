"""How much of a conversation a model is told: a window within its context, and what is cut."""

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rostra.agents.events import Noted, Origin, RunEnded, Status
from rostra.agents.memory.short import Window, estimate, squeezed
from rostra.agents.scope import Message, Piece
from rostra.agents.strategies.agentic_rag import AgenticRAG
from rostra.agents.strategies.plan_execute import PlanExecute
from rostra.agents.strategies.react import ReAct
from rostra.agents.strategies.rewoo import ReWOO
from rostra.agents.strategies.strategy import Strategy
from rostra.agents.tools.tool import CallContext, ToolResult
from rostra.core import ChatMessage, GenerationOptions, Role
from rostra.models import ScriptedModel, Turn
from tests.unit.agents.strategies.lab import Lab, act, by_prompt, final, info


@pytest.mark.parametrize(
    ("setting", "context", "most"),
    [(12_000, None, 12_000), (12_000, 131_072, 12_000), (12_000, 8192, 4608), (12_000, 2048, 1152)],
)
async def test_a_window_follows_the_models_context(
    setting: int, context: int | None, most: int
) -> None:
    model = ScriptedModel(["x"], context=context)
    assert (await Window.of(setting, model)).tokens == most


pieces = st.builds(Piece, st.text(max_size=3000), st.sampled_from(Origin), st.just("x"))
messages = st.builds(
    Message,
    st.sampled_from([Role.SYSTEM, Role.USER, Role.ASSISTANT, Role.TOOL]),
    st.lists(pieces, max_size=4).map(tuple),
)


@given(st.lists(messages, max_size=6), st.integers(1, 3000))
def test_what_is_cut(talk: list[Message], most: int) -> None:
    window = Window(most)
    cut = squeezed(talk, window)
    assert squeezed(talk, None) == talk
    if estimate(talk) <= most:
        assert cut == talk
    assert estimate(cut) <= estimate(talk)
    assert squeezed(cut, window) == cut or estimate(cut) > most
    lengths = set()
    for before, after in zip(talk, cut, strict=True):
        for old, new in zip(before.pieces, after.pieces, strict=True):
            assert new.label == old.label
            if new.text != old.text:
                assert before.role is not Role.ASSISTANT
                assert not old.origin.trusted
                kept = new.text.removesuffix("\n[The rest was left out.]")
                assert old.text.startswith(kept)
                lengths.add(len(old.text.encode()))
    whole = [
        len(piece.text.encode())
        for message in cut
        for piece in message.pieces
        if message.role is not Role.ASSISTANT
        and piece.origin in (Origin.MODEL, Origin.DOCUMENT, Origin.TOOL)
        and "[The rest was left out.]" not in piece.text
    ]
    # The longest are cut, and there is something left of each.
    assert not lengths or max(whole, default=0) <= min(lengths)


def test_what_is_long_is_cut_to_one_length_at_a_lines_end() -> None:
    def of(lines: int) -> Message:
        text = "".join(f"[{number}] A sentence of a page.\n" for number in range(lines))
        return Message(Role.USER, (Piece(text, Origin.TOOL, "search"),))

    cut = squeezed([of(200), of(3), of(400)], Window(1500))
    assert estimate(cut) <= 1500
    assert cut[1] == of(3)
    for message in (cut[0], cut[2]):
        last = message.text.splitlines()[-2:]
        assert last[0].endswith("A sentence of a page.")
        assert last[1] == "[The rest was left out.]"
    assert abs(len(cut[0].text) - len(cut[2].text)) < 40


CONTEXT = 3000
LONG = info("search", "query")


async def long_result(arguments: dict[str, Any], context: CallContext) -> ToolResult:
    about = arguments["query"]
    return ToolResult(f"{about} weighs 12 kg. " + f"Much is said of {about} here. " * 300)


def within(script: Any) -> Any:
    """A script of a model that refuses what is longer than its context."""

    def said(messages: Sequence[ChatMessage], options: GenerationOptions) -> str | Turn:
        tokens = sum(len(message.content.encode()) for message in messages) // 4
        assert tokens + 200 < CONTEXT, "the prompt is too long"
        result: str | Turn = script(messages, options)
        return result

    return said


def searches(name: str) -> str:
    return act(("search", {"query": name}), ("search", {"query": f"{name}s"}))


def plan(*goals: str) -> str:
    steps = [
        {"id": f"E{at}", "goal": goal, "needs": [f"E{at - 1}"] if at > 1 else []}
        for at, goal in enumerate(goals, 1)
    ]
    return msgspec.json.encode({"thought": "so", "steps": steps}).decode()


def calls(*names: str) -> str:
    steps = [
        {"id": f"E{at}", "goal": "know", "call": {"tool": "search", "args": {"query": name}}}
        for at, name in enumerate(names, 1)
    ]
    return msgspec.json.encode({"thought": "so", "steps": steps}).decode()


DONE = final(("Alpha weighs 12 kg.", [1]))


def react(messages: Sequence[ChatMessage], options: GenerationOptions) -> str:
    """Goes by what was read last: of earlier turns some are gone."""
    last = messages[-1].content
    for name, said in (("gamma", DONE), ("beta", "gamma"), ("alpha", "beta")):
        if f"{name} weighs" in last:
            return said if said == DONE else searches(said)
    return searches("alpha")


GRANTS = msgspec.json.encode({"checks": [{"reason": "it does", "supported": True}]}).decode()
ROUTE = '{"thought": "look", "search": true, "query": "alpha"}'
PASSED = '{"reason": "good", "passed": true}'


@pytest.mark.parametrize(
    ("strategy", "script"),
    [
        (lambda window: ReAct(window=window), react),
        (
            lambda window: AgenticRAG(react=ReAct(window=window)),
            by_prompt(react=react, rag_route=ROUTE, support=GRANTS),
        ),
        (
            lambda window: PlanExecute(executor=ReAct(window=window)),
            by_prompt(plan=plan("alpha", "beta"), react=react, verify=PASSED, synthesis=DONE),
        ),
        (
            lambda window: ReWOO(window=window),
            by_prompt(rewoo_plan=calls("alpha", "beta", "gamma", "delta"), synthesis=DONE),
        ),
    ],
    ids=["react", "rag", "plan", "rewoo"],
)
async def test_no_prompt_goes_over_the_models_context(strategy: Any, script: Any) -> None:
    lab = Lab(tools=((LONG, long_result),))
    window = await Window.of(12_000, ScriptedModel(["x"], context=CONTEXT))
    made: Strategy = strategy(window)
    ran = await lab.run(made, within(script))
    assert isinstance(ran.last, RunEnded)
    assert (ran.last.status, ran.answer) == (Status.COMPLETED, "Alpha weighs 12 kg.")
    # Executed again, it comes to the same prompts.
    again = await lab.run(made, within(script), ran.records[:-1])
    assert again.by_key() == ran.by_key()
    if isinstance(made, ReAct):
        assert {one.kind for one in ran.all(Noted)} == {"memory.dropped", "memory.cut"}
