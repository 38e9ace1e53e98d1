"""The last word of strategies that gather first: one answer from all that was found."""

from collections.abc import Sequence

from rostra.agents.events import Answer, Decided, Origin
from rostra.agents.memory.short import Window, squeezed
from rostra.agents.scope import Message, Piece, Scope, Sentence
from rostra.agents.strategies.conversation import Conversation
from rostra.agents.strategies.steps import held_to_evidence, read_step, step_constraint
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
    window: Window | None = None,
    require_evidence: bool = False,
) -> Answer | None:
    """The answer to the scope's task from findings; None if the model abstains or cannot.

    Args:
        sentences: that stand in the findings and may be cited.
        window: the longest findings are cut to it; None leaves them whole.
        require_evidence: claims without a cited sentence are told to the model, then dropped.
    """
    asked = (Piece("Task: "), Piece(scope.task, Origin.USER), Piece("\n\nFindings:\n"), *findings)
    opening = [
        Message(Role.SYSTEM, (Piece(scope.prompt("synthesis")),)),
        Message(Role.USER, asked),
    ]
    talk = Conversation(opening, Toolbox([]))
    options = GenerationOptions(max_tokens, constraint=step_constraint((), sentences))
    for attempt in range(1, _ATTEMPTS + 1):
        prompt = squeezed(talk.prompt, window)
        reply = await scope.ask("synthesis", prompt, options, model=model)
        key = scope.key()
        step = read_step(reply, (), sentences, key=key)
        if require_evidence:
            step = held_to_evidence(step, last=attempt == _ATTEMPTS)
        await scope.note(Decided(key, step.thought, final=step.final, error=step.error))
        if step.final is not None:
            return step.final if step.final.claims else None
        talk.said(reply, step)
    return None
