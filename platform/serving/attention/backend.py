"""The seam between the model and how attention over paged keys and values is computed.

An `AttentionBackend` owns the keys and values of all layers. Once a step it is bound to the step's
`BatchLayout`; the `Attention` that comes out is what the model calls, layer by layer.

What always holds: `attend` first stores the step's keys and values in their slots, then every new
token attends to its sequence's tokens up to itself, no further back than the layer's window. What
is in a block before its first store is never read.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from rostra.serving.attention.layout import BatchLayout


class AttentionShape(Protocol):
    """What a backend must know of a model; `ModelConfig` is one."""

    @property
    def layers(self) -> int: ...
    @property
    def heads(self) -> int: ...
    @property
    def kv_heads(self) -> int:
        """Divides `heads`; query head `h` reads key head `h // (heads // kv_heads)`."""
        ...

    @property
    def head_dim(self) -> int: ...
    @property
    def windows(self) -> Sequence[int | None]:
        """For each layer, how many tokens back one sees, itself included; None is all."""
        ...

    @property
    def softcap_attention(self) -> float | None:
        """Scores become `cap * tanh(score / cap)` (Gemma 2, arXiv:2408.00118)."""
        ...

    @property
    def attention_scale(self) -> float:
        """Scores are multiplied by it, before the cap."""
        ...


class Attention(Protocol):
    """Attention of one step."""

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Stores `k` and `v` in the layer's cache, then attends causally.

        Args:
            layer: counts from 0.
            q: [T, heads, head_dim], positions already applied; rows may be strided.
            k: [T, kv_heads, head_dim], likewise.
            v: [T, kv_heads, head_dim].

        Returns:
            [T, heads * head_dim], of q's dtype.
        """
        ...


class AttentionBackend(Protocol):
    """Holds the cache of all layers; see `make_backend`."""

    def bind(self, layout: BatchLayout) -> Attention:
        """What the model calls during the step that `layout` describes."""
        ...


@dataclass(frozen=True, slots=True)
class KVCache:
    """Keys and values of all layers, in blocks.

    Attributes:
        keys, values: for each layer [blocks, kv_heads, block_size, head_dim].
    """

    keys: tuple[Tensor, ...]
    values: tuple[Tensor, ...]

    @property
    def bytes(self) -> int:
        return sum(part.nbytes for part in (*self.keys, *self.values))

    def store(self, layer: int, slots: Tensor, k: Tensor, v: Tensor) -> None:
        """Writes rows [N, kv_heads, head_dim] to slots [N], none of them negative."""
        size = self.keys[layer].shape[2]
        blocks, offsets = slots // size, slots % size
        self.keys[layer][blocks, :, offsets] = k
        self.values[layer][blocks, :, offsets] = v


def allocate_cache(
    config: AttentionShape,
    *,
    blocks: int,
    block_size: int,
    dtype: torch.dtype,
    device: torch.device | str,
) -> KVCache:
    """Room for `blocks` blocks of `block_size` tokens in every layer; contents are undefined."""
    whole = torch.empty(
        (config.layers, 2, blocks, config.kv_heads, block_size, config.head_dim),
        dtype=dtype,
        device=device,
    )
    return KVCache(keys=tuple(whole[:, 0].unbind()), values=tuple(whole[:, 1].unbind()))


def bytes_per_block(config: AttentionShape, dtype: torch.dtype, block_size: int) -> int:
    """Bytes that one block takes in all layers together."""
    return 2 * config.layers * config.kv_heads * config.head_dim * block_size * dtype.itemsize


def make_backend(
    config: AttentionShape,
    *,
    blocks: int,
    block_size: int,
    dtype: torch.dtype,
    device: torch.device | str,
    batch_invariant: bool = False,
) -> AttentionBackend:
    """The fastest backend for this model on this device.

    Triton's kernel on CUDA, our own kernel on a CPU where it takes the shape, else `sdpa`.

    Args:
        blocks: of the cache.
        block_size: tokens of a block.
        batch_invariant: a token's result does not depend, bit for bit, on the other sequences of
            the step or on how its own was cut into steps.
    """
    # The backends load on demand: each pulls in a compiler that the others do not need.
    device = torch.device(device)
    if device.type == "cuda":
        from rostra.serving.attention import triton_backend

        if triton_backend.supports(config, dtype, block_size):
            return triton_backend.TritonBackend(
                config,
                blocks=blocks,
                block_size=block_size,
                dtype=dtype,
                device=device,
                batch_invariant=batch_invariant,
            )
    elif device.type == "cpu":
        from rostra.serving.attention import cpu

        if cpu.supports(config, dtype, block_size):
            return cpu.CpuBackend(
                config,
                blocks=blocks,
                block_size=block_size,
                dtype=dtype,
                batch_invariant=batch_invariant,
            )
    from rostra.serving.attention.sdpa import SdpaBackend

    return SdpaBackend(
        config,
        blocks=blocks,
        block_size=block_size,
        dtype=dtype,
        device=device,
        batch_invariant=batch_invariant,
    )
