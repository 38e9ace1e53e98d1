"""Recorded decode steps, with a recorder that runs anew: padding, buckets, sampling."""

from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch

from rostra.serving import EngineCore
from rostra.serving.attention.graphs import repeat
from rostra.serving.attention.sdpa import SdpaBackend
from rostra.serving.engine.graphed import GraphedDecode
from rostra.serving.engine.runner import Runner
from tests.unit.serving.engine.cores import make_core, random_prompt, request, run


def rewire(core: EngineCore, *, graphed: bool) -> list[int]:
    """Puts torch's attention under a core, recorded or not; gives the sizes of replayed steps."""
    info = core.describe()
    backend = SdpaBackend(
        core._decoder.config,
        blocks=info.blocks,
        block_size=info.block_size,
        dtype=torch.float32,
        device="cpu",
    )
    replayed: list[int] = []
    graphs = None
    if graphed:
        graphs = GraphedDecode(
            core._decoder,
            backend,
            max_batch=8,
            max_context=info.max_context,
            block_size=info.block_size,
            capture=repeat,
        )
        original = graphs.replay

        def replay(layout: Any, *rest: Any) -> Any:
            replayed.append(layout.sequences)
            return original(layout, *rest)

        graphs.replay = replay  # type: ignore[method-assign]
    core._runner = Runner(
        core._decoder,
        backend,
        block_size=info.block_size,
        mask_words=-(-info.vocab_size // 32),
        graphs=graphs,
    )
    return replayed


@pytest.mark.parametrize("overlap", [False, True])
def test_replayed_steps_give_the_same_tokens(
    checkpoint: Callable[..., Path], overlap: bool
) -> None:
    folder = checkpoint("qwen3")
    random = Random(3)
    asked = [
        request("greedy", random_prompt(random, 20), max_tokens=9),
        request("sampled", random_prompt(random, 7), max_tokens=12, temperature=1.0, seed=5),
        request("nucleus", random_prompt(random, 9), max_tokens=5, temperature=1.0, top_p=0.8),
        request("early", random_prompt(random, 3), max_tokens=8, min_tokens=4, seed=2),
        request("penalized", random_prompt(random, 3), max_tokens=8, repetition_penalty=1.5),
        request("told", random_prompt(random, 3), max_tokens=6, logprobs=2),
    ]
    plain = make_core(folder, overlap=overlap)
    rewire(plain, graphed=False)
    graphed = make_core(folder, overlap=overlap)
    replayed = rewire(graphed, graphed=True)
    expected, found = run(plain, asked), run(graphed, asked)
    assert {name: r.tokens for name, r in found.items()} == {
        name: r.tokens for name, r in expected.items()
    }
    assert len(found["told"].logprobs[0]) == 6
    assert set(replayed) > {1, 2}
