"""How much memory there is, and how many key/value blocks of it the engine takes.

What always holds: the number of blocks is a function of numbers alone, so that a plan made without
loading anything and the engine itself come to the same; there are never more blocks than
`max_running` sequences at full context could fill.
"""

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch

from rostra.serving.attention.backend import AttentionShape, bytes_per_block
from rostra.serving.config import EngineConfig

# Of what is free once weights are loaded and activations are provided for. A GPU is ours; a
# machine's memory is shared with the documents' indexes, the page cache and other programs.
_SHARE = {"cuda": 0.92, "cpu": 0.5}
_CGROUP = Path("/sys/fs/cgroup")
# What control groups without a limit report is larger than any machine.
_NO_LIMIT = 2**60


@dataclass(frozen=True, slots=True)
class Memory:
    """Of a device, in bytes.

    Attributes:
        total: what it has; on a CPU at most what this process may use.
        free: what can be allocated now.
    """

    total: int
    free: int


def device_memory(device: torch.device) -> Memory:
    """Memory of this device as it is now."""
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
        # What torch holds and nobody uses can be allocated too.
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return Memory(total, free + unused)
    return _main_memory(Path("/proc/meminfo"), _CGROUP)


def _main_memory(meminfo: Path, cgroup: Path) -> Memory:
    """The machine's, as far as control groups let us have it."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    free = total
    with contextlib.suppress(OSError):
        lines = dict(line.split(":", 1) for line in meminfo.read_text().splitlines())
        total = int(lines["MemTotal"].split()[0]) * 1024
        free = int(lines["MemAvailable"].split()[0]) * 1024
    for limit_file, used_file in (
        ("memory.max", "memory.current"),  # version 2
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),  # version 1
    ):
        limit, used = _number(cgroup / limit_file), _number(cgroup / used_file)
        if limit is not None and used is not None and limit < _NO_LIMIT:
            total = min(total, limit)
            free = min(free, max(0, limit - used))
    return Memory(total, free)


def _number(file: Path) -> int | None:
    try:
        return int(file.read_text())
    except (OSError, ValueError):  # no such file, or the word `max`
        return None


class ModelShape(AttentionShape):
    """What is needed of a `ModelConfig`."""


def kv_blocks(
    config: AttentionShape,
    engine: EngineConfig,
    dtype: torch.dtype,
    free_bytes: int,
    *,
    max_context: int,
    device: str = "cpu",
) -> int:
    """How many blocks to allocate.

    Args:
        config: the model's shape.
        engine: its `kv_memory_bytes`, if set, is what the blocks may take.
        dtype: of keys and values.
        free_bytes: what is left for blocks and nothing else, once weights are loaded and
            activations provided for.
        max_context: most tokens of a sequence.
        device: torch device type.
    """
    size = bytes_per_block(config, dtype, engine.block_size)
    useful = engine.max_running * -(-max_context // engine.block_size)
    if engine.kv_memory_bytes is not None:
        room = engine.kv_memory_bytes
    else:
        room = int(free_bytes * _SHARE.get(device, 0.5))
    return max(0, min(useful, room // size))


class StepShape(AttentionShape, Protocol):
    """What the size of a step's tensors depends on; `ModelConfig` is one."""

    @property
    def hidden_size(self) -> int: ...
    @property
    def intermediate_size(self) -> int: ...
    @property
    def vocab_size(self) -> int: ...


def activation_bytes(config: StepShape, engine: EngineConfig, dtype: torch.dtype) -> int:
    """Upper bound of what the largest step needs besides weights and blocks.

    Of a token: the residual stream, its norm and sum, packed queries, keys and values, and the
    feed-forward block's two halves with their product. Of a sequence: a few float32 rows of the
    vocabulary, for logits, weights and what sampling sorts.
    """
    heads = (config.heads + 2 * config.kv_heads) * config.head_dim
    token = 4 * config.hidden_size + 3 * heads + 3 * config.intermediate_size
    row = 6 * config.vocab_size * 4
    tokens = max(engine.max_step_tokens, engine.max_running)
    return tokens * token * max(dtype.itemsize, 4) + engine.max_running * row
