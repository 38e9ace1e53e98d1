"""Vectors on disk: killed at any point, damaged in any file, on a full disk."""

import errno
import itertools
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from rostra.core import FloatMatrix
from rostra.retrieval.dense import DenseOptions, DenseWriter, VectorStore, rows
from rostra.retrieval.dense import store as store_module
from rostra.retrieval.lexical import DamagedIndex, Positions

WIDTH = 12
FILE_BYTES = WIDTH * 4 * 32
OPTIONS = DenseOptions("int8", shortlist=1000, train_at=8)


def vectors(count: int, seed: int) -> FloatMatrix:
    return np.random.default_rng(seed).normal(size=(count, WIDTH)).astype(np.float32)


@pytest.mark.parametrize("resident", [0, 1 << 20], ids=["read", "mapped"])
def test_views_stay_what_they_were_while_files_grow(
    resident: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "_RESIDENT", resident)
    store = VectorStore(tmp_path, WIDTH, file_bytes=FILE_BYTES)
    all_rows = vectors(150, 1)
    views = []
    for start, stop in ((0, 1), (1, 31), (31, 33), (33, 100), (100, 150)):
        store.append(all_rows[start:stop])
        views.append((stop, store.view()))
        store.flush()
    for count, view in views:
        assert len(view) == count
        np.testing.assert_array_equal(view.take(np.arange(count)), all_rows[:count])
        np.testing.assert_array_equal(view.block(count // 2, count), all_rows[count // 2 : count])
        with pytest.raises(IndexError):
            view.take(np.array([count]))
        view.rows.let_go()  # they come back when read
        np.testing.assert_array_equal(view.take(np.arange(count)), all_rows[:count])
    with pytest.raises(IndexError):
        view.take(np.array([-1]))
    store.verify()
    again = VectorStore(tmp_path, WIDTH)
    np.testing.assert_array_equal(again.view().take(np.arange(150)), all_rows)


_HISTORY = '''
import os, signal, sys
from pathlib import Path
import numpy as np
from rostra.retrieval.dense import DenseOptions, DenseWriter

WIDTH, ROOT = 12, Path(sys.argv[1])

def history(folder, acknowledge):
    options = DenseOptions("int8", shortlist=1000, train_at=8)
    writer = DenseWriter(folder, WIDTH, options, file_bytes=WIDTH * 4 * 32)
    for step in range(3):
        random = np.random.default_rng(step)
        writer.add(random.normal(size=(20, WIDTH)).astype(np.float32))
        writer.add(random.normal(size=(3, WIDTH)).astype(np.float32))
        writer.remove(np.array([7 * step, 7 * step + 1]))
        if step == 1:
            writer.train()
        writer.flush(str(step))
        acknowledge(step)

def dying_at(point):
    """Kills this process at its point-th effect on the disk; half of a write is done by then."""
    left = [point]
    def watch(module, name):
        original = getattr(module, name)
        def watched(*given, **named):
            left[0] -= 1
            if not left[0]:
                if name == "pwrite":
                    original(given[0], given[1][: len(given[1]) // 2], given[2])
                os.kill(os.getpid(), signal.SIGKILL)
            return original(*given, **named)
        setattr(module, name, watched)
    for name in ("pwrite", "fsync", "replace", "unlink", "open"):
        watch(os, name)

for point in range(1, 1000):
    folder = ROOT / str(point)
    folder.mkdir()
    pid = os.fork()
    if not pid:
        dying_at(point)
        with (ROOT / f"{point}.steps").open("w") as steps:
            history(folder, lambda step: print(step, file=steps, flush=True))
        os._exit(0)
    if not os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]):
        break
else:
    sys.exit("the history never ended")
'''


def test_killed_at_any_point_it_goes_on_from_the_last_flush(tmp_path: Path) -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-c", _HISTORY, str(tmp_path)], check=True, env=environment)
    points = sorted(int(path.name) for path in tmp_path.iterdir() if path.is_dir())
    assert len(points) > 30
    seen = set()
    for point in points:
        told = (tmp_path / f"{point}.steps").read_text().split()
        writer = DenseWriter(tmp_path / str(point), WIDTH, OPTIONS)
        writer.verify()
        done = int(writer.state) if writer.state else -1
        # What was told to be durable is there; what was being made durable may be.
        assert done - len(told) in (-1, 0)
        expected = [np.zeros((0, WIDTH))]
        for step in range(done + 1):
            random = np.random.default_rng(step)
            expected += [random.normal(size=(20, WIDTH)), random.normal(size=(3, WIDTH))]
        kept = np.concatenate(expected).astype(np.float32)
        reader = writer.snapshot()
        np.testing.assert_array_equal(reader.vectors(np.arange(len(reader))), kept)
        dead = {at for step in range(done + 1) for at in (7 * step, 7 * step + 1)}
        assert set(np.flatnonzero(~reader.live).tolist()) == dead
        assert (reader.finder is None) == (done < 1)
        named = len(list((tmp_path / str(point)).iterdir()))
        fresh = vectors(2, 9)
        writer.add(fresh)
        writer.flush("on")
        again = DenseWriter(tmp_path / str(point), WIDTH, OPTIONS).snapshot()
        np.testing.assert_array_equal(again.vectors(np.arange(len(kept), len(kept) + 2)), fresh)
        seen.add((done, named))
    assert {done for done, _ in seen} == {-1, 0, 1, 2}


def full(folder: Path) -> DenseWriter:
    writer = DenseWriter(folder, WIDTH, OPTIONS, file_bytes=FILE_BYTES)
    writer.add(vectors(100, 1))
    writer.train()
    writer.remove(np.array([4, 50]))
    writer.flush("whole")
    return writer


def test_damage_to_any_file_is_told(tmp_path: Path) -> None:
    full(tmp_path)
    files = sorted(path for path in tmp_path.iterdir())
    assert len(files) > 8
    for path in files:
        whole = path.read_bytes()
        for damage in (whole[:-1], b"", whole[:9] + bytes([whole[9] ^ 1]) + whole[10:], None):
            if damage is None:
                path.unlink()
            else:
                path.write_bytes(damage)
            if damage is None and path.name == "manifest.json":
                path.write_bytes(whole)  # a folder without one is a new folder
                continue
            with pytest.raises(DamagedIndex):
                DenseWriter(tmp_path, WIDTH, OPTIONS)
            path.write_bytes(whole)
    assert len(DenseWriter(tmp_path, WIDTH, OPTIONS)) == 100


def test_a_file_that_is_cut_short_under_a_reader_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "_RESIDENT", 0)
    reader = full(tmp_path).snapshot()
    path = max(path for path in tmp_path.iterdir() if "vectors" in path.name)
    os.truncate(path, WIDTH * 4)
    assert len(reader.vectors(np.arange(97))) == 97
    with pytest.raises(DamagedIndex, match=path.name):
        reader.vectors(np.arange(99))


def test_large_files_are_compared_when_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full(tmp_path)
    monkeypatch.setattr(store_module, "_QUICK", 0)
    path = next(path for path in tmp_path.iterdir() if "vectors" in path.name)
    whole = path.read_bytes()
    path.write_bytes(whole[:9] + bytes([whole[9] ^ 1]) + whole[10:])
    writer = DenseWriter(tmp_path, WIDTH, OPTIONS)
    with pytest.raises(DamagedIndex, match=path.name) as caught:
        writer.verify()
    assert caught.value.file == path


def test_another_width_or_format_is_not_taken_for_this_one(tmp_path: Path) -> None:
    full(tmp_path)
    with pytest.raises(DamagedIndex):
        DenseWriter(tmp_path, WIDTH + 1, OPTIONS)
    with pytest.raises(DamagedIndex):
        DenseWriter(tmp_path, WIDTH, DenseOptions("int8", half=True))


def still_served(writer: DenseWriter, before: Positions) -> None:
    writer.verify()
    reader = writer.snapshot()
    only_old = np.arange(len(reader)) < 100
    found, _ = reader.search(vectors(1, 5)[0], 10, only_old)
    assert found.tolist() == before.tolist()
    assert reader.live.sum() == len(reader) - 2


@pytest.mark.parametrize("name", ["pwrite", "fsync"])
def test_on_a_full_disk_what_was_there_goes_on_being_served(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = full(tmp_path)
    original = getattr(os, name)
    before, _ = writer.snapshot().search(vectors(1, 5)[0], 10)
    more = vectors(80, 2)  # into the last file, and beyond it
    for room in range(6):
        count = itertools.count()

        def limited(descriptor: int, *given: object) -> object:
            if next(count) >= room:  # noqa: B023
                if given:  # some of it still fits
                    original(descriptor, given[0][:5], given[1])  # type: ignore[index]
                raise OSError(errno.ENOSPC, "No space left on device")
            return original(descriptor, *given)

        with monkeypatch.context() as patch:
            patch.setattr(rows.os, name, limited)
            try:
                writer.add(more)
                writer.train()
                writer.flush("more")
            except OSError as error:
                assert error.errno == errno.ENOSPC
        still_served(writer, before)
        writer = DenseWriter(tmp_path, WIDTH, OPTIONS)
        still_served(writer, before)
    writer.add(more)
    writer.flush("room again")
    assert DenseWriter(tmp_path, WIDTH, OPTIONS).state == "room again"


def test_what_no_manifest_names_is_removed(tmp_path: Path) -> None:
    full(tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    (tmp_path / "00000099.vectors-00000").write_bytes(b"left by a process that was killed")
    DenseWriter(tmp_path, WIDTH, OPTIONS)
    assert {path.name for path in tmp_path.iterdir()} == names
