"""Handing a task to another agent, as a tool: it works in a run of its own.

What always holds: what the other agent says is a tool's text, its origin untrusted; the run that it
works in goes by the call's id, so that a call that was broken off goes on in the same run; what it
spent is told with its result, whether it came to an answer or not.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol

from rostra.agents.events import Answer, DocumentSpan, Effect, Origin, Spent
from rostra.agents.tools.tool import CallContext, StaticToolset, ToolFailure, ToolInfo, ToolResult
from rostra.core import RostraError

_TASK_CHARS = 4000


@dataclass(frozen=True, slots=True)
class HandedBack:
    """What came of a task that was handed over.

    Attributes:
        run: the id of the run that worked on it.
        answer: None if it abstained or did not finish.
        error: why it did not finish, in words.
    """

    run: str
    spent: Spent
    answer: Answer | None = None
    error: str | None = None


class RunAgent(Protocol):
    """Works on a task in a run of its own, or goes on with the one that the call has begun."""

    def __call__(self, task: str, context: CallContext) -> Awaitable[HandedBack]:
        """What came of it.

        Args:
            context: of the call; its id names the handing over and is the same at each attempt,
                and the other run may use what the call was lent.

        Raises:
            RostraError: it cannot be begun.
            RunPaused: the other run waits for a person, and so does this one.
        """
        ...


def handoff_toolset(
    name: str,
    description: str,
    run_agent: RunAgent,
    *,
    effect: Effect = Effect.UNKNOWN,
) -> StaticToolset:
    """One tool, which hands a task to an agent.

    Args:
        description: what the agent is good at, for the model that hands over.
        effect: of all that the agent can do; READ only if each of its tools is.
    """
    info = ToolInfo(
        name,
        description,
        {
            "type": "object",
            "properties": {
                "task": {
                    "type": "string",
                    "description": "The whole task; the agent knows nothing else.",
                    "minLength": 1,
                    "maxLength": _TASK_CHARS,
                }
            },
            "required": ["task"],
            "additionalProperties": False,
        },
        effect,
    )

    async def hand_over(arguments: dict[str, Any], context: CallContext) -> ToolResult:
        task = arguments.get("task")
        if not isinstance(task, str) or not task.strip():
            raise ToolFailure("there is no task", began=False)
        try:
            back = await run_agent(task, context)
        except RostraError as error:
            raise ToolFailure(f"The agent could not begin: {error.message}", began=False) from error
        if back.error is not None:
            text = f"The agent did not finish: {back.error} Its run is {back.run}."
            return ToolResult(text, is_error=True, spent=back.spent)
        return answer_result(back.answer, back.spent)

    call: Callable[[dict[str, Any], CallContext], Awaitable[ToolResult]] = hand_over
    return StaticToolset(((info, call),))


def answer_result(answer: Answer | None, spent: Spent | None = None) -> ToolResult:
    """An answer as a tool gives it: its claims, then its quotes, which can be cited again."""
    if answer is None:
        return ToolResult("The agent found no answer that its sources support.", spent=spent)
    text = "\n".join(claim.text for claim in answer.claims) or answer.text
    spans: list[DocumentSpan] = []
    origin = Origin.TOOL
    cited = {one.number: one for claim in answer.claims for one in claim.evidence}
    if cited:
        text += "\n\nQuotes:"
    for one in cited.values():
        text += "\n\n"
        if one.document_id is not None and one.start is not None and one.end is not None:
            spans.append(DocumentSpan(len(text), one.document_id, one.start, one.end))
            origin = Origin.DOCUMENT
        text += one.quote
    return ToolResult(text, origin, tuple(spans), spent=spent)
