"""Questions that are sent again: by whom, how often, and what the broken attempts cost."""

import asyncio
from collections.abc import Sequence

import pytest

from rostra.agents.events import ModelAnswered, RunEnded, Status
from rostra.agents.strategies.react import ReAct
from rostra.core import ChatMessage, GenerationOptions, ModelUnavailable, Overloaded, RostraError
from rostra.models import RemoteOverloaded, RemoteUnavailable, Turn
from tests.unit.agents.strategies.lab import Lab, final

ANSWER = Turn(final(("It is so.", [])), usage={"prompt_tokens": 100, "completion_tokens": 10})


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is waited between attempts."""
    monkeypatch.setattr("rostra.agents.asking._FIRST_DELAY", 0.0)


async def ask(*said: Turn) -> tuple[RunEnded, ModelAnswered, int]:
    """A run of one step whose model says these one after the other, the last one for ever."""
    left = list(said)

    def script(messages: Sequence[ChatMessage], options: GenerationOptions) -> Turn:
        return left.pop(0) if len(left) > 1 else left[0]

    async with asyncio.timeout(60):
        ran = await Lab().run(ReAct(), script)
    assert isinstance(ran.last, RunEnded)
    [answered] = ran.all(ModelAnswered)
    return ran.last, answered, len(ran.models["main"].seen)


@pytest.mark.parametrize("error", [RemoteOverloaded("429"), RemoteUnavailable("500")])
async def test_what_a_remote_model_has_sent_again_itself_is_not_sent_again(
    error: RostraError,
) -> None:
    end, answered, sent = await ask(Turn(raises=error))
    assert (end.status, sent) == (Status.FAILED, 1)
    assert answered.error == error.to_dict()


async def test_an_overloaded_engine_is_asked_again() -> None:
    busy = Turn(raises=Overloaded("the queue is full"))
    end, answered, sent = await ask(busy, busy, busy, ANSWER)
    assert (end.status, sent) == (Status.COMPLETED, 4)
    assert answered.usage.prompt_tokens == 100
    end, _, sent = await ask(busy)
    assert (end.status, sent) == (Status.FAILED, 4)


@pytest.mark.parametrize("kind", [RemoteUnavailable, ModelUnavailable])
async def test_what_a_broken_answer_used_counts_when_the_next_succeeds(
    kind: type[RostraError],
) -> None:
    broken = Turn("x" * 400, raises=kind("broke off"))
    end, answered, sent = await ask(broken, ANSWER)
    assert (end.status, sent) == (Status.COMPLETED, 2)
    assert answered.usage.completion_tokens == 100 + 10
    # The prompt was sent twice; the first time nobody counted it.
    assert answered.usage.prompt_tokens > 100
    assert answered.usage.estimated
    end, answered, sent = await ask(broken)
    assert (end.status, sent) == (Status.FAILED, 2)
    assert answered.usage.completion_tokens == 200
