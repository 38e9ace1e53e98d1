"""Tiny random checkpoints of every model family, as transformers itself writes them.

What always holds: equal arguments give equal files. Weights are scaled so that attention matters,
norm weights are not all alike, and the likeliest token stands out: greedy decoding then depends on
every part of a model and on no rounding error. `evals.speed.checkpoints` has the tokenizer and
makes larger ones.
"""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, GenerationConfig, PreTrainedModel

from evals.speed.checkpoints import BOS_ID, EOS_ID, TURN_END_ID, end_tokens, make_tokenizer

__all__ = [
    "BOS_ID",
    "EOS_ID",
    "FAMILIES",
    "TURN_END_ID",
    "VOCAB_SIZE",
    "make_checkpoint",
    "make_model",
    "make_tokenizer",
]

VOCAB_SIZE = 512

_COMMON: Mapping[str, Any] = MappingProxyType(
    {
        "vocab_size": VOCAB_SIZE,
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 1024,
        "tie_word_embeddings": False,
    }
)

# What each family has beyond `_COMMON`.
_FAMILIES: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "llama2": {"model_type": "llama", "num_key_value_heads": 4},
        "llama3": {
            "model_type": "llama",
            "rope_parameters": {
                "rope_type": "llama3",
                "rope_theta": 500_000.0,
                "factor": 8.0,
                "low_freq_factor": 1.0,
                "high_freq_factor": 4.0,
                "original_max_position_embeddings": 128,
            },
        },
        "llama3_tied": {
            "model_type": "llama",
            "tie_word_embeddings": True,
            "rope_parameters": {
                "rope_type": "llama3",
                "rope_theta": 500_000.0,
                "factor": 32.0,
                "low_freq_factor": 1.0,
                "high_freq_factor": 4.0,
                "original_max_position_embeddings": 32,
            },
        },
        "llama_linear": {
            "model_type": "llama",
            "rope_parameters": {"rope_type": "linear", "rope_theta": 10_000.0, "factor": 4.0},
        },
        "llama_dynamic": {
            "model_type": "llama",
            "max_position_embeddings": 64,
            "rope_parameters": {"rope_type": "dynamic", "rope_theta": 10_000.0, "factor": 4.0},
        },
        "qwen2": {"model_type": "qwen2"},
        "qwen2_window": {
            "model_type": "qwen2",
            "use_sliding_window": True,
            "sliding_window": 20,
            "max_window_layers": 1,
        },
        "qwen3": {"model_type": "qwen3", "head_dim": 32},
        "qwen3_yarn": {
            "model_type": "qwen3",
            "head_dim": 32,
            "tie_word_embeddings": True,
            "rope_parameters": {
                "rope_type": "yarn",
                "rope_theta": 10_000.0,
                "factor": 4.0,
                "original_max_position_embeddings": 256,
            },
        },
        "mistral": {"model_type": "mistral", "sliding_window": 24},
        "gemma2": {
            "model_type": "gemma2",
            "head_dim": 32,
            "query_pre_attn_scalar": 24,
            "sliding_window": 16,
            "tie_word_embeddings": True,
            # Small enough to bend scores and logits of order one.
            "attn_logit_softcapping": 3.0,
            "final_logit_softcapping": 12.0,
        },
        "gemma3": {
            "model_type": "gemma3_text",
            "head_dim": 32,
            "query_pre_attn_scalar": 24,
            "sliding_window": 16,
            "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
            "tie_word_embeddings": True,
            "rope_parameters": {
                "full_attention": {
                    "rope_type": "linear",
                    "factor": 8.0,
                    "rope_theta": 1_000_000.0,
                },
                "sliding_attention": {"rope_type": "default", "rope_theta": 10_000.0},
            },
        },
        "phi3": {"model_type": "phi3", "sliding_window": 32},
        "phi4": {
            "model_type": "phi3",
            "num_attention_heads": 2,
            "num_key_value_heads": 1,
            "tie_word_embeddings": True,
            "original_max_position_embeddings": 128,
            "partial_rotary_factor": 0.75,
            "rope_parameters": {
                "rope_type": "longrope",
                "rope_theta": 10_000.0,
                "partial_rotary_factor": 0.75,
                "original_max_position_embeddings": 128,
                "short_factor": [1.0 + 0.02 * i for i in range(12)],
                "long_factor": [1.0 + 0.5 * i for i in range(12)],
            },
        },
        "mixtral": {
            "model_type": "mixtral",
            "intermediate_size": 64,
            "num_local_experts": 4,
            "num_experts_per_tok": 2,
        },
        "qwen3_moe": {
            "model_type": "qwen3_moe",
            "head_dim": 32,
            "moe_intermediate_size": 32,
            "num_experts": 8,
            "num_experts_per_tok": 3,
            "norm_topk_prob": True,
            "mlp_only_layers": [1],
        },
    }
)

FAMILIES: tuple[str, ...] = tuple(_FAMILIES)


def make_checkpoint(
    folder: Path,
    family: str,
    *,
    seed: int = 0,
    dtype: torch.dtype = torch.float32,
    tokenizer: bool = True,
    max_shard_size: str = "5GB",
    **overrides: Any,
) -> Path:
    """Writes weights, config.json, generation_config.json and a tokenizer of `vocab_size` ids.

    Args:
        folder: made when missing.
        family: one of `FAMILIES`.
        max_shard_size: of one safetensors file, as `save_pretrained` takes it.
        overrides: keys of the family's config.json.
    """
    model = make_model(family, seed=seed, **overrides).to(dtype=dtype)
    model.config.dtype = dtype
    model.save_pretrained(folder, max_shard_size=max_shard_size)
    if tokenizer:
        make_tokenizer(folder, model.config.vocab_size)
    return folder


def make_model(family: str, *, seed: int = 0, **overrides: Any) -> PreTrainedModel:
    """The model that `make_checkpoint` saves, in float32, in evaluation mode."""
    keys = dict(_COMMON) | end_tokens() | dict(_FAMILIES[family]) | overrides
    config = AutoConfig.for_model(**keys)
    config._attn_implementation = "eager"  # the only one that knows softcaps
    model: PreTrainedModel = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    _draw_weights(model, seed)
    model.generation_config = GenerationConfig(**end_tokens())
    model.eval()
    return model


@torch.no_grad()
def _draw_weights(model: PreTrainedModel, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    norm_offset = 0.0 if model.config.model_type.startswith("gemma") else 1.0
    # A tied head likes the token that it was given: small embeddings keep texts from repeating it.
    embedding = 0.4 if model.config.tie_word_embeddings else 1.0
    for name, parameter in sorted(model.named_parameters()):
        drawn = torch.randn(parameter.shape, generator=generator)
        if name == "model.norm.weight":
            drawn = 4.0 / embedding * (1 + 0.1 * drawn) - (1 - norm_offset)  # spreads the logits
        elif "norm" in name:
            drawn = norm_offset + 0.1 * drawn
        elif name.endswith(".bias"):
            drawn = 0.3 * drawn
        elif "q_proj" in name or "k_proj" in name or ".gate." in name:
            drawn = 1.5 * drawn * parameter.shape[-1] ** -0.5
        elif "embed" in name:
            drawn = embedding * drawn * parameter.shape[-1] ** -0.5
        else:
            drawn = drawn * parameter.shape[-1] ** -0.5
        parameter.copy_(drawn)
