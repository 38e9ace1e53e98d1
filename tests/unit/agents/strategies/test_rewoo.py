"""ReWOO: placeholders, levels, failures, plans that cannot be, and resuming."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import jsonschema  # type: ignore[import-untyped] # it ships no types
import pytest

from rostra.agents.equipment import Limits
from rostra.agents.events import (
    Budget,
    Decided,
    ModelAsked,
    Planned,
    RunEnded,
    Status,
    ToolEnded,
)
from rostra.agents.strategies.rewoo import ReWOO
from rostra.agents.tools.tool import CallContext, ToolFailure, ToolResult
from rostra.core import ChatMessage, GenerationOptions
from tests.unit.agents.strategies.lab import (
    Lab,
    by_prompt,
    final,
    info,
    is_prompt,
    schema_of,
    turns,
)


def plan(*steps: tuple[str, str, dict[str, Any]]) -> str:
    listed = [
        {"id": name, "goal": f"do {name}", "call": {"tool": tool, "args": args}}
        for name, tool, args in steps
    ]
    return json.dumps({"thought": "so", "steps": listed})


THREE = plan(
    ("E1", "search", {"query": "alpha"}),
    ("E2", "search", {"query": "beta"}),
    ("E3", "add", {"a": "#E1", "b": "#E2"}),
)
ANSWER = final(("Together they weigh 42 kg.", [1, 2, 3]))
GOOD = by_prompt(rewoo_plan=turns(THREE), synthesis=ANSWER)


async def test_one_plan_all_calls_one_answer() -> None:
    ran = await Lab().run_cut_everywhere(ReWOO(), GOOD)
    assert ran.answer == "Together they weigh 42 kg."
    assert len(ran.all(ModelAsked)) == 2
    again = await Lab().run(ReWOO(), GOOD)
    assert again.called == [
        ("search", {"query": "alpha"}),
        ("search", {"query": "beta"}),
        ("add", {"a": "Alpha weighs 12 kg.", "b": "Beta weighs 30 kg."}),
    ]


async def test_what_a_result_says_is_no_placeholder() -> None:
    async def echo(arguments: dict[str, Any], context: CallContext) -> ToolResult:
        return ToolResult(arguments["text"])

    lab = Lab(tools=((info("echo", "text"), echo),))
    script = by_prompt(
        rewoo_plan=turns(
            plan(
                ("E1", "echo", {"text": "say #E2x and #E1"}),
                ("E2", "echo", {"text": "it says #E1"}),
            ),
            plan(("E1", "echo", {"text": "say # E2"}), ("E2", "echo", {"text": "it says #E1"})),
        ),
        synthesis=final(("Said.", [2])),
    )
    ran = await lab.run(ReWOO(), script)
    assert ran.called[-1] == ("echo", {"text": "it says say # E2"})


@pytest.mark.parametrize(
    ("steps", "why"),
    [
        ((("E1", "add", {"a": "#E2", "b": "1"}), ("E2", "add", {"a": "#E1", "b": "1"})), "circle"),
        ((("E1", "add", {"a": "#E9", "b": "1"}),), "no step"),
        ((("E1", "launch", {"a": "1"}),), "no tool"),
        ((("E1", "add", {"a": "1"}),), "wrong"),
    ],
)
async def test_a_plan_that_cannot_be_carried_out_is_told(steps: Any, why: str) -> None:
    script = by_prompt(rewoo_plan=turns(plan(*steps), THREE), synthesis=ANSWER)
    ran = await Lab().run_cut_everywhere(ReWOO(), script)
    assert ran.answer == "Together they weigh 42 kg."
    again = await Lab().run(ReWOO(), script)
    assert why in again.models["main"].seen[1][0][-1].content
    (mistake,) = [event.error for event in ran.all(Decided) if event.error]
    assert why in mistake
    never = await Lab().run(ReWOO(), by_prompt(rewoo_plan=turns(plan(*steps))))
    assert isinstance(never.last, RunEnded)
    assert (never.last.status, never.last.answer) == (Status.ABSTAINED, None)
    assert never.last.error is not None
    assert never.last.error["code"] == "nothing_usable"
    assert why in never.last.error["message"]
    assert len([event for event in never.all(Decided) if event.error]) == 2


async def test_after_a_failed_call_the_rest_is_planned_anew() -> None:
    async def broken(arguments: dict[str, Any], context: CallContext) -> ToolResult:
        raise ToolFailure("out of order")

    lab = Lab(tools=(*Lab().tools, (info("broken", "query"), broken)))

    def planner(messages: Sequence[ChatMessage], options: GenerationOptions) -> str:
        if is_prompt(messages, "synthesis"):
            return ANSWER
        if len(messages) == 2:
            return plan(
                ("E1", "search", {"query": "alpha"}),
                ("E2", "broken", {"query": "beta"}),
                ("E3", "add", {"a": "#E1", "b": "#E2"}),
            )
        assert "out of order" in messages[-1].content
        assert "Alpha weighs 12 kg." in messages[-1].content
        return plan(("E4", "search", {"query": "beta"}), ("E5", "add", {"a": "#E1", "b": "#E4"}))

    ran = await lab.run_cut_everywhere(ReWOO(), planner)
    assert ran.answer == "Together they weigh 42 kg."
    assert [len(event.steps) for event in ran.all(Planned)] == [3, 2]
    assert ran.all(Planned)[1].reason == "E2: error"
    again = await lab.run(ReWOO(), planner)
    assert [name for name, _ in again.called] == ["search", "broken", "search", "add"]


async def test_a_field_that_is_not_there_is_a_mistake_that_is_told() -> None:
    async def weigh(arguments: dict[str, Any], context: CallContext) -> ToolResult:
        return ToolResult("value: 12; unit: kg")

    lab = Lab(tools=(*Lab().tools, (info("weigh"), weigh)))

    def planner(messages: Sequence[ChatMessage], options: GenerationOptions) -> str:
        if is_prompt(messages, "synthesis"):
            return final(("It weighs 12 kg.", [1]))
        if len(messages) == 2:
            return plan(
                ("E1", "weigh", {}),
                ("E2", "search", {"query": "#E1.price"}),
                ("E3", "search", {"query": "#E1.unit alpha"}),
            )
        assert "Fields: value, unit" in messages[-1].content
        return plan(("E4", "add", {"a": "#E1.value", "b": "1#E1"}))

    ran = await lab.run_cut_everywhere(ReWOO(), planner)
    (mistake,) = [event.error for event in ran.all(Decided) if event.error]
    assert "E2" in mistake
    assert ran.all(Planned)[1].reason == "E2: error"
    again = await lab.run(ReWOO(), planner)
    assert again.called == [
        ("weigh", {}),
        ("search", {"query": "kg alpha"}),
        ("add", {"a": "12", "b": "112"}),
    ]


async def test_tools_that_always_fail_or_hang_end_in_an_abstention() -> None:
    async def hangs(arguments: dict[str, Any], context: CallContext) -> ToolResult:
        await asyncio.Event().wait()
        raise RuntimeError("unreachable")

    def again(messages: Sequence[ChatMessage], options: GenerationOptions) -> str:
        spoken = sum(message.role == "assistant" for message in messages)
        return plan((f"E{spoken + 1}", "hangs", {}))

    lab = Lab(tools=((info("hangs"), hangs),), limits=Limits(call_seconds=0.01))
    ran = await lab.run(ReWOO(), again)
    assert isinstance(ran.last, RunEnded)
    assert ran.last.status is Status.ABSTAINED
    assert len(ran.all(Planned)) == 3
    assert len(ran.all(ToolEnded)) == 3


async def test_invalid_words_everywhere_still_end() -> None:
    for said in ("no", "{}", '{"steps": 3}', '{"steps": [3]}', '{"steps": [{"id": "E1"}]}'):
        ran = await Lab().run(ReWOO(), turns(said))
        assert isinstance(ran.last, RunEnded)
        assert ran.last.status is Status.ABSTAINED
    lying = by_prompt(rewoo_plan=turns(THREE), synthesis=final(("They fly.", [77])))
    ran = await Lab().run(ReWOO(), lying)
    assert isinstance(ran.last, RunEnded)
    assert ran.last.status is Status.ABSTAINED


async def test_a_budget_of_calls_holds_for_a_whole_level() -> None:
    ran = await Lab(budget=Budget(calls=1)).run_cut_everywhere(ReWOO(), GOOD)
    assert isinstance(ran.last, RunEnded)
    assert ran.last.status is Status.EXHAUSTED
    assert not ran.called


async def test_tools_that_a_call_has_found_can_be_planned_with() -> None:
    async def search_tools(arguments: dict[str, Any], context: CallContext) -> ToolResult:
        return ToolResult("- tool_33: weighs things", citable=False)

    many = tuple((info(f"tool_{number}", "query"), Lab().tools[0][1]) for number in range(60))
    lab = Lab(tools=(*many, (info("search_tools", "query"), search_tools)))
    script = by_prompt(
        rewoo_plan=turns(
            plan(("E1", "tool_33", {"query": "alpha"})),
            plan(("E1", "search_tools", {"query": "weigh"})),
            plan(("E2", "tool_33", {"query": "alpha"})),
        ),
        synthesis=final(("Alpha weighs 12 kg.", [1])),
    )
    ran = await lab.run_cut_everywhere(ReWOO(), script)
    assert ran.answer == "Alpha weighs 12 kg."
    assert [event.reason for event in ran.all(Planned)] == ["", "new tools"]


async def test_without_tools_there_is_no_plan() -> None:
    ran = await Lab(tools=()).run(ReWOO(), turns("never asked"))
    assert isinstance(ran.last, RunEnded)
    assert ran.last.status is Status.ABSTAINED
    assert not ran.all(ModelAsked)


NUMBERS = {
    "type": "object",
    "properties": {"n": {"type": "integer", "minimum": 0}},
    "required": ["n"],
    "additionalProperties": False,
}


async def count(arguments: dict[str, Any], context: CallContext) -> ToolResult:
    return ToolResult("", structured={"value": arguments["n"] + 1, "unit": "kg"})


async def test_a_number_can_be_what_an_earlier_call_gave() -> None:
    lab = Lab(tools=((info("count", schema=NUMBERS), count),))
    counts = plan(("E1", "count", {"n": 1}), ("E2", "count", {"n": "#E1.value"}))
    script = by_prompt(rewoo_plan=turns(counts), synthesis=final(("It is 3.", [2])))
    ran = await lab.run_cut_everywhere(ReWOO(), script)
    assert ran.answer == "It is 3."
    again = await lab.run(ReWOO(), script)
    assert again.called == [("count", {"n": 1}), ("count", {"n": 2})]
    # The grammar lets a model write it.
    schema = schema_of(again.models["main"].seen[0][1])
    jsonschema.validate(json.loads(counts), schema)
    for said in ("two", "#E2.value", "#E3.value"):  # No number, itself, a later step.
        wrong = json.loads(counts)
        wrong["steps"][1]["call"]["args"]["n"] = said
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(wrong, schema)


async def test_what_does_not_fit_once_it_is_filled_in_is_not_called() -> None:
    lab = Lab(tools=((info("count", schema=NUMBERS), count),))
    script = by_prompt(
        rewoo_plan=turns(
            plan(("E1", "count", {"n": 1}), ("E2", "count", {"n": "#E1.unit"})),
            plan(("E3", "count", {"n": "#E1.value"})),
        ),
        synthesis=final(("It is 3.", [2])),
    )
    ran = await lab.run_cut_everywhere(ReWOO(), script)
    assert ran.answer == "It is 3."
    (mistake,) = [event.error for event in ran.all(Decided) if event.error]
    assert mistake.startswith("E2 is not made. The arguments of count are wrong: ")
    assert "'kg' is not of type 'integer'" in mistake
    again = await lab.run(ReWOO(), script)
    assert again.called == [("count", {"n": 1}), ("count", {"n": 2})]
    told = again.models["main"].seen[1][0][-1].content
    assert "Failed: E2" in told
    assert "'kg' is not of type 'integer'" in told


async def test_the_grammar_of_many_tools_stays_small() -> None:
    many = {**NUMBERS, "properties": {f"n{at}": {"type": "integer"} for at in range(8)}}
    tools = tuple((info(f"count_{at}", schema=many | {"required": []}), count) for at in range(20))
    script = by_prompt(
        rewoo_plan=turns(plan(("E1", "count_1", {}))), synthesis=final(("It is 3.", [1]))
    )
    ran = await Lab(tools=tools).run(ReWOO(), script)
    schema = schema_of(ran.models["main"].seen[0][1])
    assert len(json.dumps(schema)) < 60_000
    late = plan(*((f"E{at}", "count_1", {"n1": "#E1"} if at > 1 else {}) for at in range(1, 9)))
    jsonschema.validate(json.loads(late), schema)
