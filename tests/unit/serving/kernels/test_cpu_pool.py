"""Launches on helper threads: all work done once, by whoever is there; and recordings of them."""

import errno
import threading
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numba
import pytest
import torch
from numba.core.caching import IndexDataCacheFile
from torch import Tensor

from rostra.serving.kernels import cpu, cpu_pool
from rostra.serving.kernels.cpu_pool import Kernel, kernel, launch
from rostra.serving.kernels.cpu_replay import Replays
from rostra.serving.kernels.cpu_vector import fetch_add, read_int


@kernel
def _count(args: int) -> None:
    """Adds 1 to each of so many int64s, one unit of work each."""
    while True:
        unit = fetch_add(args, 1)
        if unit >= read_int(args + 24):
            break
        fetch_add(read_int(args + 16) + 8 * unit, 1)


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_every_unit_is_done_once() -> None:
    cells = array("q", [0] * 300)
    for _ in range(200):
        launch(_count, cells.buffer_info()[0], len(cells))
    assert set(cells) == {200}


def test_a_full_disk_is_no_reason_to_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(IndexDataCacheFile, "_save_index", full)
    cells = array("q", [0] * 3)
    again = Kernel(_count._function)
    launch(again, cells.buffer_info()[0], len(cells))
    assert set(cells) == {1}


@pytest.mark.parametrize("changed", [False, True])
def test_code_is_kept_until_a_file_of_the_folder_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: bool
) -> None:
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "cache"))
    source = tmp_path / "a.py"
    source.write_text("1")
    monkeypatch.setattr(cpu_pool, "_sources", lambda: [str(source)])
    assert Kernel(_count._function)._compiled.cache_hits == 0
    if changed:
        source.write_text("12")
    assert Kernel(_count._function)._compiled.cache_hits == (0 if changed else 1)


def test_launches_from_several_threads() -> None:
    cells = [array("q", [0] * 100) for _ in range(4)]

    def work(mine: "array[int]") -> None:
        for _ in range(100):
            launch(_count, mine.buffer_info()[0], len(mine))

    threads = [threading.Thread(target=work, args=(mine,)) for mine in cells]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(set(mine) == {100} for mine in cells)


class NoStep:
    def take_over(self, other: "NoStep") -> None:
        pass


def test_a_replay_is_the_computation() -> None:
    calls = 0

    def compute(inputs: Sequence[Tensor], _: NoStep) -> Tensor:
        nonlocal calls
        calls += 1
        return cpu.gated(cpu.gated(inputs[0], gelu=False), gelu=True)

    replays: Replays[NoStep] = Replays()
    owner, results = object(), []
    for seed in range(6):
        x = torch.randn(3, 128, generator=torch.Generator().manual_seed(seed))
        result = replays.run(owner, [x], NoStep(), compute)
        assert torch.equal(result, cpu.gated(cpu.gated(x, gelu=False), gelu=True))
        results.append((result, result.clone()))
    assert calls == 2  # once plainly, once recorded
    assert all(torch.equal(given, copy) for given, copy in results)  # never overwritten


def test_what_is_more_than_launches_is_run_anew() -> None:
    def compute(inputs: Sequence[Tensor], _: NoStep) -> Tensor:
        return cpu.gated(inputs[0], gelu=False) * 2

    replays: Replays[NoStep] = Replays()
    owner = object()
    for seed in range(4):
        x = torch.randn(2, 64, generator=torch.Generator().manual_seed(seed))
        result = replays.run(owner, [x], NoStep(), compute)
        assert torch.equal(result, cpu.gated(x, gelu=False) * 2)
