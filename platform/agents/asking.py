"""Questions to models within a run: afforded, written down, sent, sent again.

What always holds: a question that the log has an answer to is not sent; what is sent is on disk
first, and within what the budget leaves, which is set aside until the answer has come. No budget of
tokens is exceeded but by the answer of a model that cannot count its tokens beforehand.
"""

import asyncio
import hashlib
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Protocol, runtime_checkable

import msgspec

from rostra.agents.errors import BudgetSpent, ReplayDiverged
from rostra.agents.events import ModelAnswered, ModelAsked, ModelCut, Usage
from rostra.agents.journal import another, over
from rostra.agents.lending import plus
from rostra.agents.scope import Message, Reply
from rostra.agents.shared import Shared
from rostra.core import (
    ChatMessage,
    ChatModel,
    GenerationOptions,
    InvalidRequest,
    ModelUnavailable,
    Overloaded,
    RostraError,
    ToolCall,
)
from rostra.models import RemoteOverloaded, RemoteUnavailable, complete, usage_so_far

_ASK_ATTEMPTS = 4
_FIRST_DELAY = 0.25


@runtime_checkable
class CountsTokens(Protocol):
    """A model that knows beforehand how many tokens a prompt has."""

    async def count_tokens(
        self, messages: Sequence[ChatMessage], options: GenerationOptions
    ) -> int: ...


async def ask(
    run: Shared,
    key: str,
    purpose: str,
    messages: Sequence[Message],
    options: GenerationOptions,
    model: str,
) -> Reply:
    """The answer under a key: the journal's, or one that is asked for now; see `Scope.ask`.

    Raises:
        BudgetSpent: no budget is left for it.
        ModelUnavailable: the model could not answer, however often it was asked.
        ReplayDiverged: the log has a question for another purpose there; of a replay, also where
            the model says something else now.
    """
    journal = run.journal
    roles = (run.models[role] for role in model.split("/") if role in run.models)
    chosen = next(roles, run.models["main"])
    read = (label for message in messages for label in _sources(message))
    sources = sorted({*run.sources, *read})
    said = [ChatMessage(m.role, m.text, m.calls, m.call_id) for m in messages]
    asked = ModelAsked(key, purpose, chosen.name, _digest(said, options), sources)
    there = journal.find(ModelAnswered, key)
    before = journal.find(ModelAsked, key)
    if before is not None and before.purpose != purpose:
        raise another(asked, key)
    if there is not None and run.ask_again:
        await _compare(run, there, chosen, said, options)
    begun = before is not None
    if begun:
        journal.put(asked)
    if there is None:
        afforded, held = await _afford(run, key, chosen, said, options, asked=begun)
        run.asking += 1
        try:
            await journal.keep(asked)
            there = await _answer(run, key, chosen, said, afforded)
            journal.put(there)
            run.answered(there)
        except InvalidRequest as error:
            if afforded.max_tokens == options.max_tokens:
                raise
            # What the budget left is not enough for any answer of this form.
            raise run.used_up("tokens") from error
        finally:
            run.asking -= 1
            run.give_back(held)
    if there.error is not None:
        raise ModelUnavailable(there.error["message"], hint=there.error.get("hint"))
    calls = tuple(
        ToolCall(f"{key}.{number}", name, arguments)
        for number, (name, arguments) in enumerate(there.calls)
    )
    return Reply(there.text, calls, there.finish, tuple(sources))


async def _compare(
    run: Shared,
    there: ModelAnswered,
    model: ChatModel,
    messages: Sequence[ChatMessage],
    options: GenerationOptions,
) -> None:
    again = await _answer(run, there.key, model, messages, options)
    if (again.text, again.calls) != (there.text, there.calls):
        raise ReplayDiverged(
            f"{model.name} answers otherwise now under {there.key!r}: {again.text[:200]!r}, "
            f"not {there.text[:200]!r}"
        )


async def _afford(
    run: Shared,
    key: str,
    model: ChatModel,
    messages: Sequence[ChatMessage],
    options: GenerationOptions,
    *,
    asked: bool = False,
) -> tuple[GenerationOptions, int]:
    """Cuts the answer to what the budget leaves, and sets that aside.

    Nothing is waited for between the last look at the budget and the return, so that questions
    of several branches do not all take what is left.

    Raises:
        BudgetSpent: nothing is left.
    """
    budget = run.budget
    options = replace(options, workspace=options.workspace or run.workspace)
    prompt = 0
    if budget.tokens is not None and isinstance(model, CountsTokens):
        prompt = await model.count_tokens(messages, options)
    while True:
        if run.part_is_used(key):
            raise BudgetSpent(
                "this part of the run has used its share of the steps",
                hint="Start it again with more steps, or fewer samples.",
                budget="steps",
            )
        spent = run.journal.spent()
        if asked:
            # The question was counted when it was first asked.
            spent = msgspec.structs.replace(spent, steps=spent.steps - 1)
        if (name := over(spent, budget)) and name != "calls":
            raise run.used_up(name)
        lent = run.journal.loans.total
        # What others have set aside and do not use may still be had.
        if over(plus(spent, lent), budget) not in (None, "calls") or run.may_cost_more():
            await run.wait()
            continue
        if budget.tokens is None:
            return options, 0
        left = budget.tokens - spent.tokens - lent.tokens - run.held - prompt
        if left >= options.max_tokens or not (run.held or lent.tokens):
            break
        await run.wait()
    if left < 1:
        raise run.used_up("tokens")
    most = min(options.max_tokens, left)
    run.held += prompt + most
    return replace(options, max_tokens=most), prompt + most


async def _answer(
    run: Shared,
    key: str,
    model: ChatModel,
    messages: Sequence[ChatMessage],
    options: GenerationOptions,
) -> ModelAnswered:
    lost = Usage()  # By attempts that broke off.
    for attempt in range(1, _ASK_ATTEMPTS + 1):
        heard: list[str] = []
        try:
            said = await complete(model, messages, options, heard=heard)
            return ModelAnswered(
                key,
                _whole(said.text),
                _both(lost, _usage(said.usage)),
                str(said.finish),
                [(_whole(call.name), _whole(call.arguments)) for call in said.calls],
            )
        except asyncio.CancelledError:
            # What was sent and said is used up, though nobody will read it.
            cut = usage_so_far(model, messages, options, heard)
            run.journal.put(ModelCut(key, _both(lost, _usage(cut))))
            raise
        except (ModelUnavailable, Overloaded) as error:
            if heard:
                broken = usage_so_far(model, messages, options, heard)
                lost = _both(lost, _usage(broken))
            if attempt >= _attempts(error, begun=bool(heard)):
                failure = error.to_dict()
                return ModelAnswered(key, "", lost, finish="error", error=failure)
            # Full jitter, so that runs that were shed together do not come back together.
            await asyncio.sleep(random.uniform(0, _FIRST_DELAY * 2**attempt))
    raise RuntimeError("unreachable")


def _attempts(error: RostraError, *, begun: bool) -> int:
    """How often a question is sent whose model failed so.

    Args:
        begun: a part of the answer had come.
    """
    if isinstance(error, RemoteUnavailable | RemoteOverloaded) and not begun:
        return 1  # It was sent again already, as long as the endpoint's model found that of use.
    return _ASK_ATTEMPTS if isinstance(error, Overloaded) else 2


def _whole(text: str) -> str:
    """A text that can be written: halves of surrogate pairs are joined, or become U+FFFD."""
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _both(one: Usage, other: Usage) -> Usage:
    return Usage(
        one.prompt_tokens + other.prompt_tokens,
        one.completion_tokens + other.completion_tokens,
        one.cached_tokens + other.cached_tokens,
        one.cost + other.cost,
        one.estimated or other.estimated,
    )


def _usage(told: Mapping[str, float]) -> Usage:
    return msgspec.convert(dict(told), Usage, strict=False)


def _sources(message: Message) -> list[str]:
    return [piece.label for piece in message.pieces if piece.label is not None]


def _digest(messages: Sequence[ChatMessage], options: GenerationOptions) -> str:
    told = [
        [
            [m.role, m.content, [[c.name, c.arguments] for c in m.calls], m.call_id]
            for m in messages
        ],
        msgspec.to_builtins(options.constraint),
        [[tool.name, tool.description, tool.parameters] for tool in options.tools],
        [options.max_tokens, options.temperature, options.seed, options.stop],
    ]
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()
