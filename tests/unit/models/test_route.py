"""Several models as one."""

import math
from collections.abc import AsyncIterator, Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rostra.core import (
    ChatEvent,
    ChatMessage,
    ChatModel,
    ConfigError,
    Delta,
    Finish,
    FinishReason,
    GenerationOptions,
    InvalidRequest,
    ModelUnavailable,
    Overloaded,
    Role,
    ToolCall,
    ToolSpec,
)
from rostra.models import (
    Cascade,
    Completion,
    NoRoute,
    Prices,
    Route,
    Router,
    ScriptedModel,
    Turn,
    UnsupportedConstraint,
    complete,
    confident,
    context_of,
    estimate_tokens,
    usage_so_far,
)

CHEAP, DEAR = Prices(1, 2), Prices(10, 20)


def ask(words: int) -> list[ChatMessage]:
    return [ChatMessage(Role.USER, "w " * words)]


def named(name: str, **more: object) -> ScriptedModel:
    return ScriptedModel([f"I am {name}"], name=name, loop=True)


class Plain:
    """A model that cannot count; its stream cannot be closed."""

    name = "plain"

    def __init__(self, *events: ChatEvent) -> None:
        self._events = events

    def stream(
        self, messages: Sequence[ChatMessage], options: GenerationOptions
    ) -> AsyncIterator[ChatEvent]:
        events = iter(self._events)

        class Stream:
            def __aiter__(self) -> "Stream":
                return self

            async def __anext__(self) -> ChatEvent:
                for event in events:
                    return event
                raise StopAsyncIteration

        return Stream()


# --- Router ---


async def test_the_cheapest_that_takes_it_answers() -> None:
    router = Router(
        [
            Route(named("large"), prices=DEAR),
            Route(named("small"), most_tokens=20, prices=CHEAP),
            Route(
                named("code"), when=lambda messages, _: "```" in messages[-1].content, prices=CHEAP
            ),
        ]
    )
    assert isinstance(router, ChatModel)
    options = GenerationOptions(max_tokens=10)
    assert (await complete(router, ask(10), options)).text == "I am small"
    assert (await complete(router, ask(11), options)).text == "I am large"
    code = [ChatMessage(Role.USER, "``` " * 30)]
    assert (await complete(router, code, options)).text == "I am code"
    answer = await complete(router, ask(10), options)
    assert answer.usage["cost"] == pytest.approx((10 * 1 + 3 * 2) / 1e6)
    assert await router.count_tokens(ask(7), options) == 7


@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.integers(0, 5), st.one_of(st.none(), st.integers(0, 40))),
        min_size=1,
        max_size=5,
    ),
    st.integers(0, 30),
    st.integers(1, 20),
)
async def test_no_fitting_route_is_cheaper(
    given_: list[tuple[int, int, int | None]], words: int, most: int
) -> None:
    routes = [
        Route(named(str(n)), most_tokens, prices=Prices(prompt, completion))
        for n, (prompt, completion, most_tokens) in enumerate(given_)
    ]
    options = GenerationOptions(max_tokens=most)
    costs = {
        n: words * prompt + most * completion
        for n, (prompt, completion, limit) in enumerate(given_)
        if limit is None or words + most <= limit
    }
    if not costs:
        with pytest.raises(NoRoute):
            await complete(Router(routes), ask(words), options)
        return
    expected = min(costs, key=lambda n: (costs[n], n))
    answer = await complete(Router(routes), ask(words), GenerationOptions(max_tokens=most))
    assert f"I am {expected}".startswith(answer.text)
    assert len(routes[expected].model.seen) == 1  # type: ignore[attr-defined] # a scripted one


@pytest.mark.parametrize(
    "error", [ModelUnavailable("x"), Overloaded("x"), UnsupportedConstraint("x")]
)
async def test_a_model_that_is_not_to_be_had_is_passed_over(error: Exception) -> None:
    broken = ScriptedModel([Turn(raises=error)], loop=True)
    router = Router([Route(broken), Route(named("second"))])
    assert (await complete(router, ask(1), GenerationOptions())).text == "I am second"
    with pytest.raises(type(error)):
        await complete(Router([Route(broken)]), ask(1), GenerationOptions())


async def test_a_model_that_breaks_off_is_not() -> None:
    broken = ScriptedModel([Turn("half", raises=ModelUnavailable("x"))])
    second = named("second")
    with pytest.raises(ModelUnavailable):
        await complete(Router([Route(broken), Route(second)]), ask(1), GenerationOptions())
    assert second.seen == []


async def test_a_wrong_request_is_nobody_elses() -> None:
    second = named("second")
    broken = ScriptedModel([Turn(raises=InvalidRequest("x"))])
    with pytest.raises(InvalidRequest):
        await complete(Router([Route(broken), Route(second)]), ask(1), GenerationOptions())
    assert second.seen == []


async def test_lengths_are_estimated_where_nobody_counts() -> None:
    plain = Plain(Delta("x"), Finish(FinishReason.STOP, {"prompt_tokens": 1}))
    router = Router([Route(plain, most_tokens=20), Route(named("long"))])
    options = GenerationOptions(max_tokens=10)
    assert (await complete(router, [ChatMessage(Role.USER, "x" * 40)], options)).text == "x"
    assert (await complete(router, [ChatMessage(Role.USER, "x" * 41)], options)).text != "x"


# --- Cascade ---


def good(answer: Completion) -> bool:
    return answer.text.startswith("good")


async def test_the_first_good_answer_is_given() -> None:
    models = [
        ScriptedModel([Turn(text)], name=text)
        for text in ("bad one", "good two", "good three words")
    ]
    cascade = Cascade(models, good)
    events = [event async for event in cascade.stream(ask(4), GenerationOptions())]
    assert events[0] == Delta("good two")
    assert [len(model.seen) for model in models] == [1, 1, 0]
    (end,) = events[1:]
    assert isinstance(end, Finish)
    assert end.usage == {"prompt_tokens": 8, "completion_tokens": 4, "cached_tokens": 0}


async def test_the_last_answer_is_given_as_it_is() -> None:
    models = [ScriptedModel([Turn(text, (ToolCall("a", "t", "{}"),))]) for text in ("b", "c d")]
    events = [e async for e in Cascade(models, good).stream(ask(1), GenerationOptions())]
    assert events[:-1] == [Delta("c"), Delta(" d"), ToolCall("a", "t", "{}")]
    assert isinstance(events[-1], Finish)
    assert events[-1].reason is FinishReason.TOOL_CALLS
    assert events[-1].usage["prompt_tokens"] == 2
    assert events[-1].usage["completion_tokens"] == 3 + 4


async def test_no_request_uses_more_than_was_counted() -> None:
    options = GenerationOptions(max_tokens=5)
    models = [ScriptedModel(["w " * 9]) for _ in range(3)]
    cascade = Cascade(models, good)
    before = await cascade.count_tokens(ask(3), options)
    usage = (await complete(cascade, ask(3), options)).usage
    assert usage["prompt_tokens"] + usage["completion_tokens"] == before + options.max_tokens


async def test_models_that_are_not_to_be_had_are_passed_over() -> None:
    broken = ScriptedModel([Turn("half", raises=ModelUnavailable("x"))], loop=True)
    answer = await complete(Cascade([broken, named("b")], good), ask(1), GenerationOptions())
    assert answer.text == "I am b"
    with pytest.raises(ModelUnavailable):
        await complete(Cascade([named("a"), broken], good), ask(1), GenerationOptions())


@pytest.mark.parametrize(
    ("reason", "confidence", "accepted"),
    [
        (FinishReason.STOP, 0.9, True),
        (FinishReason.TOOL_CALLS, 0.8, True),
        (FinishReason.STOP, 0.79, False),
        (FinishReason.LENGTH, 0.9, False),
        (FinishReason.STOP, None, False),
    ],
)
async def test_confidence(reason: FinishReason, confidence: float | None, accepted: bool) -> None:
    first = Plain(Delta("first"), Finish(reason, {}, confidence))
    cascade = Cascade([first, named("second")], confident(0.8))
    answer = await complete(cascade, ask(1), GenerationOptions())
    assert answer.text == ("first" if accepted else "I am second")


@pytest.mark.parametrize("make", [lambda: Router([]), lambda: Cascade([], good)])
def test_there_must_be_a_model(make: Callable[[], object]) -> None:
    with pytest.raises(ConfigError):
        make()


async def test_a_stream_without_an_end_is_a_defect() -> None:
    with pytest.raises(RuntimeError, match="plain"):
        await complete(Plain(Delta("x")), ask(1), GenerationOptions())


def test_costs() -> None:
    assert Prices(1, 2).cost({"prompt_tokens": 10, "completion_tokens": 5}) == 20 / 1e6
    usage = {"prompt_tokens": 10, "cached_tokens": 4, "completion_tokens": 5}
    assert Prices(1, 2).cost(usage) == 20 / 1e6
    assert math.isclose(Prices(1, 2, 0.25).cost(usage), (6 + 1 + 10) / 1e6)
    with pytest.raises(ConfigError):
        Prices(-1, 2)


def test_estimates_grow_with_all_that_is_sent() -> None:
    tool = ToolSpec("t", "d" * 40, {})
    call = ToolCall("a", "t", "{}" * 20)
    plain = estimate_tokens(ask(1), GenerationOptions())
    assert estimate_tokens(ask(1), GenerationOptions(tools=(tool,))) > plain
    assert estimate_tokens([*ask(1), ChatMessage(Role.ASSISTANT, "", (call,))], GenerationOptions())
    assert estimate_tokens([], GenerationOptions()) == 0


class Uncounted:
    """A model that tells no counts, or some."""

    name = "uncounted"
    prices = Prices(prompt=1e6, completion=2e6)

    def __init__(self, usage: dict[str, float]) -> None:
        self._usage = usage

    async def stream(
        self, messages: Sequence[ChatMessage], options: GenerationOptions
    ) -> AsyncIterator[ChatEvent]:
        yield Delta("x" * 20)
        yield Delta("x" * 20)
        yield Finish(FinishReason.STOP, self._usage)


async def test_counts_that_nobody_told_are_marked_as_estimates() -> None:
    messages = [ChatMessage(Role.USER, "y" * 80)]
    options = GenerationOptions()
    answer = await complete(Uncounted({}), messages, options)
    counts = {"prompt_tokens": 20, "completion_tokens": 10}
    assert answer.usage == counts | {"estimated": 1, "cost": 40.0}
    told = {"prompt_tokens": 3, "completion_tokens": 4}
    assert (await complete(Uncounted(dict(told)), messages, options)).usage == told
    half = await complete(Uncounted({"prompt_tokens": 3}), messages, options)
    assert half.usage == {"prompt_tokens": 3, "completion_tokens": 10, "estimated": 1, "cost": 23.0}


async def test_estimates_stay_estimates_behind_wrappers() -> None:
    model = Cascade([Uncounted({}), Uncounted({}), Uncounted({})], lambda answer: False)
    answer = await complete(model, ask(2), GenerationOptions())
    assert answer.usage["estimated"] == 1
    assert answer.usage["completion_tokens"] == 30
    exact = Cascade([Uncounted({}), ScriptedModel(["a"])], lambda answer: False)
    assert (await complete(exact, ask(2), GenerationOptions())).usage["estimated"] == 1


async def test_what_a_cheaper_model_used_before_it_broke_off_counts() -> None:
    broken = ScriptedModel([Turn("x" * 40, raises=ModelUnavailable("gone"))])
    cascade = Cascade([broken, named("large")], confident(0.5))
    answer = await complete(cascade, ask(10), GenerationOptions())
    alone = await complete(named("large"), ask(10), GenerationOptions())
    assert answer.text == "I am large"
    extra = answer.usage["completion_tokens"] - alone.usage["completion_tokens"]
    assert extra == 10
    assert answer.usage["prompt_tokens"] > alone.usage["prompt_tokens"]


async def test_what_was_heard_before_a_break_is_known() -> None:
    heard: list[str] = []
    model = ScriptedModel([Turn("half of it", raises=Overloaded("full"))])
    with pytest.raises(Overloaded):
        await complete(model, ask(2), GenerationOptions(), heard=heard)
    assert "".join(heard) == "half of it"
    used = usage_so_far(model, [ChatMessage(Role.USER, "y" * 80)], GenerationOptions(), heard)
    assert used == {"prompt_tokens": 20, "completion_tokens": 3, "estimated": 1}


async def test_wrappers_know_the_context_of_their_models() -> None:
    def of(context: int | None) -> ScriptedModel:
        return ScriptedModel(["x"], loop=True, context=context)

    assert await context_of(of(100)) == 100
    assert await context_of(Uncounted({})) is None
    assert await Router([Route(of(100)), Route(of(300))]).max_context() == 300
    assert await Router([Route(of(100)), Route(of(300), most_tokens=200)]).max_context() == 200
    assert await Router([Route(of(100)), Route(of(None))]).max_context() is None
    assert await Cascade([of(100), of(300)], good).max_context() == 100
    assert await Cascade([of(None), of(300)], good).max_context() == 300
    assert await Cascade([of(None), of(None)], good).max_context() is None


async def test_a_request_beyond_a_models_context_goes_to_another() -> None:
    small = ScriptedModel(["small"], context=50)
    large = ScriptedModel(["large"], context=500)
    router = Router([Route(small), Route(large)])
    options = GenerationOptions(max_tokens=10)
    assert (await complete(router, ask(100), options)).text == "large"
    assert (await complete(router, ask(5), options)).text == "small"
