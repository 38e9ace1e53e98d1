"""From a checked request to pieces of text: prompts in, the outputs of all their sequences out.

What always holds: whoever stops reading ends every generation behind it; when one of several
prompts fails, the others are ended too.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import msgspec

from rostra.api.openai.constraints import Held
from rostra.api.openai.fields import SamplingFields, sampling_params
from rostra.api.openai.messages import TemplateMessage
from rostra.api.openai.model import ServedModel
from rostra.api.openai.naming import FieldNames
from rostra.api.openai.tools import Toolset
from rostra.core import Constraint, InvalidRequest, JsonSchema, StructuralTag
from rostra.serving import (
    REASONING_MARKERS,
    FinishReason,
    Output,
    OutputParser,
    ParsedDelta,
    PromptTooLong,
    SamplingParams,
    Usage,
    opens_reasoning,
)

# Tokens at the end of a prompt in which `<think>` would stand.
_TAIL_TOKENS = 16
_WAITING_OUTPUTS = 64


@dataclass(frozen=True, slots=True)
class Caller:
    """For whom is generated.

    Attributes:
        priority: lower goes first.
        namespace: prompts are cached within one namespace only.
        tenant: who the fair share is counted for.
    """

    priority: int = 0
    namespace: str = ""
    tenant: str = ""


INTERACTIVE = Caller()
# Batches wait for everyone who waits for an answer.
BATCH = Caller(priority=100, tenant="batch")


async def outputs(
    model: ServedModel,
    prompts: Sequence[list[int]],
    sampling: SamplingParams,
    n: int,
    caller: Caller,
    names: FieldNames,
) -> AsyncGenerator[tuple[int, Output], None]:
    """What all sequences of all prompts give, as it comes: (choice, output).

    Sequence `i` of prompt `p` is choice `p * n + i`. Raises what the engine raises, with the
    request's names.
    """
    if len(prompts) == 1:
        async with aclosing(_one(model, prompts[0], sampling, n, caller, names)) as found:
            async for output in found:
                yield output.index, output
        return
    queue: asyncio.Queue[tuple[int, Output] | Exception | None] = asyncio.Queue(_WAITING_OUTPUTS)

    async def pump(at: int, prompt: list[int]) -> None:
        try:
            async with aclosing(_one(model, prompt, sampling, n, caller, names)) as found:
                async for output in found:
                    await queue.put((at * n + output.index, output))
        except Exception as error:  # raised again where the outputs are read
            await queue.put(error)
        else:
            await queue.put(None)

    tasks = [asyncio.create_task(pump(at, prompt)) for at, prompt in enumerate(prompts)]
    try:
        running = len(tasks)
        while running:
            item = await queue.get()
            if isinstance(item, Exception):
                raise item
            if item is None:
                running -= 1
            else:
                yield item
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.shield(asyncio.gather(*tasks, return_exceptions=True))


async def _one(
    model: ServedModel,
    prompt: list[int],
    sampling: SamplingParams,
    n: int,
    caller: Caller,
    names: FieldNames,
) -> AsyncGenerator[Output, None]:
    found = model.engine.generate(
        prompt,
        sampling,
        n=n,
        namespace=caller.namespace,
        tenant=caller.tenant,
        priority=caller.priority,
    )
    async with aclosing(found):
        try:
            async for output in found:
                yield output
        except InvalidRequest as error:
            raise names.told(error) from error


def room(
    model: ServedModel, prompt: Sequence[int], param: str = "prompt", *, least: int = 1
) -> int:
    """Tokens that the context has left after a prompt.

    Args:
        param: what the prompt was given as.
        least: tokens that are to be left.

    Raises:
        PromptTooLong: fewer are.
    """
    left = model.max_context - len(prompt)
    if left < least:
        raise PromptTooLong(
            f"the prompt has {len(prompt)} tokens, this model's context holds "
            f"{model.max_context} of prompt and output together",
            hint="Shorten the prompt.",
            field=param,
        )
    return left


@dataclass(frozen=True, slots=True)
class ChatRun:
    """A conversation ready to be continued.

    Attributes:
        prompt: token ids.
        parser: makes the reader of one sequence's text.
        names: what the request calls the engine's parameters.
        afterwards: the schema that an answer is checked against at its end, when the grammar does
            not promise all of it.
    """

    model: ServedModel
    prompt: list[int]
    sampling: SamplingParams
    n: int
    parser: Callable[[], OutputParser]
    names: FieldNames
    afterwards: JsonSchema | None = None

    async def schema_errors(self, text: str) -> list[str]:
        """How an answer differs from the schema that was asked for without `strict`."""
        if self.afterwards is None:
            return []
        return await self.model.engine.violations(self.afterwards, text)


def loose_schema(held: Constraint | None) -> JsonSchema | None:
    """The schema that a text is checked against at its end; None where a grammar keeps it all."""
    return held if isinstance(held, JsonSchema) and not held.strict else None


async def prepare_chat(
    model: ServedModel,
    messages: Sequence[TemplateMessage],
    tools: Toolset,
    held: Held | None,
    fields: SamplingFields,
    *,
    max_tokens: int | None,
    limits: Mapping[str, str],
    n: int = 1,
    logprobs: int | None = None,
    template_kwargs: dict[str, Any] | None = None,
    param: str = "messages",
) -> ChatRun:
    """Renders and checks a conversation.

    Args:
        held: what the answer is held to, besides calls of tools.
        max_tokens: None takes what the context has left.
        limits: what the request calls `max_tokens` and `logprobs`, where it has other names.
        template_kwargs: what the chat template is told besides messages and tools.
        param: what the conversation was given as; errors name it.

    Raises:
        InvalidRequest: the template refuses the messages, or they are too long.
    """
    kwargs = dict(template_kwargs or {})
    if held is not None:
        # A grammar leaves no room to think; templates that know this then do not ask for it.
        kwargs.setdefault("enable_thinking", False)
    prompt = await asyncio.to_thread(
        model.tokenizer.apply_chat, messages, tools.for_template(), **kwargs
    )
    left = room(model, prompt, param)
    inside = held is None and opens_reasoning(_tail(model, prompt))
    thinks = held is None and model.reasons
    # Who was asked not to think is not offered to; what thinks all the same is read as such.
    offered = thinks and kwargs.get("enable_thinking") is not False
    constraint = held.constraint if held is not None else None
    if tools.required or not _steers(fields):
        constraint = constraint or tools.constraint(
            model.tool_format, reasoning=offered or inside, opened=inside
        )
    sampling = sampling_params(
        fields,
        max_tokens=left if max_tokens is None else max_tokens,
        logprobs=logprobs,
        constraint=constraint,
    )
    is_free = constraint is None

    def parser() -> OutputParser:
        return OutputParser(
            tools=model.tool_format if tools.functions else None,
            names=tools.names,
            reasoning=thinks,
            inside_reasoning=inside,
            hold=is_free,
        )

    names = FieldNames(
        prompt=param,
        limits=limits,
        constraint=held.field if held is not None else "tools",
        tools=tools.places,
    )
    return ChatRun(
        model, prompt, sampling, n, parser, names, loose_schema(held.constraint if held else None)
    )


@dataclass(frozen=True, slots=True)
class ChatStep:
    """What one output of the engine shows of one choice.

    Attributes:
        deltas: reasoning, content and calls; may be none.
        reasoning_tokens: how many of its tokens were spent on reasoning.
        calls: tool calls shown of this choice so far.
        cut_off: whether the token limit ended the choice.
    """

    index: int
    output: Output
    deltas: list[ParsedDelta]
    reasoning_tokens: int
    calls: int
    cut_off: bool


async def chat_steps(run: ChatRun, caller: Caller) -> AsyncGenerator[ChatStep, None]:
    """The conversation's next message, once for each sequence, as it comes."""
    parsers = [run.parser() for _ in range(run.n)]
    tokens = [0] * run.n
    source = outputs(run.model, [run.prompt], run.sampling, run.n, caller, run.names)
    async with aclosing(source) as found:
        async for index, output in found:
            parser = parsers[index]
            deltas = parser.feed(output.text)
            if output.finish_reason is not None:
                deltas += parser.finish()
            tokens[index] += len(output.token_ids)
            yield ChatStep(
                index,
                output,
                deltas,
                parser.reasoning_tokens(_texts(run.model, output.token_ids)),
                parser.calls,
                _is_cut_off(run, output, tokens[index], parser.calls),
            )


def _is_cut_off(run: ChatRun, output: Output, tokens: int, calls: int) -> bool:
    """Whether the token limit ended a text.

    A grammar ends every text within the limit, so of free text between calls it says `stop` where
    it had to cut.
    """
    if output.finish_reason == FinishReason.LENGTH:
        return True
    is_free = isinstance(run.sampling.constraint, StructuralTag) and not calls
    return is_free and output.finish_reason is not None and tokens >= run.sampling.max_tokens


@dataclass(slots=True)
class UsageCount:
    """Token counts of a request, summed over its prompts.

    Attributes:
        reasoning_tokens: of the completion, spent before the answer.
    """

    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    reasoning_tokens: int = 0

    def add(self, usage: Usage | None) -> None:
        """Adds what an output says, if it says anything."""
        if usage is not None:
            self.prompt_tokens += usage.prompt_tokens
            self.cached_tokens += usage.cached_tokens
            self.completion_tokens += usage.completion_tokens

    @property
    def total_tokens(self) -> int:
        """All of them."""
        return self.prompt_tokens + self.completion_tokens


class PromptDetails(msgspec.Struct):
    """Of the prompt's tokens, those that the prefix cache had."""

    cached_tokens: int


class CompletionDetails(msgspec.Struct):
    """Of the new tokens, those spent on reasoning."""

    reasoning_tokens: int


class UsageView(msgspec.Struct):
    """Token counts as chat and completions tell them."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptDetails
    completion_tokens_details: CompletionDetails


def usage_view(count: UsageCount) -> UsageView:
    """The counts as they are told."""
    return UsageView(
        count.prompt_tokens,
        count.completion_tokens,
        count.total_tokens,
        PromptDetails(count.cached_tokens),
        CompletionDetails(count.reasoning_tokens),
    )


def _tail(model: ServedModel, prompt: Sequence[int]) -> str:
    return "".join(_texts(model, prompt[-_TAIL_TOKENS:]))


def _texts(model: ServedModel, tokens: Sequence[int]) -> list[str]:
    """What tokens spell, markers of reasoning included where they are special tokens."""
    tokenizer = model.tokenizer
    return [
        tokenizer.token_bytes(token).decode(errors="replace")
        or (text if (text := tokenizer.token_text(token)) in REASONING_MARKERS else "")
        for token in tokens
    ]


def _steers(fields: SamplingFields) -> bool:
    """Whether a request decides by other means where a text ends; no grammar goes with that."""
    return bool(
        fields.stop
        or fields.stop_token_ids
        or fields.min_tokens
        or fields.ignore_eos
        or fields.logit_bias
    )
