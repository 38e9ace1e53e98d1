"""Listing, reading and searching: what is there, and no more than asked for."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mcp_servers.files import reading
from mcp_servers.files.reading import MAX_TEXT, list_below, read_lines, search_below
from mcp_servers.files.rooted import Root
from rostra.core import InvalidRequest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "docs" / "deep").mkdir(parents=True)
    (root / "b.md").write_text("Beta\nsecond Alpha\n")
    (root / "a.txt").write_text("alpha\r\nbeta")
    (root / "docs" / "deep" / "c.md").write_text("ALPHA\n" * 3)
    (root / "data.bin").write_bytes(b"\0alpha")
    (root / "out").symlink_to("..")
    (tmp_path / "secret.md").write_text("alpha secret")
    os.mkfifo(root / "pipe")
    return root


def test_listing_is_by_name_and_says_what_is_what(folder: Path) -> None:
    with Root(folder) as root:
        flat = list_below(root, ".", "*", False, 100)
        assert [(entry.path, entry.kind) for entry in flat.entries] == [
            ("a.txt", "file"),
            ("b.md", "file"),
            ("data.bin", "file"),
            ("docs", "folder"),
            ("out", "link"),
            ("pipe", "other"),
        ]
        assert flat.entries[0].size == len(b"alpha\r\nbeta")
        assert flat.entries[3].size is None
        assert not flat.truncated
        below = list_below(root, "docs/../", "*.md", True, 100)
        assert [entry.path for entry in below.entries] == ["docs/../b.md", "docs/../docs/deep/c.md"]
        by_path = list_below(root, ".", "docs/*.md", True, 100)
        assert [entry.path for entry in by_path.entries] == ["docs/deep/c.md"]
        cut = list_below(root, ".", "*", True, 2)
        assert (len(cut.entries), cut.truncated) == (2, True)


def test_listing_gives_up_when_there_is_too_much(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "MAX_VISITED", 3)
    with Root(folder) as root:
        cut = list_below(root, ".", "*", True, 100)
        assert (len(cut.entries), cut.truncated) == (3, True)
        assert search_below(root, ".", "alpha", "*", False, 100).truncated


def test_search_finds_lines_of_text_files_below(folder: Path) -> None:
    with Root(folder) as root:
        found = search_below(root, ".", "alpha", "*", False, 100)
        assert [(match.path, match.line, match.text) for match in found.matches] == [
            ("a.txt", 1, "alpha"),
            ("b.md", 2, "second Alpha"),
            *(("docs/deep/c.md", line, "ALPHA") for line in (1, 2, 3)),
        ]
        assert (found.files_searched, found.files_skipped, found.truncated) == (3, 1, False)
        exact = search_below(root, ".", "Alpha", "*.md", True, 100)
        assert [match.path for match in exact.matches] == ["b.md"]
        cut = search_below(root, "docs", "a", "*", False, 2)
        assert (len(cut.matches), cut.truncated) == (2, True)


def test_a_long_line_is_shown_around_its_match(folder: Path) -> None:
    (folder / "long.txt").write_text("x" * 5_000 + "needle" + "y" * 5_000)
    with Root(folder) as root:
        (match,) = search_below(root, ".", "NEEDLE", "long.txt", False, 5).matches
    assert "needle" in match.text
    assert len(match.text) == 300


@given(
    text=st.text(st.sampled_from("ab\n\ré🏺"), max_size=80),
    start=st.integers(1, 12),
    length=st.one_of(st.none(), st.integers(0, 12)),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_lines_are_those_that_people_count(
    folder: Path, text: str, start: int, length: int | None
) -> None:
    (folder / "some.txt").write_bytes(text.encode())
    lines = text.replace("\r\n", "\n").split("\n")
    if text == "" or text.endswith("\n"):
        lines.pop()
    end = None if length is None else start + length
    with Root(folder) as root:
        part = read_lines(root, "some.txt", start, end)
    wanted = lines[start - 1 : end]
    assert part.text == "\n".join(wanted)
    assert (part.end_line, part.total_lines) == (start - 1 + len(wanted), len(lines))
    assert not part.truncated


def test_long_files_are_read_part_by_part(folder: Path) -> None:
    lines = [f"line {number} " + "é" * (number % 90) for number in range(2_000)]
    (folder / "long.txt").write_text("\n".join(lines))
    read: list[str] = []
    with Root(folder) as root:
        while len(read) < len(lines):
            part = read_lines(root, "long.txt", len(read) + 1, None)
            assert 0 < len(part.text) <= MAX_TEXT
            assert part.total_lines == len(lines)
            read += part.text.split("\n")
            assert part.end_line == len(read)
            assert part.truncated is (len(read) < len(lines))
    assert read == lines


def test_one_line_longer_than_a_call_gives_is_cut(folder: Path) -> None:
    (folder / "long.txt").write_text("é" * 200_000 + "\nnext")
    with Root(folder) as root:
        part = read_lines(root, "long.txt", 1, None)
        assert (part.text, part.end_line, part.truncated) == ("é" * MAX_TEXT, 1, True)
        assert read_lines(root, "long.txt", 2, None).text == "next"


def test_no_text_is_said_to_be_none(folder: Path) -> None:
    with Root(folder) as root, pytest.raises(InvalidRequest, match="no text file, it has 6 bytes"):
        read_lines(root, "data.bin", 1, None)
    (folder / "latin.txt").write_bytes(b"caf\xe9")
    with Root(folder) as root:
        assert read_lines(root, "latin.txt", 1, None).text == "caf\N{REPLACEMENT CHARACTER}"
