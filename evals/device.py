"""What this machine is, in a line."""

import os
import platform
import shutil
import subprocess
from pathlib import Path

_CPUINFO = Path("/proc/cpuinfo")
_MEMORY_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)
_SMI_SECONDS = 10.0


def describe_device() -> str:
    """Processor, cores and memory this process may use, kind of system, and NVIDIA GPUs."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    parts = [_processor(), f"{cores} cores"]
    if (memory := _memory()) is not None:
        parts.append(f"{memory / 2**30:.1f} GiB")
    return ", ".join([*parts, f"{platform.machine()} {platform.system()}", *_gpus()])


def _memory() -> int | None:
    """Bytes: the machine's, or less where a container has a limit."""
    try:
        found = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return None
    for path in _MEMORY_LIMITS:
        try:
            found = min(found, int(path.read_text()))
        except (OSError, ValueError):  # No container, or no limit: `max`.
            continue
    return found if found > 0 else None


def _processor() -> str:
    try:
        lines = _CPUINFO.read_text(errors="replace").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())


def _gpus() -> list[str]:
    if shutil.which("nvidia-smi") is None:
        return []
    try:
        told = subprocess.run(
            ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            timeout=_SMI_SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return []
    return [line.strip() for line in told.stdout.splitlines() if line.strip()]
