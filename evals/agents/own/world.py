"""The world of a task: a state, and tools that read and change it, all of it data.

A tool has `name`, `description` and `parameters` (JSON schema of an object), and any of

- `gives`: a path; the result is what stands there;
- `says`: the result, a text in which `{name}` stands for an argument;
- `needs`: paths that have to be there, or the call fails;
- `sets`: values by path. The value `"{name}"` is the argument itself; other texts are filled in as
  in `says`, and anything else is taken as it is;
- `effect`: `read`, `idempotent`, `write` or `unknown`; by default `write` where it `sets` something
  and `read` where not.

A path is keys and list places between dots, such as `orders.{id}.status`; an argument in it is one
key, whatever it holds.

What always holds: nothing outside of the state is read or changed; each run has a state of its own.
"""

import copy
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from jsonschema import Draft202012Validator  # type: ignore[import-untyped] # it ships no types
from jsonschema.exceptions import SchemaError  # type: ignore[import-untyped] # it ships no types

from rostra.agents import CallContext, Effect, StaticToolset, ToolFailure, ToolInfo, ToolResult

_SLOT = re.compile(r"\{(\w+)\}")
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_MOST_KEYS = 32


class MadeTool(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A tool as a task has it; see this module."""

    name: str
    parameters: dict[str, Any]
    description: str = ""
    effect: Effect | None = None
    gives: str = ""
    says: str = ""
    needs: list[str] = []
    sets: dict[str, Any] = {}

    def info(self) -> ToolInfo:
        """As agents see it."""
        effect = self.effect or (Effect.WRITE if self.sets else Effect.READ)
        return ToolInfo(self.name, self.description, self.parameters, effect)


class Missing(LookupError):
    """Nothing stands at a path; the message is the path."""


def made_tool(row: Any) -> MadeTool:
    """A tool as it is written.

    Raises:
        ValueError: it is none.
    """
    tool = msgspec.convert(row, MadeTool)
    if not _NAME.fullmatch(tool.name):
        raise ValueError(f"{tool.name!r} is no name")
    try:
        Draft202012Validator.check_schema(tool.parameters)
    except SchemaError as error:
        raise ValueError(f"{tool.name}: {error.message}") from None
    for path in (tool.gives, *tool.needs, *tool.sets):
        if path.count(".") >= _MOST_KEYS:
            raise ValueError(f"{tool.name}: a path of more than {_MOST_KEYS} keys")
    return tool


class World:
    """A state and the tools over it, for one run.

    Args:
        state: JSON object; copied.
    """

    def __init__(self, state: Mapping[str, Any], tools: Sequence[MadeTool]) -> None:
        self.state: dict[str, Any] = copy.deepcopy(dict(state))
        self._tools = tuple(tools)

    def toolset(self) -> StaticToolset:
        """The tools, to be called."""
        return StaticToolset(tuple((tool.info(), self._caller(tool)) for tool in self._tools))

    def _caller(self, tool: MadeTool) -> Any:
        async def call(arguments: dict[str, Any], context: CallContext) -> ToolResult:
            try:
                return ToolResult(self._call(tool, arguments))
            except Missing as missing:
                raise ToolFailure(f"There is no {missing}.", began=False) from None

        return call

    def _call(self, tool: MadeTool, arguments: Mapping[str, Any]) -> str:
        for path in tool.needs:
            value_at(self.state, keys_of(path, arguments))
        if tool.sets:
            # All or nothing: a call that fails has changed nothing.
            changed = copy.deepcopy(self.state)
            for path, value in tool.sets.items():
                _put(changed, keys_of(path, arguments), _filled(value, arguments))
            self.state = changed
        if tool.gives:
            found = value_at(self.state, keys_of(tool.gives, arguments))
            return found if isinstance(found, str) else json.dumps(found, ensure_ascii=False)
        return _text(tool.says, arguments) if tool.says else "Done."


def keys_of(path: str, arguments: Mapping[str, Any] | None = None) -> list[str]:
    """The keys of a path, with arguments filled in."""
    return [_text(key, arguments or {}) for key in path.split(".")]


def value_at(state: Any, keys: Sequence[str]) -> Any:
    """What stands at a path.

    Raises:
        Missing: nothing does.
    """
    at = state
    for key in keys:
        if isinstance(at, dict) and key in at:
            at = at[key]
        elif isinstance(at, list) and key.isascii() and key.isdigit() and int(key) < len(at):
            at = at[int(key)]
        else:
            raise Missing(".".join(keys))
    return at


def _put(state: dict[str, Any], keys: Sequence[str], value: Any) -> None:
    """Sets a value; objects on the way are made, places of lists are not."""
    at: Any = state
    for key in keys[:-1]:
        at = at.setdefault(key, {}) if isinstance(at, dict) else value_at(at, [key])
    if isinstance(at, dict):
        at[keys[-1]] = value
    elif isinstance(at, list):
        value_at(at, keys[-1:])
        at[int(keys[-1])] = value
    else:
        raise Missing(".".join(keys))


def _filled(value: Any, arguments: Mapping[str, Any]) -> Any:
    if not isinstance(value, str):
        return copy.deepcopy(value)
    if (slot := _SLOT.fullmatch(value)) is not None:
        return copy.deepcopy(arguments.get(slot[1]))
    return _text(value, arguments)


def _text(template: str, arguments: Mapping[str, Any]) -> str:
    def filled(slot: re.Match[str]) -> str:
        value = arguments.get(slot[1], "")
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)

    return _SLOT.sub(filled, template)
