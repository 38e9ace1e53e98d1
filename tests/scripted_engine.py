"""An engine that says what it was told to, behind the interface of `AsyncEngine`.

What always holds: requests are checked by the real front end, so what it refuses is refused here;
a token is a byte, so any cut of a text is a cut of tokens too.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from rostra.core import Constraint, JsonSchema
from rostra.serving import (
    EngineInfo,
    EngineRequest,
    FinishReason,
    Output,
    SamplingParams,
    TokenLogprobs,
    Usage,
)
from rostra.serving.engine.frontend import Compiler, RequestBuilder
from rostra.serving.engine.metrics import Metrics
from rostra.serving.grammar.validate import validate_afterwards

VOCAB_SIZE = 256
TEMPLATE = "{# <tool_call> <think> #}"


class ByteTokenizer:
    """Each byte is a token; a chat is its messages as lines."""

    eos_token_ids: tuple[int, ...] = ()

    def __init__(self, template: str = TEMPLATE, opening: str = "assistant:") -> None:
        self.chat_template = template
        self.opening = opening
        self.chats: list[tuple[list[dict[str, Any]], Any, dict[str, Any]]] = []

    def encode(self, text: str) -> list[int]:
        return list(text.encode())

    def decode(self, token_ids: Sequence[int]) -> str:
        return bytes(token_ids).decode(errors="replace")

    def apply_chat(
        self,
        messages: Sequence[dict[str, Any]],
        tools: Sequence[dict[str, Any]] | None = None,
        **kwargs: Any,
    ) -> list[int]:
        self.chats.append((list(messages), tools, kwargs))
        lines = [f"{message['role']}:{message.get('content')}" for message in messages]
        return self.encode("\n".join([*lines, self.opening]))

    def token_bytes(self, token: int) -> bytes:
        return bytes([token])

    def token_text(self, token: int) -> str:
        return bytes([token]).decode(errors="replace")

    def token_id(self, token: str) -> int | None:
        return None


class _Compiler:
    async def compile(self, constraint: Constraint, *, max_tokens: int) -> bytes:
        return b"compiled"

    def compile_now(self, constraint: Constraint, *, max_tokens: int) -> bytes:
        return b"compiled"

    async def validate(self, constraint: JsonSchema, text: str) -> list[str]:
        return validate_afterwards(constraint.schema, text)

    async def close(self) -> None:
        """Nothing to close."""

    def close_now(self) -> None:
        """Nothing to close."""


@dataclass
class _Front:
    tokenizer: ByteTokenizer
    compiler: Compiler


@dataclass
class ScriptedEngine:
    """Says the same for every sequence of every request.

    Attributes:
        pieces: texts that come one after the other; an exception is raised in its place.
        reply: makes the pieces of a request, if they are not always the same.
        logprobs: makes those of a token; without it the token is the likeliest.
        compiler: of constraints, and what checks texts against schemas.
        gate_before: the piece before which `gate` is waited for.
        requests: what was accepted.
        open: requests under way.
        aborted: requests whose reader left before the end.
    """

    pieces: Sequence[str | Exception] = ("Hel", "lo!")
    reply: Callable[[EngineRequest], Sequence[str | Exception]] | None = None
    max_context: int = 4096
    logprobs: Callable[[int], TokenLogprobs] | None = None
    gate_before: int | None = None
    tokenizer: ByteTokenizer = field(default_factory=ByteTokenizer)
    compiler: Compiler = field(default_factory=_Compiler)
    name: str = "test/scripted"

    def __post_init__(self) -> None:
        self.front = _Front(self.tokenizer, self.compiler)
        self.metrics = Metrics(self.name)
        self.info = EngineInfo(
            folder="/none",
            architecture="Scripted",
            dtype="float32",
            device="cpu",
            vocab_size=VOCAB_SIZE,
            max_context=self.max_context,
            block_size=16,
            blocks=64,
            weight_bytes=0,
            kv_bytes=0,
        )
        self.builder = RequestBuilder(
            self.tokenizer, self.compiler, vocab_size=VOCAB_SIZE, max_context=self.max_context
        )
        self.gate = asyncio.Event()
        self.waiting = asyncio.Event()
        self.left = asyncio.Event()
        self.requests: list[EngineRequest] = []
        self.open = 0
        self.most_open = 0
        self.aborted = 0

    async def ready(self) -> None:
        """Always is."""

    async def start(self) -> EngineInfo:
        return self.info

    async def close(self) -> None:
        """Nothing to close."""

    async def violations(self, schema: JsonSchema, text: str) -> list[str]:
        return await self.compiler.validate(schema, text)

    async def generate(
        self, prompt: str | list[int], sampling: SamplingParams, *, n: int = 1, **more: Any
    ) -> AsyncGenerator[Output, None]:
        request = await self.builder.build(prompt, sampling, n=n, **more)
        self.requests.append(request)
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        ended = False
        try:
            drawn = 0
            for index in range(n):
                async for output in self._sequence(request, index):
                    drawn += len(output.token_ids)
                    last = output.finish_reason is not None and index == n - 1
                    if last:
                        usage = Usage(len(request.prompt), 0, drawn)
                        output = Output(
                            **{
                                name: getattr(output, name)
                                for name in Output.__struct_fields__
                                if name != "usage"
                            },
                            usage=usage,
                        )
                        ended = True
                    yield output
            ended = True
        finally:
            self.open -= 1
            if not ended:
                self.aborted += 1
                self.left.set()

    async def _sequence(self, request: EngineRequest, index: int) -> AsyncGenerator[Output, None]:
        pieces = self.reply(request) if self.reply is not None else self.pieces
        room = request.sampling.max_tokens
        scored = self._scored(request) if index == 0 else None
        for place, piece in enumerate(pieces):
            await asyncio.sleep(0)
            if place == self.gate_before:
                self.waiting.set()
                await self.gate.wait()
            if isinstance(piece, Exception):
                raise piece
            tokens = list(piece.encode())
            cut = len(tokens) >= room
            tokens = tokens[:room]
            room -= len(tokens)
            last = cut or place == len(pieces) - 1
            yield Output(
                index=index,
                text=bytes(tokens).decode(errors="ignore"),
                token_ids=tokens,
                logprobs=self._logprobs(tokens, request.sampling.logprobs),
                finish_reason=(
                    (FinishReason.LENGTH if cut else FinishReason.STOP) if last else None
                ),
                prompt_logprobs=scored,
            )
            scored = None
            if last:
                return

    def _logprobs(self, tokens: Sequence[int], top: int | None) -> list[TokenLogprobs] | None:
        if top is None:
            return None
        if self.logprobs is not None:
            return [self.logprobs(token) for token in tokens]
        return [
            TokenLogprobs(
                token, -0.5, [(token, -0.5), *((n, -2.0) for n in range(65, 64 + top))][:top]
            )
            for token in tokens
        ]

    def _scored(self, request: EngineRequest) -> list[TokenLogprobs] | None:
        return self._logprobs(request.prompt[1:], request.sampling.prompt_logprobs)
