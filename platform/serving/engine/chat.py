"""Both engines as the platform's generator: chat messages in, pieces of text and tool calls out.

What always holds: a prompt is cached for its workspace alone; the new tokens asked for are cut to
what the context leaves; leaving a stream aborts its request; a tool call is given whole, names one
of the tools and has JSON for arguments.

Calls are held to their tools' schemas by a grammar, unless a schema is beyond it or the request has
stop strings; then they are read from free text, and what is no call is content.
"""

import asyncio
import math
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from typing import Any

import msgspec

from rostra.core import (
    ChatEvent,
    ChatMessage,
    Delta,
    Finish,
    FinishReason,
    GenerationOptions,
    InvalidRequest,
    ModelUnavailable,
    Role,
    RostraError,
    StructuralTag,
    ToolCall,
    ToolSpec,
)
from rostra.serving.engine.client import AsyncEngine
from rostra.serving.engine.engine import Engine
from rostra.serving.engine.frontend import Front
from rostra.serving.errors import InvalidGrammar, PromptTooLong, UnsupportedSchema
from rostra.serving.models.config import read_config
from rostra.serving.models.locate import locate_config
from rostra.serving.parsers import (
    ContentDelta,
    OutputParser,
    ParsedDelta,
    ToolCallDelta,
    ToolFormat,
    opens_reasoning,
    reasons,
    tool_format_of,
)
from rostra.serving.request import FinishReason as EngineFinish
from rostra.serving.request import Output, SamplingParams, Usage

_REASONS = {EngineFinish.STOP: FinishReason.STOP, EngineFinish.LENGTH: FinishReason.LENGTH}
# Tokens at the end of a prompt in which `<think>` would stand.
_TAIL_TOKENS = 16
# Mistral's templates take no other call ids than nine letters and digits.
_MISTRAL_ID_LENGTH = 9


class EngineChatModel:
    """A `ChatModel` over an `AsyncEngine`.

    Args:
        engine: started when it is first asked.
        scored: tell with each answer how likely it was, as `Finish.confidence`; tokens that a
            grammar forces are then drawn one by one as all others are, which takes longer.
    """

    def __init__(self, engine: AsyncEngine, *, scored: bool = False) -> None:
        self._engine = engine
        self._scored = scored

    @property
    def name(self) -> str:
        """The model's."""
        return self._engine.name

    async def stream(
        self, messages: Sequence[ChatMessage], options: GenerationOptions
    ) -> AsyncGenerator[ChatEvent, None]:
        """Generates an answer piece by piece; closing the iterator aborts the generation.

        Raises:
            Overloaded: before the first event, when the engine sheds load.
            ModelUnavailable: it cannot be loaded, or died.
            InvalidRequest: before the first event; the prompt is too long, a constraint cannot be
                kept.
        """
        await self._engine.ready()
        front, info = self._engine.front, self._engine.info
        if info is None:
            raise ModelUnavailable(f"{self.name} is not loaded")
        asked = await _prepare(front, messages, options, info.max_context, scored=self._scored)
        outputs = self._engine.generate(
            asked.prompt,
            asked.sampling,
            namespace=options.workspace,
            tenant=options.workspace,
        )
        reading = _Reading(asked)
        async with aclosing(outputs):
            async for output in outputs:
                for event in reading.see(output):
                    yield event
        yield reading.end()

    async def max_context(self) -> int | None:
        """Of the engine if it is loaded, else as settings and checkpoint will make it.

        None where the checkpoint cannot be found or read; who asks the model will hear why.
        """
        if self._engine.info is not None:
            return self._engine.info.max_context
        if self._engine.config.max_context is not None:
            return self._engine.config.max_context
        try:
            return await asyncio.to_thread(_stated_context, self._engine.model)
        except RostraError:
            return None

    async def count_tokens(
        self, messages: Sequence[ChatMessage], options: GenerationOptions
    ) -> int:
        """Tokens of a prompt, by the model's own tokenizer and chat template.

        Raises:
            Overloaded, ModelUnavailable: the model is not loaded, and will not be in time.
            InvalidRequest: the template refuses the conversation.
        """
        await self._engine.ready()
        prompt = await asyncio.to_thread(chat_prompt, self._engine.front, messages, options.tools)
        return len(prompt)


class LocalChatModel:
    """A `ChatModel` over an `Engine`, whose steps run in a thread; `scored` as above."""

    def __init__(self, engine: Engine, *, scored: bool = False) -> None:
        self._engine = engine
        self._scored = scored

    @property
    def name(self) -> str:
        """The model's."""
        return self._engine.name

    async def stream(
        self, messages: Sequence[ChatMessage], options: GenerationOptions
    ) -> AsyncGenerator[ChatEvent, None]:
        """Generates an answer piece by piece; closing the iterator aborts the generation.

        Raises:
            Overloaded: before the first event, when the engine sheds load.
            ModelUnavailable: the engine failed or is closed.
            InvalidRequest: before the first event; the prompt is too long, a constraint cannot be
                kept.
        """
        front, info = self._engine.front, self._engine.info
        asked = await _prepare(front, messages, options, info.max_context, scored=self._scored)
        outputs = self._engine.stream(
            asked.prompt,
            asked.sampling,
            namespace=options.workspace,
            tenant=options.workspace,
        )
        reading = _Reading(asked)
        step: asyncio.Future[Output | None] | None = None
        try:
            while True:
                step = asyncio.ensure_future(asyncio.to_thread(next, outputs, None))
                # A step cannot be broken off, and its iterator not be closed while it runs.
                output = await asyncio.shield(step)
                if output is None:
                    break
                for event in reading.see(output):
                    yield event
        finally:
            if step is None or step.done():
                outputs.close()
            else:
                step.add_done_callback(lambda done: _close_after(done, outputs))
        yield reading.end()

    async def max_context(self) -> int | None:
        """The engine's."""
        return self._engine.info.max_context

    async def count_tokens(
        self, messages: Sequence[ChatMessage], options: GenerationOptions
    ) -> int:
        """Tokens of a prompt, by the model's own tokenizer and chat template.

        Raises:
            InvalidRequest: the template refuses the conversation.
        """
        prompt = await asyncio.to_thread(chat_prompt, self._engine.front, messages, options.tools)
        return len(prompt)


def _stated_context(model: str) -> int:
    """The context that a checkpoint's configuration states.

    Raises:
        RostraError: there is no such checkpoint, or it cannot be read.
    """
    return read_config(locate_config(model)).max_context


def _close_after(
    step: asyncio.Future[Output | None], outputs: Generator[Output, None, None]
) -> None:
    if not step.cancelled():
        # Looked at, or asyncio would report what nobody waits for any more.
        step.exception()
    outputs.close()


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request as the engine takes it.

    Attributes:
        prompt: token ids.
        parser: reads the text; None where the text is the answer.
    """

    prompt: list[int]
    sampling: SamplingParams
    parser: OutputParser | None = None


async def _prepare(
    front: Front,
    messages: Sequence[ChatMessage],
    options: GenerationOptions,
    max_context: int,
    *,
    scored: bool,
) -> _Asked:
    """Renders a conversation, and settles how calls are held and read.

    Raises:
        PromptTooLong: the context leaves no room for an answer.
        InvalidRequest: the template refuses the conversation; tools stand beside a constraint.
    """
    if options.tools and options.constraint is not None:
        raise InvalidRequest("tools and a constraint exclude each other", field="tools")
    prompt = await asyncio.to_thread(chat_prompt, front, messages, options.tools)
    sampling = sampling_of(options, len(prompt), max_context)
    if scored:
        sampling = msgspec.structs.replace(sampling, logprobs=0)
    if not options.tools:
        return _Asked(prompt, sampling)
    template = front.tokenizer.chat_template

    def knows(token: str) -> bool:
        return front.tokenizer.token_id(token) is not None

    style, thinks = tool_format_of(template, knows), reasons(template, knows)
    tail = b"".join(front.tokenizer.token_bytes(token) for token in prompt[-_TAIL_TOKENS:])
    opened = opens_reasoning(tail.decode(errors="replace"))
    parser = OutputParser(
        tools=style,
        names=[tool.name for tool in options.tools],
        reasoning=thinks,
        inside_reasoning=opened,
    )
    if not options.stop:
        tag = _tag(style, options.tools, reasoning=thinks or opened, opened=opened)
        try:
            # The request is compiled again, which finds this.
            await front.compiler.compile(tag, max_tokens=sampling.max_tokens)
        except (InvalidGrammar, UnsupportedSchema):
            # One tool's schema must not keep the others from being called.
            pass
        else:
            sampling = msgspec.structs.replace(sampling, constraint=tag)
    return _Asked(prompt, sampling, parser)


def _tag(
    style: ToolFormat, tools: Sequence[ToolSpec], *, reasoning: bool, opened: bool
) -> StructuralTag:
    # Here, because it loads what compiles grammars.
    from rostra.serving.grammar.tool_tags import tool_call_tag

    described = [_described(tool) for tool in tools]
    return tool_call_tag(
        style, described, required=False, parallel=True, reasoning=reasoning, opened=opened
    )


class _Reading:
    """One answer while it is read: text and calls told apart, and how it ended."""

    def __init__(self, asked: _Asked) -> None:
        self._parser = asked.parser
        self._sampling = asked.sampling
        self._reason = FinishReason.STOP
        self._usage = Usage()
        self._called = False
        self._logprob, self._scored = 0.0, 0

    def see(self, output: Output) -> list[Delta | ToolCall]:
        """Takes the next output; gives what it shows."""
        if output.usage is not None:
            self._usage = output.usage
        for one in output.logprobs or ():
            self._logprob += one.logprob
            self._scored += 1
        if output.finish_reason is not None:
            if output.finish_reason not in _REASONS:
                raise ModelUnavailable("the generation was broken off")
            self._reason = _REASONS[output.finish_reason]
        if self._parser is None:
            return [Delta(output.text)] if output.text else []
        deltas = self._parser.feed(output.text)
        if output.finish_reason is not None:
            deltas += self._parser.finish()
        return [event for delta in deltas if (event := self._event(delta)) is not None]

    def end(self) -> Finish:
        """The end, once all outputs are seen."""
        usage = {name: getattr(self._usage, name) for name in Usage.__struct_fields__}
        confidence = math.exp(self._logprob / self._scored) if self._scored else None
        return Finish(self._reason_now(), usage, confidence)

    def _event(self, delta: ParsedDelta) -> Delta | ToolCall | None:
        """What a piece of the text is to the caller; thoughts are kept from it."""
        match delta:
            case ContentDelta(text):
                return Delta(text)
            case ToolCallDelta(_, arguments, id_, name):
                self._called = True
                # The parser holds a call back until it is whole.
                return ToolCall(id_ or "", name or "", arguments)
            case _:
                return None

    def _reason_now(self) -> FinishReason:
        # A grammar ends every text within the limit, so of free text it says `stop` where it cut;
        # the last token is then an end token, which outputs do not show.
        is_cut = (
            self._parser is not None
            and self._sampling.constraint is not None
            and not self._called
            and self._usage.completion_tokens >= self._sampling.max_tokens
        )
        if self._reason is FinishReason.LENGTH or is_cut:
            return FinishReason.LENGTH
        return FinishReason.TOOL_CALLS if self._called else self._reason


def chat_prompt(
    front: Front, messages: Sequence[ChatMessage], tools: Sequence[ToolSpec] = ()
) -> list[int]:
    """Token ids of a conversation, by the model's chat template.

    Some templates know no system messages; for them its text comes first in the user's message.

    Raises:
        InvalidRequest: the template refuses the conversation all the same.
    """
    style = _style(front, messages)
    said = [_message(message, style) for message in messages]
    render: Callable[[list[dict[str, Any]]], list[int]] = front.tokenizer.apply_chat
    if tools:
        render = partial(front.tokenizer.apply_chat, tools=[_described(tool) for tool in tools])
    try:
        return render(said)
    except InvalidRequest:
        roles = [message["role"] for message in said[:2]]
        if roles != [Role.SYSTEM, Role.USER]:
            raise
        system, user, *rest = said
        both = {"role": user["role"], "content": f"{system['content']}\n\n{user['content']}"}
        return render([both, *rest])


def _style(front: Front, messages: Sequence[ChatMessage]) -> ToolFormat | None:
    """How the model writes calls, if the conversation has any."""
    if not any(message.calls or message.call_id for message in messages):
        return None
    tokenizer = front.tokenizer
    return tool_format_of(
        tokenizer.chat_template, lambda token: tokenizer.token_id(token) is not None
    )


def _message(message: ChatMessage, style: ToolFormat | None) -> dict[str, Any]:
    """A message as chat templates read it."""
    said: dict[str, Any] = {"role": str(message.role), "content": message.content}
    if message.call_id is not None:
        said["tool_call_id"] = _call_id(message.call_id, style)
    if message.calls:
        said["tool_calls"] = [
            {
                "id": _call_id(call.id, style),
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for call in message.calls
        ]
    return said


def _call_id(given: str, style: ToolFormat | None) -> str:
    if style != "mistral" or (len(given) == _MISTRAL_ID_LENGTH and given.isalnum()):
        return given
    return sha256(given.encode()).hexdigest()[:_MISTRAL_ID_LENGTH]


def _described(tool: ToolSpec) -> dict[str, Any]:
    """A tool as chat templates read it."""
    return {
        "type": "function",
        "function": {
            "name": tool.name,
            "description": tool.description,
            "parameters": tool.parameters,
        },
    }


def sampling_of(options: GenerationOptions, prompt: int, max_context: int) -> SamplingParams:
    """What the options mean for a prompt of so many tokens.

    Raises:
        PromptTooLong: the context leaves no room for an answer.
    """
    left = max_context - prompt
    if left < 1:
        raise PromptTooLong(
            f"the prompt has {prompt} tokens, this model's context holds {max_context} of prompt "
            "and answer together",
            hint="Ask with fewer or shorter passages, or raise max_context.",
            field="prompt",
        )
    return SamplingParams(
        max_tokens=min(options.max_tokens, left),
        temperature=options.temperature,
        seed=options.seed,
        stop=options.stop,
        constraint=options.constraint,
    )
