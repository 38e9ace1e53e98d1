"""What a folder of segments says of itself."""

from pathlib import Path

import msgspec

from rostra.retrieval.lexical.segment import SegmentEntry
from rostra.retrieval.lexical.storage import MANIFEST, DamagedIndex, Sections, read_manifest

FORMAT = 1


class Manifest(msgspec.Struct, frozen=True):
    """What a folder holds.

    Attributes:
        format: of the files.
        analyzer: the name of the one that made the terms.
        ordered: whether rows keep the order of their terms.
        state: the owner's own note of what was indexed.
        rows: positions.
        total_length: terms of live rows.
        histogram: how many terms occur in exactly so many live rows: (rows, terms).
        dead_file: rows that were removed; empty where none was.
        dead_sections: the arrays in it.
        next_file: number of the next file.
        segments: by position.
    """

    format: int
    analyzer: str
    ordered: bool
    state: str
    rows: int
    total_length: int
    histogram: list[tuple[int, int]]
    dead_file: str
    dead_sections: Sections
    next_file: int
    segments: list[SegmentEntry]


def open_manifest(folder: Path, analyzer: str, ordered: bool) -> Manifest:
    """A folder's manifest; one of nothing where there is none.

    Raises:
        DamagedIndex: it is damaged, or of another format, analyzer or choice about phrases.
    """
    body = read_manifest(folder)
    if body is None:
        return Manifest(FORMAT, analyzer, ordered, "", 0, 0, [], "", {}, 0, [])
    path = folder / MANIFEST
    try:
        manifest = msgspec.json.decode(body, type=Manifest)
    except msgspec.MsgspecError as error:
        raise DamagedIndex(path, "is of another format") from error
    if (manifest.format, manifest.analyzer) != (FORMAT, analyzer):
        raise DamagedIndex(path, "was made by another analyzer or format")
    if manifest.ordered != ordered:
        raise DamagedIndex(path, "was made with another choice about phrases")
    end = 0
    for entry in manifest.segments:
        if entry.first != end:
            raise DamagedIndex(path, "its segments do not follow one another")
        end += entry.rows
    if end != manifest.rows:
        raise DamagedIndex(path, "its segments hold another number of rows")
    return manifest


def named_files(manifest: Manifest) -> set[str]:
    """The files that a manifest names."""
    named = {entry.file for entry in manifest.segments}
    return named | {manifest.dead_file} if manifest.dead_file else named
