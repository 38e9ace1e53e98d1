"""The sampler on a GPU: the CPU's tokens, no waiting for the device, the plain path as a graph."""

from collections.abc import Iterator

import pytest
import torch

from rostra.serving.sampling import noise
from rostra.serving.sampling.draw import draw_plain
from rostra.serving.sampling.sampler import Sampler
from tests.unit.serving.sampling.rows import bits, random_logits, row

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU"),
]

VOCAB_SIZE = 32_000
ROWS = [
    row(temperature=0, logprobs=3),
    row(seed=1, position=5),
    row(seed=2, temperature=2.0, top_k=40),
    row(seed=3, temperature=1.5, top_p=0.9, logit_bias={7: 3.0}),
    row(seed=4, top_k=100, top_p=0.8, min_p=0.01, logprobs=0),
    row(seed=5, repetition_penalty=1.3, presence_penalty=0.5, prompt=[1, 2], output=[3, 3]),
    row(seed=6, mask=True),
    row(seed=7, min_tokens=4, eos=(9,), min_p=0.2),
]


@pytest.fixture
def no_waiting() -> Iterator[None]:
    """Any call that waits for the device raises."""
    torch.cuda.set_sync_debug_mode("error")
    yield
    torch.cuda.set_sync_debug_mode("default")


def test_the_tokens_are_the_cpus(no_waiting: None) -> None:
    logits = random_logits(len(ROWS), VOCAB_SIZE)
    bitmask = bits([range(i, VOCAB_SIZE, 7) for i in range(len(ROWS))], VOCAB_SIZE)
    expected = Sampler().sample(logits.clone(), ROWS, bitmask)
    on_device = logits.pin_memory().to("cuda", non_blocking=True)
    sampled = Sampler().sample(on_device, ROWS, bitmask.pin_memory())
    torch.cuda.set_sync_debug_mode("default")
    assert sampled.tokens.is_cuda
    assert sampled.read() == expected.read()
    for ours, cpus in zip(sampled.logprobs, expected.logprobs, strict=True):
        assert (ours is None) == (cpus is None)
        if ours is not None and cpus is not None:
            assert ours.token == cpus.token
            assert ours.logprob == pytest.approx(cpus.logprob, abs=1e-4)


def test_the_plain_path_as_a_graph() -> None:
    logits = random_logits(4, VOCAB_SIZE).cuda()
    temperature = torch.tensor([0.0, 1.0, 0.7, 2.0]).cuda()
    seeds = torch.tensor([noise.signed(2**64 - i) for i in range(4)]).cuda()
    held = [logits.clone(), temperature, seeds, torch.zeros(4, dtype=torch.int64).cuda()]
    draw_plain(*held)  # kernels are loaded before the capture
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        packed = draw_plain(*held)
    for step in range(5):
        positions = torch.arange(4).cuda() + step
        held[0].copy_(logits)
        held[3].copy_(positions)
        graph.replay()
        assert torch.equal(packed, draw_plain(logits.clone(), temperature, seeds, positions))
