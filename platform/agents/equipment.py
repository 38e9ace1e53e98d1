"""What a run is executed with beside its models: tools, the guard before them, limits."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from rostra.agents.events import DocumentSpan, PlannedCall
from rostra.agents.tools.observe import Observed
from rostra.agents.tools.tool import CallContext, ToolInfo, ToolResult


class Tools(Protocol):
    """The run's tools under unique names, as `tools.catalog.Catalog` has them."""

    @property
    def tools(self) -> Sequence[ToolInfo]: ...

    async def call(
        self, name: str, arguments: dict[str, Any], context: CallContext
    ) -> ToolResult: ...


@dataclass(frozen=True, slots=True)
class Guard:
    """What stands between a model's wishes and the world; see `rostra.agents.guard`.

    Attributes:
        reasons: why a call needs a person's approval, given the untrusted sources that influenced
            its arguments; empty when it needs none.
        loop: looks at the calls so far, oldest first, and the one to be made; says why it must not
            be, or None.
        observe: bounds a result to so many characters.
        clean: removes from a text what must not reach a model or a page; its spans of documents
            are moved along.
    """

    reasons: Callable[[ToolInfo, Sequence[str]], Sequence[str]]
    loop: Callable[[Sequence[tuple[PlannedCall, str]], PlannedCall], str | None]
    observe: Callable[[ToolResult, int], Observed]
    clean: Callable[[str, Sequence[DocumentSpan]], "Cleaned"]


class Cleaned(NamedTuple):
    """A text that is fit to be shown.

    Attributes:
        findings: what was removed, in words that do not repeat it.
        documents: spans of stored documents, where they stand in this text.
    """

    text: str
    findings: Sequence[str] = ()
    documents: Sequence[DocumentSpan] = ()


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one run, beside its budget.

    Attributes:
        observation: most characters of an observation.
        call_seconds: until a call is given up.
        parallel: most calls at once.
        shares: of the tools that begin runs of their own, by name: which part of what is left of
            the run's budget a call takes with it. Those runs end by it, and by nothing else.
    """

    observation: int = 6000
    call_seconds: float = 60.0
    parallel: int = 8
    shares: Mapping[str, float] = field(default_factory=dict)
