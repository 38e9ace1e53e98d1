"""What may be asked of the sampler: every parameter's type, range and size.

What always holds: parameters that pass can be sampled with; nothing here looks at a prompt, a
grammar or the context length, which the front end and the scheduler check.
"""

import math
from collections.abc import Callable

from rostra.serving.errors import InvalidParameter
from rostra.serving.request import MAX_LOGPROBS, MAX_STOP_STRINGS, SamplingParams

MAX_TEMPERATURE = 100.0
MAX_BIASES = 4096
MAX_BIAS = 100.0
MAX_PENALTY = 2.0
MAX_REPETITION_PENALTY = 100.0
MAX_STOP_CHARS = 1024
MAX_STOP_IDS = 256


def check_params(params: SamplingParams, *, vocab_size: int) -> None:
    """Checks each field by itself, and those that limit each other.

    Args:
        params: as asked; values may be of any type.
        vocab_size: width of the model's logits; token ids count below it.

    Raises:
        InvalidParameter: with the name of the first wrong field as `field`.
    """
    # A prompt can be scored without drawing anything after it.
    scores = params.prompt_logprobs is not None and params.constraint is None
    check_int("max_tokens", params.max_tokens, low=0 if scores else 1)
    check_int("min_tokens", params.min_tokens, low=0)
    if params.min_tokens > params.max_tokens:
        raise InvalidParameter(
            f"min_tokens ({params.min_tokens}) is more than max_tokens ({params.max_tokens})",
            field="min_tokens",
        )
    check_number("temperature", params.temperature, 0.0, MAX_TEMPERATURE)
    check_int("top_k", params.top_k, low=0)
    check_number("top_p", params.top_p, 0.0, 1.0, low_included=False)
    check_number("min_p", params.min_p, 0.0, 1.0)
    check_number(
        "repetition_penalty",
        params.repetition_penalty,
        0.0,
        MAX_REPETITION_PENALTY,
        low_included=False,
    )
    check_number("presence_penalty", params.presence_penalty, -MAX_PENALTY, MAX_PENALTY)
    check_number("frequency_penalty", params.frequency_penalty, -MAX_PENALTY, MAX_PENALTY)
    check_bias(params.logit_bias, vocab_size)
    if params.seed is not None:
        check_int("seed", params.seed, low=-(2**63), high=2**64 - 1)
    check_stop(params.stop)
    check_stop_ids(params.stop_token_ids, vocab_size)
    if not isinstance(params.ignore_eos, bool):
        raise InvalidParameter("ignore_eos must be true or false", field="ignore_eos")
    for field in ("logprobs", "prompt_logprobs"):
        if getattr(params, field) is not None:
            check_int(field, getattr(params, field), low=0, high=MAX_LOGPROBS)


def is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def check_int(field: str, value: object, *, low: int, high: int | None = None) -> None:
    """Raises InvalidParameter unless `value` is an integer from `low` to `high`."""
    limits = f"at least {low}" if high is None else f"from {low} to {high}"
    if not isinstance(value, int) or isinstance(value, bool):
        raise InvalidParameter(f"{field} must be an integer {limits}", field=field)
    if value < low or (high is not None and value > high):
        raise InvalidParameter(f"{field} must be {limits}, got {shown(value)}", field=field)


def check_number(
    field: str, value: object, low: float, high: float, *, low_included: bool = True
) -> None:
    """Raises InvalidParameter unless `value` is a number within the limits; NaN never is."""
    limits = f"from {low:g} to {high:g}" if low_included else f"above {low:g}, at most {high:g}"
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise InvalidParameter(f"{field} must be a number {limits}", field=field)
    above = low <= value if low_included else low < value
    if not (above and value <= high):
        raise InvalidParameter(f"{field} must be {limits}, got {shown(value)}", field=field)


def check_bias(bias: object, vocab_size: int) -> None:
    field = "logit_bias"
    if not isinstance(bias, dict):
        raise InvalidParameter("logit_bias must map token ids to numbers", field=field)
    if len(bias) > MAX_BIASES:
        raise InvalidParameter(
            f"logit_bias has {len(bias)} entries, at most {MAX_BIASES} are taken", field=field
        )
    for token, value in bias.items():
        check_token(field, token, vocab_size)
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise InvalidParameter(f"logit_bias of token {token} is not a number", field=field)
        if not (math.isfinite(value) and -MAX_BIAS <= value <= MAX_BIAS):
            raise InvalidParameter(
                f"logit_bias of token {token} must be from {-MAX_BIAS:g} to {MAX_BIAS:g}, "
                f"got {shown(value)}",
                field=field,
            )


def check_token(field: str, token: object, vocab_size: int) -> None:
    """Raises InvalidParameter unless `token` is an id of the vocabulary."""
    if not isinstance(token, int) or isinstance(token, bool):
        raise InvalidParameter(f"{field} takes token ids, which are integers", field=field)
    if not 0 <= token < vocab_size:
        raise InvalidParameter(
            f"{field} names token {shown(token)}; the model's tokens are 0 to {vocab_size - 1}",
            field=field,
        )


def check_stop(stop: object) -> None:
    field = "stop"
    check_list(field, stop, "strings", MAX_STOP_STRINGS, lambda text: isinstance(text, str))
    for text in stop:  # type: ignore[attr-defined] # just checked
        if not text:
            raise InvalidParameter("stop has an empty string", field=field)
        if len(text) > MAX_STOP_CHARS:
            raise InvalidParameter(
                f"stop has a string of {len(text)} characters, at most {MAX_STOP_CHARS} are taken",
                field=field,
            )


def check_stop_ids(ids: object, vocab_size: int) -> None:
    field = "stop_token_ids"
    check_list(field, ids, "token ids", MAX_STOP_IDS, is_int)
    for token in ids:  # type: ignore[attr-defined] # just checked
        check_token(field, token, vocab_size)


def check_list(
    field: str, value: object, what: str, most: int, fits: Callable[[object], bool]
) -> None:
    if not isinstance(value, tuple | list):
        raise InvalidParameter(f"{field} must be a list of {what}", field=field)
    if len(value) > most:
        raise InvalidParameter(
            f"{field} has {len(value)} {what}, at most {most} are taken", field=field
        )
    if not all(fits(item) for item in value):
        raise InvalidParameter(f"{field} must hold {what} only", field=field)


def shown(value: float) -> str:
    """A number as an error message shows it: integers of any size stay short."""
    if isinstance(value, int) and abs(value) >= 10**20:
        return "a number of more than 20 digits"
    return str(value)
