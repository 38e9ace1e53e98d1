"""Energy counters, laid out as the kernel and the drivers tell them."""

import shutil
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from evals.load import energy
from evals.load.energy import EnergyMeter, EnergyUnreadable, Nvml, SampledPower, find_rapl


def zone(root: Path, folder: str, name: str, used: int, limit: int = 1_000_000) -> Path:
    path = root / folder
    path.mkdir(parents=True)
    (path / "name").write_text(name + "\n")
    (path / "energy_uj").write_text(f"{used}\n")
    (path / "max_energy_range_uj").write_text(f"{limit}\n")
    return path


def test_rapl_adds_packages_and_their_memory_and_nothing_twice(tmp_path: Path) -> None:
    package = zone(tmp_path, "intel-rapl:0", "package-0", 100)
    zone(tmp_path, "intel-rapl:0:0", "core", 50)
    memory = zone(tmp_path, "intel-rapl:0:1", "dram", 10)
    other = zone(tmp_path, "intel-rapl:1", "package-1", 0)
    zone(tmp_path, "intel-rapl:2", "psys", 0)
    zone(tmp_path, "intel-rapl-mmio:0", "package-0", 0)
    found = find_rapl(tmp_path)
    assert found is not None
    assert found.name == "RAPL package-0, dram, package-1"
    for path, used in ((package, 400_100), (memory, 50_010), (other, 7_000)):
        (path / "energy_uj").write_text(str(used))
    assert found.used() == pytest.approx(0.457)
    assert found.used() == 0


def test_a_counter_that_wraps_around_goes_on(tmp_path: Path) -> None:
    package = zone(tmp_path, "intel-rapl:0", "package-0", 900_000, limit=1_000_000)
    found = find_rapl(tmp_path)
    assert found is not None
    (package / "energy_uj").write_text("50000")
    assert found.used() == pytest.approx(0.15)


def test_a_machine_without_counters_has_none(tmp_path: Path) -> None:
    assert find_rapl(tmp_path / "none") is None


def test_counters_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    (zone(tmp_path, "intel-rapl:0", "package-0", 1) / "energy_uj").write_text("broken")
    with pytest.raises(EnergyUnreadable, match="RAPL"):
        find_rapl(tmp_path)


class FakeNvml(SimpleNamespace):
    """The few functions of NVML that are used, with two GPUs' counters."""

    class NVMLError(Exception):
        pass

    def __init__(self, *millijoules: int) -> None:
        super().__init__()
        self.counters = list(millijoules)
        self.broken = False

    def nvmlInit(self) -> None:
        if self.broken:
            raise self.NVMLError("Driver Not Loaded")

    def nvmlDeviceGetCount(self) -> int:
        return len(self.counters)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:
        return index

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: int) -> int:
        if self.broken:
            raise self.NVMLError("Not Supported")
        return self.counters[handle]


def test_nvml_adds_all_gpus() -> None:
    library = FakeNvml(5000, 100)
    source = Nvml(library)
    library.counters = [7500, 600]
    assert source.used() == 3
    assert source.used() == 0
    assert source.name == "NVML, 2 GPUs"
    library.broken = True
    with pytest.raises(EnergyUnreadable, match="Not Supported"):
        source.used()


@pytest.mark.parametrize("library", [FakeNvml(), FakeNvml(1)])
def test_nvml_without_a_gpu_or_a_driver_is_unreadable(library: FakeNvml) -> None:
    library.broken = bool(library.counters)
    with pytest.raises(EnergyUnreadable):
        Nvml(library)


def test_power_is_integrated_between_looks() -> None:
    told = iter([100.0, 300.0, 50.0])
    time = iter([10.0, 12.0, 13.0])
    source = SampledPower(lambda: next(told), lambda: next(time))
    assert source.used() == 400
    assert source.used() == 175


def find(
    monkeypatch: pytest.MonkeyPatch, library: Any, smi: str | None, watts: float = 10.0
) -> tuple[list[str], list[str]]:
    """What is found with this library and this program installed, and no processor's counters."""

    def find_no_rapl() -> None:
        return None

    # None in its place makes the import fail.
    monkeypatch.setitem(sys.modules, "pynvml", library)
    monkeypatch.setattr(shutil, "which", lambda name: smi)
    monkeypatch.setattr(energy, "smi_watts", lambda: watts)
    monkeypatch.setattr(energy, "find_rapl", find_no_rapl)
    sources, reasons = energy.find_sources()
    return [source.name for source in sources], reasons


def test_the_library_is_preferred_to_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    assert find(monkeypatch, FakeNvml(1), "/usr/bin/nvidia-smi") == (["NVML, 1 GPU"], [])


def test_the_program_stands_in_for_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    for library in (None, FakeNvml()):
        names, _ = find(monkeypatch, library, "/usr/bin/nvidia-smi")
        assert names == ["nvidia-smi, power sampled every second"]


def test_neither_is_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    assert find(monkeypatch, None, None) == ([], [])
    assert find(monkeypatch, FakeNvml(), None) == ([], [])


class Steps:
    """Tells these joules, one a call, and then fails."""

    name = "steps"

    def __init__(self, *joules: float) -> None:
        self._left = list(joules)

    def used(self) -> float:
        if not self._left:
            raise EnergyUnreadable("gone")
        return self._left.pop(0)


async def test_a_meter_adds_its_sources_up() -> None:
    meter = EnergyMeter([Steps(1, 2), Steps(10, 20)], ["RAPL: only root"])
    assert await meter.joules() == 11
    assert await meter.joules() == 33
    assert meter.to_dict() == {
        "told": True, "sources": ["steps", "steps"], "missing": ["RAPL: only root"]
    }  # fmt: skip


async def test_a_source_that_fails_ends_the_telling() -> None:
    meter = EnergyMeter([Steps(1)])
    assert await meter.joules() == 1
    assert await meter.joules() is None
    assert await meter.joules() is None
    assert meter.to_dict() == {"told": False, "sources": [], "missing": ["gone"]}


async def test_a_meter_without_sources_says_so() -> None:
    meter = EnergyMeter([])
    async with meter.running():
        assert await meter.joules() is None
    assert meter.to_dict()["missing"] == ["not told by this device"]
