"""Plan and execute: order, checks, new plans, circles, budgets, pauses, and resuming."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from rostra.agents.events import (
    Budget,
    Effect,
    ModelAsked,
    Paused,
    Planned,
    RunEnded,
    Status,
    Verified,
)
from rostra.agents.strategies.plan_execute import PlanExecute
from rostra.core import ChatMessage, GenerationOptions
from tests.unit.agents.strategies.lab import (
    Lab,
    Ran,
    Script,
    act,
    by_prompt,
    final,
    info,
    is_prompt,
    turns,
)


def plan(*steps: tuple[str, str, list[str]]) -> str:
    listed = [{"id": name, "goal": goal, "needs": needs} for name, goal, needs in steps]
    return json.dumps({"thought": "so", "steps": listed})


def verdict(passed: bool, reason: str = "see the quotes") -> str:
    return json.dumps({"reason": reason, "passed": passed})


THREE = plan(
    ("E1", "Find what Alpha weighs.", []),
    ("E2", "Find what Beta weighs.", []),
    ("E3", "Add the weights.", ["E1", "E2"]),
)


def numbers_in(text: str) -> list[int]:
    """The numbers of sentences that a text shows."""
    import re

    return [int(each) for each in re.findall(r"\[(\d+)\]", text)]


def work(messages: Sequence[ChatMessage], options: GenerationOptions) -> str:
    """An executor: looks up or adds, then says what came of it."""
    task, last = messages[1].content, messages[-1].content
    goal = task.partition("\n")[0]
    if len(messages) == 2:
        if "Add" in goal:
            return act(("add", {"a": "12", "b": "30"}))
        return act(("search", {"query": goal}))
    said = [line.partition("] ")[2] for line in last.splitlines() if line.startswith("[")]
    return final((said[0], numbers_in(last)[:1]))


def put_together(messages: Sequence[ChatMessage], options: GenerationOptions) -> str:
    shown = messages[-1].content
    return final(("Together they weigh 42 kg.", sorted(set(numbers_in(shown)))))


PLANNER = by_prompt(plan=turns(THREE), verify=verdict(True), synthesis=put_together)


def roles(planner: Script = PLANNER, executor: Script = work) -> dict[str, Script]:
    def nobody(messages: Sequence[ChatMessage], options: GenerationOptions) -> str:
        raise AssertionError("main was asked")

    return {"main": nobody, "planner": planner, "executor": executor}


async def test_steps_in_order_side_by_side_then_one_answer() -> None:
    ran = await Lab().run(PlanExecute(), roles())
    assert ran.answer == "Together they weigh 42 kg."
    assert isinstance(ran.last, RunEnded)
    assert ran.last.answer is not None
    assert {one.quote for one in ran.last.answer.claims[0].evidence} == {
        "Alpha weighs 12 kg.",
        "Beta weighs 30 kg.",
        "The sum is 42.",
    }
    assert [name for name, _ in ran.called] == ["search", "search", "add"]
    order = [event.key for event in ran.all(ModelAsked) if event.purpose == "step"]
    # Both first steps were asked about before either was done.
    assert {key.split("/")[0].split(".")[-1] for key in order[:2]} == {"E1", "E2"}
    assert [event.subject for event in ran.all(Verified)][-1] == "E3"
    last = ran.models["executor"].seen[-1][0][1].content
    assert "Alpha weighs 12 kg." in last
    assert "Beta weighs 30 kg." in last


async def test_the_same_from_every_point_of_its_log() -> None:
    await Lab().run_cut_everywhere(PlanExecute(), roles())


@pytest.mark.parametrize(
    ("steps", "why"),
    [
        ((("E1", "a", ["E2"]), ("E2", "b", ["E1"])), "circle"),
        ((("E1", "a", ["E1"]),), "circle"),
        ((("E1", "a", ["E7"]),), "no step"),
        ((("E1", "a", []), ("E1", "b", [])), "more than one"),
        ((("first", "a", []),), "no id"),
        ((), "1 to 8"),
    ],
)
async def test_a_plan_that_cannot_be_carried_out_is_told(steps: Any, why: str) -> None:
    planner = by_prompt(
        plan=turns(plan(*steps), THREE), verify=verdict(True), synthesis=put_together
    )
    ran = await Lab().run_cut_everywhere(PlanExecute(), roles(planner))
    assert ran.answer == "Together they weigh 42 kg."
    assert len(ran.all(Planned)) == 1
    again = await Lab().run(PlanExecute(), roles(planner))
    assert why in again.models["planner"].seen[1][0][-1].content


async def test_a_planner_of_many_tools_is_told_of_the_best() -> None:
    many = tuple((info(f"tool_{number}", "query"), Lab().tools[0][1]) for number in range(60))
    lab = Lab(tools=(*many, *Lab().tools), task="search for the weight of alpha")
    ran = await lab.run(PlanExecute(), roles())
    listed = ran.models["planner"].seen[0][0][0].content
    assert listed.count("- tool_") < 20
    assert "- search:" in listed


async def test_a_planner_that_never_makes_a_plan_ends_without_an_answer() -> None:
    planner = by_prompt(plan=turns("no plan"))
    ran = await Lab().run_cut_everywhere(PlanExecute(), roles(planner))
    assert isinstance(ran.last, RunEnded)
    assert ran.last.status is Status.ABSTAINED
    assert not ran.called


def failing_at_first(messages: Sequence[ChatMessage], options: GenerationOptions) -> str:
    if is_prompt(messages, "plan"):
        if len(messages) == 2:
            return plan(("E1", "Find what Alpha weighs.", []), ("E2", "Find the moon.", ["E1"]))
        assert "Alpha weighs 12 kg." in messages[-1].content, "what is done is told"
        assert "it is the wrong thing" in messages[-1].content
        return plan(("E3", "Find what Beta weighs.", []), ("E4", "Add.", ["E1", "E3"]))
    if is_prompt(messages, "verify"):
        moon = "moon" in messages[-1].content
        return verdict(not moon, "it is the wrong thing" if moon else "fine")
    return put_together(messages, options)


async def test_a_step_that_fails_its_check_is_planned_anew_and_the_rest_is_kept() -> None:
    ran = await Lab().run_cut_everywhere(PlanExecute(), roles(failing_at_first))
    assert ran.answer == "Together they weigh 42 kg."
    _, second = ran.all(Planned)
    assert second.reason == "E2: it is the wrong thing"
    assert [event.subject for event in ran.all(Verified) if event.passed] == ["E1", "E3", "E4"]
    assert [name for name, _ in (await _run(failing_at_first)).called] == [
        "search",
        "search",
        "search",
        "add",
    ]


async def _run(planner: Script) -> Ran:
    return await Lab().run(PlanExecute(), roles(planner))


async def test_new_plans_are_bounded() -> None:
    def never(messages: Sequence[ChatMessage], options: GenerationOptions) -> str:
        if is_prompt(messages, "plan"):
            spoken = sum(message.role == "assistant" for message in messages)
            return plan((f"E{spoken + 1}", "Find what Alpha weighs.", []))
        return verdict(False, "no")

    ran = await Lab(budget=Budget(steps=50)).run(PlanExecute(), roles(never))
    assert isinstance(ran.last, RunEnded)
    assert ran.last.status is Status.ABSTAINED
    assert len(ran.all(Planned)) == 3


async def test_a_budget_ends_it_in_the_middle() -> None:
    for steps in range(1, 9):
        ran = await Lab(budget=Budget(steps=steps)).run(PlanExecute(), roles())
        assert isinstance(ran.last, RunEnded)
        assert ran.last.status is Status.EXHAUSTED
        assert len(ran.all(ModelAsked)) <= steps


async def test_tokens_of_branches_together_stay_within_the_budget() -> None:
    whole = await Lab().run(PlanExecute(), roles())
    assert isinstance(whole.last, RunEnded)
    for part in (0.3, 0.5, 0.6, 0.8):
        most = int(whole.last.spent.tokens * part)
        ran = await Lab(budget=Budget(tokens=most)).run(PlanExecute(), roles())
        assert isinstance(ran.last, RunEnded)
        assert ran.last.spent.tokens <= most


async def test_what_a_step_has_read_taints_the_steps_that_need_it() -> None:
    pay = info("pay", "to", effect=Effect.WRITE)
    lab = Lab(tools=(*Lab().tools, (pay, Lab().tools[0][1])))

    def spends(messages: Sequence[ChatMessage], options: GenerationOptions) -> str:
        if messages[1].content.startswith("Task: Add"):
            return act(("pay", {"to": "Beta"}))
        return work(messages, options)

    ran = await lab.run(PlanExecute(), roles(executor=spends))
    assert isinstance(ran.last, Paused)
    (asked,) = [event for event in ran.all(ModelAsked) if ".E3/" in event.key]
    assert asked.sources == ["tool:search"]
    assert "pay" not in [name for name, _ in ran.called]


async def test_a_judge_checks_the_steps_where_there_is_one() -> None:
    plans = by_prompt(plan=turns(THREE), synthesis=put_together)
    judged = {**roles(plans), "judge": by_prompt(verify=verdict(True))}
    ran = await Lab().run_cut_everywhere(PlanExecute(), judged)
    assert ran.answer == "Together they weigh 42 kg."
    asked = {event.model for event in ran.all(ModelAsked) if event.purpose == "verify"}
    assert asked == {"judge"}
    # Without one the planner does, whom `main` does not replace while it is there.
    ran = await Lab().run(PlanExecute(), roles())
    asked = {event.model for event in ran.all(ModelAsked) if event.purpose == "verify"}
    assert asked == {"planner"}
