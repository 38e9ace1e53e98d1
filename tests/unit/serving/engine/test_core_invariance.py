"""Batch-invariant mode: a request's logits are the same, bit for bit, whatever surrounds it."""

from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch

from rostra.serving import EngineCore
from rostra.serving.sampling.sampler import Sampled, Sampler, SamplingRow
from tests.unit.serving.engine.cores import make_core, random_prompt, request, run

Logits = dict[tuple[tuple[int, ...], int], bytes]


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> Logits:
    """Bytes of all logits that are sampled from, by prompt and position."""
    found: Logits = {}
    original = Sampler.sample

    def sample(self: Sampler, logits: torch.Tensor, rows: list[SamplingRow], *rest: Any) -> Sampled:
        for row, values in zip(rows, logits, strict=True):
            found[tuple(row.prompt), row.position] = values.numpy().tobytes()
        return original(self, logits, rows, *rest)

    monkeypatch.setattr(Sampler, "sample", sample)
    return found


def logits_of(
    core: EngineCore, recorded: Logits, prompt: list[int], others: list[list[int]]
) -> list[bytes]:
    recorded.clear()
    every = [prompt, *others]
    run(core, [request(str(i), one, max_tokens=10) for i, one in enumerate(every)])
    return [recorded[tuple(prompt), len(prompt) + i] for i in range(10)]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("family", ["llama3", "gemma2", "qwen3_moe"])
def test_logits_are_bitwise_equal(
    checkpoint: Callable[..., Path], recorded: Logits, family: str, dtype: str
) -> None:
    folder = checkpoint(family)
    random = Random(5)
    prompt = random_prompt(random, 45)
    others = [random_prompt(random, random.randint(1, 60)) for _ in range(15)]

    def core(budget: int) -> EngineCore:
        return make_core(
            folder, dtype=dtype, max_running=16, max_step_tokens=budget, batch_invariant=True
        )

    alone = logits_of(core(256), recorded, prompt, [])
    for budget in (17, 48, 512):
        engine = core(budget)
        assert logits_of(engine, recorded, prompt, []) == alone
        assert logits_of(engine, recorded, prompt, others) == alone  # after a prefix hit as well
        assert logits_of(core(budget), recorded, prompt, others) == alone
