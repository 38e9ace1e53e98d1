"""Rotary position embeddings (arXiv:2104.09864) and the ways to stretch them over longer contexts.

Two of these ways ask how long the text is: dynamic NTK and LongRoPE rotate a text that outgrows the
trained context differently from its first token on. Keys are cached rotated, so the choice is made
once for a sequence, by the length that it may reach, and does not depend on chunks or batches. A
table has two parts for this, one after the other; `Decoder.first_position` tells a sequence's.

What always holds: angles are float32 products `position * frequency`, as in the reference
implementation, and a row of a table has the same bits whatever else is computed.
"""

import math
from dataclasses import dataclass, replace
from typing import Literal, get_args

import torch
from torch import Tensor

from rostra.serving.errors import UnsupportedModel
from rostra.serving.models.keys import Keys

RopeKind = Literal["default", "linear", "dynamic", "yarn", "llama3", "longrope"]
KINDS: tuple[str, ...] = get_args(RopeKind)
_BY_LENGTH = ("dynamic", "longrope")
_MAX_FACTOR = 4096
# How older files call them.
_ALIASES = {"su": "longrope", "mrope": "default"}


@dataclass(frozen=True, slots=True)
class RopeConfig:
    """How positions rotate queries and keys.

    Attributes:
        kind: the way of stretching.
        theta: base of the wavelengths.
        rotary_dim: how many leading dimensions of a head rotate; even.
        original_context: tokens of the context that was trained for.
        factor: how much longer texts may get.
        attention_factor: multiplies cosines and sines (YaRN's mscale, LongRoPE).
        low_freq_factor: of Llama 3; longer wavelengths than the context by it are stretched fully.
        high_freq_factor: of Llama 3; shorter ones are left alone.
        beta_fast: of YaRN (arXiv:2309.00071); dimensions that turn more often are left alone.
        beta_slow: of YaRN; dimensions that turn less often are stretched fully.
        truncate: of YaRN; the bounds between them are whole dimensions.
        short_factors: of LongRoPE (arXiv:2402.13753), `rotary_dim / 2`, up to the trained context.
        long_factors: likewise, beyond it.
    """

    kind: RopeKind
    theta: float
    rotary_dim: int
    original_context: int
    factor: float = 1.0
    attention_factor: float = 1.0
    low_freq_factor: float = 1.0
    high_freq_factor: float = 4.0
    beta_fast: float = 32.0
    beta_slow: float = 1.0
    truncate: bool = True
    short_factors: tuple[float, ...] = ()
    long_factors: tuple[float, ...] = ()

    @property
    def stretched_context(self) -> int:
        """Tokens that the stretched embedding reaches, as far as this alone tells."""
        if self.kind in ("linear", "dynamic", "yarn"):
            return int(self.original_context * self.factor)
        return self.original_context


def read_rope(keys: Keys, theta: float, head_dim: int, max_position: int) -> RopeConfig:
    """Reads `rope_parameters` or the older `rope_scaling`.

    Args:
        keys: that object, possibly empty; its defaults hold the config's own
            `partial_rotary_factor` and `original_max_position_embeddings`.
        theta: used where the object names none.
        head_dim: width of a head.
        max_position: the config's `max_position_embeddings`.

    Raises:
        UnsupportedModel: a kind of scaling that is not known.
        BrokenCheckpoint: a key is missing or out of range.
    """
    name = "rope_type" if "rope_type" in keys else "type"
    kind = keys.text(name) if name in keys else "default"
    kind = _ALIASES.get(kind, kind)
    if kind == "yarn" and "short_factor" in keys:  # what the first Phi-3 files called it
        kind = "longrope"
    if kind not in KINDS or "mrope_section" in keys:
        raise UnsupportedModel(
            f"{keys.file}: rotary embeddings of type {kind!r} are not supported",
            hint=f"Supported are: {', '.join(KINDS)}.",
            supported=list(KINDS),
        )
    theta = keys.number("rope_theta") if "rope_theta" in keys else theta
    if theta <= 1:
        raise keys.broken("rope_theta", "a number above 1")
    partial = keys.number("partial_rotary_factor") if "partial_rotary_factor" in keys else 1.0
    rotary_dim = int(head_dim * partial)
    if not 4 <= rotary_dim <= head_dim or rotary_dim % 2:
        raise keys.broken("partial_rotary_factor", f"a share of {head_dim} that is even, 4 or more")
    original = max_position
    if kind in ("yarn", "llama3", "longrope") and "original_max_position_embeddings" in keys:
        original = keys.integer("original_max_position_embeddings", at_least=2)
    factor = 1.0
    if kind in ("yarn", "longrope") and "factor" not in keys:
        factor = max_position / original
    elif kind != "default":
        factor = keys.number("factor")
        if factor > _MAX_FACTOR:
            raise keys.broken("factor", f"at most {_MAX_FACTOR}")
    base = RopeConfig(kind, theta, rotary_dim, original, factor)  # type: ignore[arg-type]  # checked
    match kind:
        case "yarn":
            return _read_yarn(keys, base)
        case "llama3":
            return _read_llama3(keys, base)
        case "longrope":
            return _read_longrope(keys, base)
        case _:
            return base


def _read_llama3(keys: Keys, base: RopeConfig) -> RopeConfig:
    low, high = keys.number("low_freq_factor"), keys.number("high_freq_factor")
    if low >= high:
        raise keys.broken("high_freq_factor", f"above low_freq_factor, {low}")
    return replace(base, low_freq_factor=low, high_freq_factor=high)


def _read_yarn(keys: Keys, base: RopeConfig) -> RopeConfig:
    def mscale(weight: float = 1.0) -> float:
        return 1.0 if base.factor <= 1 else 0.1 * weight * math.log(base.factor) + 1.0

    if "attention_factor" in keys:
        attention_factor = keys.number("attention_factor")
    elif keys.value("mscale") and keys.value("mscale_all_dim"):
        attention_factor = mscale(keys.number("mscale")) / mscale(keys.number("mscale_all_dim"))
    else:
        attention_factor = mscale()
    return replace(
        base,
        attention_factor=attention_factor,
        beta_fast=keys.number("beta_fast") if "beta_fast" in keys else 32.0,
        beta_slow=keys.number("beta_slow") if "beta_slow" in keys else 1.0,
        truncate=keys.flag("truncate") if "truncate" in keys else True,
    )


def _read_longrope(keys: Keys, base: RopeConfig) -> RopeConfig:
    if "attention_factor" in keys:
        attention_factor = keys.number("attention_factor")
    elif base.factor <= 1:
        attention_factor = 1.0
    else:
        attention_factor = math.sqrt(1 + math.log(base.factor) / math.log(base.original_context))
    factors = {name: keys.numbers(name) for name in ("short_factor", "long_factor")}
    for name, values in factors.items():
        if len(values) != base.rotary_dim // 2:
            raise keys.broken(name, f"a list of {base.rotary_dim // 2} numbers")
    return replace(
        base,
        attention_factor=attention_factor,
        short_factors=factors["short_factor"],
        long_factors=factors["long_factor"],
    )


def frequencies(config: RopeConfig, length: int) -> Tensor:
    """Angles per position: [rotary_dim / 2] float32.

    Args:
        config: of the embedding.
        length: tokens that the text may reach; only dynamic NTK and LongRoPE look at it.
    """
    dim, theta = config.rotary_dim, config.theta
    steps = torch.arange(0, dim, 2, dtype=torch.float32) / dim
    match config.kind:
        case "default":
            return 1.0 / theta**steps
        case "linear":
            return 1.0 / theta**steps / config.factor
        case "dynamic":
            # https://www.reddit.com/r/LocalLLaMA/comments/14lz7j5: a larger base for longer texts.
            reached = max(length, config.original_context)
            stretch = config.factor * reached / config.original_context - (config.factor - 1)
            base: float = theta * stretch ** (dim / (dim - 2))
            return 1.0 / base**steps
        case "longrope":
            long = length > config.original_context
            factors = torch.tensor(config.long_factors if long else config.short_factors)
            return 1.0 / (factors * theta**steps)
        case "llama3":
            return _llama3(config, 1.0 / theta**steps)
        case "yarn":
            return _yarn(config, theta**steps)


def _llama3(config: RopeConfig, inverse: Tensor) -> Tensor:
    """Stretches long wavelengths, leaves short ones, and goes smoothly from one to the other."""
    context = config.original_context
    wavelength = 2 * math.pi / inverse
    low, high = config.low_freq_factor, config.high_freq_factor
    smooth = (context / wavelength - low) / (high - low)
    between = (1 - smooth) * inverse / config.factor + smooth * inverse
    stretched = torch.where(wavelength > context / low, inverse / config.factor, between)
    return torch.where(wavelength < context / high, inverse, stretched)


def _yarn(config: RopeConfig, wavelengths: Tensor) -> Tensor:
    """Mixes stretched and plain frequencies by how often a dimension turns in the context."""
    dim = config.rotary_dim

    def dimension(turns: float) -> float:
        """The dimension that turns so often within the trained context."""
        reach = math.log(config.original_context / (turns * 2 * math.pi))
        return dim * reach / (2 * math.log(config.theta))

    low, high = dimension(config.beta_fast), dimension(config.beta_slow)
    if config.truncate:
        low, high = math.floor(low), math.ceil(high)
    low, high = max(low, 0), min(high, dim - 1)
    if low == high:
        high += 0.001
    ramp = ((torch.arange(dim // 2, dtype=torch.float32) - low) / (high - low)).clamp(0, 1)
    plain = 1 - ramp
    return 1.0 / (config.factor * wavelengths) * (1 - plain) + 1.0 / wavelengths * plain


class RotaryTable:
    """Cosines and sines of every position, for one kind of layer.

    Attributes:
        rows: [parts * max_context, rotary_dim] float32: cosines, then sines, `rotary_dim / 2` each.
    """

    def __init__(
        self, config: RopeConfig, max_context: int, parts: int, device: torch.device
    ) -> None:
        positions = torch.arange(max_context, dtype=torch.float32)[:, None]
        rows = torch.empty(parts, max_context, config.rotary_dim)
        half = config.rotary_dim // 2
        for part in range(parts):
            reach = max_context if part else config.original_context
            angles = positions * frequencies(config, reach)
            rows[part, :, :half] = angles.cos() * config.attention_factor
            rows[part, :, half:] = angles.sin() * config.attention_factor
        self.rows = rows.flatten(0, 1).to(device)

    def __call__(self, positions: Tensor) -> Tensor:
        """[T] int64 -> [T, rotary_dim] float32."""
        return self.rows[positions]


def table_parts(config: RopeConfig, max_context: int) -> int:
    """2 where some texts within `max_context` are rotated in another way than others, else 1."""
    return 2 if config.kind in _BY_LENGTH and max_context > config.original_context else 1
