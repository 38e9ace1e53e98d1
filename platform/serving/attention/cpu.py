"""Attention on a CPU with AVX: our own kernel over pages in a layout of its own.

What always holds: see `kernels.cpu_attention`; results are batch-invariant in every mode, and a
step's work is laid out once, not once a layer.
"""

import weakref
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import mul

import numpy as np
import torch
from torch import Tensor

from rostra.serving.attention.backend import AttentionShape
from rostra.serving.attention.layout import BatchLayout
from rostra.serving.kernels.cpu import rows_are_whole
from rostra.serving.kernels.cpu_attention import (
    MAX_HEAD_DIM,
    PARTIAL_BYTES,
    ROWS,
    SPLIT,
    attention_kernel,
)
from rostra.serving.kernels.cpu_pool import RECORDER, launch
from rostra.serving.kernels.cpu_replay import Replays
from rostra.serving.kernels.cpu_vector import LANES, has_bf16_dot

_DTYPES = (torch.float32, torch.bfloat16)
# Pieces of work for each thread that make up for their unequal sizes.
_PIECES = 4
# Products of queries and keys; fewer are not worth waking the other threads.
_WORTH_SHARING = 2**17


def supports(config: AttentionShape, dtype: torch.dtype, block_size: int) -> bool:
    """Whether the kernel takes this model and block size."""
    return (
        dtype in _DTYPES
        and block_size % LANES == 0
        and config.head_dim % LANES == 0
        and config.head_dim <= MAX_HEAD_DIM
    )


class CpuBackend:
    """Keys and values of all layers, and the kernel over them; arguments as in `make_backend`.

    Attributes:
        cache: for each layer bytes of [blocks, kv_heads, 2, block_size * head_dim]: a block's
            keys, 16 tokens beside each other, then its values, token after token.
    """

    def __init__(
        self,
        config: AttentionShape,
        *,
        blocks: int,
        block_size: int,
        dtype: torch.dtype,
        device: torch.device | str = "cpu",
        batch_invariant: bool = False,
    ) -> None:
        if not supports(config, dtype, block_size):
            raise ValueError(f"no CPU kernel for {dtype} and blocks of {block_size} tokens")
        self.config = config
        self.dtype = dtype
        self.block_size = block_size
        self.kernel = attention_kernel(dtype == torch.bfloat16, has_bf16_dot())
        page = 2 * block_size * config.head_dim
        size = config.layers * blocks * config.kv_heads * page
        # Aligned to a cache line. numpy's zeros, unlike torch's, take memory when first used.
        zeros = np.zeros(size * dtype.itemsize + 64, np.uint8)
        room = torch.from_numpy(zeros).view(dtype)
        start = -room.data_ptr() % 64 // dtype.itemsize
        whole = room[start : start + size]
        self.cache = whole.view(config.layers, blocks, config.kv_heads, page).unbind()
        self.replays: Replays[CpuAttention] = Replays()
        self.pages = tuple(layer.data_ptr() for layer in self.cache)
        cap = config.softcap_attention or 0.0
        self.numbers = torch.tensor([config.attention_scale, cap], dtype=torch.float32)

    def bind(self, layout: BatchLayout) -> "CpuAttention":
        """Cuts the step's query rows into tiles, and long contexts into splits if cores idle."""
        group = self.config.heads // self.config.kv_heads
        tiles = _tiles(layout.query_lengths, group)
        units = len(tiles) * self.config.kv_heads
        splits = 1
        if units < _PIECES * torch.get_num_threads():
            splits = -(-layout.max_context // SPLIT)
        partials = torch.empty(
            units * splits * PARTIAL_BYTES if splits > 1 else 0, dtype=torch.int8
        )
        work = (
            layout.tokens,
            layout.slots.data_ptr(),
            self.config.kv_heads,
            group,
            self.config.head_dim,
            self.block_size,
            tiles.data_ptr(),
            len(tiles),
            layout.query_starts.data_ptr(),
            layout.context_lengths.data_ptr(),
            layout.block_tables.data_ptr(),
            layout.block_tables.shape[1],
            self.numbers.data_ptr(),
            partials.data_ptr(),
            splits,
        )
        seen = sum(map(mul, layout.query_lengths, layout.contexts))
        parallel = seen * self.config.heads * self.config.head_dim >= _WORTH_SHARING
        # A proxy: recordings keep steps, and must not keep the cache alive that keeps them.
        return CpuAttention(
            weakref.proxy(self), layout, tiles, splits, partials, parallel, array("q", work)
        )


def _tiles(query_lengths: Sequence[int], group: int) -> Tensor:
    """[tiles, 3] int32: sequence, first query row, rows; a sequence has `group` rows a token."""
    if max(query_lengths) == 1 and group <= ROWS:
        tiles = np.zeros((len(query_lengths), 3), np.int32)
        tiles[:, 0] = np.arange(len(query_lengths))
        tiles[:, 2] = group
        return torch.from_numpy(tiles)
    cut = [
        (sequence, first, min(ROWS, count * group - first))
        for sequence, count in enumerate(query_lengths)
        for first in range(0, count * group, ROWS)
    ]
    return torch.tensor(cut, dtype=torch.int32)


@dataclass(frozen=True, slots=True)
class CpuAttention:
    """One step of a `CpuBackend`.

    Attributes:
        backend: must outlive the step.
        partials: room for what splits leave; holds the memory.
        parallel: whether the step is worth more than one thread.
        work: what every layer's launch says of the step.
    """

    backend: CpuBackend
    layout: BatchLayout
    tiles: Tensor
    splits: int
    partials: Tensor
    parallel: bool
    work: "array[int]"

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """See `Attention.attend`."""
        backend = self.backend
        q, k, v = (part if rows_are_whole(part) else part.contiguous() for part in (q, k, v))
        tokens, heads, dim = q.shape
        out = q.new_empty((tokens, heads * dim))
        size = q.element_size()
        launch(
            backend.kernel,
            q.data_ptr(),
            q.stride(0) * size,
            k.data_ptr(),
            k.stride(0) * size,
            v.data_ptr(),
            v.stride(0) * size,
            out.data_ptr(),
            backend.pages[layer],
            backend.config.windows[layer] or 0,
            self.work.buffer_info()[0],
            counters=3,
            # A recording may be replayed with longer contexts.
            parallel=self.parallel or RECORDER.get() is not None,
        )
        return out

    def replay(
        self,
        owner: object,
        inputs: Sequence[Tensor],
        compute: Callable[[Sequence[Tensor], "CpuAttention"], Tensor],
    ) -> Tensor:
        """`compute(inputs, self)`, from a recording where there is one.

        Args:
            owner: whose computation it is.
            inputs: all that it depends on besides this step and the owner; [T, ...] each.
            compute: must do the same launches for equal T.
        """
        return self.backend.replays.run(owner, inputs, self, compute)

    def take_over(self, other: "CpuAttention") -> None:
        """Makes recorded launches of this step those of another one with as many tokens."""
        self.work[:] = other.work
