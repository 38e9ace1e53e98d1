"""Completions: plain text is continued, of one prompt or of many.

What always holds: choices are numbered prompt by prompt, `n` for each; an echoed prompt stands
before its continuation and its tokens before those drawn.
"""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Literal
from uuid import uuid4

from litestar import Request, Response, Router, post
from litestar.di import NamedDependency
from msgspec import UNSET, Struct, UnsetType

from rostra.api.openai.body import MAX_BODY_BYTES, read_body
from rostra.api.openai.constraints import constraint_of
from rostra.api.openai.fields import (
    DEFAULT_MODEL,
    ModelName,
    ResponseFormat,
    SamplingFields,
    StreamOptions,
    StructuredOutputs,
    checked_n,
    refuse,
    sampling_params,
)
from rostra.api.openai.generation import (
    INTERACTIVE,
    Caller,
    UsageCount,
    UsageView,
    loose_schema,
    outputs,
    room,
    usage_view,
)
from rostra.api.openai.logprobs import CompletionLogprobs, OffsetLogprobs, joined
from rostra.api.openai.model import ServedModel
from rostra.api.openai.naming import FieldNames
from rostra.api.openai.streaming import (
    DONE,
    data_frame,
    json_response,
    stream_response,
    while_connected,
)
from rostra.api.openai.surface import Surface
from rostra.api.openai.tools import Toolset
from rostra.serving import InvalidParameter, Output, SamplingParams

MAX_PROMPTS = 256
_DEFAULT_TOKENS = 16

# Text, token ids, or a list of either.
Prompt = str | list[str | int | list[int]]
FinishReason = Literal["stop", "length"]


class CompletionBody(SamplingFields, kw_only=True):
    """Text to be continued."""

    prompt: Prompt
    model: ModelName = DEFAULT_MODEL
    max_tokens: int | None = None
    n: int | None = None
    best_of: int | None = None
    echo: bool | None = None
    logprobs: int | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    suffix: str | None = None
    user: str | None = None
    # Beyond OpenAI, as vLLM has them.
    response_format: ResponseFormat | None = None
    structured_outputs: StructuredOutputs | None = None
    return_token_ids: bool | None = None


class Choice(Struct):
    """A continuation, or a piece of one."""

    index: int
    text: str
    finish_reason: FinishReason | None
    logprobs: CompletionLogprobs | None = None
    stop_reason: str | int | None = None
    token_ids: list[int] | UnsetType = UNSET
    prompt_token_ids: list[int] | UnsetType = UNSET
    schema_errors: list[str] | UnsetType = UNSET


class Completion(Struct, kw_only=True):
    """Continuations, or a piece of them."""

    id: str
    created: int
    model: str
    choices: list[Choice]
    object: Literal["text_completion"] = "text_completion"
    usage: UsageView | UnsetType | None = UNSET


@dataclass(frozen=True, slots=True)
class CompletionRun:
    """Prompts ready to be continued.

    Attributes:
        prompts: token ids of each.
        echoes: text of each that is told before its continuation; empty without `echo`.
        names: what the request calls the engine's parameters.
    """

    body: CompletionBody
    model: ServedModel
    prompts: list[list[int]]
    echoes: list[str]
    sampling: SamplingParams
    n: int
    names: FieldNames


@post("/completions", status_code=200, request_max_body_size=MAX_BODY_BYTES)
async def create(
    request: Request[Any, Any, Any], surface: NamedDependency[Surface]
) -> Response[Any]:
    """Continues text."""
    body = await read_body(request, CompletionBody)
    if not body.stream:
        work = complete_text(surface, body, INTERACTIVE)
        return json_response(await while_connected(request, work))
    run = await while_connected(request, _prepare(surface, body))
    return await stream_response(request, _frames(run), surface.background)


async def complete_text(surface: Surface, body: CompletionBody, caller: Caller) -> Completion:
    """Continuations as a whole; `stream` is not looked at."""
    run = await _prepare(surface, body)
    writer = _Writer(run)
    parts: list[list[Choice]] = [[] for _ in range(len(run.prompts) * run.n)]
    async with aclosing(_outputs(run, caller)) as found:
        async for index, output in found:
            parts[index].append(writer.choice(index, output))
    whole = writer.completion([_joined(index, part) for index, part in enumerate(parts)])
    for choice in whole.choices:
        await writer.check(choice, choice.text)
    whole.usage = usage_view(writer.count)
    return whole


async def _prepare(surface: Surface, body: CompletionBody) -> CompletionRun:
    refuse("suffix", body.suffix, "", why="text is only continued, not filled in")
    n = checked_n(body.n)
    refuse("best_of", body.best_of, n, why="all `n` are returned, none is picked")
    if body.stream_options is not None and not body.stream:
        raise InvalidParameter("stream_options needs stream to be true", field="stream_options")
    held = constraint_of(body.response_format, body.structured_outputs, Toolset())
    wanted = _DEFAULT_TOKENS if body.max_tokens is None else body.max_tokens
    # Without new tokens there is the prompt to score, whether its scores are told or not.
    scored = (body.logprobs or 0 if wanted == 0 else body.logprobs) if body.echo else None
    model = await surface.model(body.model)
    prompts = await _prompts(model, body.prompt)
    if len(prompts) * n > MAX_PROMPTS:
        raise InvalidParameter(
            f"prompt: {len(prompts)} prompts with n = {n} are more than {MAX_PROMPTS} choices",
            field="prompt",
        )
    for prompt in prompts:
        room(model, prompt, least=0 if body.echo and wanted == 0 else 1)
    sampling = sampling_params(
        body,
        max_tokens=wanted,
        logprobs=body.logprobs,
        prompt_logprobs=scored,
        constraint=held.constraint if held is not None else None,
    )
    names = FieldNames(
        limits={"prompt_logprobs": "logprobs"}, constraint=held.field if held is not None else None
    )
    echoes = [model.tokenizer.decode(prompt) for prompt in prompts] if body.echo else []
    return CompletionRun(body, model, prompts, echoes, sampling, n, names)


async def _prompts(model: ServedModel, given: Prompt) -> list[list[int]]:
    prompts = []
    for item in _items(given):
        if isinstance(item, str):
            item = await asyncio.to_thread(model.tokenizer.encode, item)
        if not item:
            raise InvalidParameter("prompt: one of the prompts is empty", field="prompt")
        prompts.append(item)
    return prompts


def _items(given: Prompt) -> list[str | list[int]]:
    """The prompts one by one; a list of token ids is one prompt."""
    if isinstance(given, str):
        return [given]
    tokens = [item for item in given if isinstance(item, int)]
    if tokens and len(tokens) == len(given):
        return [tokens]
    if not given or tokens or len({type(item) for item in given}) > 1:
        raise InvalidParameter(
            "prompt must be a text, token ids, or a list of only one of them", field="prompt"
        )
    if len(given) > MAX_PROMPTS:
        raise InvalidParameter(f"prompt: more than {MAX_PROMPTS} prompts", field="prompt")
    return [item for item in given if not isinstance(item, int)]


def _outputs(run: CompletionRun, caller: Caller) -> AsyncGenerator[tuple[int, Output], None]:
    return outputs(run.model, run.prompts, run.sampling, run.n, caller, run.names)


async def _frames(run: CompletionRun) -> AsyncGenerator[bytes, None]:
    writer = _Writer(run)
    options = run.body.stream_options
    include_usage = options is not None and bool(options.include_usage)
    texts = [""] * (len(run.prompts) * run.n)
    async with aclosing(_outputs(run, INTERACTIVE)) as found:
        async for index, output in found:
            choice = writer.choice(index, output)
            if writer.checks:
                texts[index] += choice.text
                if choice.finish_reason is not None:
                    await writer.check(choice, texts[index])
            if output.text or output.finish_reason is not None or choice.text:
                chunk = writer.completion([writer.with_waiting(choice)])
                if include_usage:
                    chunk.usage = None
                yield data_frame(chunk)
            else:
                writer.wait(choice)
    if include_usage:
        chunk = writer.completion([])
        chunk.usage = usage_view(writer.count)
        yield data_frame(chunk)
    yield DONE


class _Writer:
    """Outputs as pieces of choices."""

    def __init__(self, run: CompletionRun) -> None:
        self.count = UsageCount()
        self._run = run
        self._id = f"cmpl-{uuid4().hex}"
        self._created = int(time.time())
        self._begun: set[int] = set()
        self._waiting: dict[int, list[Choice]] = {}
        self._logprobs = [
            OffsetLogprobs(run.model.tokenizer) for _ in range(len(run.prompts) * run.n)
        ]
        # Told with the first sequence of a prompt, and the same for its others.
        self._scored: dict[int, list[Any]] = {}
        self._schema = loose_schema(run.sampling.constraint)

    @property
    def checks(self) -> bool:
        """Whether texts are checked against a schema at their end."""
        return self._schema is not None

    def completion(self, choices: list[Choice]) -> Completion:
        """Choices as they are sent."""
        return Completion(
            id=self._id, created=self._created, model=self._run.model.name, choices=choices
        )

    def choice(self, index: int, output: Output) -> Choice:
        """What an output adds to its choice."""
        self.count.add(output.usage)
        at = index // self._run.n
        text, tokens = output.text, output.token_ids
        found = output.logprobs or ()
        parts = []
        if index not in self._begun:
            self._begun.add(index)
            if self._run.echoes:
                text = self._run.echoes[at] + text
                if self._run.body.logprobs is not None:
                    if output.prompt_logprobs is not None:
                        self._scored[at] = list(output.prompt_logprobs)
                    parts.append(self._logprobs[index].first(self._run.prompts[at][0]))
                    parts.append(self._logprobs[index].more(self._scored.get(at, [])))
            first = True
        else:
            first = False
        choice = Choice(index, text, _reason(output), stop_reason=output.stop)
        if self._run.body.logprobs is not None:
            choice.logprobs = joined([*parts, self._logprobs[index].more(found)])
        if self._run.body.return_token_ids:
            choice.token_ids = list(tokens)
            if first:
                choice.prompt_token_ids = self._run.prompts[at]
        return choice

    def wait(self, choice: Choice) -> None:
        """Keeps what has no text to go with for the choice's next piece."""
        self._waiting.setdefault(choice.index, []).append(choice)

    def with_waiting(self, choice: Choice) -> Choice:
        """A piece with what waited for it."""
        waiting = self._waiting.pop(choice.index, None)
        return _joined(choice.index, [*waiting, choice]) if waiting else choice

    async def check(self, choice: Choice, text: str) -> None:
        """Reports how a whole text differs from a schema that is not strict."""
        if self._schema is None:
            return
        if errors := await self._run.model.engine.violations(self._schema, text):
            choice.schema_errors = errors


def _joined(index: int, parts: list[Choice]) -> Choice:
    """Pieces of one choice as one."""
    whole = Choice(index, "".join(part.text for part in parts), None)
    for part in parts:
        if part.finish_reason is not None:
            whole.finish_reason, whole.stop_reason = part.finish_reason, part.stop_reason
        if part.schema_errors is not UNSET:
            whole.schema_errors = part.schema_errors
        if part.token_ids is not UNSET:
            before = [] if whole.token_ids is UNSET else whole.token_ids
            whole.token_ids = before + part.token_ids
        if part.prompt_token_ids is not UNSET:
            whole.prompt_token_ids = part.prompt_token_ids
    found = [part.logprobs for part in parts if part.logprobs is not None]
    whole.logprobs = joined(found) if found else None
    return whole


def _reason(output: Output) -> FinishReason | None:
    if output.finish_reason is None:
        return None
    return "length" if output.finish_reason == "length" else "stop"


router = Router("/", route_handlers=[create])
