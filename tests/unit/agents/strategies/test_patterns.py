"""Typed values out of models: forms, routes, lists, majorities."""

import json
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec

from rostra.agents.events import Answer, Budget, ModelAsked, RunEnded, Status
from rostra.agents.scope import Message, Piece, Reply, Scope
from rostra.agents.strategies.patterns import cascade, cycle, routing, self_consistent
from rostra.core import ChatMessage, GenerationOptions, Role
from tests.unit.agents.strategies.lab import Lab, Ran, Script, schema_of, turns

ASKED = [Message(Role.USER, (Piece("What is it?"),))]


class Finding(msgspec.Struct, forbid_unknown_fields=True):
    reason: Annotated[str, msgspec.Meta(max_length=40)]
    size: int


class Works:
    """A strategy that does one thing and answers with its result as JSON."""

    name = "works"

    def __init__(self, work: Any) -> None:
        self._work = work

    async def run(self, scope: Scope) -> Answer | None:
        value = await self._work(scope)
        return None if value is None else Answer(json.dumps(msgspec.to_builtins(value)))


async def result(work: Any, script: Script) -> tuple[Any, Ran]:
    ran = await Lab().run_cut_everywhere(Works(work), script)
    again = await Lab().run(Works(work), script)
    return (None if ran.answer is None else json.loads(ran.answer)), again


async def test_a_form_is_filled_in_field_by_field() -> None:
    good = '{"reason": "it looks so", "size": 3}'
    value, ran = await result(lambda scope: cascade(scope, "look", ASKED, Finding), turns(good))
    assert value == {"reason": "it looks so", "size": 3}
    schema = schema_of(ran.models["main"].seen[0][1])
    assert list(schema["properties"]) == schema["required"] == ["reason", "size"]


async def test_a_form_that_is_wrong_is_told_and_tried_again_once() -> None:
    async def look(scope: Scope) -> Finding | None:
        return await cascade(scope, "look", ASKED, Finding)

    for wrong in ('{"reason": "x", "size": "three"}', '{"size": 3}', "hm", "[]"):
        value, ran = await result(look, turns(wrong, '{"reason": "x", "size": 3}'))
        assert value == {"reason": "x", "size": 3}
        assert "cannot be used" in ran.models["main"].seen[1][0][-1].content
        value, ran = await result(
            lambda scope: cascade(scope, "look", ASKED, Finding), turns(wrong)
        )
        assert value is None
        assert len(ran.all(ModelAsked)) == 2


async def test_a_route_is_one_of_those_offered() -> None:
    routes = {"sql": "Tables.", "search": "Texts."}

    async def choose(scope: Scope) -> str | None:
        return await routing(scope, "route", ASKED, routes)

    value, ran = await result(
        choose,
        turns('{"thought": "x", "choice": "mail"}', '{"thought": "x", "choice": "sql"}'),
    )
    assert value == "sql"
    schema = schema_of(ran.models["main"].seen[0][1])
    assert schema["properties"]["choice"] == {"enum": ["sql", "search"]}
    assert list(schema["properties"]) == ["thought", "choice"]


async def test_a_cycle_has_so_many_entries() -> None:
    async def several(scope: Scope) -> list[Finding] | None:
        return await cycle(scope, "list", ASKED, Finding, least=2, most=3)

    entry = {"reason": "x", "size": 1}
    few, right = json.dumps({"items": [entry]}), json.dumps({"items": [entry, entry]})
    value, _ = await result(several, turns(few, right))
    assert value == [entry, entry]
    value, _ = await result(several, turns(few))
    assert value is None


async def test_a_majority_of_samples_wins_and_equals_go_to_the_first() -> None:
    async def vote(scope: Scope) -> Any:
        def read(reply: Reply) -> int | None:
            return int(reply.text) if reply.text.isdecimal() else None

        found = await self_consistent(
            scope, "vote", ASKED, GenerationOptions(seed=7), read, samples=5
        )
        return None if found is None else [found.value, found.votes, found.samples]

    def by_seed(answers: Sequence[str]) -> Script:
        def script(messages: Sequence[ChatMessage], options: GenerationOptions) -> str:
            assert options.temperature == 0.7
            assert options.seed is not None
            return answers[options.seed - 7]

        return script

    assert (await result(vote, by_seed(["1", "2", "2", "x", "3"])))[0] == [2, 2, 5]
    assert (await result(vote, by_seed(["9", "4", "4", "9", "x"])))[0] == [9, 2, 5]
    assert (await result(vote, by_seed(["x", "x", "x", "x", "x"])))[0] is None


async def test_samples_side_by_side_stay_within_the_budget() -> None:
    async def vote(scope: Scope) -> Any:
        return await self_consistent(
            scope, "vote", ASKED, GenerationOptions(), lambda reply: reply.text, samples=8
        )

    for budget in (Budget(steps=3), Budget(tokens=10)):
        ran = await Lab(budget=budget).run(Works(vote), turns("some words are said here"))
        assert isinstance(ran.last, RunEnded)
        assert ran.last.status is Status.EXHAUSTED
        assert ran.last.spent.steps <= budget.steps
        assert budget.tokens is None or ran.last.spent.tokens <= budget.tokens
