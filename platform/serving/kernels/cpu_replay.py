"""Steps that are recorded once and replayed without Python.

A decode step is some two hundred launches of a few microseconds each, and as many of Python between
them. The launches depend on the number of tokens alone: recorded with the memory that they read and
write, they are one call. What a graph is on an accelerator, this is on a CPU.

What always holds: a computation is replayed only if it did nothing but launch kernels of ours; any
other operation on tensors is seen while recording, and such computations are run anew each time.
Recorded memory belongs to its recording; what `run` returns is the caller's own.
"""

from array import array
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, Self, TypeVar

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from rostra.serving.kernels.cpu_pool import LAUNCH_WORDS, RECORDER, Kernel, helpers

# More tokens keep the cores so busy that Python does not show.
_MAX_TOKENS = 32
_MAX_RECORDINGS = 8
# What leaves tensors' contents alone.
_HARMLESS = frozenset(
    {
        "aten::empty",
        "aten::new_empty",
        "aten::view",
        "aten::_unsafe_view",
        "aten::split_with_sizes",
        "aten::narrow",
        "aten::slice",
        "aten::alias",
        "aten::detach",
    }
)


class Step(Protocol):
    """What recorded launches find their step's description in."""

    def take_over(self, other: Self) -> None:
        """Makes launches recorded with this step those of another one."""
        ...


AnyStep = TypeVar("AnyStep", bound=Step)


class _Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch's is untyped
    """Sees every operation of torch's, and keeps its results' memory."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.kept: list[Any] = []
        self.harmless = True

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        self.kept.append(out)
        if func.name().split(".")[0] not in _HARMLESS:
            self.harmless = False
        return out


@dataclass(slots=True)
class _Launches:
    """The launches of a recording, with their argument blocks."""

    blocks: list["array[int]"] = field(default_factory=list)
    program: "array[int]" = field(default_factory=lambda: array("q", (0, 0)))

    def add(self, kernel: Kernel, block: "array[int]", counters: int, parallel: bool) -> None:
        """Of `cpu_pool.Recorder`."""
        self.blocks.append(block)
        self.program.extend((kernel.address, block.buffer_info()[0], counters, parallel))
        self.program[1] = (len(self.program) - 2) // LAUNCH_WORDS


@dataclass(frozen=True, slots=True)
class _Recording(Generic[AnyStep]):
    """A replayable computation and the memory that it works in."""

    inputs: list[Tensor]
    step: AnyStep
    launches: _Launches
    kept: list[Any]
    result: Tensor

    def replay(self, inputs: Sequence[Tensor], step: AnyStep) -> Tensor:
        for mine, given in zip(self.inputs, inputs, strict=True):
            mine.copy_(given)
        self.step.take_over(step)
        helpers().run_program(self.launches.program, torch.get_num_threads() - 1)
        return self.result.clone()


class Replays(Generic[AnyStep]):
    """Recordings by owner, number of tokens and of threads; the last used are kept."""

    def __init__(self) -> None:
        # None: seen once, which may not happen again.
        self._recordings: OrderedDict[object, _Recording[AnyStep] | None] = OrderedDict()
        self._unfit: set[object] = set()

    def run(
        self,
        owner: object,
        inputs: Sequence[Tensor],
        step: AnyStep,
        compute: Callable[[Sequence[Tensor], AnyStep], Tensor],
    ) -> Tensor:
        """`compute(inputs, step)`, replayed where it can be.

        Args:
            owner: of the weights; kept alive with its recordings.
            inputs: [T, ...] each, of the same dtypes and widths every time.
            step: of the same kind every time.
            compute: a function of these and the owner; launches depend on T alone.
        """
        if len(inputs[0]) > _MAX_TOKENS or owner in self._unfit:
            return compute(inputs, step)
        key = (owner, len(inputs[0]), torch.get_num_threads())
        if key not in self._recordings:
            self._remember(key, None)
            return compute(inputs, step)
        self._recordings.move_to_end(key)
        recording = self._recordings[key]
        if recording is not None:
            return recording.replay(inputs, step)
        recorded, result = _record(inputs, step, compute)
        if recorded is None:
            self._unfit.add(owner)
        else:
            self._remember(key, recorded)
        return result

    def _remember(self, key: object, recording: _Recording[AnyStep] | None) -> None:
        self._recordings[key] = recording
        self._recordings.move_to_end(key)
        while len(self._recordings) > _MAX_RECORDINGS:
            self._recordings.popitem(last=False)


def _record(
    inputs: Sequence[Tensor],
    step: AnyStep,
    compute: Callable[[Sequence[Tensor], AnyStep], Tensor],
) -> tuple[_Recording[AnyStep] | None, Tensor]:
    """Runs a computation; the recording is None where it did more than launch kernels."""
    owned = [given.clone() for given in inputs]
    launches = _Launches()
    token = RECORDER.set(launches)
    try:
        with _Watch() as watch:
            result = compute(owned, step)
    finally:
        RECORDER.reset(token)
    if not watch.harmless:
        return None, result
    return _Recording(owned, step, launches, watch.kept, result), result.clone()
