"""Machine code that is kept on disk is never why a call fails."""

import errno
import os
from pathlib import Path
from typing import Any

import numba
import pytest
from numba.core.caching import IndexDataCacheFile

from rostra.retrieval.lexical.compiling import compiled


def doubled(number: int) -> int:
    return 2 * number


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    return tmp_path


def hits(kernel: Any) -> int:
    return sum(kernel.stats.cache_hits.values())


def test_code_is_kept(folder: Path) -> None:
    for known in (0, 1):
        kernel = compiled(doubled)
        assert kernel(4) == 8
        assert hits(kernel) == known


def test_a_full_disk_is_no_reason_to_fail(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(IndexDataCacheFile, "_save_index", full)
    assert compiled(doubled)(4) == 8


@pytest.mark.parametrize("kind", ["nbi", "nbc"])
@pytest.mark.parametrize("left", [0, 20])
def test_what_was_cut_short_is_made_anew(folder: Path, kind: str, left: int) -> None:
    assert compiled(doubled)(4) == 8
    for path in folder.rglob(f"*.{kind}"):
        path.write_bytes(path.read_bytes()[:left])
    for known in (0, 1):
        kernel = compiled(doubled)
        assert kernel(4) == 8
        assert hits(kernel) == known


def test_code_of_an_older_source_is_never_taken_for_the_newer_ones(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "module.py"

    def fresh(factor: int) -> Any:
        text = f"def times(number):\n    return {factor} * number\n"
        source.write_text(text)
        os.utime(source, (factor, factor))
        names: dict[str, Any] = {"__name__": __name__}
        exec(compile(text, str(source), "exec"), names)
        return compiled(names["times"])

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    assert fresh(2)(4) == 8
    with monkeypatch.context() as patch:
        # Its name is written, and then nothing more.
        patch.setattr(IndexDataCacheFile, "_save_data", full)
        assert fresh(3)(4) == 12
    assert fresh(3)(4) == 12


def test_code_is_made_anew_when_a_file_changes_that_it_takes_from(
    folder: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.py"
    for text, known in (("1", 0), ("1", 1), ("12", 0), ("12", 1), (None, 0), (None, 1)):
        if text is None:
            other.unlink(missing_ok=True)
        elif not other.exists() or other.read_text() != text:
            other.write_text(text)
        kernel = compiled(doubled, sources=[str(other)])
        assert kernel(4) == 8
        assert hits(kernel) == known


def test_nowhere_to_keep_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere(*_: Any) -> None:
        raise RuntimeError("cannot cache function: no locator available")

    monkeypatch.setattr("rostra.core.kept_code.KeptCode.__init__", nowhere)
    assert compiled(doubled)(4) == 8
