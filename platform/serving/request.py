"""What is asked of the decoder and what it says back, as values that cross processes.

What always holds: every accepted request gets `Tokens` events and then exactly one `RequestEnd`;
nothing follows it. Token ids count from 0; `index` tells a request's `n` sequences apart.
"""

from enum import StrEnum
from typing import Any

import msgspec

from rostra.core import Constraint

MAX_LOGPROBS = 20
MAX_SEQUENCES = 128
MAX_STOP_STRINGS = 64


class SamplingParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the next token is chosen; the defaults are plain sampling at temperature 1.

    Attributes:
        max_tokens: most new tokens, at least 1; 0 with `prompt_logprobs`, which then are all there
            is.
        min_tokens: no stop before so many new tokens.
        temperature: 0 is greedy.
        top_k: keep the k likeliest tokens; 0 keeps all.
        top_p: keep the likeliest tokens that together have this probability; 1 keeps all.
        min_p: drop tokens less likely than this times the likeliest; 0 drops none.
        repetition_penalty: divides positive and multiplies negative logits of tokens that occur in
            prompt or output; 1 is none (CTRL, arXiv:1909.05858).
        presence_penalty: subtracted from the logits of tokens that occur in the output.
        frequency_penalty: subtracted once for each occurrence in the output.
        logit_bias: added to logits, by token id.
        seed: makes the draw a function of (seed, position) and the logits alone.
        stop: strings that end the text and are not part of it.
        stop_token_ids: tokens that end the text and are not part of it.
        ignore_eos: go on after the model's own end token.
        logprobs: report the log probability of each new token and of so many likeliest ones; None
            reports nothing.
        prompt_logprobs: the same for the prompt's tokens.
        constraint: what the text is held to.
    """

    max_tokens: int = 512
    min_tokens: int = 0
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    logit_bias: dict[int, float] = {}
    seed: int | None = None
    stop: tuple[str, ...] = ()
    stop_token_ids: tuple[int, ...] = ()
    ignore_eos: bool = False
    logprobs: int | None = None
    prompt_logprobs: int | None = None
    constraint: Constraint | None = None


class EngineRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One request as the engine's loop takes it: checked, tokenised, its grammar compiled.

    Attributes:
        id: unique among the requests alive.
        prompt: token ids, at least one.
        n: sequences to generate, which share the prompt's blocks.
        seed: the effective seed; sequence `i` draws with `seed + i`.
        eos_token_ids: the model's own end tokens; empty when `ignore_eos`.
        namespace: prefix-cache entries are shared within one namespace only.
        adapter: likewise, for weights on top of the model's.
        tenant: who the fair share is counted for.
        priority: lower goes first.
        grammar: the compiled constraint (see `grammar`), None when there is none.
    """

    id: str
    prompt: list[int]
    sampling: SamplingParams
    n: int = 1
    seed: int = 0
    eos_token_ids: tuple[int, ...] = ()
    namespace: str = ""
    adapter: str = ""
    tenant: str = ""
    priority: int = 0
    grammar: bytes | None = None


class FinishReason(StrEnum):
    """Why a sequence ended."""

    STOP = "stop"
    LENGTH = "length"
    ABORT = "abort"


class TokenLogprobs(msgspec.Struct, frozen=True):
    """Log probabilities (natural) at one position.

    Attributes:
        token: the token taken.
        logprob: of that token.
        top: the likeliest tokens and theirs, the likeliest first.
    """

    token: int
    logprob: float
    top: list[tuple[int, float]]


class Usage(msgspec.Struct, frozen=True):
    """Token counts of a request.

    Attributes:
        prompt_tokens: of the prompt, once, whatever `n`.
        cached_tokens: of these, taken from the prefix cache by the first sequence.
        completion_tokens: of all sequences.
    """

    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0


class Tokens(msgspec.Struct, frozen=True, tag=True):
    """New tokens of one sequence; the last of a sequence carries its `finish_reason`.

    Attributes:
        token_ids: new since the last event; a stop token is not among them.
        logprobs: one for each of `token_ids`, when asked for.
        stop: the stop token that ended the sequence, when it was one of `stop_token_ids`.
        prompt_logprobs: with the first event of sequence 0, when asked for; one for each prompt
            token but the first.
    """

    request_id: str
    index: int
    token_ids: list[int]
    logprobs: list[TokenLogprobs] | None = None
    finish_reason: FinishReason | None = None
    stop: int | None = None
    prompt_logprobs: list[TokenLogprobs] | None = None


class RequestEnd(msgspec.Struct, frozen=True, tag=True):
    """The one terminal event of a request.

    Attributes:
        usage: token counts.
        error: None, or code, message and status of what ended the request.
    """

    request_id: str
    usage: Usage
    error: dict[str, Any] | None = None


EngineEvent = Tokens | RequestEnd


class Output(msgspec.Struct, frozen=True):
    """What a caller sees: a piece of text of one sequence.

    Attributes:
        index: which of the `n` sequences.
        text: new text; never part of a stop string, never part of a character.
        token_ids: the tokens taken since the last output of this sequence.
        logprobs: one for each of them, when asked for.
        finish_reason: set with the sequence's last output.
        stop: the stop string or stop token that ended it.
        usage: set with the request's last output only.
        prompt_logprobs: with the first output of sequence 0, when asked for.
    """

    index: int
    text: str
    token_ids: list[int]
    logprobs: list[TokenLogprobs] | None = None
    finish_reason: FinishReason | None = None
    stop: str | int | None = None
    usage: Usage | None = None
    prompt_logprobs: list[TokenLogprobs] | None = None
