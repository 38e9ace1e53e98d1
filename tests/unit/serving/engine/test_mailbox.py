"""Outputs on their way to slow and quick readers."""

import asyncio

import pytest

from rostra.core import RostraError
from rostra.serving.engine.mailbox import Mailbox
from rostra.serving.request import FinishReason, Output, TokenLogprobs, Usage

USAGE = Usage(1, 0, 3)


def output(text: str, index: int = 0, reason: FinishReason | None = None) -> Output:
    return Output(index, text, [ord(c) for c in text], finish_reason=reason)


async def taken(mailbox: Mailbox) -> list[Output]:
    found = []
    while (one := await mailbox.take()) is not None:
        found.append(one)
    return found


async def test_what_waits_is_joined_by_sequence() -> None:
    mailbox = Mailbox()
    for index, text in ((1, "a"), (0, "b"), (1, "c"), (0, "d")):
        mailbox.put(output(text, index))
    mailbox.put(output("e", 1, FinishReason.STOP))
    mailbox.end(USAGE)
    first, last = await taken(mailbox)
    assert (first.index, first.text, first.finish_reason) == (1, "ace", FinishReason.STOP)
    assert first.token_ids == [ord(c) for c in "ace"]
    assert (last.index, last.text, last.usage) == (0, "bd", USAGE)
    assert first.usage is None


async def test_usage_comes_with_the_last_output_even_alone() -> None:
    mailbox = Mailbox()
    mailbox.put(output("a", 2, FinishReason.STOP))
    assert (await mailbox.take()) == output("a", 2, FinishReason.STOP)
    mailbox.end(USAGE)
    (last,) = await taken(mailbox)
    assert (last.index, last.text, last.token_ids, last.usage) == (2, "", [], USAGE)


async def test_a_reader_waits_for_news() -> None:
    mailbox = Mailbox()
    reader = asyncio.create_task(taken(mailbox))
    for text in "abc":
        await asyncio.sleep(0)
        mailbox.put(output(text))
    await asyncio.sleep(0)
    mailbox.end(USAGE)
    found = await reader
    assert "".join(one.text for one in found) == "abc"
    assert found[-1].usage == USAGE


async def test_an_error_comes_after_what_was_before_it_and_once() -> None:
    mailbox = Mailbox()
    mailbox.put(output("a"))
    mailbox.fail(RostraError("first"))
    mailbox.fail(RostraError("second"))
    mailbox.end(USAGE)
    mailbox.put(output("late"))
    assert (await mailbox.take()) == output("a")
    with pytest.raises(RostraError, match="first"):
        await mailbox.take()


async def test_logprobs_are_joined_too() -> None:
    mailbox = Mailbox()
    logprobs = [TokenLogprobs(t, -0.5, []) for t in range(4)]
    mailbox.put(Output(0, "a", [0], logprobs[:1], prompt_logprobs=logprobs))
    mailbox.put(Output(0, "", [], []))
    mailbox.put(Output(0, "bcd", [1, 2, 3], logprobs[1:]))
    joined = await mailbox.take()
    assert joined is not None
    assert joined.logprobs == logprobs
    assert joined.prompt_logprobs == logprobs
