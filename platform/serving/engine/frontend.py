"""Between callers and the loop: text to token ids and back, and every check that needs no memory.

What always holds: what reaches the loop is checked, tokenised and compiled; text goes out the
moment it can no longer be taken back, never part of a stop string; a sequence that a stop string
ended gets nothing more, whatever the loop still draws for it.
"""

import asyncio
import secrets
import uuid
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import msgspec

from rostra.core import Constraint, JsonSchema, RostraError, import_transformers
from rostra.serving.engine.info import EngineInfo
from rostra.serving.engine.wire import unpack_error
from rostra.serving.errors import InvalidParameter, PromptTooLong
from rostra.serving.grammar.check import check_against_grammar
from rostra.serving.request import (
    MAX_SEQUENCES,
    EngineEvent,
    EngineRequest,
    FinishReason,
    Output,
    SamplingParams,
    TokenLogprobs,
    Tokens,
    Usage,
)
from rostra.serving.sampling.params import check_params
from rostra.serving.text.stops import StopStrings

if TYPE_CHECKING:
    from rostra.serving.grammar.vocabulary import Vocabulary
    from rostra.serving.text.tokenizer import TextTokenizer

Prompt = str | Sequence[int]

# Shorter texts are tokenised on the spot: to hand them to a thread costs more.
_SHORT_CHARS = 4096
_MAX_PRIORITY = 2**31 - 1


class Encoder(Protocol):
    """What is needed of a tokenizer."""

    @property
    def eos_token_ids(self) -> Sequence[int]: ...

    def encode(self, text: str) -> list[int]: ...


class Decoder(Protocol):
    """Token ids of one sequence to text, piece by piece."""

    def push(self, token_ids: Sequence[int]) -> str: ...

    def flush(self) -> str: ...


class Compiler(Protocol):
    """Constraints to what the loop's matchers start from; texts against schemas."""

    async def compile(self, constraint: Constraint, *, max_tokens: int) -> bytes: ...

    def compile_now(self, constraint: Constraint, *, max_tokens: int) -> bytes: ...

    async def validate(self, constraint: JsonSchema, text: str) -> list[str]: ...

    async def close(self) -> None: ...

    def close_now(self) -> None: ...


class RequestBuilder:
    """Makes requests that an engine can run.

    Args:
        encoder: the model's tokenizer.
        compiler: of constraints.
        vocab_size: width of the model's logits.
        max_context: most tokens of prompt and output together.
    """

    def __init__(
        self, encoder: Encoder, compiler: Compiler, *, vocab_size: int, max_context: int
    ) -> None:
        self._encoder = encoder
        self._compiler = compiler
        self._vocab_size = vocab_size
        self._max_context = max_context

    async def build(
        self,
        prompt: Prompt,
        sampling: SamplingParams | None = None,
        *,
        n: int = 1,
        namespace: str = "",
        tenant: str = "",
        priority: int = 0,
        request_id: str | None = None,
    ) -> EngineRequest:
        """Checks, tokenises and compiles; long work runs in a thread or a process of its own.

        Without `sampling` its defaults hold, with no more new tokens than the context leaves.

        Raises:
            InvalidParameter: a parameter is out of its range.
            PromptTooLong: prompt and new tokens together exceed the context.
            InvalidGrammar, UnsupportedSchema: the constraint cannot be kept.
        """
        self._check(sampling, n, priority)
        if isinstance(prompt, str) and len(prompt) > _SHORT_CHARS:
            token_ids = await asyncio.to_thread(self._tokenise, prompt)
        else:
            token_ids = self._tokenise(prompt)
        sampling = self._fitted(sampling, token_ids)
        grammar = None
        if sampling.constraint is not None:
            grammar = await self._compiler.compile(
                sampling.constraint, max_tokens=sampling.max_tokens
            )
        return self._request(
            token_ids, sampling, grammar, n, namespace, tenant, priority, request_id
        )

    def build_now(
        self,
        prompt: Prompt,
        sampling: SamplingParams | None = None,
        *,
        n: int = 1,
        namespace: str = "",
        tenant: str = "",
        priority: int = 0,
        request_id: str | None = None,
    ) -> EngineRequest:
        """The same, in the calling thread; raises the same."""
        self._check(sampling, n, priority)
        token_ids = self._tokenise(prompt)
        sampling = self._fitted(sampling, token_ids)
        grammar = None
        if sampling.constraint is not None:
            grammar = self._compiler.compile_now(
                sampling.constraint, max_tokens=sampling.max_tokens
            )
        return self._request(
            token_ids, sampling, grammar, n, namespace, tenant, priority, request_id
        )

    def _check(self, sampling: SamplingParams | None, n: int, priority: int) -> None:
        if sampling is not None:
            check_params(sampling, vocab_size=self._vocab_size)
            check_against_grammar(sampling)
            for text in sampling.stop:
                _check_unicode("stop", text)
        if not _is_int(n) or not 1 <= n <= MAX_SEQUENCES:
            raise InvalidParameter(f"n must be from 1 to {MAX_SEQUENCES}", field="n")
        if not _is_int(priority) or not -_MAX_PRIORITY <= priority <= _MAX_PRIORITY:
            raise InvalidParameter(
                f"priority must be from {-_MAX_PRIORITY} to {_MAX_PRIORITY}", field="priority"
            )

    def _tokenise(self, prompt: Prompt) -> list[int]:
        if isinstance(prompt, str):
            _check_unicode("prompt", prompt)
            token_ids = self._encoder.encode(prompt)
        else:
            token_ids = list(prompt)
            wrong = next((t for t in token_ids if not _is_int(t)), None)
            if wrong is not None:
                raise InvalidParameter("prompt must hold integers only", field="prompt")
            outside = next((t for t in token_ids if not 0 <= t < self._vocab_size), None)
            if outside is not None:
                raise InvalidParameter(
                    f"prompt has a token outside of 0 to {self._vocab_size - 1}", field="prompt"
                )
        if not token_ids:
            raise InvalidParameter("the prompt is empty", field="prompt")
        return token_ids

    def _fitted(self, sampling: SamplingParams | None, token_ids: list[int]) -> SamplingParams:
        """The parameters, which with this prompt fit the context."""
        most = self._max_context
        least = 1 if sampling is None else min(1, sampling.max_tokens)
        if len(token_ids) + least > most:
            raise PromptTooLong(
                f"the prompt has {len(token_ids)} tokens, this model's context holds {most} of "
                "prompt and output together",
                hint="Shorten the prompt.",
                field="prompt",
            )
        left = most - len(token_ids)
        if sampling is None:
            plain = SamplingParams()
            return msgspec.structs.replace(plain, max_tokens=min(plain.max_tokens, left))
        if sampling.max_tokens > left:
            raise PromptTooLong(
                f"the prompt has {len(token_ids)} tokens, which with more than {left} new ones "
                f"exceeds this model's context of {most}",
                hint=f"Set max_tokens to at most {left}, or shorten the prompt.",
                field="max_tokens",
            )
        return sampling

    def _request(
        self,
        token_ids: list[int],
        sampling: SamplingParams,
        grammar: bytes | None,
        n: int,
        namespace: str,
        tenant: str,
        priority: int,
        request_id: str | None,
    ) -> EngineRequest:
        return EngineRequest(
            id=request_id or uuid.uuid4().hex,
            prompt=token_ids,
            # More than all is all, and an integer without end fits no pipe.
            sampling=msgspec.structs.replace(sampling, top_k=min(sampling.top_k, self._vocab_size)),
            n=n,
            seed=secrets.randbits(63) if sampling.seed is None else sampling.seed,
            eos_token_ids=() if sampling.ignore_eos else tuple(self._encoder.eos_token_ids),
            namespace=namespace,
            tenant=tenant,
            priority=priority,
            grammar=grammar,
        )


@dataclass(slots=True)
class _Sequence:
    """What one sequence has come to.

    Attributes:
        taken: tokens that the caller was given.
        dropped: tokens drawn after the stop.
        ended: whether the caller has its end.
    """

    decoder: Decoder
    stops: StopStrings | None
    taken: int = 0
    dropped: int = 0
    ended: bool = False


@dataclass(slots=True)
class OutputStream:
    """The loop's events of one request, as its caller sees them.

    Args:
        request: as it went to the loop.
        decoders: makes a fresh decoder for each sequence.

    Attributes:
        ended: whether the request's terminal event has come.
        error: what ended it, if anything went wrong.
        usage: its token counts, once it has ended.
    """

    request: EngineRequest
    decoders: Callable[[Sequence[int]], Decoder]
    ended: bool = False
    error: RostraError | None = None
    usage: Usage | None = None
    _sequences: list[_Sequence] = field(init=False)
    _aborts: list[int] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        stop = self.request.sampling.stop
        watch = StopStrings(stop) if stop else None
        self._sequences = [
            # A shallow copy has a state of its own and shares what was built from the strings.
            _Sequence(self.decoders(self.request.prompt), copy(watch))
            for _ in range(self.request.n)
        ]

    @property
    def taken(self) -> int:
        """Tokens that the caller was given, of all sequences."""
        return sum(sequence.taken for sequence in self._sequences)

    def feed(self, event: EngineEvent) -> Output | None:
        """Takes the next event; returns what the caller should see of it, if anything."""
        if self.ended:
            return None
        if not isinstance(event, Tokens):
            self.ended = True
            self.usage = self._counted(event.usage)
            if event.error is not None:
                self.error = unpack_error(event.error)
            return None
        sequence = self._sequences[event.index]
        if sequence.ended:
            # An end token was drawn, and is not told among the tokens.
            end_token = event.finish_reason is FinishReason.STOP and not event.token_ids
            sequence.dropped += len(event.token_ids) + end_token
            return None
        return self._advance(sequence, event)

    def fail(self, error: RostraError) -> None:
        """Ends the request with an error; later events and calls do nothing."""
        if not self.ended:
            self.ended, self.error = True, error

    def take_aborts(self) -> list[int]:
        """Sequences that a stop string has ended and the loop still runs; each is told once."""
        aborts, self._aborts = self._aborts, []
        return aborts

    def _advance(self, sequence: _Sequence, event: Tokens) -> Output | None:
        last = event.finish_reason is not None
        if sequence.stops is None:
            text = sequence.decoder.push(event.token_ids)
            if last:
                text += sequence.decoder.flush()
            kept, hit = len(event.token_ids), None
        else:
            text, kept, hit = self._until_stop(sequence, sequence.stops, event, last)
        sequence.taken += kept
        sequence.dropped += len(event.token_ids) - kept
        reason, stop = event.finish_reason, event.stop
        if hit is not None:
            reason, stop = FinishReason.STOP, None
            if not last:
                self._aborts.append(event.index)
        sequence.ended = reason is not None
        return Output(
            index=event.index,
            text=text,
            token_ids=event.token_ids[:kept],
            logprobs=None if event.logprobs is None else event.logprobs[:kept],
            finish_reason=reason,
            stop=hit if hit is not None else stop,
            prompt_logprobs=event.prompt_logprobs,
        )

    def _until_stop(
        self, sequence: _Sequence, stops: StopStrings, event: Tokens, last: bool
    ) -> tuple[str, int, str | None]:
        """Text up to the first stop string, the tokens it took, and the string."""
        earliest = self.request.sampling.min_tokens
        text = ""
        for count, token in enumerate(event.token_ids, 1):
            armed = sequence.taken + count >= earliest
            text += stops.push(sequence.decoder.push([token]), armed=armed)
            if stops.matched is not None:
                return text, count, stops.matched
        if last:
            armed = sequence.taken + len(event.token_ids) >= earliest
            text += stops.push(sequence.decoder.flush(), armed=armed) + stops.flush()
        return text, len(event.token_ids), stops.matched

    def _counted(self, usage: Usage) -> Usage:
        """Without what was drawn after the caller's end."""
        dropped = sum(sequence.dropped for sequence in self._sequences)
        return msgspec.structs.replace(
            usage, completion_tokens=max(0, usage.completion_tokens - dropped)
        )


def join_outputs(outputs: Sequence[Output]) -> Output:
    """Outputs of one sequence, at least one, in order, as one."""
    if len(outputs) == 1:
        return outputs[0]
    first, last = outputs[0], outputs[-1]
    logprobs: list[TokenLogprobs] | None = None
    if any(output.logprobs is not None for output in outputs):
        logprobs = [one for output in outputs for one in output.logprobs or ()]
    return Output(
        index=first.index,
        text="".join(output.text for output in outputs),
        token_ids=[token for output in outputs for token in output.token_ids],
        logprobs=logprobs,
        finish_reason=last.finish_reason,
        stop=last.stop,
        usage=last.usage,
        prompt_logprobs=first.prompt_logprobs,
    )


def by_sequence(outputs: Sequence[Output]) -> list[Output]:
    """Outputs of one request, those of each sequence joined, in order of its first."""
    groups: dict[int, list[Output]] = {}
    for output in outputs:
        groups.setdefault(output.index, []).append(output)
    return [join_outputs(group) for group in groups.values()]


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _check_unicode(name: str, text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        half = ord(text[error.start])
        raise InvalidParameter(
            f"{name} has half of a surrogate pair, \\u{half:04x}, at character {error.start}, "
            "which is no character",
            field=name,
        ) from None


@dataclass(frozen=True, slots=True)
class Front:
    """What the front end has from a checkpoint's folder.

    Attributes:
        tokenizer: the model's own.
        decoders: makes the decoder of a sequence that continues the prompt given.
        compiler: of constraints.
    """

    tokenizer: "TextTokenizer"
    decoders: Callable[[Sequence[int]], Decoder]
    compiler: Compiler

    def builder(self, info: EngineInfo) -> RequestBuilder:
        """A builder of requests for an engine that says this about itself."""
        return RequestBuilder(
            self.tokenizer,
            self.compiler,
            vocab_size=info.vocab_size,
            max_context=info.max_context,
        )


def load_front(folder: Path) -> Front:
    """Reads a checkpoint's tokenizer; the compiler's processes start when they are needed.

    Raises:
        UnsupportedModel: an architecture that the decoder does not know.
        BrokenCheckpoint: a file is missing or cannot be read.
    """
    import_transformers()
    from rostra.serving.grammar.compile import GrammarCompiler
    from rostra.serving.models.config import read_config
    from rostra.serving.parsers.shown import with_markers
    from rostra.serving.text.detokenize import Detokenizer
    from rostra.serving.text.tokenizer import TextTokenizer

    config = read_config(folder)
    tokenizer = TextTokenizer(folder)
    shown = with_markers(tokenizer.pieces, tokenizer.token_id)
    return Front(
        tokenizer,
        lambda prompt: Detokenizer(shown, prompt),
        GrammarCompiler(vocabulary_of(tokenizer, config.vocab_size)),
    )


def vocabulary_of(tokenizer: "TextTokenizer", vocab_size: int) -> "Vocabulary":
    """The model's tokens as its grammars see them, here and in the loop.

    Args:
        tokenizer: the model's.
        vocab_size: width of the model's logits.
    """
    from rostra.serving.grammar.vocabulary import make_vocabulary

    return make_vocabulary(
        tokenizer,
        vocab_size,
        tokenizer.eos_token_ids,
        special=tokenizer.special_ids,
        named={tokenizer.token_text(token): token for token in tokenizer.special_ids},
        encode=lambda text: tokenizer.encode(text, add_special_tokens=False),
    )
