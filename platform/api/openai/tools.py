"""Tools that the model may call, and whether it may, must or must not.

What always holds: names are unique and harmless; with `tool_choice` none the model is not told of
any tool; when it must call one, a grammar sees to it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from msgspec import Meta

from rostra.api.openai.fields import Body, ToolChoiceMode
from rostra.core import StructuralTag
from rostra.serving import InvalidParameter, ToolFormat

MAX_TOOLS = 128

ToolName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]


class FunctionDefinition(Body):
    """A function; `parameters` is the JSON schema of its arguments."""

    name: ToolName
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class FunctionTool(Body, tag="function"):
    """A tool; functions are the only kind."""

    function: FunctionDefinition


class NamedFunction(Body):
    """A function by its name."""

    name: str


class NamedChoice(Body, tag="function"):
    """The tool that must be called."""

    function: NamedFunction


class AllowedTools(Body):
    """Some of the tools, of which one may or must be called."""

    mode: Literal["auto", "required"]
    tools: Annotated[list[NamedChoice], Meta(min_length=1)]


class AllowedChoice(Body, tag="allowed_tools"):
    """Only some of the tools."""

    allowed_tools: AllowedTools


ToolChoice = ToolChoiceMode | NamedChoice | AllowedChoice


@dataclass(frozen=True, slots=True)
class Toolset:
    """The tools of one request.

    Attributes:
        functions: those that may be called; none when calls are not wanted.
        required: whether one must be.
        parallel: whether several may be.
        places: the request's fields of all tools' schemas, by name.
    """

    functions: tuple[FunctionDefinition, ...] = ()
    required: bool = False
    parallel: bool = True
    places: Mapping[str, str] = field(default_factory=dict)

    @property
    def names(self) -> frozenset[str]:
        """Names of the tools that may be called."""
        return frozenset(function.name for function in self.functions)

    def for_template(self) -> list[dict[str, Any]] | None:
        """As chat templates read them; None when there are none."""
        return [_described(function) for function in self.functions] or None

    def constraint(
        self, tool_format: ToolFormat, *, reasoning: bool, opened: bool
    ) -> StructuralTag | None:
        """Holds calls to their schemas, and the model to calling where it must.

        Args:
            tool_format: how the model writes calls.
            reasoning: whether it may think before.
            opened: whether the prompt has begun its thinking.
        """
        if not self.functions:
            return None
        # Here, because it loads what compiles grammars.
        from rostra.serving import tool_call_tag

        tag: StructuralTag = tool_call_tag(
            tool_format,
            self.for_template() or [],
            required=self.required,
            parallel=self.parallel,
            reasoning=reasoning,
            opened=opened,
        )
        return tag


def toolset(
    functions: Sequence[FunctionDefinition] | None,
    choice: ToolChoice | None,
    parallel: bool | None,
    inside: str = "function.",
) -> Toolset:
    """What a request's `tools`, `tool_choice` and `parallel_tool_calls` come to.

    Args:
        functions: in the request's order.
        choice: which of them may or must be called.
        parallel: whether several may be.
        inside: where in a tool of the request its function is.

    Raises:
        InvalidParameter: a choice without tools or of a tool that is not there, equal names, too
            many tools, or arguments that are no object.
    """
    offered = {function.name: function for function in functions or ()}
    if len(offered) != len(functions or ()):
        raise InvalidParameter("tools: two tools have the same name", field="tools")
    if len(offered) > MAX_TOOLS:
        raise InvalidParameter(f"tools: more than {MAX_TOOLS}", field="tools")
    places = {name: f"tools[{at}].{inside}parameters" for at, name in enumerate(offered)}
    for name, function in offered.items():
        if (function.parameters or {}).get("type", "object") != "object":
            raise InvalidParameter(
                f"{places[name]}: arguments are an object, so is their schema", field=places[name]
            )
    if choice == "none" or (not offered and choice in (None, "auto")):
        return Toolset()
    if not offered:
        raise InvalidParameter("tool_choice: there are no tools to choose", field="tool_choice")
    many = parallel is not False
    match choice:
        case NamedChoice():
            return Toolset((_find(choice.function.name, offered),), True, False, places)
        case AllowedChoice():
            allowed = dict.fromkeys(one.function.name for one in choice.allowed_tools.tools)
            chosen = tuple(_find(name, offered) for name in allowed)
            return Toolset(chosen, choice.allowed_tools.mode == "required", many, places)
        case _:
            return Toolset(tuple(offered.values()), choice == "required", many, places)


def _find(name: str, offered: dict[str, FunctionDefinition]) -> FunctionDefinition:
    if name not in offered:
        raise InvalidParameter(f"tool_choice: there is no tool {name[:100]!r}", field="tool_choice")
    return offered[name]


def _described(function: FunctionDefinition) -> dict[str, Any]:
    told: dict[str, Any] = {
        "name": function.name,
        "description": function.description or "",
        "parameters": function.parameters or {"type": "object", "properties": {}},
    }
    if function.strict is not None:
        told["strict"] = function.strict
    return {"type": "function", "function": told}
