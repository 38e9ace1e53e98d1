"""Ragged batches over scattered pages, and plain attention in float64 to hold them against."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from rostra.serving.attention.backend import AttentionBackend
from rostra.serving.attention.layout import BatchLayout, LayoutRow, make_layout


@dataclass(frozen=True)
class Shape:
    """An `AttentionShape`; the sizes are small, everything else is as in real models."""

    heads: int = 4
    kv_heads: int = 2
    head_dim: int = 16
    windows: tuple[int | None, ...] = (None, None)
    softcap_attention: float | None = None
    attention_scale: float = 0.25

    @property
    def layers(self) -> int:
        return len(self.windows)


def reference(
    shape: Shape, layer: int, q: Tensor, k: Tensor, v: Tensor, positions: Tensor
) -> Tensor:
    """One sequence, in float64, all scores at once: q [Q, heads, D], k and v [N, kv_heads, D]."""
    group, window = shape.heads // shape.kv_heads, shape.windows[layer]
    k, v = (part.double().repeat_interleave(group, dim=1) for part in (k, v))
    scores = torch.einsum("qhd,nhd->hqn", q.double(), k) * shape.attention_scale
    if shape.softcap_attention is not None:
        scores = torch.tanh(scores / shape.softcap_attention) * shape.softcap_attention
    back = positions.to(q.device)[:, None] - torch.arange(len(k), device=q.device)
    hidden = back < 0 if window is None else (back < 0) | (back >= window)
    weights = scores.masked_fill(hidden, -torch.inf).softmax(-1)
    return torch.einsum("hqn,nhd->qhd", weights, v).flatten(1)


@dataclass
class Batch:
    """Sequences of given lengths whose q, k, v are known for every position and layer.

    Attributes:
        q: for each sequence [layers, length, heads, head_dim]; k and v likewise.
        blocks: for each sequence its block table, no two sequences sharing a block.
    """

    shape: Shape
    lengths: list[int]
    block_size: int
    dtype: torch.dtype = torch.float32
    device: str = "cpu"
    seed: int = 0
    q: list[Tensor] = field(init=False)
    k: list[Tensor] = field(init=False)
    v: list[Tensor] = field(init=False)
    blocks: list[list[int]] = field(init=False)
    total_blocks: int = field(init=False)

    def __post_init__(self) -> None:
        generator = torch.Generator().manual_seed(self.seed)
        shape = self.shape

        def draw(length: int, heads: int) -> Tensor:
            size = (shape.layers, length, heads, shape.head_dim)
            return torch.randn(size, generator=generator).to(self.dtype).to(self.device)

        self.q = [draw(length, shape.heads) for length in self.lengths]
        self.k = [draw(length, shape.kv_heads) for length in self.lengths]
        self.v = [draw(length, shape.kv_heads) for length in self.lengths]
        needed = [-(-length // self.block_size) for length in self.lengths]
        self.total_blocks = sum(needed) + 3
        order = torch.randperm(self.total_blocks, generator=generator).tolist()
        ends = torch.tensor(needed).cumsum(0).tolist()
        self.blocks = [order[end - count : end] for end, count in zip(ends, needed, strict=True)]

    def layout(self, parts: list[tuple[int, int, int]]) -> BatchLayout:
        """Parts are (sequence, start, count)."""
        rows = [LayoutRow(start, count, self.blocks[index]) for index, start, count in parts]
        return make_layout(rows, self.block_size, self.device)

    def step(self, backend: AttentionBackend, parts: list[tuple[int, int, int]]) -> list[Tensor]:
        """Runs a step; the result of each layer, [T, heads * head_dim]."""
        attention = backend.bind(self.layout(parts))

        def packed(whole: list[Tensor], layer: int) -> Tensor:
            return torch.cat(
                [whole[index][layer, start : start + count] for index, start, count in parts]
            )

        return [
            attention.attend(
                layer, packed(self.q, layer), packed(self.k, layer), packed(self.v, layer)
            )
            for layer in range(self.shape.layers)
        ]

    def expected(self, parts: list[tuple[int, int, int]], layer: int) -> Tensor:
        """What a step must give, in float64."""
        return torch.cat(
            [
                reference(
                    self.shape,
                    layer,
                    self.q[index][layer, start : start + count],
                    self.k[index][layer],
                    self.v[index][layer],
                    torch.arange(start, start + count),
                )
                for index, start, count in parts
            ]
        )


def fill_with_nan(backend: AttentionBackend) -> None:
    """Makes any read of what was never stored visible."""
    for part in (*backend.cache.keys, *backend.cache.values):  # type: ignore[attr-defined]
        part.fill_(float("nan"))
