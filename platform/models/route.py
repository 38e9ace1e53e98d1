"""Several models as one: the right one for each request, or the cheaper first.

What always holds: whoever asks sees one stream with one end; nothing of an answer that was thrown
away is given out, but what it used is counted; a model is passed over for another only while
nothing was given out.
"""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from rostra.core import (
    ChatEvent,
    ChatMessage,
    ChatModel,
    ConfigError,
    Delta,
    Finish,
    GenerationOptions,
    KnowsContext,
    ModelUnavailable,
    Overloaded,
    ToolCall,
)
from rostra.models.completion import (
    Completion,
    closing,
    complete,
    counted,
    usage_so_far,
)
from rostra.models.errors import NoRoute, UnsupportedConstraint
from rostra.models.gather import priced
from rostra.models.prices import Prices, estimate_tokens
from rostra.models.provider import shared_provider

Predicate = Callable[[Sequence[ChatMessage], GenerationOptions], bool]

# A model with these may be passed over for the next.
_PASSED = (ModelUnavailable, Overloaded, UnsupportedConstraint)


@runtime_checkable
class _CountsTokens(Protocol):
    """A model that knows how many tokens a prompt has."""

    async def count_tokens(
        self, messages: Sequence[ChatMessage], options: GenerationOptions
    ) -> int: ...


@dataclass(frozen=True, slots=True)
class Route:
    """A model and what it is for.

    Attributes:
        most_tokens: longest prompt and answer together that it is asked for; None is as long as
            the model's context, where that is known.
        when: what else a request must be; None is any.
        prices: of its tokens; without them it is taken to cost nothing.
    """

    model: ChatModel
    most_tokens: int | None = None
    when: Predicate | None = None
    prices: Prices | None = None


class Router:
    """Asks the cheapest of the models that take a request; of equals the first.

    What a request may cost at most is reckoned from the length of its prompt, counted by the model
    or estimated, and `max_tokens`. When a model is not to be had, or cannot keep the constraint,
    the next is asked.

    Raises:
        ConfigError: there is no route.
    """

    def __init__(self, routes: Sequence[Route], *, name: str = "router") -> None:
        if not routes:
            raise ConfigError("a router needs at least one route")
        self._routes = tuple(routes)
        self._name = name

    @property
    def name(self) -> str:
        """As it was given."""
        return self._name

    @property
    def provider(self) -> str:
        """Who serves its models; Rostra, where several do."""
        return shared_provider(route.model for route in self._routes)

    async def count_tokens(
        self, messages: Sequence[ChatMessage], options: GenerationOptions
    ) -> int:
        """Most tokens that the prompt has for any of the models; an estimate where one cannot."""
        return max([await count(route.model, messages, options) for route in self._routes])

    async def max_context(self) -> int | None:
        """The longest that any of the models can be asked for; None if one of them takes any."""
        most = [await _most_tokens(route) for route in self._routes]
        known = [one for one in most if one is not None]
        return max(known) if len(known) == len(most) else None

    async def choose(
        self, messages: Sequence[ChatMessage], options: GenerationOptions
    ) -> list[Route]:
        """The routes that a request fits, as they are asked."""
        fitting: list[tuple[float, Route]] = []
        for route in self._routes:
            if route.when is not None and not route.when(messages, options):
                continue
            tokens = await count(route.model, messages, options)
            most = await _most_tokens(route)
            if most is not None and tokens + options.max_tokens > most:
                continue
            used = {"prompt_tokens": tokens, "completion_tokens": options.max_tokens}
            fitting.append((route.prices.cost(used) if route.prices else 0.0, route))
        return [route for _, route in sorted(fitting, key=lambda one: one[0])]

    async def stream(
        self, messages: Sequence[ChatMessage], options: GenerationOptions
    ) -> AsyncGenerator[ChatEvent, None]:
        """The answer of the model chosen.

        Raises:
            NoRoute: no model takes the request.
            RostraError: whatever the last of the models raises.
        """
        routes = await self.choose(messages, options)
        if not routes:
            raise NoRoute(
                f"no model of {self._name} takes a request of this length or kind",
                hint="Shorten the prompt or `max_tokens`, or add a route that takes it.",
            )
        for place, route in enumerate(routes):
            begun = False
            try:
                async with closing(route.model.stream(messages, options)) as events:
                    async for event in events:
                        begun = True
                        yield _with_cost(event, route.prices)
                return
            except _PASSED:
                if begun or place == len(routes) - 1:
                    raise


class Cascade:
    """Asks models in order, from the cheapest, until an answer is good enough.

    An answer is given out only when it is accepted, so it comes in one piece; that of the last
    model is not looked at and comes as it is made. A model that is not to be had, or cannot keep
    the constraint, is passed over.

    Args:
        models: at least one.
        accept: whether an answer is good enough, such as `confident(0.8)`.

    Raises:
        ConfigError: there is no model.
    """

    def __init__(
        self,
        models: Sequence[ChatModel],
        accept: Callable[[Completion], bool],
        *,
        name: str = "cascade",
    ) -> None:
        if not models:
            raise ConfigError("a cascade needs at least one model")
        self._models = tuple(models)
        self._accept = accept
        self._name = name

    @property
    def name(self) -> str:
        """As it was given."""
        return self._name

    @property
    def provider(self) -> str:
        """Who serves its models; Rostra, where several do."""
        return shared_provider(self._models)

    async def count_tokens(
        self, messages: Sequence[ChatMessage], options: GenerationOptions
    ) -> int:
        """Most tokens that a request uses besides its answer.

        The prompt counts once for each model, and so do the answers that may be thrown away.
        """
        prompts = sum([await count(model, messages, options) for model in self._models])
        return prompts + options.max_tokens * (len(self._models) - 1)

    async def max_context(self) -> int | None:
        """The shortest of those that are known, since each model may be asked."""
        known = [await context_of(model) for model in self._models]
        return min((one for one in known if one is not None), default=None)

    async def stream(
        self, messages: Sequence[ChatMessage], options: GenerationOptions
    ) -> AsyncGenerator[ChatEvent, None]:
        """The first answer that is good enough; its usage has that of all before it.

        Raises:
            RostraError: whatever the last model raises.
        """
        *cheaper, last = self._models
        used: dict[str, Any] = {}
        for model in cheaper:
            heard: list[str] = []
            try:
                answer = await complete(model, messages, options, heard=heard)
            except _PASSED:
                if heard:
                    used = _sum(used, usage_so_far(model, messages, options, heard))
                continue
            used = _sum(used, answer.usage)
            if self._accept(answer):
                if answer.text:
                    yield Delta(answer.text)
                for call in answer.calls:
                    yield call
                yield Finish(answer.finish, used, answer.confidence)
                return
        async with closing(last.stream(messages, options)) as events:
            heard = []
            async for event in events:
                match event:
                    case Delta(text):
                        heard.append(text)
                    case ToolCall(_, name, arguments):
                        heard += (name, arguments)
                    case Finish(_, told) if used:
                        own = counted(told, last, messages, options, heard)
                        event = _finish(event, _sum(used, own))
                yield event


async def count(
    model: ChatModel, messages: Sequence[ChatMessage], options: GenerationOptions
) -> int:
    """Tokens of a prompt: as the model counts them, or an estimate."""
    if isinstance(model, _CountsTokens):
        return await model.count_tokens(messages, options)
    return estimate_tokens(messages, options)


async def context_of(model: ChatModel) -> int | None:
    """Most tokens of prompt and answer together; None where the model does not tell."""
    return await model.max_context() if isinstance(model, KnowsContext) else None


async def _most_tokens(route: Route) -> int | None:
    """The longest that a route is asked for; None is any."""
    limits = (route.most_tokens, await context_of(route.model))
    return min((one for one in limits if one is not None), default=None)


def _with_cost(event: ChatEvent, prices: Prices | None) -> ChatEvent:
    """The event; an end also tells the cost, where the model did not."""
    if not isinstance(event, Finish) or prices is None or "cost" in event.usage:
        return event
    return _finish(event, priced(event.usage, prices))


def _finish(end: Finish, usage: dict[str, Any]) -> Finish:
    return Finish(end.reason, usage, end.confidence)


def _sum(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    total = {name: one.get(name, 0) + other.get(name, 0) for name in {**one, **other}}
    if "estimated" in total:
        total["estimated"] = 1  # A mark, not a number.
    return total
