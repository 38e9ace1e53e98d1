"""Short memory: how much of a conversation a model is told again at each step.

What always holds: the beginning of the conversation and its last turn stay; a turn goes whole, so
that no call loses its result; what went is told in one message behind the beginning, whose pieces
name every untrusted source that was in it. Room is made rarely and much at once, so that in between
each prompt begins with the one before it. Where even the last turn is too long, its longest results
are cut; what we and the user said is not.

Tokens are estimated by length. Of a model with a small context they are counted instead, by the
model itself, so that no text of whatever language or alphabet makes a prompt too long for it.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from math import ceil

from rostra.agents.events import Noted, Origin
from rostra.agents.scope import Message, Piece, Scope
from rostra.agents.strategies.conversation import Conversation, as_sent, taint_of
from rostra.core import ChatMessage, ChatModel, GenerationOptions, Role
from rostra.models import context_of

# Of UTF-8, in one token; and tokens around each message.
_BYTES_A_TOKEN = 4
_TOKENS_A_MESSAGE = 6
_SUMMARY_TOKENS = 512
# Of a model's context: kept free for its answer, and how far an estimate of the rest is trusted.
_ANSWER_TOKENS = 2048
_TRUSTED = 0.75
# No result is cut to less than this, in bytes; of its end, what a whole line may cost.
_LEAST_BYTES = 400
_LINE_SHARE = 0.3
# The same where tokens are counted; how often it is cut and counted, and how much too short.
_LEAST_COUNTED_BYTES = 60
_CUTS = 8
_SHORTER = 0.95

Count = Callable[[Sequence[ChatMessage]], Awaitable[int]]
"""Tokens of a prompt, by the model that it is for."""


@dataclass(frozen=True, slots=True)
class Window:
    """How much stays.

    Attributes:
        tokens: of all messages, estimated; more makes room.
        keep: share of them that is left once room was made.
        summarise: asks the model for a summary of what goes, which costs a step.
        answer: most tokens of an answer; None is as many as a strategy likes.
        count: counts tokens; None estimates them.
    """

    tokens: int = 16_000
    keep: float = 0.5
    summarise: bool = False
    answer: int | None = None
    count: Count | None = None

    @classmethod
    async def of(cls, tokens: int, *models: ChatModel, summarise: bool = False) -> "Window":
        """The window of a setting, or a smaller one that leaves room for the answer of each model.

        Tokens are estimated by length, and some texts have more than that; so only a part of a
        model's context is used. A model that does not tell its context is taken to have enough.
        """
        for model in models:
            if (context := await context_of(model)) is not None:
                room = context - min(_ANSWER_TOKENS, context // 4)
                tokens = min(tokens, int(room * _TRUSTED))
        return cls(tokens, summarise=summarise)

    @classmethod
    async def counted(
        cls, tokens: int, context: int, count: Count, *, answer: int = _ANSWER_TOKENS
    ) -> "Window":
        """The window of a setting in a small context, whose tokens are counted.

        With it a prompt is too long only if its beginning is: the rules, the tools and the task.

        Args:
            answer: most tokens of an answer, as far as a quarter of the context holds them.
        """
        answer = min(answer, context // 4)
        return cls(min(tokens, context - answer), answer=answer, count=count)

    async def size(self, messages: Sequence[Message]) -> int:
        """Tokens of messages, as this window takes them."""
        if self.count is None:
            return estimate(messages)
        sent = as_sent(messages)
        return await self.count([ChatMessage(m.role, m.text, m.calls, m.call_id) for m in sent])


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
    """Drops or summarises the oldest turns where a conversation has grown too long; then cuts.

    Raises:
        BudgetSpent: nothing is left for a summary.
    """
    if await window.size(talk.messages) <= window.tokens:
        return
    await _drop(scope, talk, window, model)
    if await window.size(talk.messages) > window.tokens:
        before = talk.messages
        if window.count is None:
            talk.messages = squeezed(before, window)
        else:
            talk.messages = await _counted(before, window)
        if talk.messages != before:
            told = "The longest results were cut to fit the model's context."
            await scope.note(Noted(scope.key(), "memory.cut", told))


async def _counted(messages: Sequence[Message], window: Window) -> list[Message]:
    """The messages cut as `squeezed` does, by tokens that are counted."""
    cut = list(messages)
    for _ in range(_CUTS):
        whole = await window.size(cut)
        over = whole - window.tokens
        if over <= 0:
            break
        tokens = whole - await window.size(_cut_to(cut, 0))
        sizes = _cuttable(cut)
        if tokens <= 0 or not sizes:
            break
        room = int(sum(sizes) * max(0, tokens - over) / tokens * _SHORTER)
        shorter = _cut_to(cut, _common_length(sizes, room, _LEAST_COUNTED_BYTES))
        if shorter == cut:
            break
        cut = shorter
    return cut


def squeezed(messages: Sequence[Message], window: Window | None) -> list[Message]:
    """The messages, the longest texts of tools, documents and models cut so that all fit a window.

    They are cut to one length, at the end of a line if there is one near, and say so. What cannot
    be cut may still be too long: the model refuses it.
    """
    if window is None or (over := estimate(messages) - window.tokens) <= 0:
        return list(messages)
    sizes = _cuttable(messages)
    room = sum(sizes) - over * _BYTES_A_TOKEN
    return _cut_to(messages, _common_length(sizes, room, _LEAST_BYTES))


def _cuttable(messages: Sequence[Message]) -> list[int]:
    """Bytes of each piece that can be cut, the shortest first."""
    return sorted(
        len(piece.text.encode())
        for message in messages
        for piece in message.pieces
        if _can_be_cut(message, piece)
    )


def _common_length(sizes: Sequence[int], room: int, least: int) -> int:
    """The length to which the longest are cut so that all have so much room together."""
    length = 0
    for at, size in enumerate(sizes):
        length = max(least, room // (len(sizes) - at))
        if size > length:
            break
        room -= size
    return length


def _cut_to(messages: Sequence[Message], length: int) -> list[Message]:
    return [
        replace(
            message,
            pieces=tuple(
                _cut(piece, length) if _can_be_cut(message, piece) else piece
                for piece in message.pieces
            ),
        )
        for message in messages
    ]


def _can_be_cut(message: Message, piece: Piece) -> bool:
    theirs = (Origin.MODEL, Origin.DOCUMENT, Origin.TOOL)
    return message.role is not Role.ASSISTANT and piece.origin in theirs


def _cut(piece: Piece, length: int) -> Piece:
    """A piece of at most so many bytes."""
    data = piece.text.encode()
    if len(data) <= length:
        return piece
    note = "\n[The rest was left out.]"
    if length <= len(note):
        return replace(piece, text="")
    kept = data[: length - len(note)].decode(errors="ignore")
    line = kept.rfind("\n")
    if line > len(kept) * (1 - _LINE_SHARE):
        kept = kept[:line]
    return replace(piece, text=kept + note)


async def _drop(scope: Scope, talk: Conversation, window: Window, model: str) -> None:
    """Drops or summarises the oldest turns, if there are more than the last."""
    opening, turns = talk.messages[: talk.opening], _turns(talk.messages[talk.opening :])
    kept = turns[-1:]
    for turn in reversed(turns[:-1]):
        left = [*opening, *turn, *(message for one in kept for message in one)]
        if await window.size(left) > window.tokens * window.keep:
            break
        kept.insert(0, turn)
    gone = [message for turn in turns[: len(turns) - len(kept)] for message in turn]
    if len(gone) < 2:  # Nothing, or only the note of the last time.
        return
    text = scope.prompt("dropped")
    told = Piece(text)
    if window.summarise:
        text = await _summary(scope, gone, window, model)
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


async def _summary(scope: Scope, messages: Sequence[Message], window: Window, model: str) -> str:
    pieces: list[Piece] = []
    for message in messages:
        calls = "".join(f"\n{call.name} {call.arguments}" for call in message.calls)
        pieces += [Piece(f"<{message.role}>\n"), *message.pieces, Piece(f"{calls}\n")]
    asked = [
        Message(Role.SYSTEM, (Piece(scope.prompt("summarise")),)),
        Message(Role.USER, tuple(pieces)),
    ]
    asked = squeezed(asked, window)
    reply = await scope.ask("summarise", asked, GenerationOptions(_SUMMARY_TOKENS), model=model)
    return reply.text.strip()
