"""Energy that this machine tells of: processors by RAPL's counters, NVIDIA GPUs by NVML.

What always holds: no reading is made up. A source that cannot be read is left out with the reason,
and a machine without any tells so. Counters cover the whole machine, the generator included.
"""

import asyncio
import importlib
import re
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

POWERCAP = Path("/sys/class/powercap")
# Counters of small range wrap around after minutes of full load; power is sampled as often.
_POLL_SECONDS = 1.0
_SMI_SECONDS = 10.0
_SMI_QUERY = ("--query-gpu=power.draw", "--format=csv,noheader,nounits")


class EnergyUnreadable(Exception):
    """A source is there and cannot be read; the message says why."""


class EnergySource(Protocol):
    """Something that tells of energy."""

    @property
    def name(self) -> str:
        """What it covers."""
        ...

    def used(self) -> float:
        """Joules since the call before; the first tells of none. May block for a moment.

        Raises:
            EnergyUnreadable: it tells no more.
        """
        ...


@dataclass(slots=True)
class RaplZone:
    """A counter of microjoules that wraps around.

    Attributes:
        last: as read before; None before the first.
    """

    folder: Path
    range_uj: int
    last: int | None = None

    def used(self) -> float:
        """Joules since the call before."""
        found = _read_number(self.folder / "energy_uj")
        before, self.last = self.last, found
        if before is None:
            return 0.0
        wrapped = self.range_uj if found < before else 0
        return (found - before + wrapped) / 1e6


@dataclass(frozen=True, slots=True)
class Rapl:
    """All processor packages and, where it has counters of its own, their memory."""

    name: str
    zones: tuple[RaplZone, ...]

    def used(self) -> float:
        """See `EnergySource`."""
        return sum(zone.used() for zone in self.zones)


def find_rapl(root: Path = POWERCAP) -> Rapl | None:
    """The processor's counters; None where the system has none.

    Other zones are left out: cores are part of their package, and the platform zone has all of it.

    Raises:
        EnergyUnreadable: only root may read them, as is usual.
    """
    zones: list[RaplZone] = []
    names: list[str] = []
    for folder in sorted(root.glob("intel-rapl:*")):
        is_package = re.fullmatch(r"intel-rapl:\d+", folder.name) is not None
        try:
            name = (folder / "name").read_text().strip()
        except OSError:
            continue
        if name.startswith("package") if is_package else name == "dram":
            zone = RaplZone(folder, _read_number(folder / "max_energy_range_uj"))
            zone.used()
            zones.append(zone)
            names.append(name)
    return Rapl("RAPL " + ", ".join(names), tuple(zones)) if zones else None


class Nvml:
    """The GPUs' own counters, through nvidia-ml-py where it is installed.

    Raises:
        EnergyUnreadable: the driver does not answer, or a GPU has no counter.
    """

    def __init__(self, nvml: Any) -> None:
        self._nvml = nvml
        try:
            nvml.nvmlInit()
            count = nvml.nvmlDeviceGetCount()
            self._devices = [nvml.nvmlDeviceGetHandleByIndex(i) for i in range(count)]
        except nvml.NVMLError as error:
            raise EnergyUnreadable(f"NVML: {error}") from None
        if not self._devices:
            raise EnergyUnreadable("NVML: no GPU")
        self._last = self._total()

    @property
    def name(self) -> str:
        """See `EnergySource`."""
        return f"NVML, {len(self._devices)} GPU" + ("s" if len(self._devices) > 1 else "")

    def used(self) -> float:
        """See `EnergySource`."""
        before, self._last = self._last, self._total()
        return self._last - before

    def _total(self) -> float:
        try:
            told = [self._nvml.nvmlDeviceGetTotalEnergyConsumption(d) for d in self._devices]
        except self._nvml.NVMLError as error:
            raise EnergyUnreadable(f"NVML: {error}") from None
        return float(sum(told)) / 1000  # millijoules


class SampledPower:
    """The GPUs' power as `nvidia-smi` tells it, times the seconds between two looks.

    Raises:
        EnergyUnreadable: it tells none.
    """

    name = "nvidia-smi, power sampled every second"

    def __init__(
        self, watts: Callable[[], float], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._watts = watts
        self._clock = clock
        self._last = (clock(), watts())

    def used(self) -> float:
        """See `EnergySource`."""
        (before, first), now = self._last, (self._clock(), self._watts())
        self._last = now
        return (now[0] - before) * (first + now[1]) / 2


def smi_watts() -> float:
    """What all GPUs draw now.

    Raises:
        EnergyUnreadable: nvidia-smi fails, or tells no power.
    """
    try:
        told = subprocess.run(
            ["nvidia-smi", *_SMI_QUERY],
            capture_output=True,
            text=True,
            timeout=_SMI_SECONDS,
            check=True,
        )
        return sum(float(line) for line in told.stdout.split("\n") if line.strip())
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise EnergyUnreadable(f"nvidia-smi tells no power: {error}") from None


def find_sources() -> tuple[list[EnergySource], list[str]]:
    """What tells of energy here, and why the rest does not."""
    sources: list[EnergySource] = []
    reasons: list[str] = []
    for find in (find_rapl, _find_gpu):
        try:
            found = find()
        except EnergyUnreadable as error:
            reasons.append(str(error))
            continue
        if found is not None:
            sources.append(found)
    return sources, reasons


def _find_gpu() -> EnergySource | None:
    has_smi = shutil.which("nvidia-smi") is not None
    try:
        return Nvml(importlib.import_module("pynvml"))
    except ImportError:
        pass
    except EnergyUnreadable:
        if not has_smi:
            return None  # the library without a driver: there is no GPU to tell of
    return SampledPower(smi_watts) if has_smi else None


class EnergyMeter:
    """Adds up what sources tell; use `running`.

    Args:
        sources: all are read together; one that fails is not read again, and no total is told.
        reasons: why others are missing.
    """

    def __init__(self, sources: Sequence[EnergySource], reasons: Sequence[str] = ()) -> None:
        self._sources = list(sources)
        self._names = [source.name for source in sources]
        self._reasons = list(reasons)
        self._joules = 0.0
        self._reading = asyncio.Lock()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Reads the sources now and then, so that no counter wraps around unseen."""
        polling = asyncio.create_task(self._poll())
        try:
            yield
        finally:
            polling.cancel()
            with suppress(asyncio.CancelledError):
                await polling

    async def joules(self) -> float | None:
        """In all since some moment; None where nothing tells."""
        async with self._reading:
            try:
                for source in self._sources:
                    self._joules += await asyncio.to_thread(source.used)
            except EnergyUnreadable as error:
                self._reasons.append(str(error))
                self._sources.clear()
        return self._joules if self._sources else None

    def to_dict(self) -> dict[str, Any]:
        """Where figures come from, or why there are none."""
        if self._sources:
            return {"told": True, "sources": self._names, "missing": self._reasons}
        reasons = self._reasons or ["not told by this device"]
        return {"told": False, "sources": [], "missing": reasons}

    async def _poll(self) -> None:
        while self._sources:
            await self.joules()
            await asyncio.sleep(_POLL_SECONDS)


def _read_number(file: Path) -> int:
    try:
        return int(file.read_text())
    except PermissionError:
        raise EnergyUnreadable("RAPL: only root may read the processor's counters") from None
    except (OSError, ValueError) as error:
        raise EnergyUnreadable(f"RAPL: {error}") from None
