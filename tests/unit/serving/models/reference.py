"""Oracles: transformers' models; and the plainest attention, in the paged backends' place."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import (
    AttentionInterface,
    AttentionMaskInterface,
    AutoModelForCausalLM,
    PreTrainedModel,
)
from transformers.masking_utils import eager_mask

from rostra.serving.models.config import ModelConfig
from rostra.serving.models.decoder import Decoder


def peer(folder: Path, dtype: torch.dtype = torch.float32) -> PreTrainedModel:
    """transformers' model of a checkpoint; its masks are its own, its softmax is in `dtype`.

    Its eager attention takes the softmax in float32, which would hide what float64 can show.
    """
    AttentionInterface.register("plain", _plain_attention)
    AttentionMaskInterface.register("plain", eager_mask)
    model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(
        folder, dtype=dtype, attn_implementation="plain", experts_implementation="eager"
    )
    model.eval()
    return model


def _plain_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor,
    scaling: float,
    softcap: float | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    group = query.shape[1] // key.shape[1]
    key, value = key.repeat_interleave(group, 1), value.repeat_interleave(group, 1)
    scores = query @ key.transpose(2, 3) * scaling
    if softcap is not None:
        scores = torch.tanh(scores / softcap) * softcap
    return ((scores + attention_mask).softmax(-1) @ value).transpose(1, 2).contiguous(), None


@torch.no_grad()
def peer_logits(model: PreTrainedModel, tokens: Sequence[int]) -> Tensor:
    """[len(tokens), vocab]"""
    logits: Tensor = model(torch.tensor([tokens]), use_cache=False).logits
    return logits[0]


def attend(
    q: Tensor, k: Tensor, v: Tensor, scale: float, window: int | None, cap: float | None
) -> Tensor:
    """One sequence's newest tokens over all of it, in the inputs' dtype throughout.

    q: [heads, T, dim]; k, v: [kv_heads, S, dim]; the last T of the S tokens ask. -> [T, heads, dim]
    """
    group = q.shape[0] // k.shape[0]
    k, v = k.repeat_interleave(group, 0), v.repeat_interleave(group, 0)
    scores = q @ k.transpose(1, 2) * scale
    if cap is not None:
        scores = torch.tanh(scores / cap) * cap
    seen, asking = k.shape[1], q.shape[1]
    key = torch.arange(seen)
    query = torch.arange(seen - asking, seen)[:, None]
    visible = key <= query
    if window is not None:
        visible &= key > query - window
    scores = scores.masked_fill(~visible, -torch.inf)
    return (scores.softmax(-1) @ v).transpose(0, 1)


@dataclass
class DenseAttention:
    """Attention of several sequences that keeps everything; set `counts` before each step."""

    config: ModelConfig
    counts: list[int] = field(default_factory=list)  # new tokens of each sequence, in row order

    def __post_init__(self) -> None:
        self._kept: dict[tuple[int, int], tuple[Tensor, Tensor]] = {}

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        parts = []
        start = 0
        for sequence, count in enumerate(self.counts):
            rows = slice(start, start := start + count)
            keys, values = k[rows].transpose(0, 1), v[rows].transpose(0, 1)
            if before := self._kept.get((layer, sequence)):
                keys, values = torch.cat([before[0], keys], 1), torch.cat([before[1], values], 1)
            self._kept[layer, sequence] = keys, values
            config = self.config
            attended = attend(
                q[rows].transpose(0, 1),
                keys,
                values,
                config.attention_scale,
                config.windows[layer],
                config.softcap_attention,
            )
            parts.append(attended.flatten(1))
        return torch.cat(parts)


def run(decoder: Decoder, tokens: Sequence[int], chunks: Sequence[int], peak: int = 0) -> Tensor:
    """Logits [len(tokens), vocab] of one sequence that is computed in these chunks."""
    attention = DenseAttention(decoder.config)
    first = decoder.first_position(max(peak, len(tokens)))
    logits, start = [], 0
    for count in chunks:
        attention.counts = [count]
        ids = torch.tensor(tokens[start : start + count])
        positions = torch.arange(start, start + count) + first
        logits.append(decoder.logits(decoder.forward(ids, positions, attention)))
        start += count
    return torch.cat(logits)


def greedy(decoder: Decoder, prompt: Sequence[int], new: int) -> list[int]:
    """The likeliest continuation, up to and with an end token."""
    attention = DenseAttention(decoder.config)
    first = decoder.first_position(len(prompt) + new)
    output: list[int] = []
    ids, start = list(prompt), 0
    while len(output) < new and not {*output} & {*decoder.config.eos_token_ids}:
        attention.counts = [len(ids)]
        positions = torch.arange(start, start + len(ids)) + first
        hidden = decoder.forward(torch.tensor(ids), positions, attention)
        start += len(ids)
        ids = [int(decoder.logits(hidden[-1:]).argmax())]
        output += ids
    return output
