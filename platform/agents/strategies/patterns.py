"""Small ways to get a typed value out of a model: a form, a route, a list, a majority.

Schema-guided reasoning: the order of a form's fields is the order of thought, since a model that
writes `reason` before `passed` has to give its reason first. Self-consistency is after Wang et al.
2022, arXiv:2203.11171.

What always holds: what a model says is read strictly, and what is wrong with it is told to it and
stands in the log as a mistake; a model that cannot do it in so many attempts gives None, never an
exception.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

import msgspec

from rostra.agents.events import Decided, Origin
from rostra.agents.scope import Message, Piece, Reply, Scope, together
from rostra.agents.strategies.schemas import THOUGHT, fitted
from rostra.agents.strategies.steps import Malformed, read_object
from rostra.core import GenerationOptions, JsonSchema, Role

T = TypeVar("T")

ATTEMPTS = 2
MAX_TOKENS = 768


@dataclass(frozen=True, slots=True)
class Filled(Generic[T]):
    """What came of a form.

    Attributes:
        value: None when every attempt failed.
        sources: untrusted ones that the model had read.
        messages: what was asked and said, to go on from.
    """

    value: T | None
    sources: tuple[str, ...]
    messages: tuple[Message, ...]


async def filled(
    scope: Scope,
    purpose: str,
    messages: Sequence[Message],
    schema: Mapping[str, Any],
    read: Callable[[dict[str, Any]], T],
    *,
    model: str = "main",
    max_tokens: int = MAX_TOKENS,
    attempts: int = ATTEMPTS,
) -> Filled[T]:
    """Asks for an object of a schema until one can be read.

    Args:
        schema: fit for a grammar; see `fitted`.
        read: makes the value, or raises `Malformed` with words for the model.
    """
    talk = list(messages)
    options = GenerationOptions(max_tokens, constraint=JsonSchema(json.dumps(schema)))
    sources: tuple[str, ...] = ()
    for _ in range(attempts):
        reply = await scope.ask(purpose, talk, options, model=model)
        sources = reply.sources
        talk.append(Message(Role.ASSISTANT, (Piece(reply.text, Origin.MODEL),)))
        try:
            return Filled(read(read_object(reply.text)), sources, tuple(talk))
        except Malformed as error:
            await scope.note(Decided(scope.key(), error=str(error)))
            talk.append(Message(Role.USER, (Piece(f"That cannot be used. {error}"),)))
    return Filled(None, sources, tuple(talk))


async def cascade(
    scope: Scope,
    purpose: str,
    messages: Sequence[Message],
    form: type[T],
    *,
    model: str = "main",
    max_tokens: int = MAX_TOKENS,
) -> T | None:
    """A form filled in from top to bottom.

    Args:
        form: a `msgspec.Struct`, or a tagged union of some; its fields in the order of thought.
    """

    def read(value: dict[str, Any]) -> T:
        try:
            return msgspec.convert(value, form)
        except msgspec.ValidationError as error:
            raise Malformed(f"{error}.") from error

    schema = fitted(msgspec.json.schema(form))
    asked = await filled(scope, purpose, messages, schema, read, model=model, max_tokens=max_tokens)
    return asked.value


async def routing(
    scope: Scope,
    purpose: str,
    messages: Sequence[Message],
    routes: Mapping[str, str],
    *,
    model: str = "main",
) -> str | None:
    """The name of one of several routes, chosen after a thought.

    Args:
        routes: what each name stands for.
    """

    def read(value: dict[str, Any]) -> str:
        if (choice := value.get("choice")) not in routes:
            raise Malformed(f'"choice" is one of {", ".join(routes)}.')
        return str(choice)

    listed = "\n".join(f"- {name}: {what}" for name, what in routes.items())
    rules = Message(Role.SYSTEM, (Piece(scope.prompt("choose", choices=listed)),))
    schema = _form(thought=THOUGHT, choice={"enum": list(routes)})
    asked = await filled(scope, purpose, [rules, *messages], schema, read, model=model)
    return asked.value


async def cycle(
    scope: Scope,
    purpose: str,
    messages: Sequence[Message],
    item: type[T],
    *,
    least: int = 1,
    most: int = 8,
    model: str = "main",
    max_tokens: int = MAX_TOKENS,
) -> list[T] | None:
    """The same form several times over: `{"items": [...]}`.

    Args:
        item: a `msgspec.Struct`.
    """

    def read(value: dict[str, Any]) -> list[T]:
        try:
            items = msgspec.convert(value.get("items"), list[item])  # type: ignore[valid-type] # a type at run time
        except msgspec.ValidationError as error:
            raise Malformed(f'"items": {error}.') from error
        if not least <= len(items) <= most:
            raise Malformed(f'"items" has {least} to {most} entries.')
        return items

    form = fitted(msgspec.json.schema(item))
    schema = _form(items={"type": "array", "items": form, "minItems": least, "maxItems": most})
    asked = await filled(scope, purpose, messages, schema, read, model=model, max_tokens=max_tokens)
    return asked.value


@dataclass(frozen=True, slots=True)
class Majority(Generic[T]):
    """What most samples agree on, and how many of how many did."""

    value: T
    votes: int
    samples: int


async def self_consistent(
    scope: Scope,
    purpose: str,
    messages: Sequence[Message],
    options: GenerationOptions,
    read: Callable[[Reply], T | None],
    *,
    samples: int = 5,
    temperature: float = 0.7,
    model: str = "main",
) -> Majority[T] | None:
    """The value that most of several answers to one question have; of equals the earliest.

    Args:
        read: the value of an answer, compared with `==`; None for one that has none.
    """
    key = scope.key()

    async def sample(number: int) -> T | None:
        own = replace(options, temperature=temperature, seed=(options.seed or 0) + number)
        branch = scope.branch(f"{key}.{number}")
        return read(await branch.ask(purpose, messages, own, model=model))

    found = await together(*(sample(number) for number in range(samples)))
    values = [value for value in found if value is not None]
    if not values:
        return None
    best = max(values, key=values.count)
    return Majority(best, values.count(best), samples)


def _form(**properties: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
