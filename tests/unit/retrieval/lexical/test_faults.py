"""What breaks from outside: kill -9, full disks, damaged files, others' files."""

import contextlib
import json
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from rostra.retrieval.lexical import DamagedIndex, LexicalWriter, Variant, segment, writer
from rostra.retrieval.lexical import merging as merging_module
from tests.unit.retrieval.lexical.crashing import QUERY, STEPS, history
from tests.unit.retrieval.lexical.oracle import check, expected_scores

ROOT = Path(__file__).parents[4]
ROWS = [["a", f"t{at}", "b", f"t{at % 7}"] * (1 + at % 3) for at in range(45)]


def test_killed_at_every_call_that_reaches_the_disk(tmp_path: Path) -> None:
    """A folder then holds what was flushed last, or what was being flushed, and nothing between."""
    ran = subprocess.run(
        [sys.executable, "-m", "tests.unit.retrieval.lexical.crashing", str(tmp_path), "400"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    lines = [json.loads(line) for line in ran.stdout.splitlines()]
    killed = [line for line in lines if "second" not in line]
    ends = [line for line in lines if "second" in line]
    assert [line["killed"] for line in killed] == [True] * (len(killed) - 1) + [False]
    assert len(killed) > 20
    for line in killed:
        assert line["seen"] <= line["state"] <= line["seen"] + 1
        matches(line, line["state"])
    for line in ends:
        matches(line, STEPS)
    assert not any(line["strays"] for line in lines)


def matches(line: dict[str, object], state: int) -> None:
    rows = history(state)
    assert line["live"] == [row is not None for row in rows]
    scores = np.array(line["scores"], np.float64)
    expected = expected_scores(rows, QUERY, Variant.OKAPI)
    np.testing.assert_allclose(scores, expected, rtol=0, atol=1e-9)


def test_killed_from_outside_while_it_merges_and_flushes(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path;"
        "from rostra.retrieval.lexical import LexicalWriter, merging; merging._FAN = 2;"
        "index = LexicalWriter(Path(sys.argv[1]), 'test-1', background=True)\n"
        "step = int(index.state or 0)\n"
        "while True:\n"
        "    index.add([['a', f't{step}', 'b']] * 5); index.remove([step * 5]); step += 1\n"
        "    index.flush(str(step)); print(step, flush=True)\n"
    )
    seen = 0
    for lines in (3, 20):
        with subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        ) as child:
            assert child.stdout is not None
            for _ in range(lines):
                seen = int(child.stdout.readline())
            child.send_signal(signal.SIGKILL)
            rest = child.stdout.read().split("\n")
        seen = max([seen, *(int(line) for line in rest[:-1])])
        index = LexicalWriter(tmp_path, "test-1")
        assert int(index.state) in (seen, seen + 1)
        rows = [
            None if at % 5 == 0 else ["a", f"t{at // 5}", "b"] for at in range(5 * int(index.state))
        ]
        check(index.snapshot(), rows, [["a", "t1"]])


@contextlib.contextmanager
def full_disk(most: int) -> Iterator[None]:
    """No file can grow beyond so many bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture
def filled(tmp_path: Path) -> LexicalWriter:
    """Three segments, some rows dead."""
    index = LexicalWriter(tmp_path / "index", "test-1")
    for at in (0, 15, 30):
        index.add(ROWS[at : at + 15])
        index.remove(np.array([at, at + 3]))
        index.flush(f"upto {at + 15}")
    return index


def left() -> list[list[str] | None]:
    return [None if at % 15 in (0, 3) else row for at, row in enumerate(ROWS)]


def test_a_full_disk_in_a_merge_leaves_the_older_segments_served(
    tmp_path: Path, filled: LexicalWriter
) -> None:
    folder = tmp_path / "index"
    before = sorted(path.name for path in folder.iterdir())
    reader = filled.snapshot()
    # What merging compiles is kept in files too, larger than the disk is then.
    filled.compact(tmp_path / "compiled")
    with full_disk(2048), pytest.raises(OSError, match="File too large"):
        filled.merge(everything=True)
    assert sorted(path.name for path in folder.iterdir()) == before
    for one in (reader, filled.snapshot(), LexicalWriter(folder, "test-1").snapshot()):
        check(one, left(), [["a", "t3"]])
    assert filled.merge(everything=True)
    check(filled.snapshot(), left(), [["a", "t3"]])


def test_rows_beyond_what_a_segment_can_name_are_not_merged_into_one(
    tmp_path: Path, filled: LexicalWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(merging_module, "_WORTH_GATHERING", 0)
    assert filled.is_scattered
    monkeypatch.setattr(merging_module, "_MOST_ROWS", len(filled) - 1)
    assert not filled.merge(everything=True)
    assert not filled.is_scattered
    # Without those that are dead they are few enough.
    filled.compact(tmp_path / "some")
    monkeypatch.setattr(merging_module, "_MOST_ROWS", len(left()) // 2)
    with pytest.raises(OSError, match="too many rows"):
        filled.compact(tmp_path / "none")
    check(filled.snapshot(), left(), [["a", "t3"]])


def test_a_full_disk_in_a_flush_leaves_what_was_flushed_and_can_be_tried_again(
    tmp_path: Path, filled: LexicalWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled.add([["new", "a"] * 400])
    with full_disk(512), pytest.raises(OSError, match="File too large"):
        filled.flush("more")
    again = LexicalWriter(tmp_path / "index", "test-1")
    assert again.state == "upto 45"
    rows = [*left(), ["new", "a"] * 400]
    check(filled.snapshot(), rows, [["new", "t3"]])
    # A segment that could not be written when memory was full changes nothing either.
    monkeypatch.setattr(writer, "_MOST_RECENT", 10)
    with full_disk(512):
        filled.add([["newer"]])
    filled.flush("more")
    reopened = LexicalWriter(tmp_path / "index", "test-1")
    check(reopened.snapshot(), [*rows, ["newer"]], [["new", "newer"]])


def test_every_damaged_byte_range_is_detected(tmp_path: Path, filled: LexicalWriter) -> None:
    folder = tmp_path / "index"
    for path in sorted(folder.iterdir()):
        whole = path.read_bytes()
        entries = {entry.file: entry for entry in filled._manifest.segments}
        if path.name in entries:
            sections = entries[path.name].sections.values()
            places = [section.offset for section in sections if section.count]
        else:
            places = [0, len(whole) // 2]
        for at in places:
            path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
            if path.suffix == ".dead" and at:
                continue  # padding behind the bits
            with pytest.raises(DamagedIndex) as caught:
                LexicalWriter(folder, "test-1")
            assert caught.value.file == path
        for broken in (b"", whole[:3]):
            path.write_bytes(broken)
            with pytest.raises(DamagedIndex):
                LexicalWriter(folder, "test-1")
        if path.name != "manifest.json":
            path.unlink()
            with pytest.raises(DamagedIndex):
                LexicalWriter(folder, "test-1")
        path.write_bytes(whole)
    check(LexicalWriter(folder, "test-1").snapshot(), left(), [["a", "t3"]])


def test_large_files_are_checked_on_demand(
    tmp_path: Path, filled: LexicalWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled.merge(everything=True)
    monkeypatch.setattr(segment, "_QUICK", 0)
    entry = filled._manifest.segments[0]
    path = tmp_path / "index" / entry.file
    whole = bytearray(path.read_bytes())
    section = entry.sections["docs"]
    whole[section.offset : section.offset + 4 * section.count] = b"\xff\x7f\xff\x7f" * section.count
    path.write_bytes(bytes(whole))
    index = LexicalWriter(tmp_path / "index", "test-1")
    with pytest.raises(DamagedIndex, match="docs"):
        index.verify()
    section = entry.sections["row_terms"]
    whole[section.offset : section.offset + 4 * section.count] = b"\xff\x7f\xff\x7f" * section.count
    path.write_bytes(bytes(whole))
    with pytest.raises(DamagedIndex, match="row_terms"):
        LexicalWriter(tmp_path / "index", "test-1").remove(np.array([1]))


@pytest.mark.parametrize(("analyzer", "ordered"), [("test-2", True), ("test-1", False)])
def test_another_analyzers_index_is_not_misread(
    tmp_path: Path, filled: LexicalWriter, analyzer: str, ordered: bool
) -> None:
    with pytest.raises(DamagedIndex, match="was made"):
        LexicalWriter(tmp_path / "index", analyzer, ordered=ordered)


def test_files_that_nobody_names_are_removed(tmp_path: Path, filled: LexicalWriter) -> None:
    folder = tmp_path / "index"
    before = {path.name for path in folder.iterdir()}
    (folder / "99999999.seg").write_bytes(b"left by a crash")
    (folder / ".manifest.json").write_bytes(b"half")
    LexicalWriter(folder, "test-1")
    assert {path.name for path in folder.iterdir()} == before


def test_nobody_waits_for_a_merge(
    tmp_path: Path, filled: LexicalWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    began, may_end = threading.Event(), threading.Event()

    def slow(*args: object, **kwargs: object) -> segment.Segment:
        began.set()
        assert may_end.wait(60)
        return merging_module.merge(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(writer, "merge", slow)
    older = filled.snapshot()
    merging = threading.Thread(target=filled.merge, args=(True,))
    merging.start()
    assert began.wait(60)
    # Meanwhile everything else goes on, also what the merge does not know yet.
    filled.remove(np.array([1, 20, 44]))
    filled.add([["late", "a"]])
    filled.flush("meanwhile")
    filled.remove(np.array([2]))
    rows = [*left(), ["late", "a"]]
    rows[1] = rows[20] = rows[44] = rows[2] = None
    check(filled.snapshot(), rows, [["late", "t3"]])
    may_end.set()
    merging.join()
    check(filled.snapshot(), rows, [["late", "t3"]])
    check(older, left(), [["a", "t3"]])
    rows[2] = ROWS[2]
    reopened = LexicalWriter(tmp_path / "index", "test-1")
    assert reopened.state == "meanwhile"
    check(reopened.snapshot(), rows, [["late", "t3"]])
    assert len(list((tmp_path / "index").iterdir())) == 4


def test_merges_in_the_background_come_to_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(merging_module, "_FAN", 2)
    index = LexicalWriter(tmp_path, "test-1", background=True)
    for row in ROWS:
        index.add([row])
        index.flush()
    index.close()
    while index.merge():
        pass
    check(index.snapshot(), list(ROWS), [["a", "t3"]])
    assert len(list(tmp_path.iterdir())) < 10


def test_positions_that_do_not_exist_are_refused(filled: LexicalWriter) -> None:
    for wrong in (-1, 45):
        with pytest.raises(IndexError, match="0 to 44"):
            filled.remove(np.array([1, wrong]))
    check(filled.snapshot(), left(), [["a"]])
