"""Handing a task to another agent, as a tool: it works in a run of its own.

What always holds: what the other agent says is a tool's text, its origin untrusted; the run that it
works in goes by the call's id, so that a call that was broken off goes on in the same run.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from rostra.agents.events import Answer, DocumentSpan, Effect, Origin
from rostra.agents.tools.tool import CallContext, StaticToolset, ToolFailure, ToolInfo, ToolResult
from rostra.core import RostraError

_TASK_CHARS = 4000


class RunAgent(Protocol):
    """Works on a task in a run of its own, or goes on with the one that `call` has begun."""

    def __call__(
        self, task: str, strategy: str, *, parent: str, call: str
    ) -> Awaitable[Answer | None]:
        """The other run's answer; None if it abstains.

        Args:
            parent: id of the run that hands over.
            call: names the handing over; the same at each attempt.

        Raises:
            RostraError: the run failed or spent its budget.
            ToolFailure: it cannot go on now, such as while it waits for a person.
        """
        ...


def handoff_toolset(
    name: str,
    description: str,
    strategy: str,
    run_agent: RunAgent,
    *,
    effect: Effect = Effect.UNKNOWN,
) -> StaticToolset:
    """One tool, which hands a task to an agent.

    Args:
        description: what the agent is good at, for the model that hands over.
        strategy: that the agent works by.
        effect: of all that the agent can do; READ only if each of its tools is. The task comes
            from a model, so the agent's own guard cannot know what had influenced it.
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
            answer = await run_agent(task, strategy, parent=context.run, call=context.call)
        except RostraError as error:
            raise ToolFailure(f"The agent did not finish: {error.message}") from error
        return answer_result(answer)

    call: Callable[[dict[str, Any], CallContext], Awaitable[ToolResult]] = hand_over
    return StaticToolset(((info, call),))


def answer_result(answer: Answer | None) -> ToolResult:
    """An answer as a tool gives it: its claims, then its quotes, which can be cited again."""
    if answer is None:
        return ToolResult("The agent found no answer that its sources support.")
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
    return ToolResult(text, origin, tuple(spans))
