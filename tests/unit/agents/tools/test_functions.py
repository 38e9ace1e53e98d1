"""Functions as tools: schema, words, values of the right types, and failures a model can read."""

import asyncio
import threading
from datetime import date
from enum import StrEnum
from typing import Annotated, Any, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from rostra.agents.events import Effect
from rostra.agents.tools.functions import function_toolset, tool
from rostra.agents.tools.schema import enforceable, problems, unusable
from rostra.agents.tools.tool import CallContext, ToolFailure, ToolResult
from rostra.core import NotFound

CONTEXT = CallContext(run="r", call="r:1", user="ann")


class Unit(StrEnum):
    CELSIUS = "celsius"
    KELVIN = "kelvin"


class Place(BaseModel):
    name: str
    country: str | None = None


def forecast(
    place: Place,
    day: date,
    unit: Unit = Unit.CELSIUS,
    hours: Annotated[int, Field(ge=1, le=24)] = 3,
    tags: tuple[str, ...] = (),
    near: list[Place] | None = None,
) -> dict[str, Any]:
    """Says what weather to expect.

    Of one day only.

    Args:
        place: where,
            with its country.
        day: ISO date.
        hours (int): how many hours.

    Returns:
        Nothing that the model is told.
    """
    return {"place": place.name, "day": day, "unit": unit, "hours": hours, "tags": tags}


def test_schema_and_words_come_from_the_function() -> None:
    info, _ = tool(forecast)
    assert info.name == "forecast"
    assert info.description == "Says what weather to expect.\n\nOf one day only."
    assert (info.effect, info.source) == (Effect.READ, "local")
    schema = info.parameters
    assert schema["required"] == ["place", "day"]
    assert schema["additionalProperties"] is False
    assert schema["properties"]["place"]["description"] == "where, with its country."
    assert schema["properties"]["hours"] == {
        "type": "integer",
        "minimum": 1,
        "maximum": 24,
        "description": "how many hours.",
        "default": 3,
    }
    assert schema["properties"]["unit"]["default"] == "celsius"
    assert set(schema["$defs"]) == {"Place", "Unit"}
    assert unusable(schema) is None
    assert enforceable(schema) is None
    assert problems(schema, {"place": {"name": "Rome"}, "day": "2024-05-17"}) == []


async def test_a_function_is_given_values_of_its_types() -> None:
    _, call = tool(forecast)
    arguments = {"place": {"name": "Rome"}, "day": "2024-05-17", "unit": "kelvin", "tags": ["a"]}
    result = await call(arguments, CONTEXT)
    assert result.structured == {
        "place": "Rome",
        "day": "2024-05-17",
        "unit": "kelvin",
        "hours": 3,
        "tags": ["a"],
    }
    assert result.text == msgspec.json.encode(result.structured).decode()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"place": {"name": "Rome"}}, "'day' is missing"),
        ({"place": {}, "day": "2024-05-17"}, "argument 'place'['name']"),
        ({"place": {"name": "R"}, "day": "soon"}, "argument 'day'"),
        ({"place": {"name": "R"}, "day": "2024-05-17", "hours": 25}, "argument 'hours'"),
        ({"place": {"name": "R"}, "day": "2024-05-17", "color": 1}, "unknown argument 'color'"),
    ],
)
async def test_arguments_that_do_not_fit_never_reach_it(
    arguments: dict[str, Any], said: str
) -> None:
    _, call = tool(forecast)
    with pytest.raises(ToolFailure) as failure:
        await call(arguments, CONTEXT)
    assert said in str(failure.value)
    assert not failure.value.began


def broken() -> None:
    raise KeyError("no such unit" * 1000)


def missing() -> None:
    raise NotFound("there is no table x", hint="List them.")


def told() -> None:
    raise ToolFailure("try later", began=False)


@pytest.mark.parametrize(
    ("function", "said"),
    [(broken, "KeyError: 'no such"), (missing, "there is no table x List them."), (told, "try")],
)
async def test_what_a_function_raises_is_read_by_the_model(function: Any, said: str) -> None:
    _, call = tool(function)
    with pytest.raises(ToolFailure) as failure:
        await call({}, CONTEXT)
    assert str(failure.value).startswith(said)
    assert len(str(failure.value)) <= 1000


async def test_the_context_is_given_and_is_no_argument() -> None:
    async def who(question: str, context: CallContext) -> str:
        return f"{question} {context.user}"

    info, call = tool(who, effect=Effect.WRITE, name="who_is")
    assert (info.name, info.effect) == ("who_is", Effect.WRITE)
    assert [*info.parameters["properties"]] == ["question"]
    assert (await call({"question": "It is"}, CONTEXT)).text == "It is ann"


async def test_a_plain_function_runs_beside_the_event_loop() -> None:
    asked, answer = threading.Event(), threading.Event()

    def wait() -> str:
        asked.set()
        return "done" if answer.wait(60) else "nobody answered"

    _, call = tool(wait)
    waiting = asyncio.create_task(call({}, CONTEXT))
    assert await asyncio.to_thread(asked.wait, 60)
    answer.set()
    assert (await waiting).text == "done"


async def test_a_cancelled_call_is_cancelled_not_failed() -> None:
    started = asyncio.Event()

    async def forever() -> None:
        started.set()
        await asyncio.Event().wait()

    _, call = tool(forever)
    waiting = asyncio.create_task(call({}, CONTEXT))
    await started.wait()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


@pytest.mark.parametrize(
    ("value", "text", "structured"),
    [
        ("text", "text", None),
        (None, "Done.", None),
        ([1, {"a": 2.5}], '[1,{"a":2.5}]', [1, {"a": 2.5}]),
        (b"\x00" * 2048, "Binary data, 2,048 bytes; not shown.", None),
        (ToolResult("as it is", is_error=True), "as it is", None),
        (3, "3", 3),
    ],
)
async def test_results_of_any_kind(value: Any, text: str, structured: Any) -> None:
    def give() -> Any:
        return value

    result = await tool(give)[1]({}, CONTEXT)
    assert (result.text, result.structured) == (text, structured)


async def test_a_result_that_is_no_json_is_shown_as_python_shows_it() -> None:
    class Thing:
        def __str__(self) -> str:
            return "a thing"

    def give() -> Any:
        return Thing()

    assert await tool(give)[1]({}, CONTEXT) == ToolResult("a thing")


def takes_rest(*rest: int) -> None: ...


def by_place(a: int, /) -> None: ...


def two(a: int) -> None: ...


@pytest.mark.parametrize("function", [takes_rest, by_place, lambda: None])
def test_what_cannot_be_a_tool_is_refused_when_it_is_made(function: Any) -> None:
    with pytest.raises(TypeError):
        tool(function)


async def test_names_within_a_toolset_are_unique() -> None:
    with pytest.raises(TypeError, match="one name"):
        function_toolset(two, two)
    toolset = function_toolset(two, broken, effect=Effect.IDEMPOTENT)
    assert [info.effect for info in await toolset.list()] == [Effect.IDEMPOTENT] * 2


def typed(
    schema: str, copy: bool, model_config: float, self: Literal["x", 1], json: list[int] | None
) -> str:
    """Has parameters that are names of methods elsewhere."""
    return repr((schema, copy, model_config, self, json))


@given(
    st.fixed_dictionaries(
        {
            "schema": st.text(max_size=5),
            "copy": st.booleans(),
            "model_config": st.integers(-5, 5).map(float),
            "self": st.sampled_from(["x", 1]),
            "json": st.none() | st.lists(st.integers(), max_size=3),
        }
    )
)
def test_every_value_that_matches_the_schema_arrives(arguments: dict[str, Any]) -> None:
    info, call = tool(typed)
    assert problems(info.parameters, arguments) == []
    result = asyncio.run(call(arguments, CONTEXT))
    assert result.text == repr(tuple(arguments[name] for name in info.parameters["properties"]))
