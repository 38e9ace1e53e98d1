"""A Llama checkpoint's weights as a GGUF file, so that llama.cpp runs the very same numbers."""

import importlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from rostra.serving import UnsupportedModel

GgufType = Literal["bf16", "f16"]


def write_gguf(folder: Path, target: Path, weights: GgufType) -> None:
    """Writes a Llama checkpoint's weights for llama.cpp, without its tokenizer.

    Raises:
        UnsupportedModel: another architecture, or scaled rotary embeddings.
    """
    gguf: Any = importlib.import_module("gguf")
    config = json.loads((folder / "config.json").read_text())
    rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
    kind = rope.get("rope_type", "default")
    if config["architectures"] != ["LlamaForCausalLM"] or kind != "default":
        raise UnsupportedModel("only plain Llama checkpoints are written for llama.cpp")
    heads, hidden = config["num_attention_heads"], config["hidden_size"]
    kv_heads, head_dim = config["num_key_value_heads"], config.get("head_dim") or hidden // heads
    writer = gguf.GGUFWriter(str(target), "llama")
    writer.add_vocab_size(config["vocab_size"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(hidden)
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(kv_heads)
    writer.add_key_length(head_dim)
    writer.add_value_length(head_dim)
    writer.add_rope_dimension_count(head_dim)
    writer.add_rope_freq_base(rope.get("rope_theta") or config.get("rope_theta") or 10_000.0)
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_tokenizer_model("none")
    for name, tensor in _tensors(folder):
        if config.get("tie_word_embeddings") and name == "lm_head.weight":
            continue
        if name.endswith(("q_proj.weight", "k_proj.weight")):
            tensor = _interleaved(tensor, heads if "q_proj" in name else kv_heads)
        place = _gguf_name(name)
        if tensor.dim() == 1:
            writer.add_tensor(place, tensor.float().numpy())
        elif weights == "f16":
            writer.add_tensor(place, tensor.half().numpy())
        else:
            raw = tensor.bfloat16().contiguous().view(torch.uint8).numpy()
            writer.add_tensor(place, raw, raw_dtype=gguf.GGMLQuantizationType.BF16)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _tensors(folder: Path) -> Iterator[tuple[str, Tensor]]:
    from safetensors import safe_open

    for file in sorted(folder.glob("*.safetensors")):
        with safe_open(file, framework="pt") as tensors:
            for name in tensors.keys():  # noqa: SIM118  # not a mapping
                yield name, tensors.get_tensor(name)


def _interleaved(weight: Tensor, heads: int) -> Tensor:
    """Rows of a head in llama.cpp's order: rotated pairs beside each other."""
    halves = weight.view(heads, 2, weight.shape[0] // heads // 2, weight.shape[1])
    return halves.transpose(1, 2).reshape(weight.shape)


_GGUF_NAMES = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}
_GGUF_ENDS = {
    "model.embed_tokens.weight": "token_embd.weight",
    "model.norm.weight": "output_norm.weight",
    "lm_head.weight": "output.weight",
}


def _gguf_name(name: str) -> str:
    if name in _GGUF_ENDS:
        return _GGUF_ENDS[name]
    _, _, layer, part = name.split(".", 3)
    return f"blk.{layer}.{_GGUF_NAMES[part.removesuffix('.weight')]}.weight"
