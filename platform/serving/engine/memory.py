"""How much memory there is, and how many key/value blocks the engine makes of it.

What always holds: the number of blocks is a function of numbers alone, so that a plan made without
loading anything and the engine itself come to the same; there are never more than `max_running`
sequences at full context could fill, and as many again that are kept for reuse.
"""

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import torch

from rostra.core import ConfigError
from rostra.serving.attention.backend import bytes_per_block
from rostra.serving.config import EngineConfig
from rostra.serving.models.config import ModelConfig

GIB = 1024**3

# Of what is free once weights are loaded and activations provided for. A GPU is ours; a machine's
# memory is shared with indexes, the page cache and other programs.
_SHARE = {"cuda": 0.92, "cpu": 0.5}
# More than a processor can make use of.
_MOST_ON_CPU = 16 * GIB
# Widths of a row of logits that sampling holds at once: the logits, sorted, and their order.
_LOGITS_COPIES = 4
# Control groups without a limit report something larger than any machine.
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
    return main_memory(Path("/"))


def main_memory(root: Path) -> Memory:
    """The machine's, as far as this process's control groups let it have it.

    Args:
        root: of the file system that holds `proc` and `sys`.
    """
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    free = total
    with suppress(OSError):  # no Linux
        table = _table(root / "proc/meminfo")
        total, free = table["MemTotal:"] * 1024, table["MemAvailable:"] * 1024
    for folder in _control_groups(root):
        limit = _number(folder, "memory.max", "memory.limit_in_bytes")
        used = _number(folder, "memory.current", "memory.usage_in_bytes")
        if limit is None or used is None or limit >= _NO_LIMIT:
            continue
        with suppress(OSError):
            # The page cache counts as used and is given back on demand.
            table = _table(folder / "memory.stat")
            used -= table.get("active_file", 0) + table.get("inactive_file", 0)
        total, free = min(total, limit), min(free, max(0, limit - used))
    return Memory(total, free)


def activation_bytes(model: ModelConfig, engine: EngineConfig, dtype: torch.dtype) -> int:
    """What the largest step needs beside weights, keys and values."""
    projected = (2 * model.heads + 2 * model.kv_heads) * model.head_dim
    inner = model.intermediate_size
    if model.experts is not None:
        inner = max(inner, model.experts.intermediate_size)
    token = (3 * model.hidden_size + projected + 3 * inner) * dtype.itemsize
    rows = min(engine.max_running, engine.max_step_tokens)
    logits = rows * model.vocab_size * torch.float32.itemsize * _LOGITS_COPIES
    return engine.max_step_tokens * token + logits


def kv_blocks(
    model: ModelConfig,
    engine: EngineConfig,
    dtype: torch.dtype,
    free_bytes: int,
    *,
    max_context: int,
    device: str,
) -> int:
    """How many blocks to allocate, at least one.

    Args:
        model: its shape.
        engine: its `kv_memory_bytes`, if set, is what the blocks may take.
        dtype: of keys and values.
        free_bytes: what is left once weights are loaded and activations provided for.
        max_context: most tokens of a sequence.
        device: torch device type.

    Raises:
        ConfigError: not one block fits, or less is free than `kv_memory_bytes`.
    """
    size = bytes_per_block(model, dtype, engine.block_size)
    if engine.kv_memory_bytes is None:
        room = int(free_bytes * _SHARE.get(device, _SHARE["cpu"]))
        if device != "cuda":
            room = min(room, _MOST_ON_CPU)
    elif engine.kv_memory_bytes > free_bytes:
        raise ConfigError(
            f"kv_memory_bytes: {engine.kv_memory_bytes:,} bytes are asked for keys and values, and "
            f"beside the model only {free_bytes:,} are free",
            hint="Lower ROSTRA_KV_MEMORY_BYTES, or unset it; `rostra plan` says what fits.",
        )
    else:
        room = engine.kv_memory_bytes
    if room < size:
        raise ConfigError(
            f"kv_memory_bytes: {room:,} bytes are left for keys and values, and {size:,} are "
            f"needed for {engine.block_size} tokens",
            hint="Free some memory, take a smaller model, or set ROSTRA_WEIGHTS=int8 or int4; "
            "`rostra plan` says what fits.",
        )
    useful = 2 * engine.max_running * -(-max_context // engine.block_size)
    return min(useful, room // size)


def _control_groups(root: Path) -> list[Path]:
    """Folders of this process's control groups and of those around them."""
    folders: list[Path] = []
    with suppress(OSError):
        for line in (root / "proc/self/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers in ("", "memory"):
                base = root / "sys/fs/cgroup" / controllers
                group = base / path.strip("/")
                # What lies outside of a container is not there to be seen.
                folders += [one for one in (group, *group.parents) if one.is_relative_to(base)]
    return folders


def _number(folder: Path, *names: str) -> int | None:
    for name in names:
        with suppress(OSError, ValueError):  # of the other version, or the word `max`
            return int((folder / name).read_text())
    return None


def _table(file: Path) -> dict[str, int]:
    rows = (line.split() for line in file.read_text().splitlines())
    return {row[0]: int(row[1]) for row in rows if len(row) > 1}
