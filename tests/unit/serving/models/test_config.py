"""config.json of released models, in older and newer keys, and everything that can be wrong."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoConfig

from rostra.serving.errors import BrokenCheckpoint, UnsupportedModel
from rostra.serving.models.config import ModelConfig, read_config
from tests.unit.serving.models.released import RELEASED


def write(folder: Path, config: Any, generation: Any = None) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    if generation is not None:
        (folder / "generation_config.json").write_text(json.dumps(generation))
    return folder


def read(tmp_path: Path, name: str = "Llama-3.1-8B-Instruct", **changes: Any) -> ModelConfig:
    return read_config(write(tmp_path, RELEASED[name] | changes))


@pytest.fixture(params=RELEASED)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


def test_released_models(tmp_path: Path, name: str) -> None:
    """What transformers makes of the same file."""
    config = read(tmp_path, name)
    peer = AutoConfig.from_pretrained(tmp_path).get_text_config()
    head_dim = getattr(peer, "head_dim", None) or peer.hidden_size // peer.num_attention_heads
    assert config.architecture == RELEASED[name]["architectures"][0]
    assert config.vocab_size == peer.vocab_size
    assert config.hidden_size == peer.hidden_size
    assert config.layers == peer.num_hidden_layers
    assert config.heads == peer.num_attention_heads
    assert config.kv_heads == peer.num_key_value_heads
    assert config.head_dim == head_dim
    assert config.intermediate_size == peer.intermediate_size
    assert config.norm_eps == peer.rms_norm_eps
    assert config.max_context == peer.max_position_embeddings
    assert config.tied_embeddings == peer.tie_word_embeddings
    assert config.attention_scale == getattr(peer, "query_pre_attn_scalar", head_dim) ** -0.5
    assert config.softcap_attention == getattr(peer, "attn_logit_softcapping", None)
    assert config.softcap_logits == getattr(peer, "final_logit_softcapping", None)
    gemma = name.startswith("gemma")
    assert config.activation == ("gelu_pytorch_tanh" if gemma else "silu")
    assert config.norm_offset == (1 if gemma else 0)
    assert config.embedding_scale == (config.hidden_size**0.5 if gemma else 1)
    assert config.qkv_bias == name.startswith("Qwen2")
    assert config.output_bias is config.mlp_bias is False
    assert config.qk_norm == name.startswith(("Qwen3", "gemma-3"))
    window = peer.sliding_window if hasattr(peer, "sliding_window") else None
    if window is not None and window >= config.max_context:
        window = None
    types = getattr(peer, "layer_types", None) or ["sliding_attention"] * config.layers
    assert list(config.windows) == [window if t == "sliding_attention" else None for t in types]
    for layer, rope_index in enumerate(config.layer_ropes):
        rope = config.ropes[rope_index]
        wanted = peer.rope_parameters
        wanted = wanted.get(types[layer], wanted)
        assert (rope.kind, rope.theta) == (wanted["rope_type"], wanted["rope_theta"])
        assert rope.rotary_dim == head_dim * wanted.get("partial_rotary_factor", 1.0)
        if "factor" in wanted:
            assert rope.factor == wanted["factor"]
        if rope.kind in ("llama3", "longrope"):
            assert rope.original_context == wanted["original_max_position_embeddings"]
            assert list(rope.long_factors) == wanted.get("long_factor", [])
    assert config.dtype == RELEASED[name]["torch_dtype"]
    ends = RELEASED[name].get("eos_token_id")
    assert list(config.eos_token_ids) == (ends if isinstance(ends, list) else [ends])


def test_newer_keys_say_the_same(tmp_path: Path, name: str) -> None:
    older = read(tmp_path, name)
    AutoConfig.from_pretrained(tmp_path).save_pretrained(tmp_path / "newer")
    written = json.loads((tmp_path / "newer" / "config.json").read_text())
    assert "rope_parameters" in written.get("text_config", written)
    assert "rope_scaling" not in written
    newer = read_config(tmp_path / "newer")
    assert replace(newer, bos_token_id=None) == replace(older, bos_token_id=None)


def test_mixtures(tmp_path: Path) -> None:
    mixtral = read(tmp_path, "Mixtral-8x7B-v0.1").experts
    assert mixtral is not None
    assert (mixtral.count, mixtral.per_token, mixtral.intermediate_size) == (8, 2, 14336)
    assert mixtral.normalised
    assert all(mixtral.layers)
    qwen = read(tmp_path, "Qwen3-30B-A3B", decoder_sparse_step=2, mlp_only_layers=[3]).experts
    assert qwen is not None
    assert (qwen.count, qwen.per_token, qwen.intermediate_size) == (128, 8, 768)
    assert qwen.layers[:6] == (False, True, False, False, False, True)
    assert read(tmp_path, "Qwen3-30B-A3B", norm_topk_prob=False).experts != qwen
    assert read(tmp_path).experts is None


class TestContext:
    @pytest.mark.parametrize(
        ("scaling", "context"),
        [
            ({"type": "linear", "factor": 4.0}, 131072),
            ({"type": "dynamic", "factor": 2.0}, 65536),
            # What Qwen2.5's model card tells users to add.
            ({"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768}, 131072),
            ({"type": "default"}, 32768),
        ],
    )
    def test_scaled_rotary_embeddings_reach_further(
        self, tmp_path: Path, scaling: dict[str, Any], context: int
    ) -> None:
        config = read(tmp_path, "Qwen2.5-7B-Instruct", rope_scaling=scaling)
        assert config.max_context == context

    def test_yarn_counts_from_the_original_context(self, tmp_path: Path) -> None:
        scaling = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768}
        assert read(tmp_path, "Qwen3-0.6B", rope_scaling=scaling).max_context == 131072


class TestWindows:
    def test_qwen_switches_them_on(self, tmp_path: Path) -> None:
        window = {"use_sliding_window": True, "sliding_window": 4096, "max_window_layers": 20}
        config = read(tmp_path, "Qwen2.5-7B-Instruct", **window)
        assert config.windows == (None,) * 20 + (4096,) * 8
        config = read(tmp_path, "Qwen3-30B-A3B", **window)
        assert config.windows == (4096,) * 48

    def test_a_missing_size_is_the_familys(self, tmp_path: Path) -> None:
        keys = {k: v for k, v in RELEASED["Mistral-7B-v0.1"].items() if k != "sliding_window"}
        assert read_config(write(tmp_path, keys)).windows == (4096,) * 32

    def test_gemma_alternates(self, tmp_path: Path) -> None:
        assert read(tmp_path, "gemma-2-2b-it").windows == (4096, None) * 13
        windows = read(tmp_path, "gemma-3-1b-it").windows
        assert windows[:6] == (512,) * 5 + (None,)

    def test_layer_types_decide(self, tmp_path: Path) -> None:
        types = ["full_attention"] * 25 + ["sliding_attention"]
        windows = read(tmp_path, "gemma-3-1b-it", layer_types=types).windows
        assert windows == (None,) * 25 + (512,)
        with pytest.raises(BrokenCheckpoint, match="layer_types must be a list of 26"):
            read(tmp_path, "gemma-3-1b-it", layer_types=types[:3])
        with pytest.raises(UnsupportedModel, match="linear_attention"):
            read(tmp_path, "gemma-3-1b-it", layer_types=["linear_attention"] * 26)


class TestEndTokens:
    def test_generation_config_goes_first(self, tmp_path: Path) -> None:
        config = RELEASED["Qwen2.5-7B-Instruct"]
        ends = {"eos_token_id": [151645, 151643, 151645], "bos_token_id": 7}
        found = read_config(write(tmp_path, config, ends))
        assert found.eos_token_ids == (151645, 151643)
        assert found.bos_token_id == 7

    def test_without_any(self, tmp_path: Path) -> None:
        found = read_config(write(tmp_path, RELEASED["Llama-2-7b"], {"temperature": 0.6}))
        assert found.eos_token_ids == (2,)
        keys = RELEASED["Llama-2-7b"] | {"eos_token_id": None, "bos_token_id": None}
        found = read_config(write(tmp_path, keys, {}))
        assert found.eos_token_ids == ()
        assert found.bos_token_id is None

    @pytest.mark.parametrize("ends", ["</s>", [1, "x"], -1, True, [[1]]])
    def test_no_ids(self, tmp_path: Path, ends: Any) -> None:
        with pytest.raises(BrokenCheckpoint, match=r"generation_config\.json: eos_token_id"):
            read_config(write(tmp_path, RELEASED["Llama-2-7b"], {"eos_token_id": ends}))


class TestUnsupported:
    @pytest.mark.parametrize(
        "names", [["FalconForCausalLM"], ["Mistral3ForConditionalGeneration"], [], None, "x", [7]]
    )
    def test_architectures(self, tmp_path: Path, names: Any) -> None:
        with pytest.raises(UnsupportedModel) as caught:
            read(tmp_path, architectures=names)
        for supported in ("LlamaForCausalLM", "Gemma2ForCausalLM", "Qwen3MoeForCausalLM"):
            assert supported in str(caught.value.hint)
        if isinstance(names, list) and names and isinstance(names[0], str):
            assert names[0] in caught.value.message

    @pytest.mark.parametrize(
        ("changes", "named"),
        [
            ({"quantization_config": {"quant_method": "gptq", "bits": 4}}, "quantized"),
            ({"hidden_act": "relu2"}, "relu2"),
            ({"rope_scaling": {"rope_type": "proportional"}}, "proportional"),
            ({"use_bidirectional_attention": True}, "later tokens"),
        ],
    )
    def test_features(self, tmp_path: Path, changes: dict[str, Any], named: str) -> None:
        with pytest.raises(UnsupportedModel, match=named):
            read(tmp_path, **changes)

    def test_quantized_text_model(self, tmp_path: Path) -> None:
        text = RELEASED["gemma-3-4b-it"]["text_config"] | {"quantization_config": {}}
        with pytest.raises(UnsupportedModel, match="quantized"):
            read(tmp_path, "gemma-3-4b-it", text_config=text)


class TestBroken:
    def test_no_folder(self, tmp_path: Path) -> None:
        with pytest.raises(BrokenCheckpoint, match=r"there is no config\.json in"):
            read_config(tmp_path / "nowhere")

    @pytest.mark.parametrize(
        "text", ["", "{", "[]", "null", "\udcff", '{"a":' * 100_000, '{"architectures": "\xff"']
    )
    def test_no_json(self, tmp_path: Path, text: str) -> None:
        (tmp_path / "config.json").write_bytes(text.encode("utf-8", "surrogateescape"))
        with pytest.raises(BrokenCheckpoint, match=r"config\.json"):
            read_config(tmp_path)

    def test_broken_generation_config(self, tmp_path: Path) -> None:
        write(tmp_path, RELEASED["Llama-2-7b"])
        (tmp_path / "generation_config.json").write_text("{")
        with pytest.raises(BrokenCheckpoint, match=r"generation_config\.json is not JSON"):
            read_config(tmp_path)

    @pytest.mark.parametrize(
        ("key", "value"),
        [
            ("hidden_size", None),
            ("hidden_size", 0),
            ("hidden_size", "4096"),
            ("hidden_size", 4096.0),
            ("hidden_size", 2**40),
            ("num_hidden_layers", True),
            ("num_hidden_layers", 10**9),
            ("num_attention_heads", -1),
            ("num_attention_heads", 8192),
            ("max_position_embeddings", 2**30),
            ("num_key_value_heads", 3),
            ("intermediate_size", []),
            ("vocab_size", {}),
            ("max_position_embeddings", None),
            ("rms_norm_eps", "small"),
            ("rms_norm_eps", 0),
            ("rope_theta", float("inf")),
            ("rope_scaling", "llama3"),
            ("tie_word_embeddings", "yes"),
            ("hidden_act", 3),
        ],
    )
    def test_a_wrong_key_is_named(self, tmp_path: Path, key: str, value: Any) -> None:
        with pytest.raises(BrokenCheckpoint, match=rf"config\.json: {key} must be"):
            read(tmp_path, **{key: value})

    def test_wrong_experts(self, tmp_path: Path) -> None:
        with pytest.raises(BrokenCheckpoint, match="num_experts_per_tok"):
            read(tmp_path, "Mixtral-8x7B-v0.1", num_experts_per_tok=9)
        with pytest.raises(BrokenCheckpoint, match="mlp_only_layers"):
            read(tmp_path, "Qwen3-30B-A3B", mlp_only_layers=3)

    def test_no_text_config(self, tmp_path: Path) -> None:
        with pytest.raises(BrokenCheckpoint, match="text_config must be an object"):
            read(tmp_path, "gemma-3-4b-it", text_config=None)
