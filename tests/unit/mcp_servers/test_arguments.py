"""Wrong arguments in plain words: one sentence each, none of the library's own."""

from enum import StrEnum
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp import Client, MCPError
from mcp.types import INVALID_PARAMS, TextContent
from pydantic import BaseModel, Field, ValidationError

from mcp_servers.arguments import MAX_SENTENCES, wrong_arguments
from mcp_servers.serving import make_server, offer


class Colour(StrEnum):
    """Of ink."""

    RED = "red"
    BLACK = "black"


class Place(BaseModel):
    """Where to."""

    city: str


class Arguments(BaseModel):
    """Of a letter."""

    text: Annotated[str, Field(min_length=1, max_length=5)]
    copies: Annotated[int, Field(ge=1, le=20)] = 1
    colour: Colour = Colour.BLACK
    weight: int | float | str = 1
    line: Annotated[int | None, Field(ge=0)] = None
    sealed: bool = False
    to: list[Place] = []


def told(**given: Any) -> list[str]:
    with pytest.raises(ValidationError) as caught:
        Arguments.model_validate(given)
    return wrong_arguments(caught.value, given, Arguments.model_fields).split("\n")


@pytest.mark.parametrize(
    ("given", "sentences"),
    [
        ({}, ["text is missing."]),
        ({"text": 7}, ["text must be a string, not 7."]),
        ({"text": None}, ["text must be a string, not null."]),
        ({"text": "x" * 99}, ["text must have at most 5 characters, not 99."]),
        ({"text": ""}, ["text must have at least 1 character, not 0."]),
        ({"text": "x", "copies": 0}, ["copies must be at least 1, not 0."]),
        ({"text": "x", "copies": 21}, ["copies must be at most 20, not 21."]),
        ({"text": "x", "copies": "many"}, ["copies must be an integer, not 'many'."]),
        ({"text": "x", "copies": 1.5}, ["copies must be an integer, not 1.5."]),
        ({"text": "x", "colour": "blue"}, ["colour must be 'red' or 'black', not 'blue'."]),
        ({"text": "x", "weight": []}, ["weight must be an integer, a number or a string."]),
        ({"text": "x", "line": -1}, ["line must be at least 0, not -1."]),
        ({"text": "x", "sealed": "wax"}, ["sealed must be true or false, not 'wax'."]),
        ({"text": "x", "to": {}}, ["to must be a list."]),
        ({"text": "x", "to": [{"city": "a"}, {}]}, ["to[1].city is missing."]),
        ({"text": "x", "to": [{"city": 1}]}, ["to[0].city must be a string, not 1."]),
        (
            {"txet": "x", "copies": 0},
            [
                "text is missing.",
                "copies must be at least 1, not 0.",
                "There is no argument 'txet'. Did you mean text?",
            ],
        ),
    ],
)
def test_each_wrong_argument_has_its_sentence(given: dict[str, Any], sentences: list[str]) -> None:
    assert told(**given) == sentences


def test_sentences_are_bounded() -> None:
    lines = told(text="x", to=[{}] * 1000)
    assert len(lines) == MAX_SENTENCES + 1
    assert lines[-1] == "And 990 more are wrong."
    (line,) = told(text="x", colour="b" * 100_000)
    assert len(line) < 200


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from([*Arguments.model_fields, "other"]), VALUES))
def test_whatever_is_wrong_is_said_in_our_words(given: dict[str, Any]) -> None:
    try:
        Arguments.model_validate(given)
    except ValidationError as error:
        said = wrong_arguments(error, given, Arguments.model_fields)
        wrong = {str(detail["loc"][0]) for detail in error.errors()}
        for name in list(wrong)[:1]:
            assert name in said
        for foreign in (
            "pydantic",
            "http",
            "Input should",
            "validation error",
            "type=",
            "Arguments",
        ):
            if not any(foreign in repr(value) for value in given.values()):
                assert foreign not in said


class Sent(BaseModel):
    """A result."""

    number: int


async def send(text: Annotated[str, Field(max_length=5)], copies: int = 1) -> Sent:
    """Send a letter."""
    if text == "bug":
        Sent.model_validate({"number": "a secret"})
    return Sent(number=copies)


async def test_a_server_answers_with_the_sentences() -> None:
    server = make_server("post", "Sends letters.")
    offer(server, send)
    async with Client(server) as client:

        async def answered(**arguments: Any) -> str:
            result = await client.call_tool("send", arguments)
            assert result.is_error
            (content,) = result.content
            assert isinstance(content, TextContent)
            return content.text

        assert await answered(text="x" * 9, copies="many") == (
            "The arguments of send are wrong.\n"
            "text must have at most 5 characters, not 9.\n"
            "copies must be an integer, not 'many'."
        )
        assert await answered() == "The arguments of send are wrong.\ntext is missing."
        # One that is not there is no slip to pass over: somebody relies on what it says.
        assert await answered(text="x", copy=2, sealed=True) == (
            "The arguments of send are wrong.\n"
            "There is no argument 'copy'. Did you mean copies?\n"
            "There is no argument 'sealed'.\n"
            "The arguments of send are: text, copies."
        )
        # What fails within the tool is no fault of the arguments, and not told.
        assert await answered(text="bug") == "Error executing tool send"
        assert (await client.call_tool("send", {"text": "x"})).structured_content == {"number": 1}


async def nothing() -> Sent:
    """Take no arguments."""
    return Sent(number=0)


async def test_of_a_tool_without_arguments_that_is_said() -> None:
    server = make_server("post", "Sends letters.")
    offer(server, nothing)
    async with Client(server) as client:
        result = await client.call_tool("nothing", {"x": 1})
        assert result.is_error
        assert "nothing takes no arguments." in str(result.content)
        assert not (await client.call_tool("nothing", {})).is_error
        unknown = await client.call_tool("everything", {"x": 1})
        assert "Unknown tool" in str(unknown.content)


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_an_unknown_prompt_is_a_wrong_parameter(mode: Any) -> None:
    async with Client(make_server("post", "Sends letters."), mode=mode) as client:
        with pytest.raises(MCPError) as failure:
            await client.get_prompt("no such prompt" + "x" * 1000)
    assert failure.value.code == INVALID_PARAMS
    assert failure.value.message.startswith("There is no prompt 'no such promptx")
    assert len(failure.value.message) < 200
