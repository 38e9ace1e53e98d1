"""Short memory: how much of a conversation a model is told again at each step.

What always holds: the beginning of the conversation and its last turn stay; a turn goes whole, so
that no call loses its result; what went is told in one message behind the beginning, whose pieces
name every untrusted source that was in it. Room is made rarely and much at once, so that in between
each prompt begins with the one before it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from rostra.agents.events import Noted, Origin
from rostra.agents.scope import Message, Piece, Scope
from rostra.agents.strategies.conversation import Conversation, taint_of
from rostra.core import GenerationOptions, Role

# Of UTF-8, in one token; and tokens around each message.
_BYTES_A_TOKEN = 4
_TOKENS_A_MESSAGE = 6
_SUMMARY_TOKENS = 512


@dataclass(frozen=True, slots=True)
class Window:
    """How much stays.

    Attributes:
        tokens: of all messages, estimated; more makes room.
        keep: share of them that is left once room was made.
        summarise: asks the model for a summary of what goes, which costs a step.
    """

    tokens: int = 16_000
    keep: float = 0.5
    summarise: bool = False


def estimate(messages: Sequence[Message]) -> int:
    """Tokens of messages, about; the same for the same messages, whatever the model."""
    size = 0
    for message in messages:
        text = message.text + "".join(call.arguments for call in message.calls)
        size += _TOKENS_A_MESSAGE + ceil(len(text.encode()) / _BYTES_A_TOKEN)
    return size


async def make_room(
    scope: Scope, talk: Conversation, window: Window, *, model: str = "main"
) -> None:
    """Drops or summarises the oldest turns where a conversation has grown too long.

    Raises:
        BudgetSpent: nothing is left for a summary.
    """
    if estimate(talk.messages) <= window.tokens:
        return
    opening, turns = talk.messages[: talk.opening], _turns(talk.messages[talk.opening :])
    kept = turns[-1:]
    room = window.tokens * window.keep - estimate(opening)
    for turn in reversed(turns[:-1]):
        if sum(map(estimate, (turn, *kept))) > room:
            break
        kept.insert(0, turn)
    gone = [message for turn in turns[: len(turns) - len(kept)] for message in turn]
    if len(gone) < 2:  # Nothing, or only the note of the last time.
        return
    text = scope.prompt("dropped")
    told = Piece(text)
    if window.summarise:
        text = await _summary(scope, gone, model)
        told = Piece(f"Summary of earlier steps:\n{text}", Origin.MODEL)
    pieces = [piece for message in gone for piece in message.pieces]
    note = Message(Role.USER, (told, *taint_of(pieces)))
    talk.messages[talk.opening :] = [note, *(message for turn in kept for message in turn)]
    kind = "memory.summarised" if window.summarise else "memory.dropped"
    await scope.note(Noted(scope.key(), kind, text, {"messages": len(gone)}))


def _turns(messages: Sequence[Message]) -> list[list[Message]]:
    """Messages in parts that stay or go together; each begins with the model's words."""
    turns: list[list[Message]] = []
    for message in messages:
        if message.role is Role.ASSISTANT or not turns:
            turns.append([])
        turns[-1].append(message)
    return turns


async def _summary(scope: Scope, messages: Sequence[Message], model: str) -> str:
    pieces: list[Piece] = []
    for message in messages:
        calls = "".join(f"\n{call.name} {call.arguments}" for call in message.calls)
        pieces += [Piece(f"<{message.role}>\n"), *message.pieces, Piece(f"{calls}\n")]
    asked = [
        Message(Role.SYSTEM, (Piece(scope.prompt("summarise")),)),
        Message(Role.USER, tuple(pieces)),
    ]
    reply = await scope.ask("summarise", asked, GenerationOptions(_SUMMARY_TOKENS), model=model)
    return reply.text.strip()
