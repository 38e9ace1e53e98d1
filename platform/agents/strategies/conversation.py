"""What one model is told over several steps: a beginning that stays, then turn after turn.

What always holds: messages are only added, so that a prefix cache can keep what came before (a
`Window` makes the one exception, and rarely); each piece keeps where it came from; every call in a
model's own format is answered under its id.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from rostra.agents.events import Answer, Origin
from rostra.agents.scope import Message, Observation, Piece, Reply, Sentence, Step
from rostra.agents.strategies.toolbox import Toolbox
from rostra.agents.tools.tool import ToolInfo
from rostra.core import Role

_DESCRIPTION_CHARS = 1000
_SCHEMA_CHARS = 3000


@dataclass(slots=True)
class Conversation:
    """See this module.

    Attributes:
        messages: all of them, to be asked with.
        opening: how many of them are the beginning.
        sentences: that the model was shown and may cite.
        native: whether the model calls tools in its own format.
    """

    messages: list[Message]
    toolbox: Toolbox
    native: bool = False
    sentences: list[Sentence] = field(default_factory=list)
    opening: int = field(init=False)

    def __post_init__(self) -> None:
        self.opening = len(self.messages)

    @property
    def prompt(self) -> list[Message]:
        """The messages as they are sent: what follows each other in the user's role is one.

        Chat templates of many models refuse two messages of one role in a row.
        """
        return as_sent(self.messages)

    @property
    def taint(self) -> tuple[Piece, ...]:
        """Pieces without text that say which untrusted sources the model has read.

        They go where its conclusions go, so that the conclusions pass for no more than they are.
        """
        return taint_of(piece for message in self.messages for piece in message.pieces)

    def said(self, reply: Reply, step: Step) -> None:
        """The model's turn, and what was wrong with it."""
        calls = reply.calls if self.native else ()
        piece = Piece(reply.text, Origin.MODEL)
        self.messages.append(Message(Role.ASSISTANT, (piece,), calls))
        if step.error is None:
            return
        why = Piece(f"That was no valid step. {step.error}")
        if calls:
            self.messages += [Message(Role.TOOL, (why,), call_id=call.id) for call in calls]
        else:
            self.messages.append(Message(Role.USER, (why,)))

    def observed(self, observations: Sequence[Observation]) -> None:
        """What came of the calls of the model's turn, and the tools that it brought."""
        for one in observations:
            self.sentences += one.sentences
        if self.native:
            self.messages += [
                Message(Role.TOOL, (one.piece,), call_id=one.call.id) for one in observations
            ]
        else:
            told = enumerate(observations, 1)
            pieces = [piece for at, one in told for piece in shown(one, at, len(observations))]
            self.messages.append(Message(Role.USER, tuple(pieces)))
        if new := self.toolbox.found(observations):
            self.told(f"These tools can be called from now on:\n{described(new)}")

    def told(self, text: str) -> None:
        """Our own words, in the user's role."""
        self.messages.append(Message(Role.USER, (Piece(text),)))


def as_sent(messages: Iterable[Message]) -> list[Message]:
    """Messages, those that follow each other in the user's role joined."""
    sent: list[Message] = []
    for message in messages:
        if sent and sent[-1].role is message.role is Role.USER:
            pieces = (*sent[-1].pieces, Piece("\n\n"), *message.pieces)
            sent[-1] = Message(Role.USER, pieces)
        else:
            sent.append(message)
    return sent


def shown(observation: Observation, at: int = 1, of: int = 1) -> tuple[Piece, ...]:
    """An observation with what it is of: the call `at` of those made side by side, if several."""
    which = f", call {at} of {of}" if of > 1 else ""
    head = Piece(f"Result of {observation.call.tool}{which}:\n")
    return (head, observation.piece, Piece("\n"))


def taint_of(pieces: Iterable[Piece]) -> tuple[Piece, ...]:
    """Pieces without text of the same untrusted sources."""
    found = {piece.label: piece for piece in pieces if piece.label is not None}
    return tuple(Piece("", found[label].origin, found[label].source) for label in sorted(found))


def taint_from(sources: Iterable[str]) -> tuple[Piece, ...]:
    """Pieces without text of the sources that `Reply.sources` names."""
    parts = (source.partition(":") for source in sources)
    return tuple(Piece("", Origin(origin), name) for origin, _, name in parts)


def described(tools: Sequence[ToolInfo]) -> str:
    """Tools as a prompt lists them, one a line."""
    lines = []
    for tool in tools:
        told = " ".join(tool.description.split())[:_DESCRIPTION_CHARS]
        schema = json.dumps(tool.parameters, ensure_ascii=False)[:_SCHEMA_CHARS]
        lines.append(f"- {tool.name}: {told} Arguments: {schema}")
    return "\n".join(lines)


def reported(answer: Answer) -> str:
    """An answer with the sentences that back it, by their numbers."""
    lines = []
    for claim in answer.claims:
        lines.append(f"- {claim.text}")
        lines += [f"  [{cited.number}] {cited.quote}" for cited in claim.evidence]
    return "\n".join(lines)


def cited_sentences(answer: Answer) -> list[Sentence]:
    """The sentences that back an answer, to be cited again."""
    return [
        Sentence(one.number, one.quote, one.call, one.document_id, one.start, one.end)
        for claim in answer.claims
        for one in claim.evidence
    ]
