"""Rotary embeddings against transformers' own, far beyond the trained contexts."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import LlamaConfig, Phi3Config
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding, apply_rotary_pos_emb

from rostra.serving.errors import BrokenCheckpoint, UnsupportedModel
from rostra.serving.models.keys import Keys
from rostra.serving.models.ops import rotary
from rostra.serving.models.rope import (
    RopeConfig,
    RotaryTable,
    frequencies,
    read_rope,
    table_parts,
)

CONTEXT = 256
HEAD_DIM = 64
SCALINGS: dict[str, dict[str, Any]] = {
    "default": {"rope_type": "default"},
    "linear": {"rope_type": "linear", "factor": 2.5},
    "dynamic": {"rope_type": "dynamic", "factor": 4.0},
    "llama3": {
        "rope_type": "llama3",
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 32,
    },
    "yarn": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64},
    "yarn of no factor": {
        "rope_type": "yarn",
        "factor": None,
        "original_max_position_embeddings": 64,
    },
    "yarn that states its factor": {
        "rope_type": "yarn",
        "factor": 4.0,
        "original_max_position_embeddings": 64,
        "attention_factor": 1.25,
        "beta_fast": 16.0,
        "beta_slow": 2.0,
        "truncate": False,
    },
    "yarn with mscale": {
        "rope_type": "yarn",
        "factor": 40.0,
        "original_max_position_embeddings": 64,
        "mscale": 0.707,
        "mscale_all_dim": 0.5,
    },
    "longrope": {
        "rope_type": "longrope",
        "original_max_position_embeddings": 64,
        "short_factor": [1 + i / 100 for i in range(32)],
        "long_factor": [1 + i for i in range(32)],
    },
    "longrope that states its factor": {
        "rope_type": "longrope",
        "original_max_position_embeddings": 64,
        "factor": 16.0,
        "attention_factor": 1.1,
        "short_factor": [1.0] * 32,
        "long_factor": [2.0] * 32,
    },
}


def read(scaling: dict[str, Any], **defaults: Any) -> RopeConfig:
    return read_rope(Keys(scaling, Path("config.json"), defaults), 500_000.0, HEAD_DIM, CONTEXT)


def peer_config(scaling: dict[str, Any], kind: type[LlamaConfig] = LlamaConfig) -> LlamaConfig:
    return kind(
        hidden_size=4 * HEAD_DIM,
        num_attention_heads=4,
        max_position_embeddings=CONTEXT,
        rope_parameters={"rope_theta": 500_000.0, **scaling},
    )


@pytest.mark.parametrize("name", [name for name in SCALINGS if name != "default"])
@pytest.mark.parametrize("length", [1, 64, 65, 256, 257, 1000, 100_000])
def test_frequencies(name: str, length: int) -> None:
    scaling = SCALINGS[name]
    wanted, factor = ROPE_INIT_FUNCTIONS[scaling["rope_type"]](
        peer_config(scaling), torch.device("cpu"), seq_len=length
    )
    mine = read(scaling)
    assert torch.equal(frequencies(mine, length), wanted)
    assert mine.attention_factor == pytest.approx(factor, rel=1e-15)


@pytest.mark.parametrize("name", list(SCALINGS))
def test_rotated_heads(name: str) -> None:
    """At every position that a short and a long text reach."""
    config = read(SCALINGS[name])
    parts = table_parts(config, 4 * CONTEXT)
    table = RotaryTable(config, 4 * CONTEXT, parts, torch.device("cpu"))
    peer = LlamaRotaryEmbedding(peer_config(SCALINGS[name]))
    generator = torch.Generator().manual_seed(0)
    # A dynamic base is computed in another precision there once it has changed.
    for count, first in ((64, 0), (4 * CONTEXT, 4 * CONTEXT if parts == 2 else 0)):
        q = torch.randn(count, 4, HEAD_DIM, generator=generator)
        k = torch.randn(count, 2, HEAD_DIM, generator=generator)
        positions = torch.arange(count)
        cos, sin = peer(q, positions[None])
        wanted = apply_rotary_pos_emb(q.transpose(0, 1)[None], k.transpose(0, 1)[None], cos, sin)
        for mine, theirs in zip(rotary(q, k, table(positions + first)), wanted, strict=True):
            difference = (mine.transpose(0, 1)[None] - theirs).abs().max()
            assert difference == 0 if config.kind != "dynamic" or not first else difference < 2e-3


def test_any_selection_of_positions_has_the_same_bits() -> None:
    config = read(SCALINGS["yarn"])
    short, long = (RotaryTable(config, n, 1, torch.device("cpu")) for n in (100, 5000))
    assert torch.equal(short(torch.arange(100)), long.rows[:100])
    picked = torch.tensor([99, 3, 3, 57])
    assert torch.equal(short(picked), torch.stack([long.rows[i] for i in picked]))


def test_part_of_a_head() -> None:
    config = read({}, partial_rotary_factor=0.25)
    assert config.rotary_dim == 16
    assert frequencies(config, 1).shape == (8,)
    q = torch.randn(3, 2, HEAD_DIM)
    table = RotaryTable(config, 10, 1, torch.device("cpu"))
    turned, _ = rotary(q, q, table(torch.tensor([0, 1, 9])))
    assert torch.equal(turned[..., 16:], q[..., 16:])
    assert torch.equal(turned[0], q[0])
    assert not torch.isclose(turned[1:, :, :16], q[1:, :, :16]).all()


def test_half_precision_rounds_once() -> None:
    table = RotaryTable(read({}), 10, 1, torch.device("cpu"))
    q = torch.randn(10, 2, HEAD_DIM).bfloat16()
    positions = torch.arange(10)
    turned, _ = rotary(q, q, table(positions))
    exact, _ = rotary(q.float(), q.float(), table(positions))
    assert torch.equal(turned, exact.bfloat16())


@pytest.mark.parametrize("name", ["su", "yarn"])
def test_older_names_of_longrope(name: str) -> None:
    factors = {"short_factor": [1.0] * 32, "long_factor": [2.0] * 32}
    config = read({"type": name, **factors}, original_max_position_embeddings=64)
    assert config.kind == "longrope"
    assert config.factor == 4.0
    wanted = Phi3Config(
        hidden_size=4 * HEAD_DIM,
        num_attention_heads=4,
        max_position_embeddings=CONTEXT,
        original_max_position_embeddings=64,
        rope_parameters={
            "rope_type": "longrope",
            "original_max_position_embeddings": 64,
            **factors,
        },
    )
    peer = LlamaRotaryEmbedding(wanted)
    assert config.attention_factor == pytest.approx(peer.attention_scaling, rel=1e-15)


@pytest.mark.parametrize(
    ("scaling", "key"),
    [
        ({"rope_type": "linear"}, "factor"),
        ({"rope_type": "linear", "factor": -1}, "factor"),
        ({"rope_type": "linear", "factor": float("nan")}, "factor"),
        ({"rope_type": "linear", "factor": 10**400}, "factor"),
        ({"rope_type": "linear", "factor": True}, "factor"),
        ({"rope_type": "dynamic", "factor": 1e300}, "factor"),
        ({"rope_theta": 1.0}, "rope_theta"),
        ({"rope_type": 7}, "rope_type"),
        ({"partial_rotary_factor": 1.5}, "partial_rotary_factor"),
        ({"partial_rotary_factor": 0.05}, "partial_rotary_factor"),
        (SCALINGS["llama3"] | {"high_freq_factor": 1.0}, "high_freq_factor"),
        (SCALINGS["llama3"] | {"low_freq_factor": None}, "low_freq_factor"),
        (SCALINGS["yarn"] | {"original_max_position_embeddings": 1}, "original_max"),
        (SCALINGS["longrope"] | {"short_factor": [1.0] * 31}, "short_factor"),
        (SCALINGS["longrope"] | {"long_factor": "many"}, "long_factor"),
    ],
)
def test_wrong_values_are_named(scaling: dict[str, Any], key: str) -> None:
    with pytest.raises(BrokenCheckpoint, match=rf"config\.json: {key}"):
        read(scaling)


@pytest.mark.parametrize("scaling", [{"rope_type": "proportional"}, {"type": "x" * 9}])
def test_unknown_kinds(scaling: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedModel) as caught:
        read(scaling)
    assert "longrope" in str(caught.value.hint)
    with pytest.raises(UnsupportedModel):
        read({"type": "mrope", "mrope_section": [16, 24, 24]})
