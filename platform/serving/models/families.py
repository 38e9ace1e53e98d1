"""The model families that the decoder knows, as data: what their files leave out or name oddly.

What always holds: a family differs from another only in what is written here; config.json decides
the rest, and the decoder has no branch on a family's name.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Literal

# Which projections have a bias, when config.json's `attention_bias` or the family says so.
Biases = Literal["none", "qkv", "config"]
# Which layers have a sliding window: every one where a size is given; those that `layer_types`
# names (`pattern`, Gemma); those from `max_window_layers` on, only where `use_sliding_window`.
Windows = Literal["never", "all", "switched", "switched_all", "pattern"]


@dataclass(frozen=True, slots=True)
class TensorNames:
    """Names of one layer's tensors, after `model.layers.N.`; packed ones list their parts."""

    qkv: tuple[str, ...] = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj")
    output: str = "self_attn.o_proj"
    q_norm: str = "self_attn.q_norm"
    k_norm: str = "self_attn.k_norm"
    attention_norm: str = "input_layernorm"
    post_attention_norm: str | None = None
    mlp_norm: str = "post_attention_layernorm"
    post_mlp_norm: str | None = None
    mlp: str = "mlp"
    gate_up: tuple[str, ...] = ("gate_proj", "up_proj")
    down: str = "down_proj"
    experts: str = "mlp"
    expert_gate_up: tuple[str, ...] = ("gate_proj", "up_proj")
    expert_down: str = "down_proj"


@dataclass(frozen=True, slots=True)
class Family:
    """What sets a family apart.

    Attributes:
        names: of a layer's tensors.
        prefixes: of all tensors but the head's; the first that occurs is taken.
        biases: of the attention's projections.
        qk_norm: queries and keys are normalised per head.
        norm_offset: added to every norm's weight; Gemma stores them less 1.
        scaled_embedding: embeddings are multiplied by the root of the hidden size.
        windows: where sliding windows are.
        experts: the keys, of newer and older files, that count a mixture's experts; none for
            families without.
        experts_normalised: the weights of a token's experts sum to 1; None asks config.json.
        stretched: `max_position_embeddings` counts what scaled rotary embeddings reach already.
        text_config: the language model is described in a part of config.json; its towers for
            images and sound are not loaded.
        defaults: values of keys that config.json may leave out.
    """

    names: TensorNames = field(default_factory=TensorNames)
    prefixes: tuple[str, ...] = ("model.",)
    biases: Biases = "none"
    qk_norm: bool = False
    norm_offset: float = 0.0
    scaled_embedding: bool = False
    windows: Windows = "never"
    experts: tuple[str, ...] = ()
    experts_normalised: bool | None = None
    stretched: bool = False
    text_config: bool = False
    defaults: Mapping[str, Any] = field(default_factory=dict)


_SANDWICHED = TensorNames(
    post_attention_norm="post_attention_layernorm",
    mlp_norm="pre_feedforward_layernorm",
    post_mlp_norm="post_feedforward_layernorm",
)
_QWEN_WINDOW = {"use_sliding_window": False, "sliding_window": 4096, "max_window_layers": 28}
_GEMMA = {
    "head_dim": 256,
    "hidden_activation": "gelu_pytorch_tanh",
    "query_pre_attn_scalar": 256,
    "sliding_window": 4096,
    "tie_word_embeddings": True,
}
_GEMMA2 = Family(
    names=_SANDWICHED,
    biases="config",
    norm_offset=1.0,
    scaled_embedding=True,
    windows="pattern",
    defaults=_GEMMA
    | {
        "sliding_window_pattern": 2,
        "attn_logit_softcapping": 50.0,
        "final_logit_softcapping": 30.0,
        "max_position_embeddings": 8192,
    },
)
_GEMMA3 = Family(
    names=_SANDWICHED,
    biases="config",
    qk_norm=True,
    norm_offset=1.0,
    scaled_embedding=True,
    windows="pattern",
    stretched=True,
    # The released multimodal checkpoints state only what differs from these.
    defaults=_GEMMA
    | {
        "vocab_size": 262_208,
        "hidden_size": 2304,
        "intermediate_size": 9216,
        "num_hidden_layers": 26,
        "num_attention_heads": 8,
        "num_key_value_heads": 4,
        "max_position_embeddings": 131_072,
        "sliding_window_pattern": 6,
        "rope_theta": 1_000_000.0,
        "rope_local_base_freq": 10_000.0,
        "eos_token_id": 1,
    },
)

FAMILIES: Mapping[str, Family] = MappingProxyType(
    {
        "LlamaForCausalLM": Family(biases="config"),
        "MistralForCausalLM": Family(windows="all", defaults={"sliding_window": 4096}),
        "Qwen2ForCausalLM": Family(biases="qkv", windows="switched", defaults=_QWEN_WINDOW),
        "Qwen3ForCausalLM": Family(
            biases="config",
            qk_norm=True,
            windows="switched",
            defaults=_QWEN_WINDOW | {"head_dim": 128},
        ),
        "Gemma2ForCausalLM": _GEMMA2,
        "Gemma3ForCausalLM": _GEMMA3,
        "Gemma3ForConditionalGeneration": replace(
            _GEMMA3,
            prefixes=("language_model.model.", "model.language_model."),
            text_config=True,
        ),
        "Phi3ForCausalLM": Family(
            names=TensorNames(qkv=("self_attn.qkv_proj",), gate_up=("gate_up_proj",)),
            windows="all",
            defaults={"original_max_position_embeddings": 4096},
        ),
        "MixtralForCausalLM": Family(
            names=TensorNames(
                experts="block_sparse_moe", expert_gate_up=("w1", "w3"), expert_down="w2"
            ),
            windows="all",
            experts=("num_local_experts",),
            experts_normalised=True,
            defaults={"num_local_experts": 8, "num_experts_per_tok": 2, "rope_theta": 1e6},
        ),
        "Qwen3MoeForCausalLM": Family(
            biases="config",
            qk_norm=True,
            windows="switched_all",
            experts=("num_local_experts", "num_experts"),
            defaults=_QWEN_WINDOW
            | {
                "num_experts_per_tok": 8,
                "moe_intermediate_size": 768,
                "decoder_sparse_step": 1,
                "mlp_only_layers": [],
            },
        ),
    }
)

# What an absent key means in every family.
COMMON_DEFAULTS: Mapping[str, Any] = MappingProxyType(
    {
        "hidden_act": "silu",
        "rms_norm_eps": 1e-6,
        "rope_theta": 10_000.0,
        "tie_word_embeddings": False,
    }
)
