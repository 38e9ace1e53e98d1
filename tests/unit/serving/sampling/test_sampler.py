"""The sampler: right tokens, right shares, and no row that feels its neighbours."""

import random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare, kstest
from torch import Tensor

from rostra.serving.request import SamplingParams
from rostra.serving.sampling import noise
from rostra.serving.sampling.draw import draw_plain
from rostra.serving.sampling.logprobs import prompt_logprobs
from rostra.serving.sampling.sampler import Sampler, SamplingRow, is_plain
from tests.unit.serving.sampling.rows import bits, random_logits, row

VOCAB_SIZE = 131


def tokens_of(logits: Tensor, rows: list[SamplingRow], bitmask: Tensor | None = None) -> list[int]:
    tokens, errors = Sampler().sample(logits.clone(), rows, bitmask).read()
    assert not errors
    return tokens


def drawn(logits: Tensor, count: int, **params: object) -> list[int]:
    """Tokens at `count` positions of one sequence."""
    rows = [row(seed=11, position=i, **params) for i in range(count)]  # type: ignore[arg-type]
    return tokens_of(logits.expand(count, -1), rows)


# --- Greedy ---------------------------------


def test_greedy_takes_the_likeliest() -> None:
    logits = random_logits(5, VOCAB_SIZE)
    assert tokens_of(logits, [row(temperature=0)] * 5) == logits.argmax(-1).tolist()


def test_greedy_ties_go_to_the_lowest_id() -> None:
    for vocab_size in (5, 64, 1000, 40_000):
        logits = torch.zeros(3, vocab_size)
        logits[1, 2:] = 1.0
        logits[2, [vocab_size - 1, vocab_size // 2]] = 7.0
        assert tokens_of(logits, [row(temperature=0)] * 3) == [0, 2, vocab_size // 2]


def test_a_tiny_temperature_is_greedy() -> None:
    logits = random_logits(4, VOCAB_SIZE)
    for temperature in (1e-300, 1e-6, 1e-4):
        rows = [row(temperature=temperature, seed=i) for i in range(4)]
        assert tokens_of(logits, rows) == logits.argmax(-1).tolist()


def test_a_batch_may_be_mixed() -> None:
    logits = random_logits(4, VOCAB_SIZE)
    rows = [row(temperature=0), row(seed=5, position=9), row(temperature=0.0), row(top_k=1)]
    tokens = tokens_of(logits, rows)
    greedy = logits.argmax(-1).tolist()
    assert tokens[0] == greedy[0] and tokens[2:] == greedy[2:]
    assert tokens[1] == tokens_of(logits[1:2], [rows[1]])[0]


# --- The draw ---------------------------------

MANY = 20_000


@pytest.mark.parametrize(
    "params",
    [
        {"temperature": 1.0},
        {"temperature": 2.0},
        {"temperature": 1.3, "top_k": 5},
        {"temperature": 1.0, "top_p": 0.8},
        {"temperature": 1.5, "min_p": 0.1},
    ],
    ids=str,
)
def test_shares_are_the_distribution(params: dict[str, float]) -> None:
    logits = torch.tensor([[1.0, 0.5, -1.0, 2.0, 0.0, 1.7, -0.5, 0.3]])
    probabilities = (logits[0].double() / params["temperature"]).softmax(-1)
    order = probabilities.argsort(descending=True)
    keep = torch.ones(8, dtype=torch.bool)
    if "top_k" in params:
        keep[order[5:]] = False
    if "top_p" in params:
        before = probabilities[order].cumsum(0) - probabilities[order]
        keep[order[before >= 0.8]] = False
    if "min_p" in params:
        keep &= probabilities >= 0.1 * probabilities.max()
    probabilities = torch.where(keep, probabilities, 0.0)
    counts = torch.tensor(drawn(logits, MANY, **params)).bincount(minlength=8)
    assert counts[~keep].sum() == 0
    expected = (probabilities / probabilities.sum() * MANY)[keep]
    assert chisquare(counts[keep].numpy(), expected.numpy()).pvalue > 1e-3


def test_noise_is_uniform_along_positions_and_seeds() -> None:
    count = 50_000
    for seeds, positions in (
        (torch.zeros(count, dtype=torch.int64), torch.arange(count)),
        (torch.arange(count), torch.full((count,), 17)),
    ):
        numbers = noise.uniform(seeds, positions)
        assert kstest(numbers.numpy(), "uniform").pvalue > 1e-3
        assert abs(correlation(numbers)) < 0.02
        assert numbers.unique().numel() == count


def correlation(numbers: Tensor) -> float:
    return float(torch.corrcoef(torch.stack((numbers[:-1], numbers[1:])))[0, 1])


@given(seed=st.integers(-(2**63), 2**64 - 1), position=st.integers(0, 2**31))
@settings(max_examples=100, deadline=None)
def test_noise_is_splitmix64(seed: int, position: int) -> None:
    full = 2**64 - 1

    def mix(state: int) -> int:
        state = ((state ^ (state >> 30)) * noise.MIX_1) & full
        state = ((state ^ (state >> 27)) * noise.MIX_2) & full
        return state ^ (state >> 31)

    start = mix((seed + noise.GOLDEN) & full)
    expected = (mix((start + (position + 1) * noise.GOLDEN) & full) >> 11) * 2.0**-53
    actual = noise.uniform(torch.tensor([noise.signed(seed)]), torch.tensor([position]))
    assert actual.tolist() == [expected]
    assert 0.0 <= expected < 1.0


def test_splitmix64_gives_the_published_numbers() -> None:
    """The first outputs of the reference generator for seed 1234567."""
    stream = [6457827717110365317, 3203168211198807973, 9817491932198370423]
    states = torch.tensor([noise.signed(1234567 + (n + 1) * noise.GOLDEN) for n in range(3)])
    assert [value % 2**64 for value in noise.mix(states).tolist()] == stream


PARAMS = st.fixed_dictionaries(
    {},
    optional={
        "temperature": st.sampled_from([0.0, 0.3, 1.0, 4.0]),
        "top_k": st.integers(0, 20),
        "top_p": st.floats(0.05, 1.0),
        "min_p": st.floats(0.0, 0.5),
        "repetition_penalty": st.sampled_from([0.8, 1.0, 1.4]),
        "presence_penalty": st.sampled_from([0.0, 1.5]),
        "frequency_penalty": st.sampled_from([0.0, -0.5]),
        "logit_bias": st.dictionaries(st.integers(0, VOCAB_SIZE - 1), st.floats(-5, 5), max_size=3),
        "min_tokens": st.integers(0, 10),
        "logprobs": st.none() | st.integers(0, 5),
        "stop_token_ids": st.lists(st.integers(0, VOCAB_SIZE - 1), max_size=2).map(tuple),
    },
)
ROWS = st.builds(
    lambda params, seed, prompt, output, mask: row(
        seed=seed,
        position=len(prompt) + len(output),
        prompt=prompt,
        output=output,
        eos=(2,),
        mask=mask,
        **params,
    ),
    PARAMS,
    st.integers(0, 2**64 - 1),
    st.lists(st.integers(0, VOCAB_SIZE - 1), min_size=1, max_size=10),
    st.lists(st.integers(0, VOCAB_SIZE - 1), max_size=10),
    st.booleans(),
)


@given(rows=st.lists(ROWS, min_size=1, max_size=6), data=st.data())
@settings(max_examples=100, deadline=None)
def test_a_row_alone_and_in_a_batch(rows: list[SamplingRow], data: st.DataObject) -> None:
    logits = random_logits(len(rows), VOCAB_SIZE, seed=data.draw(st.integers(0, 100)))
    allowed = [sorted(random.Random(i).sample(range(VOCAB_SIZE), 60)) for i in range(len(rows))]
    bitmask = bits(allowed, VOCAB_SIZE)
    sampler = Sampler()
    together = sampler.sample(logits.clone(), rows, bitmask)
    order = data.draw(st.permutations(range(len(rows))))
    shuffled = sampler.sample(logits[list(order)], [rows[i] for i in order], bitmask[list(order)])
    assert shuffled.read()[0] == [together.read()[0][i] for i in order]
    assert shuffled.logprobs == [together.logprobs[i] for i in order]
    for i, one in enumerate(rows):
        alone = Sampler().sample(logits[i : i + 1].clone(), [one], bitmask[i : i + 1])
        assert alone.read()[0] == together.read()[0][i : i + 1]
        assert alone.logprobs == together.logprobs[i : i + 1]


def test_a_seed_repeats_and_another_does_not() -> None:
    logits = random_logits(1, VOCAB_SIZE, scale=0.5)

    def text(seed: int) -> list[int]:
        return tokens_of(logits.expand(40, -1), [row(seed=seed, position=i) for i in range(40)])

    assert text(1) == text(1)
    assert len({tuple(text(seed)) for seed in (1, 2, 3, -1, 2**64 - 2)}) == 5
    assert text(-1) == text(2**64 - 1)  # the same 64 bits


# --- Before the draw ---------------------------------


def test_logit_bias() -> None:
    logits = random_logits(2, VOCAB_SIZE)
    least = int(logits[0].argmin())
    rows = [row(temperature=0, logit_bias={least: 100.0}), row(temperature=0)]
    assert tokens_of(logits, rows) == [least, int(logits[1].argmax())]


def test_min_tokens_holds_the_end_off() -> None:
    logits = torch.zeros(1, 10)
    logits[0, [2, 7]] = torch.tensor([50.0, 40.0])
    logits[0, 4] = 30.0

    def token(position: int, **params: object) -> int:
        one = row(temperature=0, prompt=[1, 1], position=position, eos=(2,), **params)  # type: ignore[arg-type]
        return tokens_of(logits, [one])[0]

    assert token(2) == 2
    assert token(2, min_tokens=3) == 7
    assert token(4, min_tokens=3, stop_token_ids=(7,)) == 4  # two tokens are there, one is missing
    assert token(5, min_tokens=3, stop_token_ids=(7,)) == 2


def test_counts_of_a_sequence_follow_its_output() -> None:
    sampler = Sampler()
    params = SamplingParams(temperature=0, frequency_penalty=2.0)
    prompt: list[int] = [1]
    output: list[int] = []
    logits = torch.tensor([[3.0, 2.0, 0.0]])
    for _ in range(6):
        one = SamplingRow(params, 0, 1 + len(output), prompt, output)
        output.append(sampler.sample(logits.clone(), [one]).read()[0][0])
    assert output == [0, 1, 0, 1, 2, 0]  # equal logits go to the lowest id
    # Another output under the same prompt and seed is counted anew.
    other = SamplingRow(params, 0, 3, prompt, [2, 2])
    assert sampler.sample(logits.clone(), [other]).read()[0] == [0]


@pytest.mark.parametrize("vocab_size", [31, 32, 131, 1000])
def test_the_mask_allows_what_its_bits_say(vocab_size: int) -> None:
    logits = random_logits(3, vocab_size)
    allowed = [[vocab_size - 1], [0, 5, 30], [3]]
    rows = [row(mask=True, temperature=0), row(mask=True, seed=3), row(temperature=0)]
    tokens = tokens_of(logits, rows, bits(allowed, vocab_size))
    assert tokens[0] == vocab_size - 1
    assert tokens[1] in allowed[1]
    assert tokens[2] == int(logits[2].argmax())  # its row of the mask does not apply


def test_what_the_mask_has_no_bits_for_is_forbidden() -> None:
    logits = torch.zeros(2, 100)
    logits[:, 99] = 9.0
    narrow = bits([[5], [6]], 64)
    tokens = tokens_of(logits, [row(mask=True, temperature=0), row(temperature=0)], narrow)
    assert tokens == [5, 99]
    assert tokens_of(logits, [row(mask=True, temperature=0)] * 2, narrow) == [5, 6]


# --- What fails fails alone ---------------------------------


@pytest.mark.parametrize("params", [{"temperature": 0}, {}, {"top_p": 0.5}, {"top_k": 3}])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_broken_row_fails_alone(params: dict[str, float], value: float) -> None:
    logits = random_logits(3, VOCAB_SIZE)
    expected = tokens_of(logits, [row(**params)] * 3)
    logits[1, 7 if value != -float("inf") else slice(None)] = value
    sampled = Sampler().sample(logits, [row(**params)] * 3)
    tokens, errors = sampled.read()
    assert list(errors) == [1]
    assert errors[1].code == "sampling_failed"
    assert ("allowed" if value == -float("inf") else "finite") in errors[1].message
    assert tokens == [expected[0], 0, expected[2]]


def test_an_empty_mask_fails_its_row() -> None:
    logits = random_logits(2, 64)
    rows = [row(mask=True), row(mask=True)]
    _, errors = Sampler().sample(logits, rows, bits([[], [1]], 64)).read()
    assert list(errors) == [0]
    assert "allowed" in errors[0].message


def test_shapes_must_fit() -> None:
    with pytest.raises(ValueError, match="2 rows"):
        Sampler().sample(random_logits(2, 8), [row()])
    with pytest.raises(ValueError, match="mask"):
        Sampler().sample(random_logits(1, 8), [row(mask=True)])


# --- Log probabilities ---------------------------------


def test_logprobs_are_the_raw_models() -> None:
    logits = random_logits(4, VOCAB_SIZE)
    reference = logits.double().log_softmax(-1)
    rows = [
        row(temperature=0, logprobs=0),
        row(temperature=0.0),
        row(temperature=3.0, top_k=4, logit_bias={5: 50.0}, logprobs=3),
        row(temperature=1.0, presence_penalty=2.0, output=[1, 2], logprobs=20),
    ]
    sampled = Sampler().sample(logits.clone(), rows)
    values = sampled.logprobs
    assert values[1] is None
    for i, top in ((0, 0), (2, 3), (3, 20)):
        value = values[i]
        assert value is not None
        assert value.token == sampled.read()[0][i]
        assert value.logprob == pytest.approx(float(reference[i, value.token]), abs=1e-4)
        best = reference[i].topk(top)
        assert [token for token, _ in value.top] == best.indices.tolist()
        assert [p for _, p in value.top] == pytest.approx(best.values.tolist(), abs=1e-4)


def test_logprobs_stay_finite() -> None:
    logits = torch.full((1, 5), -torch.inf)
    logits[0, 1] = 0.0
    [value] = Sampler().sample(logits, [row(logprobs=5)]).logprobs
    assert value is not None
    assert value.top[0] == (1, 0.0)
    assert all(p == -9999.0 for _, p in value.top[1:])


@pytest.mark.parametrize("chunk_rows", [1, 7, 64])
def test_prompt_logprobs(chunk_rows: int) -> None:
    generator = torch.Generator().manual_seed(1)
    hidden = torch.randn(20, 8, generator=generator)
    head = torch.randn(VOCAB_SIZE, 8, generator=generator)
    targets = torch.randint(VOCAB_SIZE, (20,), generator=generator)
    reference = (hidden.double() @ head.double().T).log_softmax(-1)
    widest = 0

    def logits_fn(rows: Tensor) -> Tensor:
        nonlocal widest
        widest = max(widest, rows.shape[0])
        return rows @ head.T

    values = prompt_logprobs(hidden, targets, logits_fn, 3, chunk_rows=chunk_rows)
    assert [value.token for value in values] == targets.tolist()
    expected = reference.gather(1, targets[:, None])[:, 0].tolist()
    assert [value.logprob for value in values] == pytest.approx(expected, abs=1e-4)
    assert [[t for t, _ in v.top] for v in values] == reference.topk(3).indices.tolist()
    assert widest == min(chunk_rows, 20)


# --- The part that a CUDA graph can hold ---------------------------------


def test_the_graph_path_takes_the_samplers_tokens() -> None:
    logits = random_logits(5, VOCAB_SIZE)
    logits[4, 3] = torch.nan
    temperatures = [0.0, 1.0, 0.5, 2.0, 1.0]
    rows = [row(temperature=t, seed=-i, position=i) for i, t in enumerate(temperatures)]
    assert all(is_plain(one.params) for one in rows)
    packed = draw_plain(
        logits.clone(),
        torch.tensor(temperatures),
        torch.tensor([noise.signed(-i) for i in range(5)]),
        torch.arange(5),
    )
    assert torch.equal(packed, Sampler().sample(logits.clone(), rows).packed)


@pytest.mark.parametrize(
    "params",
    [
        {"top_k": 1},
        {"top_p": 0.9},
        {"min_p": 0.1},
        {"logit_bias": {1: 1.0}},
        {"presence_penalty": 1.0},
        {"temperature": 0, "repetition_penalty": 1.1},
        {"logprobs": 0},
    ],
    ids=str,
)
def test_what_needs_more_than_the_graph_path(params: dict[str, object]) -> None:
    assert not is_plain(SamplingParams(**params))  # type: ignore[arg-type]
    assert is_plain(SamplingParams(temperature=0, top_k=3, top_p=0.5, min_p=0.5))
