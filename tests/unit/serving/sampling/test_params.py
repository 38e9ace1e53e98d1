"""Parameters that cannot be sampled with are refused, each by its name."""

from typing import Any

import pytest

from rostra.serving.errors import InvalidParameter
from rostra.serving.request import MAX_LOGPROBS, MAX_STOP_STRINGS, SamplingParams
from rostra.serving.sampling.params import (
    MAX_BIASES,
    MAX_STOP_CHARS,
    MAX_STOP_IDS,
    check_params,
)

VOCAB_SIZE = 100
NAN, INFINITE = float("nan"), float("inf")

REFUSED: list[tuple[str, Any]] = [
    ("max_tokens", 0),
    ("max_tokens", -1),
    ("max_tokens", 1.5),
    ("max_tokens", True),
    ("max_tokens", None),
    ("min_tokens", -1),
    ("min_tokens", 513),
    ("temperature", -0.1),
    ("temperature", 100.5),
    ("temperature", NAN),
    ("temperature", INFINITE),
    ("temperature", "1"),
    ("temperature", True),
    ("top_k", -1),
    ("top_k", 2.0),
    ("top_p", 0.0),
    ("top_p", 1.01),
    ("top_p", NAN),
    ("min_p", -0.1),
    ("min_p", 1.1),
    ("min_p", NAN),
    ("repetition_penalty", 0.0),
    ("repetition_penalty", -1.0),
    ("repetition_penalty", INFINITE),
    ("presence_penalty", 2.1),
    ("presence_penalty", -2.1),
    ("frequency_penalty", NAN),
    ("logit_bias", [1]),
    ("logit_bias", {100: 1.0}),
    ("logit_bias", {-1: 1.0}),
    ("logit_bias", {"1": 1.0}),
    ("logit_bias", {1: NAN}),
    ("logit_bias", {1: INFINITE}),
    ("logit_bias", {1: 101.0}),
    ("logit_bias", {1: "a"}),
    ("logit_bias", dict.fromkeys(range(MAX_BIASES + 1), 0.0)),
    ("seed", 2**64),
    ("seed", -(2**63) - 1),
    ("seed", 10**1000),
    ("seed", 1.0),
    ("stop", "a"),
    ("stop", ("",)),
    ("stop", (1,)),
    ("stop", tuple(map(str, range(MAX_STOP_STRINGS + 1)))),
    ("stop", ("a" * (MAX_STOP_CHARS + 1),)),
    ("stop_token_ids", (100,)),
    ("stop_token_ids", (-1,)),
    ("stop_token_ids", ("1",)),
    ("stop_token_ids", (1,) * (MAX_STOP_IDS + 1)),
    ("ignore_eos", 1),
    ("logprobs", -1),
    ("logprobs", MAX_LOGPROBS + 1),
    ("logprobs", True),
    ("prompt_logprobs", MAX_LOGPROBS + 1),
]

ACCEPTED: list[tuple[str, Any]] = [
    ("max_tokens", 1),
    ("max_tokens", 10**9),
    ("min_tokens", 512),
    ("temperature", 0),
    ("temperature", 100.0),
    ("top_k", 0),
    ("top_k", 10**6),
    ("top_p", 1.0),
    ("top_p", 1e-9),
    ("min_p", 1.0),
    ("repetition_penalty", 0.1),
    ("presence_penalty", -2),
    ("frequency_penalty", 2.0),
    ("logit_bias", {0: -100.0, 99: 100}),
    ("seed", -(2**63)),
    ("seed", 2**64 - 1),
    ("stop", ("a", "b" * MAX_STOP_CHARS)),
    ("stop_token_ids", (0, 99)),
    ("logprobs", 0),
    ("logprobs", MAX_LOGPROBS),
]


@pytest.mark.parametrize(("field", "value"), REFUSED, ids=lambda value: str(value)[:30])
def test_refused(field: str, value: Any) -> None:
    with pytest.raises(InvalidParameter) as caught:
        check_params(SamplingParams(**{field: value}), vocab_size=VOCAB_SIZE)
    assert caught.value.details["field"] == field
    assert field in caught.value.message
    assert len(caught.value.message) < 200
    assert caught.value.status == 400


@pytest.mark.parametrize(("field", "value"), ACCEPTED, ids=lambda value: str(value)[:30])
def test_accepted(field: str, value: Any) -> None:
    check_params(SamplingParams(**{field: value}), vocab_size=VOCAB_SIZE)


def test_the_defaults_are_accepted() -> None:
    check_params(SamplingParams(), vocab_size=1)
