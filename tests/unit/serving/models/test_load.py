"""Loading: shards, formats, and files that are not what they should be."""

import json
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from rostra.serving.errors import BrokenCheckpoint, UnsupportedModel
from rostra.serving.models.decoder import Decoder
from rostra.serving.models.load import load_decoder
from tests.unit.serving.conftest import Checkpoint
from tests.unit.serving.models.reference import run
from tests.unit.serving.models.test_decoder import tokens

CPU = torch.device("cpu")
TEXT = tokens(20)
SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"


def load(folder: Path, **arguments: Any) -> Decoder:
    return load_decoder(folder, **{"dtype": torch.float32, "device": CPU} | arguments)


def logits(folder: Path, **arguments: Any) -> Tensor:
    return run(load(folder, **arguments), TEXT, [len(TEXT)])


@pytest.fixture
def copy(checkpoint: Checkpoint, tmp_path: Path) -> Callable[..., Path]:
    """A checkpoint to break."""

    def get(family: str = "llama3", **arguments: Any) -> Path:
        return shutil.copytree(checkpoint(family, **arguments), tmp_path / "copy")

    return get


def change_tensors(folder: Path, change: Callable[[dict[str, Tensor]], object]) -> Path:
    tensors = load_file(folder / SINGLE)
    change(tensors)
    save_file(tensors, folder / SINGLE, metadata={"format": "pt"})
    return folder


def change_config(folder: Path, **keys: Any) -> Path:
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | keys))
    return folder


@pytest.mark.parametrize("family", ["llama3", "gemma3", "phi4", "qwen3_moe"])
def test_sharded(checkpoint: Checkpoint, family: str) -> None:
    whole, sharded = checkpoint(family), checkpoint(family, max_shard_size="100KB")
    assert len([*sharded.glob("*.safetensors")]) > 3
    assert not (sharded / SINGLE).exists()
    assert torch.equal(logits(sharded), logits(whole))


def test_stored_dtype_and_dtype_asked_for(checkpoint: Checkpoint) -> None:
    half = checkpoint("qwen2", dtype=torch.bfloat16)
    decoder = load(half)
    assert decoder.dtype == torch.float32
    assert decoder.config.dtype == "bfloat16"
    difference = logits(half) - logits(checkpoint("qwen2"))
    assert 0 < difference.square().mean().sqrt() < 0.2
    small = load(half, dtype=torch.bfloat16)
    assert small.dtype == torch.bfloat16
    assert small.weight_bytes * 2 == pytest.approx(decoder.weight_bytes, rel=0.01)


def test_progress(checkpoint: Checkpoint) -> None:
    seen: list[tuple[int, int]] = []
    load(checkpoint("llama3"), progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_decoder_owns_its_weights(copy: Callable[..., Path]) -> None:
    """Files that are overwritten later change nothing, and nothing is left mapped."""
    folder = copy()
    decoder = load(folder)
    before = run(decoder, TEXT, [len(TEXT)])
    with (folder / SINGLE).open("r+b") as file:
        size = file.seek(0, 2)
        file.seek(size // 2)
        file.write(b"\xff" * (size // 2))
    assert torch.equal(run(decoder, TEXT, [len(TEXT)]), before)
    assert str(folder) not in Path("/proc/self/maps").read_text()


@pytest.mark.parametrize("family", ["llama3_tied", "gemma2", "phi4", "mixtral", "qwen3_moe"])
def test_quantized(checkpoint: Checkpoint, family: str) -> None:
    folder = checkpoint(family)
    dense = logits(folder)
    decoders = [load(folder, weights=weights) for weights in ("int8", "int4")]
    for decoder, most in zip(decoders, (0.15, 1.0), strict=True):
        difference = run(decoder, TEXT, [len(TEXT)]) - dense
        error = difference.square().mean().sqrt() / dense.square().mean().sqrt()
        assert 1e-4 < error < most
        # The head, too: what is left is the embedding, the router, and scales.
        embedding = 4 * 512 * 64
        assert decoder.token_weight_bytes < 0.4 * (load(folder).token_weight_bytes + embedding)
    assert decoders[1].token_weight_bytes < decoders[0].token_weight_bytes


@pytest.mark.parametrize("prefix", ["language_model.model.", "model.language_model."])
def test_text_part_of_a_multimodal_checkpoint(copy: Callable[..., Path], prefix: str) -> None:
    folder = copy("gemma3")
    wanted = logits(folder)

    def rename(tensors: dict[str, Tensor]) -> None:
        for name in [*tensors]:
            tensors[prefix + name.removeprefix("model.")] = tensors.pop(name)
        tensors["vision_tower.patches.weight"] = torch.zeros(3)

    change_tensors(folder, rename)
    text = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(
        json.dumps(
            {
                "architectures": ["Gemma3ForConditionalGeneration"],
                "text_config": text,
                "vision_config": {"hidden_size": 32},
            }
        )
    )
    assert torch.equal(logits(folder), wanted)


def test_tied_head_ignores_a_stored_one(copy: Callable[..., Path]) -> None:
    folder = copy("llama3_tied")
    wanted = logits(folder)
    change_tensors(folder, lambda t: t.update({"lm_head.weight": torch.zeros(512, 64)}))
    assert torch.equal(logits(folder), wanted)


def test_biases_that_config_switches_on(copy: Callable[..., Path]) -> None:
    folder = copy("llama3")
    plain = logits(folder)
    change_config(folder, attention_bias=True, mlp_bias=True)
    with pytest.raises(BrokenCheckpoint, match=r"no tensor model\.layers\.0\.self_attn\.\w+\.bias"):
        load(folder)

    def add(tensors: dict[str, Tensor]) -> None:
        for name, weight in [*tensors.items()]:
            if "_proj" in name:
                tensors[name.replace("weight", "bias")] = torch.zeros(len(weight))

    change_tensors(folder, add)
    assert torch.equal(logits(folder), plain)
    for bias in ("self_attn.v_proj", "self_attn.o_proj", "mlp.up_proj", "mlp.down_proj"):
        name = f"model.layers.1.{bias}.bias"
        change_tensors(folder, lambda t, name=name: t[name].fill_(0.5))
        changed = logits(folder)
        assert not torch.allclose(changed, plain)
        plain = changed


class TestBroken:
    def test_missing_tensor(self, copy: Callable[..., Path]) -> None:
        name = "model.layers.2.mlp.up_proj.weight"
        folder = change_tensors(copy(), lambda tensors: tensors.pop(name))
        with pytest.raises(BrokenCheckpoint, match=rf"model\.safetensors has no tensor {name}"):
            load(folder)

    def test_missing_embedding(self, copy: Callable[..., Path]) -> None:
        name = "model.embed_tokens.weight"
        folder = change_tensors(copy(), lambda tensors: tensors.pop(name))
        with pytest.raises(BrokenCheckpoint, match=name):
            load(folder)

    @pytest.mark.parametrize(
        ("key", "value", "tensor"),
        [
            ("vocab_size", 513, "embed_tokens"),
            ("intermediate_size", 2**31 - 1, "mlp"),
            ("num_key_value_heads", 1, "k_proj"),
            ("num_hidden_layers", 4, "layers.3"),
            ("head_dim", 8, "q_proj"),
        ],
    )
    def test_shapes_that_config_does_not_imply(
        self, copy: Callable[..., Path], key: str, value: int, tensor: str
    ) -> None:
        folder = change_config(copy(), **{key: value})
        with pytest.raises(BrokenCheckpoint) as caught:
            load(folder)
        assert tensor in caught.value.message
        assert SINGLE in caught.value.message

    @pytest.mark.parametrize("keep", [0, 4, 100, 0.5, -1])
    def test_truncated_file(self, copy: Callable[..., Path], keep: float) -> None:
        folder = copy()
        whole = (folder / SINGLE).read_bytes()
        length = int(len(whole) * keep) if isinstance(keep, float) else keep % len(whole)
        (folder / SINGLE).write_bytes(whole[:length])
        with pytest.raises(BrokenCheckpoint, match=r"model\.safetensors is truncated"):
            load(folder)

    @pytest.mark.parametrize(
        "content",
        [
            b"not a safetensors file at all",
            struct.pack("<Q", 2**60) + b"{}",
            struct.pack("<Q", 8) + b'{"a": 1}',
            struct.pack("<Q", 2) + b"\xff\xff",
        ],
    )
    def test_corrupt_file(self, copy: Callable[..., Path], content: bytes) -> None:
        folder = copy()
        (folder / SINGLE).write_bytes(content)
        with pytest.raises(BrokenCheckpoint, match=r"model\.safetensors is truncated or no"):
            load(folder)

    def test_missing_shard(self, copy: Callable[..., Path]) -> None:
        folder = copy(max_shard_size="100KB")
        shard = sorted(folder.glob("*.safetensors"))[1]
        shard.unlink()
        with pytest.raises(BrokenCheckpoint, match=f"index.json names {shard.name}, which is not"):
            load(folder)

    def test_truncated_shard(self, copy: Callable[..., Path]) -> None:
        folder = copy(max_shard_size="100KB")
        shard = sorted(folder.glob("*.safetensors"))[-1]
        shard.write_bytes(shard.read_bytes()[:-10])
        with pytest.raises(BrokenCheckpoint, match=f"{shard.name} is truncated"):
            load(folder)

    def test_index_that_lies_about_a_shard(self, copy: Callable[..., Path]) -> None:
        folder = copy(max_shard_size="100KB")
        index = json.loads((folder / INDEX).read_text())
        files = sorted(set(index["weight_map"].values()))
        name = "model.norm.weight"
        index["weight_map"][name] = next(f for f in files if f != index["weight_map"][name])
        (folder / INDEX).write_text(json.dumps(index))
        with pytest.raises(BrokenCheckpoint, match=rf"tensor {name} cannot be read"):
            load(folder)

    @pytest.mark.parametrize(
        "content",
        ["{", "[]", "{}", '{"weight_map": []}', '{"weight_map": {"a": 1}}']
        + [json.dumps({"weight_map": {"a": name}}) for name in ("../x", "/etc/passwd", "", "a/b")],
    )
    def test_broken_index(self, copy: Callable[..., Path], content: str) -> None:
        folder = copy(max_shard_size="100KB")
        (folder / INDEX).write_text(content)
        with pytest.raises(BrokenCheckpoint, match=r"index\.json"):
            load(folder)

    def test_no_weights(self, copy: Callable[..., Path]) -> None:
        folder = copy()
        (folder / SINGLE).unlink()
        with pytest.raises(BrokenCheckpoint, match=r"neither model\.safetensors nor"):
            load(folder)
        (folder / "pytorch_model.bin").touch()
        with pytest.raises(UnsupportedModel, match=r"pytorch_model\.bin"):
            load(folder)

    def test_numbers_that_are_no_floats(self, copy: Callable[..., Path]) -> None:
        name = "model.layers.0.mlp.down_proj.weight"
        folder = change_tensors(copy(), lambda t: t.update({name: t[name].to(torch.int8)}))
        with pytest.raises(UnsupportedModel, match=f"{name} is stored as I8"):
            load(folder)
