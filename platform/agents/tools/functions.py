"""Python functions as tools: schema from the type hints, words from the docstring.

What always holds: a function is called with values of its annotated types, or not at all; whatever
it raises is something that the model can read, as the function is not ours.
"""

import asyncio
import inspect
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, get_type_hints

from pydantic import TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError, to_jsonable_python

from rostra.agents.events import Effect
from rostra.agents.tools.tool import (
    NAME_PATTERN,
    CallContext,
    StaticToolset,
    ToolFailure,
    ToolInfo,
    ToolResult,
)
from rostra.core import RostraError

ToolFunction = Callable[[dict[str, Any], CallContext], Awaitable[ToolResult]]

_LONGEST_MESSAGE = 1000
_SECTION = re.compile(
    r"(Args|Arguments|Parameters|Returns|Raises|Yields|Examples?|Notes?|Attributes):\s*$"
)
_PARAMETER = re.compile(r"\s{1,8}\*{0,2}(\w+)(?:\s*\([^)]*\))?:\s*(.*)")


def tool(
    function: Callable[..., Any], *, effect: Effect = Effect.READ, name: str | None = None
) -> tuple[ToolInfo, ToolFunction]:
    """A function as a tool.

    A parameter annotated as `CallContext` is given the context and is no argument. A function that
    is no coroutine runs in a thread, which a deadline leaves but cannot end.

    Args:
        function: its parameters can be given by name; its docstring is in Google's style.
        effect: what calling it may do.
        name: the tool's; the function's where None.

    Raises:
        TypeError: the function cannot be a tool.
    """
    name = name or function.__name__
    if not re.fullmatch(NAME_PATTERN, name):
        raise TypeError(f"{name!r} is no name of a tool: it matches {NAME_PATTERN}")
    signature = _read(function)
    description, said = _docstring(inspect.getdoc(function) or "")
    info = ToolInfo(name, description, signature.schema(said), effect)

    async def call(arguments: dict[str, Any], context: CallContext) -> ToolResult:
        values = signature.values(arguments)
        if signature.context is not None:
            values[signature.context] = context
        try:
            if inspect.iscoroutinefunction(function):
                value = await function(**values)
            else:
                value = await asyncio.to_thread(function, **values)
        except (ToolFailure, asyncio.CancelledError):
            raise
        except RostraError as error:
            hint = f" {error.hint}" if error.hint else ""
            raise ToolFailure(f"{error.message}{hint}"[:_LONGEST_MESSAGE]) from error
        # The function is foreign code: whatever is wrong in it must not end the run that called it.
        except Exception as error:
            said = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            raise ToolFailure(said[:_LONGEST_MESSAGE]) from error
        return _result(value)

    return info, call


def function_toolset(*functions: Callable[..., Any], effect: Effect = Effect.READ) -> StaticToolset:
    """Functions of one effect as a toolset.

    Raises:
        TypeError: one of them cannot be a tool, or two have one name.
    """
    tools = tuple(tool(function, effect=effect) for function in functions)
    names = [info.name for info, _ in tools]
    if len(set(names)) < len(names):
        raise TypeError(f"two tools have one name: {', '.join(names)}")
    return StaticToolset(tools)


@dataclass(frozen=True, slots=True)
class _Signature:
    """What a function takes.

    Attributes:
        parameters: a validator for each.
        defaults: of those that have one.
        context: name of the parameter that takes the context.
    """

    parameters: Mapping[str, TypeAdapter[Any]]
    defaults: Mapping[str, Any]
    context: str | None

    def schema(self, said: Mapping[str, str]) -> dict[str, Any]:
        """JSON schema of the arguments, with what the docstring says of them."""
        inputs = [(name, "validation", adapter) for name, adapter in self.parameters.items()]
        schemas, shared = TypeAdapter.json_schemas(inputs)  # type: ignore[arg-type] # the mode is a literal
        properties: dict[str, Any] = {}
        for name in self.parameters:
            each = dict(schemas[name, "validation"])
            each.pop("title", None)
            if name in said:
                each["description"] = said[name]
            if name in self.defaults and (default := _json(self.defaults[name])) is not _NO_JSON:
                each["default"] = default
            properties[name] = each
        schema: dict[str, Any] = {"type": "object", "properties": properties}
        schema["required"] = [name for name in self.parameters if name not in self.defaults]
        schema["additionalProperties"] = False
        if definitions := shared.get("$defs"):
            schema["$defs"] = definitions
        return schema

    def values(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments as the function takes them.

        Raises:
            ToolFailure: they do not fit; the function was not called.
        """
        wrong = [f"unknown argument {name!r}" for name in arguments if name not in self.parameters]
        values: dict[str, Any] = {}
        for name, adapter in self.parameters.items():
            if name not in arguments:
                if name not in self.defaults:
                    wrong.append(f"argument {name!r} is missing")
                continue
            try:
                values[name] = adapter.validate_python(arguments[name])
            except ValidationError as error:
                for each in error.errors(include_url=False, include_input=False)[:5]:
                    path = "".join(f"[{step!r}]" for step in each["loc"])
                    wrong.append(f"argument {name!r}{path}: {each['msg']}")
        if wrong:
            raise ToolFailure("; ".join(wrong)[:_LONGEST_MESSAGE], began=False)
        return values


def _read(function: Callable[..., Any]) -> _Signature:
    hints = get_type_hints(function, include_extras=True)
    parameters: dict[str, TypeAdapter[Any]] = {}
    defaults: dict[str, Any] = {}
    context: str | None = None
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise TypeError(f"parameter {name!r} cannot be given by name")
        if hints.get(name) is CallContext:
            context = name
            continue
        parameters[name] = TypeAdapter(hints.get(name, Any))
        if parameter.default is not parameter.empty:
            defaults[name] = parameter.default
    return _Signature(parameters, defaults, context)


def _result(value: Any) -> ToolResult:
    """What a function gave, as a tool's result."""
    match value:
        case ToolResult():
            return value
        case str():
            return ToolResult(value)
        case None:
            return ToolResult("Done.")
        case bytes() | bytearray() | memoryview():
            size = memoryview(value).nbytes
            return ToolResult(f"Binary data, {size:,} bytes; not shown.", size=size)
    try:
        structured = to_jsonable_python(value)
        text = TypeAdapter(Any).dump_json(value).decode()
    except (PydanticSerializationError, ValueError, RecursionError):
        return ToolResult(str(value))
    return ToolResult(text, structured=structured)


_NO_JSON = object()


def _json(value: Any) -> Any:
    try:
        return to_jsonable_python(value)
    except (PydanticSerializationError, ValueError):
        return _NO_JSON


def _docstring(text: str) -> tuple[str, dict[str, str]]:
    """What a docstring says of the function, and of each parameter."""
    description: list[str] = []
    said: dict[str, str] = {}
    section = ""
    name = ""
    for line in text.splitlines():
        if heading := _SECTION.match(line):
            section = heading[1]
        elif not section:
            description.append(line)
        elif section in ("Args", "Arguments", "Parameters"):
            if found := _PARAMETER.fullmatch(line):
                name = found[1]
                said[name] = found[2]
            elif name and line.strip():
                said[name] = f"{said[name]} {line.strip()}".strip()
    return "\n".join(description).strip(), said
