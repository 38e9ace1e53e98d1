"""Attention over gathered pages with torch's own operators: plain, on any device, in any dtype.

It is what the faster backends are tested against, and what runs where they do not.

What always holds: one sequence at a time, so nothing of another sequence is ever in reach. In
batch-invariant mode one token at a time, over key splits of a fixed size that start at position 0,
in operations of fixed shapes: a token's result is a function of its own query and context alone.
"""

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from rostra.serving.attention.backend import AttentionShape, KVCache, allocate_cache
from rostra.serving.attention.layout import BatchLayout

# Keys of one split in batch-invariant mode.
SPLIT = 64


class SdpaBackend:
    """See the module; arguments as in `make_backend`."""

    def __init__(
        self,
        config: AttentionShape,
        *,
        blocks: int,
        block_size: int,
        dtype: torch.dtype,
        device: torch.device | str,
        batch_invariant: bool = False,
    ) -> None:
        self.config = config
        self.batch_invariant = batch_invariant
        self.cache = allocate_cache(
            config, blocks=blocks, block_size=block_size, dtype=dtype, device=device
        )

    def bind(self, layout: BatchLayout) -> "SdpaAttention":
        # Read from the tensors, not from the host's copies: where a layout's tensors are
        # overwritten in place, only they are current.
        contexts: list[int] = layout.context_lengths.tolist()
        bounds: list[int] = layout.query_starts.tolist()
        rows = [
            _Row(first, last, context, layout.block_tables[index].long())
            for index, (context, first, last) in enumerate(
                zip(contexts, bounds[:-1], bounds[1:], strict=True)
            )
            if context
        ]
        stored = (layout.slots >= 0).nonzero().squeeze(1)
        return SdpaAttention(self, layout, rows, stored)


@dataclass(frozen=True, slots=True)
class _Row:
    """A sequence: its rows among the new tokens, its context length, its blocks."""

    first: int
    last: int
    context: int
    blocks: Tensor


@dataclass(frozen=True, slots=True)
class SdpaAttention:
    """One step of an `SdpaBackend`."""

    backend: SdpaBackend
    layout: BatchLayout
    rows: list[_Row]
    stored: Tensor

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """See `Attention.attend`."""
        config, cache = self.backend.config, self.backend.cache
        cache.store(layer, self.layout.slots[self.stored], k[self.stored], v[self.stored])
        call = AttentionCall.of(config, layer)
        out = q.new_zeros(q.shape)
        for row in self.rows:
            queries = q[row.first : row.last].transpose(0, 1)
            before = row.context - (row.last - row.first)
            # Pages before the first query's window need not be gathered.
            first = 0 if call.window is None else max(0, before - call.window + 1)
            first_block = 0 if self.backend.batch_invariant else first // self.layout.block_size
            keys, values = gather(cache, layer, row.blocks, first_block, row.context)
            if self.backend.batch_invariant:
                out[row.first : row.last] = attend_by_token(queries, keys, values, before, call)
            else:
                start = before - first_block * self.layout.block_size
                out[row.first : row.last] = attend(queries, keys, values, start, call)
        return out.flatten(1)


@dataclass(frozen=True, slots=True)
class AttentionCall:
    """What distinguishes one layer's attention from another's."""

    scale: float
    window: int | None
    softcap: float | None

    @classmethod
    def of(cls, config: AttentionShape, layer: int) -> Self:
        return cls(config.attention_scale, config.windows[layer], config.softcap_attention)


def gather(
    cache: KVCache, layer: int, blocks: Tensor, first_block: int, context: int
) -> tuple[Tensor, Tensor]:
    """Keys and values of positions from `first_block`'s first up to `context`.

    Args:
        blocks: [B] int64, the sequence's block table.

    Returns:
        two tensors [kv_heads, N, head_dim].
    """
    size = cache.keys[layer].shape[2]
    wanted = blocks[first_block : -(-context // size)]
    length = context - first_block * size

    def pages(part: Tensor) -> Tensor:
        return part[wanted].transpose(0, 1).flatten(1, 2)[:, :length]

    return pages(cache.keys[layer]), pages(cache.values[layer])


def attend(q: Tensor, keys: Tensor, values: Tensor, start: int, call: AttentionCall) -> Tensor:
    """Attention of one sequence's last tokens.

    Args:
        q: [heads, Q, head_dim].
        keys, values: [kv_heads, N, head_dim].
        start: index among the keys of the first query's own.

    Returns:
        [Q, heads, head_dim].
    """
    mask = _mask(q.shape[1], keys.shape[1], start, call.window, q.device)
    if call.softcap is None:
        out = scaled_dot_product_attention(
            q[None],
            keys[None],
            values[None],
            attn_mask=mask,
            scale=call.scale,
            enable_gqa=q.shape[0] != keys.shape[0],
        )[0]
        return out.transpose(0, 1)
    kv_heads, _, head_dim = keys.shape
    grouped = q.reshape(kv_heads, -1, head_dim)
    scores = cap((grouped @ keys.transpose(1, 2)).to(_wide(q.dtype)) * call.scale, call.softcap)
    if mask is not None:
        shape = (kv_heads, -1, *mask.shape)
        scores = scores.view(shape).masked_fill(~mask, -torch.inf).view(scores.shape)
    out = scores.softmax(-1).to(q.dtype) @ values
    return out.view(q.shape).transpose(0, 1)


def attend_by_token(
    q: Tensor, keys: Tensor, values: Tensor, before: int, call: AttentionCall
) -> Tensor:
    """As `attend`, with `keys` from position 0, and bit for bit the same for any cut into steps.

    Splits are reduced by elementwise products and sums, whose order for one element depends on the
    reduced size only; a matrix product's depends on all of its shape. Splits are merged in order
    with running maxima (arXiv:1805.02867).
    """
    kv_heads, length, head_dim = keys.shape
    wide = _wide(q.dtype)
    splits = -(-length // SPLIT)
    padding = (0, 0, 0, splits * SPLIT - length)
    keys = torch.nn.functional.pad(keys.to(wide), padding)
    values = torch.nn.functional.pad(values.to(wide), padding)
    grouped = q.to(wide).reshape(kv_heads, -1, q.shape[1], 1, head_dim)
    offsets = torch.arange(SPLIT, device=q.device)
    out = q.new_empty((q.shape[1], q.shape[0], head_dim))
    for index in range(q.shape[1]):
        position = before + index
        first = 0 if call.window is None else max(0, position - call.window + 1)
        highest = torch.full(grouped.shape[:2], -torch.inf, dtype=wide, device=q.device)
        total = torch.zeros_like(highest)
        mixed = torch.zeros((*grouped.shape[:2], head_dim), dtype=wide, device=q.device)
        for split in range(first // SPLIT, position // SPLIT + 1):
            part = slice(split * SPLIT, (split + 1) * SPLIT)
            scores = (grouped[:, :, index] * keys[:, None, part]).sum(-1) * call.scale
            if call.softcap is not None:
                scores = cap(scores, call.softcap)
            seen = offsets + split * SPLIT
            scores = scores.masked_fill((seen > position) | (seen < first), -torch.inf)
            new = torch.maximum(highest, scores.amax(-1))
            weights = (scores - new[..., None]).exp()
            kept = (highest - new).exp()
            total = total * kept + weights.sum(-1)
            mixed = mixed * kept[..., None] + (weights[..., None] * values[:, None, part]).sum(-2)
            highest = new
        out[index] = (mixed / total[..., None]).view(q.shape[0], head_dim)
    return out


def cap(scores: Tensor, softcap: float) -> Tensor:
    return torch.tanh(scores / softcap) * softcap


def _wide(dtype: torch.dtype) -> torch.dtype:
    """What scores are kept in: at least float32."""
    return torch.promote_types(dtype, torch.float32)


def _mask(
    queries: int, keys: int, start: int, window: int | None, device: torch.device
) -> Tensor | None:
    """[queries, keys] bool, true where a query sees a key; None when all see all."""
    if queries == 1 and (window is None or keys <= window):
        return None
    query = torch.arange(start, start + queries, device=device)[:, None]
    key = torch.arange(keys, device=device)
    seen = key <= query
    return seen if window is None else seen & (key > query - window)
