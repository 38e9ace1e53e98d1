"""Logit processors against transformers' own, and against definitions written out."""

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from transformers import (
    MinPLogitsWarper,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from rostra.serving.request import SamplingParams
from rostra.serving.sampling import filters, penalties
from rostra.serving.sampling.draw import WEIGHT_BITS, likeliest, to_weights
from rostra.serving.sampling.penalties import TokenCounts
from tests.unit.serving.sampling.rows import random_logits

VOCAB_SIZE = 199


def weights_of(logits: Tensor, temperature: float = 1.0) -> Tensor:
    _, best = likeliest(logits)
    return to_weights(logits.clone(), best, torch.full((logits.shape[0],), temperature))


def assert_same_distribution(weights: Tensor, scores: Tensor) -> None:
    """Weights against a transformers processor's scores: the same tokens, the same shares."""
    expected = scores.double().softmax(-1)
    actual = weights.double() / weights.double().sum(-1, keepdim=True)
    assert torch.equal(actual > 0, expected > 2.0**-WEIGHT_BITS * expected.amax(-1, keepdim=True))
    torch.testing.assert_close(actual, expected, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("temperature", [0.05, 0.7, 1.0, 3.0, 100.0])
def test_temperature(temperature: float) -> None:
    logits = random_logits(4, VOCAB_SIZE)
    warped = TemperatureLogitsWarper(temperature)(torch.empty(0), logits)
    assert_same_distribution(weights_of(logits, temperature), warped)


TOP_K = [filters.keep_top_k, filters.keep_top_k_batch]
TOP_P = [filters.keep_top_p, filters.keep_top_p_batch]


@pytest.mark.parametrize("keep", TOP_K)
@pytest.mark.parametrize("k", [1, 2, 50, VOCAB_SIZE - 1, VOCAB_SIZE, 10 * VOCAB_SIZE])
def test_top_k(keep: object, k: int) -> None:
    logits = random_logits(4, VOCAB_SIZE)
    weights = weights_of(logits)
    keep(weights, range(4), [k] * 4)  # type: ignore[operator]
    assert_same_distribution(weights, TopKLogitsWarper(k)(torch.empty(0), logits))


@pytest.mark.parametrize("keep", TOP_K)
def test_top_k_keeps_ties(keep: object) -> None:
    logits = torch.tensor([[1.0, 3.0, 2.0, 2.0, 2.0, 0.0]])
    weights = weights_of(logits)
    keep(weights, [0], [2])  # type: ignore[operator]
    assert weights[0].nonzero().flatten().tolist() == [1, 2, 3, 4]


@pytest.mark.parametrize("keep", TOP_P)
@pytest.mark.parametrize("scale", [0.01, 1.0, 10.0])
@pytest.mark.parametrize("p", [1e-6, 0.1, 0.5, 0.9, 0.999])
def test_top_p(keep: object, p: float, scale: float) -> None:
    logits = random_logits(4, VOCAB_SIZE, scale=scale)
    weights = weights_of(logits)
    keep(weights, range(4), [p] * 4)  # type: ignore[operator]
    assert_same_distribution(weights, TopPLogitsWarper(p)(torch.empty(0), logits))


@pytest.mark.parametrize("p", [0.05, 0.3, 1.0])
def test_min_p(p: float) -> None:
    logits = random_logits(4, VOCAB_SIZE)
    weights = weights_of(logits)
    filters.keep_min_p(weights, torch.full((4,), p, dtype=torch.float64))
    assert_same_distribution(weights, MinPLogitsWarper(p)(torch.empty(0), logits))


def test_all_filters_in_their_order() -> None:
    logits = random_logits(4, VOCAB_SIZE, scale=1.0)
    warped = logits
    for warper in (
        TemperatureLogitsWarper(1.5),
        TopKLogitsWarper(30),
        TopPLogitsWarper(0.8),
        MinPLogitsWarper(0.2),
    ):
        warped = warper(torch.empty(0), warped)
    weights = weights_of(logits, 1.5)
    filters.keep_top_k(weights, range(4), [30] * 4)
    filters.keep_top_p(weights, range(4), [0.8] * 4)
    filters.keep_min_p(weights, torch.full((4,), 0.2, dtype=torch.float64))
    assert_same_distribution(weights, warped)


@pytest.mark.parametrize("keep", TOP_K + TOP_P)
def test_filters_leave_other_rows_alone(keep: object) -> None:
    weights = weights_of(random_logits(5, VOCAB_SIZE))
    before = weights.clone()
    keep(weights, [1, 3], [0.5, 0.5] if keep in TOP_P else [3, 3])  # type: ignore[operator]
    assert torch.equal(weights[[0, 2, 4]], before[[0, 2, 4]])
    assert (weights[[1, 3]] > 0).sum() < (before[[1, 3]] > 0).sum()


def naive_top_p(row: list[int], p: float) -> list[int]:
    """The definition: likeliest first, equal ones by id, until the probability is reached."""
    total, mass = sum(row), 0
    kept = [0] * len(row)
    for token in sorted(range(len(row)), key=lambda token: (-row[token], token)):
        kept[token] = row[token]
        mass += row[token]
        if mass >= p * total:
            break
    return kept


# Weights of real probabilities, as `to_weights` rounds them, and small ones that tie.
WEIGHTS = st.integers(0, 12) | st.floats(0, 1, width=32).map(lambda p: int(p * 2.0**WEIGHT_BITS))


@given(
    row=st.lists(WEIGHTS, min_size=1, max_size=40),
    p=st.floats(0.001, 0.999),
)
@settings(max_examples=200, deadline=None)
def test_top_p_with_ties(row: list[int], p: float) -> None:
    row[0] = 2**WEIGHT_BITS  # the likeliest token's weight
    expected = naive_top_p(row, p)
    for keep in TOP_P:
        weights = torch.tensor([row])
        keep(weights, [0], [p])
        assert weights[0].tolist() == expected, keep.__name__


@given(row=st.lists(st.integers(0, 12), min_size=1, max_size=40), k=st.integers(1, 50))
@settings(max_examples=100, deadline=None)
def test_top_k_with_ties(row: list[int], k: int) -> None:
    least = sorted(row, reverse=True)[min(k, len(row)) - 1]
    for keep in TOP_K:
        weights = torch.tensor([row])
        keep(weights, [0], [k])
        assert weights[0].tolist() == [w if w >= least else 0 for w in row], keep.__name__


def penalized(
    logits: Tensor, params: SamplingParams, prompt: list[int], output: list[int]
) -> Tensor:
    counts = TokenCounts(prompt)
    counts.extend(output)
    result = logits.clone()
    penalties.penalize(result, [(row, params, counts) for row in range(logits.shape[0])])
    return result


@pytest.mark.parametrize("penalty", [0.5, 1.2, 3.0])
def test_repetition_penalty(penalty: float) -> None:
    logits = random_logits(1, VOCAB_SIZE)
    prompt, output = [3, 5, 5, 90], [7, 3, 198]
    expected = RepetitionPenaltyLogitsProcessor(penalty)(
        torch.tensor([prompt + output]), logits.clone()
    )
    params = SamplingParams(repetition_penalty=penalty)
    torch.testing.assert_close(penalized(logits, params, prompt, output), expected)


@given(
    output=st.lists(st.integers(0, 20), max_size=150),
    frequency=st.floats(-2, 2),
    presence=st.floats(-2, 2),
)
@settings(max_examples=50, deadline=None)
def test_frequency_and_presence_penalties(
    output: list[int], frequency: float, presence: float
) -> None:
    logits = random_logits(2, 30)
    expected = logits.double()
    for token, count in Counter(output).items():
        expected[:, token] -= frequency * count + presence
    params = SamplingParams(frequency_penalty=frequency, presence_penalty=presence)
    # The prompt's tokens are not the output's.
    actual = penalized(logits, params, [1, 2, 25], output)
    torch.testing.assert_close(actual.double(), expected, rtol=1e-5, atol=1e-4)


def test_repetition_comes_before_the_other_penalties() -> None:
    logits = torch.tensor([[2.0, -2.0, 1.0]])
    params = SamplingParams(repetition_penalty=2.0, presence_penalty=1.0, frequency_penalty=0.5)
    assert penalized(logits, params, [1], [0, 0]).tolist() == [[2 / 2 - 1 - 1, -4.0, 1.0]]


@given(
    prompt=st.lists(st.integers(0, 300), max_size=200),
    cuts=st.lists(st.lists(st.integers(0, 300), max_size=80), max_size=5),
)
@settings(max_examples=50, deadline=None)
def test_counts_grow_as_if_counted_at_once(prompt: list[int], cuts: list[list[int]]) -> None:
    counts = TokenCounts(prompt)
    output: list[int] = []
    for cut in cuts:
        output = output + cut
        assert counts.follows(output)
        counts.extend(output)
    expected = dict.fromkeys(prompt, 0) | Counter(output)
    assert dict(zip(counts.tokens.tolist(), counts.counts.tolist(), strict=True)) == expected
    assert not counts.follows([*output, 1][1:]) or len(set(output)) <= 1
    assert counts.counts.dtype == np.float32
