"""Listing, reading and searching below an open folder, each within limits of work and of output.

What always holds: a listing or a search ends after `MAX_SECONDS` or `MAX_VISITED` names and says
so; lines end at a line feed, and a carriage return before it is dropped; bytes that are no UTF-8
come as replacement characters; a file with a NUL near its beginning is no text.
"""

import codecs
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import BinaryIO

from mcp_servers.files.results import FileText, Listed, Listing, Match, Matches
from mcp_servers.files.rooted import Entry, Root, entries, open_file, open_folder
from rostra.core import InvalidRequest

MAX_TEXT = 20_000
MAX_LISTED = 1_000
MAX_MATCHES = 200
MAX_SEARCHED_BYTES = 16 * 1024 * 1024
MAX_VISITED = 50_000
MAX_SECONDS = 10.0
_MAX_DEPTH = 64
_LINE_BYTES = 64 * 1024
_SHOWN = 300
_SNIFFED = 8_192


@dataclass(slots=True)
class _Effort:
    """How much a walk has done; `spent` once it is too much."""

    deadline: float = field(default_factory=lambda: time.monotonic() + MAX_SECONDS)
    visited: int = 0
    spent: bool = False

    def one_more(self) -> bool:
        """Counts a step; False if it is one too many."""
        self.visited += 1
        self.spent = self.spent or self.visited > MAX_VISITED or time.monotonic() > self.deadline
        return not self.spent


def list_below(root: Root, path: str, pattern: str, recursive: bool, limit: int) -> Listing:
    """What stands in a folder and, if wanted, below it."""
    effort = _Effort()
    found: list[Listed] = []
    with root.folder(path) as folder:
        for name, entry, _ in _walk(folder, _prefix(path), effort, recursive):
            if not _matches(name, entry.name, pattern):
                continue
            if len(found) == limit:
                return Listing(entries=found, truncated=True)
            modified = datetime.fromtimestamp(entry.modified, UTC).isoformat(timespec="seconds")
            found.append(Listed(path=name, kind=entry.kind, size=entry.size, modified=modified))
    return Listing(entries=found, truncated=effort.spent)


def read_lines(root: Root, path: str, start: int, end: int | None) -> FileText:
    """Some lines of a file, as many as `MAX_TEXT` code points hold; at least the part of one."""
    kept: list[str] = []
    room, last, number, whole = MAX_TEXT, start - 1, 0, True
    with root.read(path) as file:
        if _is_binary(file):
            raise InvalidRequest(
                f"{path[:200]!r} is no text file, it has {os.fstat(file.fileno()).st_size} bytes"
            )
        for number, line in _lines(file, MAX_SEARCHED_BYTES):
            if number < start or not whole or (end is not None and number > end):
                continue
            text = line if not kept or number == last else "\n" + line
            whole = len(text) <= room
            if whole or not kept:
                kept.append(text[:room])
                room -= len(kept[-1])
                last = number
        complete = not file.read(1)
    return FileText(
        path=path,
        start_line=start,
        end_line=last,
        total_lines=number if complete else None,
        truncated=not whole or not (complete or (end is not None and last == end)),
        text="".join(kept),
    )


def search_below(
    root: Root, path: str, text: str, pattern: str, case_sensitive: bool, limit: int
) -> Matches:
    """The lines of text files that hold `text`."""
    effort = _Effort()
    wanted = text if case_sensitive else text.casefold()
    found: list[Match] = []
    searched = skipped = 0
    with root.folder(path) as folder:
        for name, entry, at in _walk(folder, _prefix(path), effort, recursive=True):
            if entry.kind != "file" or not _matches(name, entry.name, pattern):
                continue
            file = open_file(entry.name, at)
            if file is None:
                skipped += 1
                continue
            with file:
                if _is_binary(file):
                    skipped += 1
                    continue
                searched += 1
                for number, line in _lines(file, MAX_SEARCHED_BYTES):
                    place = (line if case_sensitive else line.casefold()).find(wanted)
                    if place >= 0:
                        if len(found) == limit:
                            effort.spent = True
                            break
                        found.append(Match(path=name, line=number, text=_around(line, place)))
                    # Of lines as of names: a search may not be long in one file either.
                    if number % 1_000 == 0 and time.monotonic() > effort.deadline:
                        effort.spent = True
                        break
                if file.read(1):
                    skipped += 1
            if effort.spent:
                break
    return Matches(
        matches=found, files_searched=searched, files_skipped=skipped, truncated=effort.spent
    )


def _walk(
    folder: int, prefix: str, effort: _Effort, recursive: bool, depth: int = 0
) -> Iterator[tuple[str, Entry, int]]:
    """Path, entry and folder of everything below an open folder, by name; links as such."""
    here: list[Entry] = []
    for entry in entries(folder):
        if not effort.one_more():
            break
        here.append(entry)
    for entry in sorted(here, key=lambda entry: entry.name):
        name = prefix + entry.name
        yield name, entry, folder
        if recursive and entry.kind == "folder" and depth < _MAX_DEPTH and not effort.spent:
            inner = open_folder(entry.name, folder)
            if inner is None:
                continue
            try:
                yield from _walk(inner, name + "/", effort, recursive, depth + 1)
            finally:
                os.close(inner)


def _lines(file: BinaryIO, most: int) -> Iterator[tuple[int, str]]:
    """Numbered lines; what is longer than a piece comes in pieces of the same number."""
    number, begun = 1, False
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    while piece := file.readline(room := min(_LINE_BYTES, most)):
        most -= len(piece)
        ends = piece.endswith(b"\n")
        is_last = len(piece) < room and not ends
        if ends:
            piece = piece[:-1].removesuffix(b"\r")
        text = decoder.decode(piece, final=ends or is_last)
        if text or (ends and not begun):
            yield number, text
        begun = not ends
        number += ends


def _is_binary(file: BinaryIO) -> bool:
    sample = file.read(_SNIFFED)
    file.seek(0)
    return b"\0" in sample


def _around(line: str, place: int) -> str:
    first = max(0, min(place - _SHOWN // 3, len(line) - _SHOWN))
    return line[first : first + _SHOWN]


def _matches(path: str, name: str, pattern: str) -> bool:
    return fnmatchcase(path if "/" in pattern else name, pattern)


def _prefix(path: str) -> str:
    parts = [part for part in path.split("/") if part not in ("", ".")]
    return "".join(f"{part}/" for part in parts)
