"""A window whose tokens are counted: whatever tools say, no prompt is too long for the model."""

from collections.abc import Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from rostra.agents.events import Noted, Origin, RunEnded, Status
from rostra.agents.memory.short import Window, make_room
from rostra.agents.scope import Message, Piece
from rostra.agents.strategies.conversation import Conversation
from rostra.agents.strategies.react import ReAct
from rostra.agents.strategies.toolbox import Toolbox
from rostra.agents.tools.tool import CallContext, ToolResult
from rostra.core import ChatMessage, GenerationOptions, Role
from rostra.models import Turn
from tests.unit.agents.strategies.lab import Lab, act, final, info

CONTEXT = 1024
ANSWER = CONTEXT // 4
OPENING = 1
SEARCH = info("search", "query")


async def count(messages: Sequence[ChatMessage]) -> int:
    """As a small model does: a token a byte, but for the rules, which its template knows."""
    said = [each.content for each in messages if each.role is not Role.SYSTEM]
    return OPENING + sum(1 + len(text.encode()) for text in said)


def refusing(script: Any) -> Any:
    """A script of a model that takes no prompt without room for its answer."""

    def checked(messages: Sequence[ChatMessage], options: GenerationOptions) -> str | Turn:
        tokens = OPENING + sum(
            1 + len(each.content.encode()) for each in messages if each.role is not Role.SYSTEM
        )
        assert tokens + options.max_tokens <= CONTEXT, "the prompt is too long"
        result: str | Turn = script(messages, options)
        return result

    return checked


async def test_the_window_leaves_room_for_an_answer() -> None:
    window = await Window.counted(12_000, CONTEXT, count)
    assert (window.tokens, window.answer) == (CONTEXT - ANSWER, ANSWER)
    assert (await Window.counted(500, CONTEXT, count)).tokens == 500


async def test_runs_stay_within_a_context_that_estimates_would_exceed() -> None:
    # Three bytes a character, and so four times as many tokens as an estimate by length says.
    async def long_result(arguments: dict[str, Any], context: CallContext) -> ToolResult:
        return ToolResult(f"{arguments['query']}。" + "長い文です。" * 400)

    steps = 7
    script = [act(*(("search", {"query": f"{at} {k}"}) for k in range(4))) for at in range(steps)]

    def says(messages: Sequence[ChatMessage], options: GenerationOptions) -> str:
        asked = sum(len(each.content.encode()) for each in messages if each.role is Role.ASSISTANT)
        assert asked <= CONTEXT
        spoken.append(len(messages))
        return script[len(spoken) - 1] if len(spoken) <= steps else final(("文です。", [1]))

    spoken: list[int] = []
    lab = Lab(tools=((SEARCH, long_result),))
    window = await Window.counted(12_000, CONTEXT, count)
    ran = await lab.run(ReAct(window=window), refusing(says))
    assert isinstance(ran.last, RunEnded)
    assert (ran.last.status, ran.last.error) == (Status.COMPLETED, None)
    kinds = [one.kind for one in ran.all(Noted)]
    assert "memory.dropped" in kinds
    assert "memory.cut" in kinds


pieces = st.builds(
    Piece, st.text(max_size=2500), st.sampled_from([Origin.TOOL, Origin.DOCUMENT]), st.just("x")
)
said = st.lists(pieces, min_size=1, max_size=4).map(tuple)
results = st.builds(Message, st.just(Role.USER), said)
words = st.text(max_size=ANSWER // 4)  # at most four bytes each
answers = words.map(lambda text: Message(Role.ASSISTANT, (Piece(text, Origin.MODEL),)))


class Noting:
    """Of a scope, as much as making room needs."""

    def __init__(self) -> None:
        self.kinds: list[str] = []

    def prompt(self, name: str) -> str:
        return "Earlier steps were left out."

    def key(self) -> str:
        return str(len(self.kinds))

    async def note(self, event: Noted) -> None:
        self.kinds.append(event.kind)


@settings(max_examples=40)
@given(st.lists(st.tuples(answers, results), min_size=1, max_size=5))
async def test_whatever_was_said_fits_afterwards(turns: list[tuple[Message, Message]]) -> None:
    window = await Window.counted(12_000, CONTEXT, count)
    task = Message(Role.USER, (Piece("What is it?", Origin.USER),))
    talk = Conversation([Message(Role.SYSTEM, (Piece("Rules. " * 2000),)), task], Toolbox([]))
    before = await window.size([*talk.messages, *(each for turn in turns for each in turn)])
    talk.messages += [each for turn in turns for each in turn]
    scope: Any = Noting()
    await make_room(scope, talk, window)
    assert await window.size(talk.messages) <= window.tokens
    assert talk.messages[1] == task
    if before <= window.tokens:
        assert scope.kinds == []
        assert talk.messages[2:] == [each for turn in turns for each in turn]
    # What the model concludes from here on is still known to come from what it read.
    assert {piece.source for piece in talk.taint} == {
        piece.source for turn in turns for piece in turn[1].pieces
    }
