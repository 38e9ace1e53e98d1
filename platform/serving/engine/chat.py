"""Both engines as the platform's generator: chat messages in, pieces of text out.

What always holds: a prompt is cached for its workspace alone; the new tokens asked for are cut to
what the context leaves; leaving a stream aborts its request.
"""

import asyncio
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import aclosing

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
)
from rostra.serving.engine.client import AsyncEngine
from rostra.serving.engine.engine import Engine
from rostra.serving.engine.frontend import Front
from rostra.serving.errors import PromptTooLong
from rostra.serving.request import FinishReason as EngineFinish
from rostra.serving.request import Output, SamplingParams, Usage

_REASONS = {EngineFinish.STOP: FinishReason.STOP, EngineFinish.LENGTH: FinishReason.LENGTH}


class EngineChatModel:
    """A `ChatModel` over an `AsyncEngine`."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

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
        prompt = await asyncio.to_thread(chat_prompt, front, messages)
        outputs = self._engine.generate(
            prompt,
            sampling_of(options, len(prompt), info.max_context),
            namespace=options.workspace,
            tenant=options.workspace,
        )
        ending = _Ending()
        async with aclosing(outputs):
            async for output in outputs:
                if output.text:
                    yield Delta(output.text)
                ending.see(output)
        yield ending.event()


class LocalChatModel:
    """A `ChatModel` over an `Engine`, whose steps run in a thread."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

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
        prompt = await asyncio.to_thread(chat_prompt, self._engine.front, messages)
        outputs = self._engine.stream(
            prompt,
            sampling_of(options, len(prompt), self._engine.info.max_context),
            namespace=options.workspace,
            tenant=options.workspace,
        )
        ending = _Ending()
        step: asyncio.Future[Output | None] | None = None
        try:
            while True:
                step = asyncio.ensure_future(asyncio.to_thread(next, outputs, None))
                # A step cannot be broken off, and its iterator not be closed while it runs.
                output = await asyncio.shield(step)
                if output is None:
                    break
                if output.text:
                    yield Delta(output.text)
                ending.see(output)
        finally:
            if step is None or step.done():
                outputs.close()
            else:
                step.add_done_callback(lambda done: _close_after(done, outputs))
        yield ending.event()


def _close_after(
    step: asyncio.Future[Output | None], outputs: Generator[Output, None, None]
) -> None:
    if not step.cancelled():
        # Looked at, or asyncio would report what nobody waits for any more.
        step.exception()
    outputs.close()


class _Ending:
    """How and with what count a request ended."""

    def __init__(self) -> None:
        self._reason = FinishReason.STOP
        self._usage = Usage()

    def see(self, output: Output) -> None:
        """Takes the next output."""
        if output.finish_reason is not None:
            if output.finish_reason not in _REASONS:
                raise ModelUnavailable("the generation was broken off")
            self._reason = _REASONS[output.finish_reason]
        if output.usage is not None:
            self._usage = output.usage

    def event(self) -> Finish:
        """The end, once all outputs are seen."""
        usage = {name: getattr(self._usage, name) for name in Usage.__struct_fields__}
        return Finish(self._reason, usage)


def chat_prompt(front: Front, messages: Sequence[ChatMessage]) -> list[int]:
    """Token ids of a conversation, by the model's chat template.

    Some templates know no system messages; for them its text comes first in the user's message.

    Raises:
        InvalidRequest: the template refuses the conversation all the same.
    """
    said = [{"role": str(message.role), "content": message.content} for message in messages]
    try:
        return front.tokenizer.apply_chat(said)
    except InvalidRequest:
        roles = [message["role"] for message in said[:2]]
        if roles != [Role.SYSTEM, Role.USER]:
            raise
        system, user, *rest = said
        both = {"role": user["role"], "content": f"{system['content']}\n\n{user['content']}"}
        return front.tokenizer.apply_chat([both, *rest])


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
