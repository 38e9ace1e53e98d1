"""ReAct: think, act, observe, until an answer can be given (Yao et al. 2022, arXiv:2210.03629).

A model can claim what it cites nothing for, and an answer that does so says which claims these are.
A grammar that demanded a number for each would get one, true or not; so with `require_evidence` the
model is asked again in words.

What always holds: it ends after `most_steps` questions at the latest, and the last of them can only
be answered with an answer; a step that makes no sense costs one of them and is told to the model.
"""

from dataclasses import dataclass

from rostra.agents.events import Answer, Decided, Origin
from rostra.agents.memory.short import Window, make_room
from rostra.agents.scope import Message, Piece, Scope, Step
from rostra.agents.strategies.conversation import Conversation, described
from rostra.agents.strategies.steps import (
    MOST_CALLS,
    LaidOut,
    held_to_evidence,
    read_step,
    step_constraint,
)
from rostra.agents.strategies.toolbox import Chooser, open_toolbox
from rostra.core import GenerationOptions, Role


@dataclass(frozen=True, slots=True)
class ReAct:
    """See this module.

    Attributes:
        native: the model calls tools in its own format, not as our JSON.
        most_steps: questions to the model.
        most_calls: in one step, side by side.
        max_tokens: of one step.
        chooser: picks among more tools than a prompt holds; None goes by shared words.
        window: how much of a long conversation stays; None is all of it.
        require_evidence: an answer has no claim without a cited sentence; if none is left, it
            abstains.
        laid_out: how answers are, of a model that does not choose it; None leaves it to the model.
        model: the role of the model that is asked.
    """

    native: bool = False
    most_steps: int = 20
    most_calls: int = MOST_CALLS
    max_tokens: int = 1024
    chooser: Chooser | None = None
    window: Window | None = None
    require_evidence: bool = False
    laid_out: LaidOut | None = None
    model: str = "main"

    @property
    def name(self) -> str:
        """See `Strategy.name`."""
        return "react"

    async def run(self, scope: Scope) -> Answer | None:
        """See `Strategy.run`."""
        talk = await self.begin(scope, (Piece(scope.task, Origin.USER),), query=scope.task)
        return await self.pursue(scope, talk)

    async def begin(self, scope: Scope, task: tuple[Piece, ...], *, query: str) -> Conversation:
        """A conversation about a task, whose tools are those that suit `query`."""
        toolbox = await open_toolbox(scope, self.chooser, query)
        rules = Piece(scope.prompt("react_native" if self.native else "react"))
        tools = Piece("" if self.native else f"\n\nTools:\n{described(toolbox.shown)}")
        opening = [Message(Role.SYSTEM, (rules, tools)), Message(Role.USER, task)]
        return Conversation(opening, toolbox, self.native)

    async def pursue(self, scope: Scope, talk: Conversation) -> Answer | None:
        """Goes on until the model answers; None if it abstains or comes to no answer."""
        for number in range(1, self.most_steps + 1):
            last = number == self.most_steps
            if last:
                talk.told(scope.prompt("last_step"))
            step = await self._step(scope, talk, last)
            if step.final is not None:
                return step.final if step.final.claims else None
            if step.calls:
                talk.observed(await scope.call(step.calls, sources=step.sources))
        return None

    async def _step(self, scope: Scope, talk: Conversation, last: bool) -> Step:
        """Asks for the next step and adds it to the conversation."""
        most = self.max_tokens
        if self.window is not None:
            await make_room(scope, talk, self.window, model=self.model)
            most = min(most, self.window.answer or most)
        tools = [] if last else talk.toolbox.shown
        if self.native:
            specs = tuple(tool.spec for tool in tools)
            options = GenerationOptions(most, tools=specs)
        else:
            constraint = step_constraint(tools, talk.sentences, self.most_calls, self.laid_out)
            options = GenerationOptions(most, constraint=constraint)
        reply = await scope.ask("step", talk.prompt, options, model=self.model)
        key = scope.key()
        step = read_step(
            reply,
            tools,
            talk.sentences,
            key=key,
            most_calls=self.most_calls,
            native=self.native,
        )
        if self.require_evidence:
            step = held_to_evidence(step, last=last)
        await scope.note(Decided(key, step.thought, list(step.calls), step.final, step.error))
        talk.said(reply, step)
        return step
