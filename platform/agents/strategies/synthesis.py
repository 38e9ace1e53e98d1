"""The last word of strategies that gather first: one answer from all that was found."""

from collections.abc import Sequence

from rostra.agents.events import Answer, Decided, Origin
from rostra.agents.scope import Message, Piece, Scope, Sentence
from rostra.agents.strategies.conversation import Conversation
from rostra.agents.strategies.steps import read_step, step_constraint
from rostra.agents.strategies.toolbox import Toolbox
from rostra.core import GenerationOptions, Role

_ATTEMPTS = 2


async def synthesise(
    scope: Scope,
    findings: Sequence[Piece],
    sentences: Sequence[Sentence],
    *,
    model: str = "main",
    max_tokens: int = 1024,
) -> Answer | None:
    """The answer to the scope's task from findings; None if the model abstains or cannot.

    Args:
        sentences: that stand in the findings and may be cited.
    """
    asked = (Piece("Task: "), Piece(scope.task, Origin.USER), Piece("\n\nFindings:\n"), *findings)
    opening = [
        Message(Role.SYSTEM, (Piece(scope.prompt("synthesis")),)),
        Message(Role.USER, asked),
    ]
    talk = Conversation(opening, Toolbox([]))
    options = GenerationOptions(max_tokens, constraint=step_constraint((), sentences))
    for _ in range(_ATTEMPTS):
        reply = await scope.ask("synthesis", talk.prompt, options, model=model)
        key = scope.key()
        step = read_step(reply, (), sentences, key=key)
        await scope.note(Decided(key, step.thought, final=step.final, error=step.error))
        if step.final is not None:
            return step.final if step.final.claims else None
        talk.said(reply, step)
    return None
