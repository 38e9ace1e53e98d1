"""Attention on CUDA: plans a step's launches of the kernels in `triton_kernel`.

A step's sequences are cut into runs of one kind each: *decode* (one new token), *cold* (a whole
prompt or its first chunk, nothing in the cache yet) and *paged* (anything else). Cold runs need no
pages: torch's FlashAttention reads the packed tensors, where it takes their dtype and shape. In
batch-invariant mode the step is a single paged run with the same tiles and splits always.

What always holds: a plan depends on numbers that the host knows; a layout that is all decode gives
the same launches for the same number of sequences and the same `max_context`.
"""

# mypy: disable-error-code="import-untyped"
# Triton comes without types.
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Literal

import torch
import triton
from torch import Tensor

from rostra.serving.attention import triton_kernel
from rostra.serving.attention.backend import AttentionShape, allocate_cache
from rostra.serving.attention.layout import BatchLayout

# Wider than any context: a window that hides nothing.
NO_WINDOW = 1 << 30
# Keys of a split. Fewer keep more processors busy at batch 1, more cost less merging.
SPLIT = 256
INVARIANT_SPLIT = 512
MOST_SPLITS = 128
# Results of splits that wait for being merged; above it a program merges its own.
MOST_PARTIAL_BYTES = 256 << 20
DTYPES = (torch.float16, torch.bfloat16, torch.float32)

ColdAttention = Callable[..., Any]
Kind = Literal["decode", "cold", "paged"]


def supports(config: AttentionShape, dtype: torch.dtype, block_size: int) -> bool:
    """Whether the kernels take this shape."""
    group = config.heads // config.kv_heads
    return dtype in DTYPES and block_size >= 1 and config.head_dim <= 256 and group <= 64


@dataclass(frozen=True, slots=True)
class Device:
    """What a plan needs to know of a GPU.

    Attributes:
        processors: that run programs at the same time (streaming multiprocessors).
        shared_memory: bytes that one program can have.
        capability: CUDA compute capability.
    """

    processors: int
    shared_memory: int
    capability: tuple[int, int]

    @staticmethod
    def of(device: torch.device) -> "Device":
        found = torch.cuda.get_device_properties(device)
        return Device(
            processors=found.multi_processor_count,
            shared_memory=getattr(
                found, "shared_memory_per_block_optin", found.shared_memory_per_block
            ),
            capability=(found.major, found.minor),
        )


@dataclass(frozen=True, slots=True)
class Tiles:
    """A kernel's tile sizes: rows, keys, and how it is compiled."""

    rows: int
    keys: int
    warps: int
    stages: int


def choose_tiles(head_dim: int, group: int, dtype: torch.dtype, rows: int, device: Device) -> Tiles:
    """Tiles for runs whose sequences have at most `rows` query rows per key head.

    Rows come in powers of two from 16, the least that matrix units take, up to what a program's
    registers hold; keys, values and queries of the stages under way must fit the shared memory.
    """
    width: int = triton.next_power_of_2(head_dim)
    least: int = max(16, triton.next_power_of_2(group))
    most = 16384 // width if dtype.itemsize == 2 else 4096 // width
    tall: int = max(least, min(triton.next_power_of_2(rows), most, 128))
    keys = 64 if width <= 128 and dtype.itemsize == 2 else 32
    stages = 3 if tall == 16 else 2

    def fits() -> bool:
        held = dtype.itemsize * width * (tall + 2 * stages * keys)
        return held <= device.shared_memory * 3 // 4

    while not fits() and stages > 1:
        stages -= 1
    while not fits() and tall > least:
        tall //= 2
    while not fits() and keys > 16:
        keys //= 2
    return Tiles(rows=tall, keys=keys, warps=8 if tall >= 64 else 4, stages=stages)


@dataclass(frozen=True, slots=True)
class Splits:
    """How a run's keys are cut.

    Attributes:
        size: keys of a split; 0 does not cut.
        count: splits of the longest context.
        programs: programs among which a tile's splits are dealt out; 1 merges in registers.
    """

    size: int
    count: int
    programs: int


def choose_splits(
    *, busy: int, span: int, context: int, row_bytes: int, invariant: bool, device: Device
) -> Splits:
    """Cuts keys only where there are too few programs to fill the device.

    Args:
        busy: programs without cutting.
        span: most keys that a query sees, in a window perhaps.
        context: longest context.
        row_bytes: of the float32 results of one split of the run.
        invariant: cut always, and at the same positions.
    """
    if invariant:
        size = INVARIANT_SPLIT
    else:
        size = max(SPLIT, 64 * triton.cdiv(context, 64 * MOST_SPLITS))
    count = triton.cdiv(context, size)
    programs = 1
    if busy < 2 * device.processors and row_bytes * count <= MOST_PARTIAL_BYTES:
        # A window of n splits touches n + 1 of them.
        touched = min(count, triton.cdiv(span, size) + 1)
        programs = min(touched, triton.cdiv(4 * device.processors, busy))
    if programs == 1 and not invariant:
        size = 0
    return Splits(size=size, count=count, programs=programs)


class TritonBackend:
    """See the module; arguments as in `make_backend`.

    Args:
        hardware: stands in for what the device says of itself.
    """

    def __init__(
        self,
        config: AttentionShape,
        *,
        blocks: int,
        block_size: int,
        dtype: torch.dtype,
        device: torch.device,
        batch_invariant: bool = False,
        hardware: Device | None = None,
    ) -> None:
        self.config = config
        self.batch_invariant = batch_invariant
        self.hardware = hardware or Device.of(device)
        self.cache = allocate_cache(
            config, blocks=blocks, block_size=block_size, dtype=dtype, device=device
        )
        usable = (
            device.type == "cuda" and not batch_invariant and self.hardware.capability >= (8, 0)
        )
        self.cold = find_cold_attention(config, dtype) if usable else None

    def bind(self, layout: BatchLayout) -> "TritonAttention":
        return TritonAttention(self, layout, plan_runs(self, layout))


def find_cold_attention(config: AttentionShape, dtype: torch.dtype) -> ColdAttention | None:
    """torch's FlashAttention over packed sequences, if it takes this model's shape."""
    if (
        dtype not in (torch.float16, torch.bfloat16)
        or config.softcap_attention is not None
        or config.head_dim % 8
    ):
        return None
    try:
        from torch.nn.attention.varlen import varlen_attn
    except ImportError:
        return None
    if (
        not {"scale", "window_size", "enable_gqa"}
        <= inspect.signature(varlen_attn).parameters.keys()
    ):
        return None  # an earlier torch, whose function knew less
    return varlen_attn


@dataclass(frozen=True, slots=True)
class Run:
    """Consecutive sequences of a step that one launch takes.

    Attributes:
        first: the first sequence.
        sequences: how many.
        first_row: the first sequence's first new token.
        rows: new tokens of all.
        max_query: most new tokens of one.
        max_context: longest context.
        starts: [sequences + 1] int32, as `query_starts` counted from `first_row`; for cold runs.
    """

    kind: Kind
    first: int
    sequences: int
    first_row: int
    rows: int
    max_query: int
    max_context: int
    starts: Tensor | None = None


def plan_runs(backend: TritonBackend, layout: BatchLayout) -> list[Run]:
    """The step's runs, in order."""

    def kind(sequence: int) -> Kind:
        if backend.batch_invariant:
            return "paged"
        if layout.query_lengths[sequence] == 1:
            return "decode"
        fresh = layout.query_lengths[sequence] == layout.contexts[sequence]
        return "cold" if fresh and backend.cold is not None else "paged"

    runs: list[Run] = []
    row = 0
    for name, members in groupby(range(layout.sequences), key=kind):
        group = list(members)
        lengths = [layout.query_lengths[sequence] for sequence in group]
        starts = None
        if name == "cold":
            starts = layout.query_starts[group[0] : group[-1] + 2] - row
        runs.append(
            Run(
                kind=name,
                first=group[0],
                sequences=len(group),
                first_row=row,
                rows=sum(lengths),
                max_query=max(lengths),
                max_context=max(layout.contexts[sequence] for sequence in group),
                starts=starts,
            )
        )
        row += sum(lengths)
    return runs


@dataclass(frozen=True, slots=True)
class TritonAttention:
    """One step of a `TritonBackend`."""

    backend: TritonBackend
    layout: BatchLayout
    runs: list[Run]

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """See `Attention.attend`."""
        q, k, v = _packed(q), _packed(k), _packed(v)
        self._store(layer, k, v)
        out = torch.empty(q.shape, dtype=q.dtype, device=q.device)
        for run in self.runs:
            if run.kind == "cold":
                self._attend_cold(layer, run, q, k, v, out)
            else:
                self._attend_pages(layer, run, q, out)
        return out.flatten(1)

    def _store(self, layer: int, k: Tensor, v: Tensor) -> None:
        keys, values = self.backend.cache.keys[layer], self.backend.cache.values[layer]
        tokens, kv_heads, head_dim = k.shape
        triton_kernel.store_kernel[(tokens,)](
            k,
            v,
            self.layout.slots,
            keys,
            values,
            k.stride(0),
            v.stride(0),
            keys.stride(0),
            keys.stride(1),
            KV_HEADS=kv_heads,
            HEAD_DIM=head_dim,
            BLOCK_SIZE=self.layout.block_size,
            WIDTH=triton.next_power_of_2(kv_heads * head_dim),
            enable_fp_fusion=True,  # has nothing to fuse; unsaid, Triton warns
        )

    def _attend_cold(
        self, layer: int, run: Run, q: Tensor, k: Tensor, v: Tensor, out: Tensor
    ) -> None:
        config, rows = self.backend.config, slice(run.first_row, run.first_row + run.rows)
        window = config.windows[layer]
        if self.backend.cold is None:
            raise RuntimeError("a cold run was planned without a function for it")
        out[rows] = self.backend.cold(
            q[rows],
            k[rows],
            v[rows],
            run.starts,
            run.starts,
            run.max_query,
            run.max_query,
            scale=config.attention_scale,
            # how far it looks left of a query, which sees itself too
            window_size=(-1 if window is None or window >= run.max_query else window - 1, 0),
            enable_gqa=config.heads != config.kv_heads,
        )

    def _attend_pages(self, layer: int, run: Run, q: Tensor, out: Tensor) -> None:
        backend, config, layout = self.backend, self.backend.config, self.layout
        keys, values = backend.cache.keys[layer], backend.cache.values[layer]
        heads, kv_heads, head_dim = config.heads, config.kv_heads, config.head_dim
        group = heads // kv_heads
        decode = run.kind == "decode"
        # Prompts, chunks and single tokens must not differ in how they are computed.
        query_rows = 32 if backend.batch_invariant else run.max_query * group
        tiles = choose_tiles(head_dim, group, q.dtype, query_rows, backend.hardware)
        tile_count = run.sequences
        if not decode:
            tile_count += run.rows // (tiles.rows // group)
        window = config.windows[layer] or NO_WINDOW
        splits = choose_splits(
            busy=tile_count * kv_heads,
            span=min(run.max_context, window + run.max_query),
            context=run.max_context,
            row_bytes=run.rows * heads * (head_dim + 2) * 4,
            invariant=backend.batch_invariant,
            device=backend.hardware,
        )
        parts = splits.count if splits.programs > 1 else 0
        mixed = q.new_empty((run.rows, heads, parts, head_dim), dtype=torch.float32)
        stats = q.new_empty((run.rows, heads, parts, 2), dtype=torch.float32)
        triton_kernel.attend_kernel[(tile_count, kv_heads, splits.programs)](
            q,
            keys,
            values,
            out,
            mixed,
            stats,
            layout.query_starts,
            layout.context_lengths,
            layout.block_tables,
            run.first,
            run.sequences,
            splits.size,
            splits.count,
            window,
            config.attention_scale,
            q.stride(0),
            layout.block_tables.stride(0),
            keys.stride(0),
            keys.stride(1),
            HEADS=heads,
            KV_HEADS=kv_heads,
            HEAD_DIM=head_dim,
            BLOCK_D=triton.next_power_of_2(head_dim),
            BLOCK_SIZE=layout.block_size,
            SOFTCAP=config.softcap_attention or 0.0,
            DECODE=decode,
            SPLIT=splits.size > 0,
            BLOCK_M=tiles.rows,
            BLOCK_N=tiles.keys,
            num_warps=tiles.warps,
            num_stages=tiles.stages,
            enable_fp_fusion=not backend.batch_invariant,
        )
        if splits.programs > 1:
            width = min(64, triton.next_power_of_2(head_dim))
            triton_kernel.combine_kernel[(tile_count, kv_heads, triton.cdiv(head_dim, width))](
                out,
                mixed,
                stats,
                layout.query_starts,
                layout.context_lengths,
                run.first,
                run.sequences,
                splits.size,
                splits.count,
                window,
                HEADS=heads,
                KV_HEADS=kv_heads,
                HEAD_DIM=head_dim,
                BLOCK_C=width,
                DECODE=decode,
                BLOCK_M=tiles.rows,
                UNROLL=4,
                enable_fp_fusion=not backend.batch_invariant,
            )


def _packed(rows: Tensor) -> Tensor:
    """[T, heads, head_dim] whose heads lie side by side; rows may be strided."""
    if rows.stride(2) == 1 and rows.stride(1) == rows.shape[2]:
        return rows
    return rows.contiguous()
