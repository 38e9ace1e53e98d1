"""A checkpoint's config.json, of any family and either generation of its keys, as one value.

What always holds: a `ModelConfig` is complete and its numbers fit each other; what the decoder
cannot do is refused here, before any weight is read.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from rostra.serving.errors import UnsupportedModel
from rostra.serving.models.families import COMMON_DEFAULTS, FAMILIES, Family
from rostra.serving.models.keys import Keys, read_json
from rostra.serving.models.rope import RopeConfig, read_rope

Activation = Literal["silu", "gelu_pytorch_tanh", "gelu"]
# Far beyond what there is; what a broken file says must not become that much memory.
_MAX_CONTEXT = 2**24
_MAX_LAYERS = 4096
_MAX_EXPERTS = 4096


@dataclass(frozen=True, slots=True)
class ExpertsConfig:
    """A mixture of experts in place of the feed-forward block.

    Attributes:
        count: experts of a layer.
        per_token: how many a token goes through.
        intermediate_size: of each.
        normalised: the chosen experts' weights sum to 1.
        layers: for each layer, whether it has experts.
    """

    count: int
    per_token: int
    intermediate_size: int
    normalised: bool
    layers: tuple[bool, ...]


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """What the decoder must know of a model. Sizes count elements.

    Attributes:
        architecture: the name in config.json, a key of `FAMILIES`.
        vocab_size: rows of the embedding and of the head.
        hidden_size: width of the residual stream.
        layers: how many.
        heads: query heads.
        kv_heads: key and value heads; divides `heads`.
        head_dim: width of a head.
        intermediate_size: of a layer without experts.
        activation: of the gate.
        norm_eps: added to the mean square in every norm.
        norm_offset: added to every norm's weight.
        max_context: most tokens that positions are made for.
        tied_embeddings: the head is the embedding.
        embedding_scale: embeddings are multiplied by it, in their dtype.
        bos_token_id: the token that texts begin with, if there is one.
        eos_token_ids: those that end a text.
        windows: for each layer, how many tokens back one sees, itself included; None is all.
        ropes: the different rotary embeddings.
        layer_ropes: for each layer, which of them.
        qk_norm: queries and keys are normalised per head.
        qkv_bias: the query, key and value projections have one.
        output_bias: the attention's output projection has one.
        mlp_bias: the feed-forward projections have one.
        softcap_attention: scores become `cap * tanh(score / cap)`.
        softcap_logits: likewise the logits.
        attention_scale: scores are multiplied by it.
        experts: None where no layer has any.
        dtype: of the weights, as config.json has it ("bfloat16"); None where it does not say.
    """

    architecture: str
    vocab_size: int
    hidden_size: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    intermediate_size: int
    activation: Activation
    norm_eps: float
    norm_offset: float
    max_context: int
    tied_embeddings: bool
    embedding_scale: float
    bos_token_id: int | None
    eos_token_ids: tuple[int, ...]
    windows: tuple[int | None, ...]
    ropes: tuple[RopeConfig, ...]
    layer_ropes: tuple[int, ...]
    qk_norm: bool
    qkv_bias: bool
    output_bias: bool
    mlp_bias: bool
    softcap_attention: float | None
    softcap_logits: float | None
    attention_scale: float
    experts: ExpertsConfig | None
    dtype: str | None

    @property
    def family(self) -> Family:
        """Where its tensors are named."""
        return FAMILIES[self.architecture]


def read_config(folder: Path) -> ModelConfig:
    """Reads config.json and, where there is one, generation_config.json.

    Args:
        folder: the checkpoint.

    Raises:
        UnsupportedModel: an architecture or feature that the decoder does not know.
        BrokenCheckpoint: config.json is missing, or a key in it is missing or out of range.
    """
    file = folder / "config.json"
    values = read_json(file)
    architecture = _architecture(values, file)
    family = FAMILIES[architecture]
    defaults = {**COMMON_DEFAULTS, **family.defaults}
    whole = Keys(values, file, defaults)
    keys = whole.section("text_config", defaults) if family.text_config else whole
    for part in (whole, keys):
        if "quantization_config" in part:
            raise UnsupportedModel(
                f"{file}: the weights are quantized already, which is not supported",
                hint="Take the unquantized checkpoint; ROSTRA_WEIGHTS=int8 or int4 quantizes it.",
            )
    if keys.flag("use_bidirectional_attention"):
        raise UnsupportedModel(f"{file}: attention to later tokens is not supported")

    layers = keys.integer("num_hidden_layers", at_most=_MAX_LAYERS)
    heads = keys.integer("num_attention_heads")
    kv_heads = keys.integer("num_key_value_heads") if "num_key_value_heads" in keys else heads
    if heads % kv_heads:
        raise keys.broken("num_key_value_heads", f"a divisor of {heads}")
    hidden_size = keys.integer("hidden_size")
    head_dim = keys.integer("head_dim") if "head_dim" in keys else hidden_size // heads
    if not head_dim:
        raise keys.broken("num_attention_heads", f"at most hidden_size, {hidden_size}")
    max_position = keys.integer("max_position_embeddings", at_most=_MAX_CONTEXT)
    layer_types = _layer_types(keys, family, layers)
    ropes = _ropes(keys, head_dim, max_position)
    reached = max(rope.stretched_context for rope in ropes.values())
    biased = family.biases == "config" and keys.flag("attention_bias")
    scored = keys.number("query_pre_attn_scalar") if "query_pre_attn_scalar" in keys else head_dim
    end = Keys(_generation_values(folder), folder / "generation_config.json")
    stated = (part.value(name) for part in (keys, whole) for name in ("dtype", "torch_dtype"))
    dtype = next(filter(None, stated), None)
    # Gemma 3 dropped the cap on scores and its reference ignores the key.
    capped = "attn_logit_softcapping" in keys and not family.qk_norm
    return ModelConfig(
        architecture=architecture,
        vocab_size=keys.integer("vocab_size"),
        hidden_size=hidden_size,
        layers=layers,
        heads=heads,
        kv_heads=kv_heads,
        head_dim=head_dim,
        intermediate_size=keys.integer("intermediate_size"),
        activation=_activation(keys),
        norm_eps=keys.number("rms_norm_eps"),
        norm_offset=family.norm_offset,
        max_context=(
            max_position if family.stretched else min(max(max_position, reached), _MAX_CONTEXT)
        ),
        tied_embeddings=keys.flag("tie_word_embeddings"),
        embedding_scale=hidden_size**0.5 if family.scaled_embedding else 1.0,
        bos_token_id=next(
            iter(end.token_ids("bos_token_id") or keys.token_ids("bos_token_id")), None
        ),
        eos_token_ids=end.token_ids("eos_token_id")
        or whole.token_ids("eos_token_id")
        or keys.token_ids("eos_token_id"),
        windows=_windows(keys, family, layer_types, max_position),
        ropes=tuple(ropes.values()),
        layer_ropes=tuple(
            list(ropes).index(kind if kind in ropes else "full_attention") for kind in layer_types
        ),
        qk_norm=family.qk_norm,
        qkv_bias=biased or family.biases == "qkv",
        output_bias=biased,
        mlp_bias=keys.flag("mlp_bias"),
        softcap_attention=keys.number("attn_logit_softcapping") if capped else None,
        softcap_logits=(
            keys.number("final_logit_softcapping") if "final_logit_softcapping" in keys else None
        ),
        attention_scale=scored**-0.5,
        experts=_experts(keys, family, layers),
        dtype=str(dtype).removeprefix("torch.") if dtype else None,
    )


def _architecture(values: Mapping[str, Any], file: Path) -> str:
    named = values.get("architectures")
    names = [name for name in named if isinstance(name, str)] if isinstance(named, list) else []
    if found := next((name for name in names if name in FAMILIES), None):
        return found
    supported = list(FAMILIES)
    described = ", ".join(names) or f"unnamed (model_type {values.get('model_type')!r})"
    raise UnsupportedModel(
        f"{file}: the architecture {described} is not supported",
        hint=f"Supported are: {', '.join(supported)}.",
        supported=supported,
    )


def _generation_values(folder: Path) -> Mapping[str, Any]:
    file = folder / "generation_config.json"
    return read_json(file) if file.exists() else {}


def _activation(keys: Keys) -> Activation:
    name = keys.text("hidden_activation" if "hidden_activation" in keys else "hidden_act")
    name = {"gelu_tanh": "gelu_pytorch_tanh", "swish": "silu"}.get(name, name)
    for known in get_args(Activation):
        if name == known:
            return known  # type: ignore[no-any-return]
    raise UnsupportedModel(
        f"{keys.file}: the activation {name!r} is not supported",
        hint=f"Supported are: {', '.join(get_args(Activation))}.",
    )


def _layer_types(keys: Keys, family: Family, layers: int) -> tuple[str, ...]:
    """`full_attention` or `sliding_attention` for each layer."""
    full, sliding = "full_attention", "sliding_attention"
    match family.windows:
        case "never":
            return (full,) * layers
        case "all":
            return (sliding if "sliding_window" in keys else full,) * layers
        case "switched_all":
            return (sliding if _window_switched_on(keys) else full,) * layers
    if "layer_types" in keys:
        types = keys.texts("layer_types")
        if len(types) != layers:
            raise keys.broken("layer_types", f"a list of {layers}")
        if unknown := sorted({*types} - {full, sliding}):
            raise UnsupportedModel(f"{keys.file}: layers of type {unknown[0]!r} are not supported")
        return types
    if family.windows == "pattern":
        every = keys.integer("sliding_window_pattern")
        return tuple(sliding if (layer + 1) % every else full for layer in range(layers))
    if not _window_switched_on(keys):
        return (full,) * layers
    first = keys.integer("max_window_layers", at_least=0)
    return tuple(sliding if layer >= first else full for layer in range(layers))


def _window_switched_on(keys: Keys) -> bool:
    return keys.flag("use_sliding_window") and "sliding_window" in keys


def _windows(
    keys: Keys, family: Family, layer_types: tuple[str, ...], max_position: int
) -> tuple[int | None, ...]:
    if "sliding_attention" not in layer_types or (
        family.windows == "switched" and not _window_switched_on(keys)
    ):
        return (None,) * len(layer_types)
    window = keys.integer("sliding_window")
    return tuple(
        window if kind == "sliding_attention" and window < max_position else None
        for kind in layer_types
    )


def _ropes(keys: Keys, head_dim: int, max_position: int) -> dict[str, RopeConfig]:
    """The rotary embeddings by the type of layer that uses them; `full_attention` is there."""
    shared = {
        name: keys.value(name)
        for name in ("partial_rotary_factor", "original_max_position_embeddings")
    }
    theta = keys.number("rope_theta")
    name = "rope_parameters" if "rope_parameters" in keys else "rope_scaling"
    scaling = keys.section(name, shared) if name in keys else Keys({}, keys.file, shared)

    def read(part: Keys, theta: float) -> RopeConfig:
        return read_rope(part, theta, head_dim, max_position)

    local = keys.number("rope_local_base_freq") if "rope_local_base_freq" in keys else theta
    if "full_attention" in scaling:  # one for each type of layer
        ropes = {"full_attention": read(scaling.section("full_attention", shared), theta)}
        if "sliding_attention" in scaling:
            ropes["sliding_attention"] = read(scaling.section("sliding_attention", shared), local)
        return ropes
    ropes = {"full_attention": read(scaling, theta)}
    if "rope_local_base_freq" in keys:  # local layers are not stretched
        ropes["sliding_attention"] = read(Keys({}, keys.file, shared), local)
    return ropes


def _experts(keys: Keys, family: Family, layers: int) -> ExpertsConfig | None:
    if not family.experts:
        return None
    counted = next((name for name in family.experts if name in keys), family.experts[-1])
    count = keys.integer(counted, at_most=_MAX_EXPERTS)
    size = "moe_intermediate_size" if "moe_intermediate_size" in keys else "intermediate_size"
    step = keys.integer("decoder_sparse_step") if "decoder_sparse_step" in keys else 1
    dense = keys.value("mlp_only_layers") or []
    if not isinstance(dense, list):
        raise keys.broken("mlp_only_layers", "a list of layers")
    normalised = family.experts_normalised
    return ExpertsConfig(
        count=count,
        per_token=keys.integer("num_experts_per_tok", at_most=count),
        intermediate_size=keys.integer(size),
        normalised=keys.flag("norm_topk_prob") if normalised is None else normalised,
        layers=tuple(layer not in dense and (layer + 1) % step == 0 for layer in range(layers)),
    )
