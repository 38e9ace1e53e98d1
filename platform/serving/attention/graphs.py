"""Decode steps as CUDA graphs: recorded once for each batch size, replayed without Python.

A decode step of a small model is hundreds of launches of a few microseconds each; recorded, it is
one. A graph reads and writes fixed memory, so a step's inputs are copied into static buffers and
its batch is filled up to the next recorded size.

What always holds: rows that only fill up have no slot and no context, so they store nothing, attend
to nothing and change no other row; all graphs share their input buffers, their memory pool and
their output buffer; what `replay` returns is the caller's own.
"""

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from rostra.serving.attention.layout import NO_SLOT, BatchLayout


@dataclass(frozen=True, slots=True)
class StaticInputs:
    """What a recorded step reads, `N` rows of one new token each.

    Attributes:
        token_ids: [N] int64.
        layout: the step's; its tensors are overwritten in place before each replay, its numbers on
            the host are upper bounds.
        extras: further inputs by name, [N, ...] each.
    """

    token_ids: Tensor
    layout: BatchLayout
    extras: Mapping[str, Tensor]


class Capture(Protocol):
    """Records what a function launches."""

    def __call__(self, run: Callable[[], None]) -> Callable[[], object]:
        """Runs `run` at least once; what comes back repeats its launches on the same memory."""
        ...


class CudaCapture:
    """Records CUDA graphs that share one memory pool."""

    def __init__(self) -> None:
        self._pool = torch.cuda.graph_pool_handle()

    def __call__(self, run: Callable[[], None]) -> Callable[[], object]:
        # Compiling kernels, loading libraries and finding workspaces must not be recorded.
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(2):
                run()
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self._pool):
            run()
        return graph.replay


def repeat(run: Callable[[], None]) -> Callable[[], object]:
    """A `Capture` that records nothing and runs anew; for devices without graphs, and tests."""
    run()
    return run


def default_buckets(max_batch: int) -> tuple[int, ...]:
    """Batch sizes to record: 1, 2, 4, 8, then multiples of 16, and the largest batch itself.

    >>> default_buckets(40)
    (1, 2, 4, 8, 16, 32, 40)
    """
    sizes = {1, 2, 4, 8, *range(16, max_batch + 1, 16)}
    return (*sorted(size for size in sizes if size < max_batch), max_batch)


class DecodeGraphs:
    """A decode step, recorded for each bucket when this is made.

    Args:
        run: computes a step from its inputs: the model, and with it the LM head and the sampler if
            they can be recorded. Returns a tensor [N, ...]; its dtype and further sizes do not
            depend on N. It must not wait for the device or depend on values there.
        buckets: batch sizes.
        max_context: longest context of a step.
        block_size: tokens of a block.
        device: where the step runs.
        capture: what records; None is CUDA's graphs on CUDA, else `repeat`.
        extras: further inputs of `run` by name: one row [...] each, with which missing rows are
            filled up.
    """

    def __init__(
        self,
        run: Callable[[StaticInputs], Tensor],
        buckets: Sequence[int],
        *,
        max_context: int,
        block_size: int,
        device: torch.device | str,
        capture: Capture | None = None,
        extras: Mapping[str, Tensor] | None = None,
    ) -> None:
        if not buckets or min(buckets) < 1:
            raise ValueError(f"no batch sizes to record: {list(buckets)}")
        device = torch.device(device)
        self.buckets = tuple(sorted(set(buckets)))
        self.max_context = max_context
        self._filling = {name: row.to(device) for name, row in (extras or {}).items()}
        self._inputs = _static_inputs(
            self.buckets[-1], max_context, block_size, device, self._filling
        )
        self._replays: dict[int, Callable[[], object]] = {}
        self._output: Tensor | None = None
        if capture is None:
            capture = CudaCapture() if device.type == "cuda" else repeat
        # The largest first: the smaller ones find room in its memory.
        for bucket in reversed(self.buckets):
            self._replays[bucket] = capture(self._step(run, _first(self._inputs, bucket)))

    def covers(self, batch_size: int, max_context: int) -> bool:
        """Whether a decode step of this size was recorded."""
        return batch_size <= self.buckets[-1] and max_context <= self.max_context

    def replay(
        self,
        layout: BatchLayout,
        token_ids: Tensor,
        *,
        positions: Tensor | None = None,
        extras: Mapping[str, Tensor] | None = None,
    ) -> Tensor:
        """Computes a step.

        Args:
            layout: one new token per sequence.
            token_ids: [S] int64 on the device.
            positions: [S] int64 in place of the layout's.
            extras: [S, ...] each, all those that the graphs were made with.

        Returns:
            [S, ...], what `run` gives.

        Raises:
            ValueError: not a decode step, one larger than recorded, or other extras.
        """
        rows = layout.sequences
        if layout.max_query != 1 or not self.covers(rows, layout.max_context):
            raise ValueError(
                f"recorded are {self.buckets[-1]} rows of one token up to a context of "
                f"{self.max_context}, not {rows} of {layout.max_query} up to {layout.max_context}"
            )
        extras = extras or {}
        if extras.keys() != self._filling.keys():
            raise ValueError(f"inputs are {sorted(self._filling)}, not {sorted(extras)}")
        bucket = self.buckets[bisect_left(self.buckets, rows)]
        static = self._inputs.layout
        _fill(static.context_lengths[:bucket], layout.context_lengths, 0)
        _fill(static.slots[:bucket], layout.slots, NO_SLOT)
        _fill(static.positions[:bucket], layout.positions if positions is None else positions, 0)
        _fill(self._inputs.token_ids[:bucket], token_ids, 0)
        # A row without context reads no block table.
        static.block_tables[:rows, : layout.block_tables.shape[1]].copy_(layout.block_tables)
        for name, values in extras.items():
            _fill(self._inputs.extras[name][:bucket], values, self._filling[name])
        self._replays[bucket]()
        if self._output is None:
            raise RuntimeError("nothing was recorded")
        return self._output[:rows].clone()

    def _step(
        self, run: Callable[[StaticInputs], Tensor], inputs: StaticInputs
    ) -> Callable[[], None]:
        """`run` from the inputs into the output buffer that all graphs share."""

        def step() -> None:
            result = run(inputs)
            if self._output is None:
                self._output = torch.zeros_like(result)
            self._output[: result.shape[0]].copy_(result)

        return step


def _static_inputs(
    rows: int,
    max_context: int,
    block_size: int,
    device: torch.device,
    extras: Mapping[str, Tensor],
) -> StaticInputs:
    """Inputs of a step all of whose rows only fill up."""
    layout = BatchLayout(
        query_starts=torch.arange(rows + 1, dtype=torch.int32, device=device),
        context_lengths=torch.zeros(rows, dtype=torch.int32, device=device),
        block_tables=torch.zeros(
            (rows, -(-max_context // block_size)), dtype=torch.int32, device=device
        ),
        slots=torch.full((rows,), NO_SLOT, dtype=torch.int64, device=device),
        positions=torch.zeros(rows, dtype=torch.int64, device=device),
        max_query=1,
        max_context=max_context,
        block_size=block_size,
        query_lengths=(1,) * rows,
        contexts=(max_context,) * rows,
    )
    return StaticInputs(
        token_ids=torch.zeros(rows, dtype=torch.int64, device=device),
        layout=layout,
        extras={name: row.repeat(rows, *(1,) * row.dim()) for name, row in extras.items()},
    )


def _first(inputs: StaticInputs, rows: int) -> StaticInputs:
    """The first rows; no memory of its own."""
    whole = inputs.layout
    layout = BatchLayout(
        query_starts=whole.query_starts[: rows + 1],
        context_lengths=whole.context_lengths[:rows],
        block_tables=whole.block_tables[:rows],
        slots=whole.slots[:rows],
        positions=whole.positions[:rows],
        max_query=1,
        max_context=whole.max_context,
        block_size=whole.block_size,
        query_lengths=whole.query_lengths[:rows],
        contexts=whole.contexts[:rows],
    )
    extras = {name: values[:rows] for name, values in inputs.extras.items()}
    return StaticInputs(inputs.token_ids[:rows], layout, extras)


def _fill(static: Tensor, values: Tensor, rest: int | Tensor) -> None:
    """Copies `values` and sets the remaining rows."""
    rows = values.shape[0]
    static[:rows].copy_(values, non_blocking=True)
    if rows < static.shape[0]:
        static[rows:] = rest
