"""Scopes of an execution: what they let pass, what they refuse, what they make of results."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from rostra.agents import (
    Answer,
    Budget,
    BudgetSpent,
    CallContext,
    Catalog,
    Citation,
    Claim,
    Decided,
    DocumentSpan,
    Effect,
    Execution,
    Journal,
    Limits,
    MemoryLog,
    ModelAnswered,
    Origin,
    Outcome,
    PlannedCall,
    RunEnded,
    RunPaused,
    Spent,
    StaticToolset,
    Status,
    ToolEnded,
    ToolFailure,
    ToolInfo,
    ToolResult,
    ToolStarted,
    decode_event,
    default_guard,
    encode_event,
    prompts,
)
from rostra.agents.scope import Message, Piece
from rostra.core import (
    ChatEvent,
    ChatMessage,
    Delta,
    Finish,
    FinishReason,
    GenerationOptions,
    InvalidRequest,
    ModelUnavailable,
    Overloaded,
    Role,
)

HELLO = [Message(Role.USER, (Piece("hello there", Origin.USER),))]
ANY = {"type": "object", "additionalProperties": True}


class Model:
    """Says one thing; is overloaded the first times."""

    name = "model"

    def __init__(self, text: str = "well", sheds: int = 0) -> None:
        self.text, self.sheds = text, sheds
        self.options: list[GenerationOptions] = []

    async def count_tokens(
        self, messages: Sequence[ChatMessage], options: GenerationOptions
    ) -> int:
        return sum(len(message.content.split()) for message in messages)

    async def stream(
        self, messages: Sequence[ChatMessage], options: GenerationOptions
    ) -> AsyncIterator[ChatEvent]:
        self.options.append(options)
        if len(self.options) <= self.sheds:
            raise Overloaded("busy")
        yield Delta(self.text)
        count = await self.count_tokens(messages, options)
        usage = {"prompt_tokens": count, "completion_tokens": min(options.max_tokens, 7)}
        yield Finish(FinishReason.STOP, usage)


async def execution(
    *results: ToolResult | Exception,
    effect: Effect = Effect.READ,
    model: Model | None = None,
    budget: Budget | None = None,
    limits: Limits | None = None,
    log: MemoryLog | None = None,
) -> Execution:
    """One whose tool `tool` gives results in turn, the last one for ever."""
    left = list(results)

    async def call(arguments: dict[str, Any], context: CallContext) -> ToolResult:
        result = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(result, Exception):
            raise result
        return result

    tools = StaticToolset(((ToolInfo("tool", "Does it.", ANY, effect), call),))
    log = log or MemoryLog()
    return Execution(
        run_id="run",
        task="task",
        user="",
        journal=Journal(log, log.records),
        budget=budget or Budget(),
        models={"main": model or Model()},
        tools=await Catalog.open({"local": tools}),
        guard=default_guard(),
        prompts=prompts.render,
        limits=limits or Limits(),
    )


def call(number: int = 0, tool: str = "tool", **arguments: Any) -> PlannedCall:
    return PlannedCall(f"c{number}", tool, arguments)


async def test_a_result_becomes_numbered_sentences() -> None:
    run = await execution(ToolResult("One is here. Two is there."))
    [seen] = await run.scope().call([call()])
    assert seen.text == "[1] One is here.\n[2] Two is there."
    [more] = await run.scope("other/").call([call(1, x=1)])
    assert [one.number for one in more.sentences] == [3, 4]
    assert [one.number for one in run.sentences] == [1, 2, 3, 4]


async def test_numbers_are_the_same_in_the_next_execution() -> None:
    log = MemoryLog()
    first = await execution(ToolResult("One is here. Two is there."), log=log)
    await first.scope("b/").call([call()])
    await first.scope("a/").call([call(1)])
    second = await execution(ToolFailure("must not be called"), log=log)
    [a] = await second.scope("a/").call([call(1)])
    [b] = await second.scope("b/").call([call()])
    assert [one.number for one in a.sentences + b.sentences] == [3, 4, 1, 2]


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
async def test_numbers_go_by_the_calls_whichever_ends_first(order: tuple[int, ...]) -> None:
    may_end = [asyncio.Event() for _ in order]
    begun = asyncio.Semaphore(0)

    async def waits(arguments: dict[str, Any], context: CallContext) -> ToolResult:
        begun.release()
        await may_end[arguments["x"]].wait()
        return ToolResult(f"This is {arguments['x']}. It is so.")

    log = MemoryLog()
    run = await execution(ToolResult(""), log=log)
    tools = StaticToolset(((ToolInfo("tool", "Waits.", ANY, Effect.READ), waits),))
    run.tools = await Catalog.open({"local": tools})
    calls = [call(number, x=number) for number in range(3)]
    made = asyncio.create_task(run.scope().call(calls))
    for _ in order:
        await begun.acquire()
    for number in order:
        may_end[number].set()
        while sum(isinstance(one.event, ToolEnded) for one in log.records) <= order.index(number):  # noqa: ASYNC110
            await asyncio.sleep(0)
    seen = await made
    numbers = [[one.number for one in observation.sentences] for observation in seen]
    assert numbers == [[1, 2], [3, 4], [5, 6]]
    assert [one.text for one in run.sentences][::2] == [f"This is {one}." for one in range(3)]
    ended = [one.event.call for one in log.records if isinstance(one.event, ToolEnded)]
    assert ended == [f"c{number}" for number in order]
    again = await execution(ToolFailure("must not be called"), log=log)
    told = await again.scope().call(calls)
    assert [one.text for one in told] == [one.text for one in seen]
    [more] = await (await execution(ToolResult("More."), log=log)).scope("b/").call([call(9)])
    assert [one.number for one in more.sentences] == [7]


async def test_calls_of_an_older_log_keep_their_numbers() -> None:
    log = MemoryLog()
    journal = Journal(log)
    for number, first in ((0, 3), (1, 1)):
        made = call(number)
        await journal.keep(
            ToolStarted(f"{number + 1}", made, Effect.READ),
            ToolEnded(f"{number + 1}", made.id, Outcome.OK, "One. Two.", first=first),
        )
    run = await execution(ToolResult("New."), log=log)
    seen = await run.scope().call([call(0), call(1), call(2)])
    assert [[one.number for one in two.sentences] for two in seen] == [[3, 4], [1, 2], [5]]


async def test_a_quote_keeps_its_place_in_its_document() -> None:
    result = ToolResult(
        "From a page\nOne is here. Two is there.",
        Origin.DOCUMENT,
        (DocumentSpan(12, "doc", 100, 126),),
    )
    [seen] = await (await execution(result)).scope().call([call()])
    placed = [(one.text, one.start, one.end) for one in seen.sentences if one.document_id]
    assert seen.text.splitlines()[0] == "From a page"
    assert placed == [("One is here.", 100, 112), ("Two is there.", 113, 126)]


async def test_ten_megabytes_are_cut() -> None:
    log = MemoryLog()
    run = await execution(ToolResult("word. " * 1_700_000), limits=Limits(2000), log=log)
    [seen] = await run.scope().call([call()])
    [end] = [one.event for one in log.records if isinstance(one.event, ToolEnded)]
    assert len(end.text) <= 2000
    assert (end.truncated, end.bytes) == (True, 6 * 1_700_000)
    assert len(seen.text) < 10_000


async def test_foreign_links_do_not_reach_the_model() -> None:
    run = await execution(ToolResult("See [this](https://evil.example/x?secret) now."))
    [seen] = await run.scope().call([call()])
    assert "evil.example" not in seen.text


@pytest.mark.parametrize(
    ("planned", "said"),
    [
        (call(tool="nothing"), "no tool"),
        (PlannedCall("c", "tool", {"x": 1}), "well"),
    ],
)
async def test_a_wrong_call_is_an_observation(planned: PlannedCall, said: str) -> None:
    [seen] = await (await execution(ToolResult("well"))).scope().call([planned])
    assert said in seen.text


async def test_a_tool_that_does_not_answer_is_given_up() -> None:
    async def never(arguments: dict[str, Any], context: CallContext) -> ToolResult:
        await asyncio.Event().wait()
        raise RuntimeError("unreachable")

    run = await execution(ToolResult(""), limits=Limits(call_seconds=0.01))
    tools = StaticToolset(((ToolInfo("tool", "Waits.", ANY, Effect.READ), never),))
    run.tools = await Catalog.open({"local": tools})
    [seen] = await run.scope().call([call()])
    assert seen.outcome is Outcome.ERROR
    assert "did not answer" in seen.text


async def test_calls_that_wait_do_not_hold_up_others() -> None:
    log = MemoryLog()
    run = await execution(ToolResult("well"), effect=Effect.WRITE, log=log)
    more = ToolInfo("read", "Reads.", ANY, Effect.READ)

    async def read(arguments: dict[str, Any], context: CallContext) -> ToolResult:
        return ToolResult("read it")

    run.tools = run.tools.with_toolset([more], StaticToolset(((more, read),)))  # type: ignore[attr-defined]
    with pytest.raises(RunPaused) as paused:
        await run.scope().call([call(0), call(1, tool="read"), call(2)])
    assert (paused.value.reason, paused.value.calls) == ("approval", ["c0", "c2"])
    ended = [one.event.call for one in run.journal.records if isinstance(one.event, ToolEnded)]
    assert ended == ["c1"]
    assert not [
        one for one in log.records
        if isinstance(one.event, ToolStarted) and one.event.effect is Effect.WRITE
    ]  # fmt: skip


async def test_the_same_call_with_the_same_result_is_stopped() -> None:
    scope = (await execution(ToolResult("Nothing new."))).scope()
    outcomes = [(await scope.call([call(number)]))[0].outcome for number in range(8)]
    assert outcomes == [Outcome.OK] * 3 + [Outcome.DENIED] * 5
    # The same in the next execution, and another call is none of it.
    assert (await scope.call([call(8, x=1)]))[0].outcome is Outcome.OK


async def test_a_start_is_on_disk_before_the_call() -> None:
    log = MemoryLog()
    seen: list[int] = []

    async def look(arguments: dict[str, Any], context: CallContext) -> ToolResult:
        seen.append(sum(isinstance(one.event, ToolStarted) for one in log.records))
        return ToolResult("well")

    run = await execution(ToolResult(""), log=log)
    tools = StaticToolset(((ToolInfo("tool", "Looks.", ANY, Effect.READ), look),))
    run.tools = await Catalog.open({"local": tools})
    await run.scope().call([call()])
    assert seen == [1]
    assert isinstance(log.records[-1].event, ToolEnded)


async def test_tokens_are_never_overspent_by_a_model_that_counts() -> None:
    model = Model()
    run = await execution(ToolResult(""), model=model, budget=Budget(tokens=12))
    scope = run.scope()
    await scope.ask("step", HELLO, GenerationOptions(max_tokens=100))
    assert model.options[0].max_tokens == 10
    with pytest.raises(BudgetSpent, match="tokens"):
        await scope.ask("step", HELLO * 2, GenerationOptions(max_tokens=100))
    assert run.journal.spent().tokens == 9


async def test_calls_over_the_budget_are_not_made() -> None:
    run = await execution(ToolResult("well"), budget=Budget(calls=3))
    scope = run.scope()
    await scope.call([call(0), call(1, x=1)])
    with pytest.raises(BudgetSpent, match="calls"):
        await scope.call([call(2, x=2), call(3, x=3)])
    assert run.journal.spent().calls == 2


async def test_a_busy_model_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rostra.agents.asking._FIRST_DELAY", 0)
    model = Model(sheds=2)
    run = await execution(ToolResult(""), model=model)
    reply = await run.scope().ask("step", HELLO, GenerationOptions())
    assert (reply.text, len(model.options)) == ("well", 3)
    assert run.journal.spent().steps == 1


async def test_what_a_model_has_read_is_known() -> None:
    run = await execution(ToolResult("well"))
    messages = [*HELLO, Message(Role.USER, (Piece("x", Origin.TOOL, "web"),))]
    reply = await run.scope().ask("step", messages, GenerationOptions())
    assert reply.sources == ("tool:web",)
    clean = await run.scope("other/").ask("step", HELLO, GenerationOptions())
    assert clean.sources == ()


async def test_an_answer_is_asked_for_once(tmp_path: Path) -> None:
    log = MemoryLog()
    for _ in range(2):
        model = Model()
        run = await execution(ToolResult(""), model=model, log=log)
        scope = run.scope()
        await scope.ask("step", HELLO, GenerationOptions())
        await scope.note(Decided(scope.key(), "so"))
        await run.journal.keep()
    assert not model.options
    assert len([one for one in log.records if isinstance(one.event, ModelAnswered)]) == 1


async def test_a_quote_behind_what_was_removed_keeps_its_place() -> None:
    link = "[here](https://evil.example/x) "
    result = ToolResult(
        f"{link}\nOne is here. Two is there.",
        Origin.DOCUMENT,
        (DocumentSpan(len(link) + 1, "doc", 100, 126),),
    )
    [seen] = await (await execution(result)).scope().call([call()])
    assert "evil.example" not in seen.text
    placed = [(one.text, one.start, one.end) for one in seen.sentences if one.document_id]
    assert placed == [("One is here.", 100, 112), ("Two is there.", 113, 126)]


async def test_a_budget_too_small_for_any_answer_is_spent() -> None:
    class Strict(Model):
        async def stream(
            self, messages: Sequence[ChatMessage], options: GenerationOptions
        ) -> AsyncIterator[ChatEvent]:
            if options.max_tokens < 50:
                raise InvalidRequest("the shortest text takes 50 tokens")
            async for event in super().stream(messages, options):
                yield event

    options = GenerationOptions(max_tokens=100)
    poor = await execution(ToolResult(""), model=Strict(), budget=Budget(tokens=40))
    with pytest.raises(BudgetSpent, match="tokens"):
        await poor.scope().ask("step", HELLO, options)
    rich = await execution(ToolResult(""), model=Strict(), budget=Budget(tokens=1000))
    assert (await rich.scope().ask("step", HELLO, options)).text == "well"
    with pytest.raises(InvalidRequest, match="shortest"):
        await rich.scope("b/").ask("step", HELLO, GenerationOptions(max_tokens=10))


async def test_a_headings_number_is_no_sentence() -> None:
    run = await execution(ToolResult("8.1.1. Integer Types hold whole numbers. 12. More of it."))
    [seen] = await run.scope().call([call()])
    assert all(any(map(str.isalpha, one.text)) for one in seen.sentences)
    assert "".join(one.text for one in seen.sentences).startswith("8.1.1.")


async def test_an_answer_that_is_broken_off_has_used_tokens() -> None:
    class Endless(Model):
        def __init__(self) -> None:
            super().__init__()
            self.speaking = asyncio.Event()

        async def stream(
            self, messages: Sequence[ChatMessage], options: GenerationOptions
        ) -> AsyncIterator[ChatEvent]:
            yield Delta("word " * 20)
            self.speaking.set()
            await asyncio.Event().wait()

    log, model = MemoryLog(), Endless()
    run = await execution(ToolResult(""), model=model, log=log)
    asking = asyncio.create_task(run.scope().ask("step", HELLO, GenerationOptions()))
    await model.speaking.wait()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    # "hello there" is 11 characters, what was said 100; a token is taken to be four.
    spent = run.journal.spent()
    assert (spent.tokens, spent.estimated) == (3 + 25, True)
    await run.journal.keep()
    # It is no answer: the next execution asks again, and both count.
    second = await execution(ToolResult(""), model=Model(), log=log)
    assert (await second.scope().ask("step", HELLO, GenerationOptions())).text == "well"
    assert second.journal.spent().tokens == 28 + 9
    assert second.journal.spent().steps == 1
    await second.journal.keep()
    third = await execution(ToolResult(""), model=Endless(), log=log)
    await third.scope().ask("step", HELLO, GenerationOptions())
    assert not third.journal.unseen()


async def test_estimates_are_told_apart_from_counts() -> None:
    class Silent(Model):
        async def stream(
            self, messages: Sequence[ChatMessage], options: GenerationOptions
        ) -> AsyncIterator[ChatEvent]:
            yield Delta("four")
            yield Finish(FinishReason.STOP, {})

    exact = await execution(ToolResult(""))
    await exact.scope().ask("step", HELLO, GenerationOptions())
    assert not exact.journal.spent().estimated
    guessed = await execution(ToolResult(""), model=Silent())
    await guessed.scope().ask("step", HELLO, GenerationOptions())
    assert guessed.journal.spent().tokens == 3 + 1
    assert guessed.journal.spent().estimated
    [said] = [one.event for one in guessed.journal.records if isinstance(one.event, ModelAnswered)]
    assert said.usage.estimated


async def test_what_an_answer_used_before_its_model_failed_counts() -> None:
    class Breaks(Model):
        async def stream(
            self, messages: Sequence[ChatMessage], options: GenerationOptions
        ) -> AsyncIterator[ChatEvent]:
            yield Delta("x" * 40)
            raise ModelUnavailable("gone")

    run = await execution(ToolResult(""), model=Breaks())
    with pytest.raises(ModelUnavailable):
        await run.scope().ask("step", HELLO, GenerationOptions())
    assert run.journal.spent().tokens == 2 * (3 + 10)  # of two attempts


def test_answers_say_what_nothing_backs() -> None:
    cited = Claim("It is so.", [Citation(1, "It is so.", "c")])
    answer = Answer("It is so. Believe me.", [cited, Claim("Believe me.")])
    assert (cited.unsupported, answer.claims[1].unsupported, answer.unsupported) == (False, True, 1)
    # Of a log that was written before answers said it, too; and whatever a log claims.
    told = RunEnded(Status.COMPLETED, Spent(), answer)
    again = decode_event(encode_event(told).replace(b'"unsupported":1', b'"unsupported":0'))
    assert again == told
    assert (Answer("", []).unsupported, Answer("Hm.", []).unsupported) == (0, 1)


async def test_halves_of_surrogate_pairs_do_not_end_a_run() -> None:
    log = MemoryLog()
    model = Model("a \ud83d\ude00 b \ud83d c")
    run = await execution(ToolResult(""), model=model, log=log)
    reply = await run.scope().ask("step", HELLO, GenerationOptions())
    assert reply.text == "a \U0001f600 b \ufffd c"
    assert len(model.options) == 1
    await run.journal.keep()
    for record in log.records:
        assert decode_event(encode_event(record.event)) == record.event
