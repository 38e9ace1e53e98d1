"""A second folder with the same index, while somebody else goes on writing to the first.

What always holds: files that are still written to are copied, the others shared, so that neither
side sees what the other writes. A copy that was made while files were replaced lacks some, which
shows when it is made or opened.
"""

import os
import shutil
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec

from rostra.retrieval.dense.rows import RowFile
from rostra.retrieval.dense.store import StoreManifest
from rostra.retrieval.lexical import DamagedIndex
from rostra.retrieval.lexical.manifest import Manifest, named_files
from rostra.retrieval.lexical.storage import MANIFEST, read_manifest, write_manifest
from rostra.retrieval.table import TableManifest

T = TypeVar("T")


def clone(source: Path, target: Path) -> None:
    """Makes `target` an index of what `source` has flushed.

    Args:
        source: a `CollectionWriter`'s folder.
        target: new.

    Raises:
        DamagedIndex: a manifest is damaged, or what it names is no longer there.
        OSError: there is no room.
    """
    target.mkdir(parents=True)
    # The postings' first: what the others have beyond it is cut off when the copy is opened.
    body = read_manifest(source / "lexical")
    if body is None:
        return
    lexical = _decoded(source / "lexical", body, Manifest)
    _put(source / "lexical", target / "lexical", body, named_files(lexical), ())
    body = read_manifest(source / "table") or b""
    table = _decoded(source / "table", body, TableManifest)
    written = [*table.chunks, *table.documents]
    _put(source / "table", target / "table", body, (), [one.file for one in written])
    body = read_manifest(source / "dense") or b""
    dense = _decoded(source / "dense", body, StoreManifest)
    whole = {one.file for one in (dense.dead, dense.trained) if one is not None}
    written = []
    for files in (dense.vectors, dense.codes):
        shared = _shared(files, lexical.rows)
        whole |= {one.file for one in files[:shared]}
        written += files[shared:]
    _put(source / "dense", target / "dense", body, whole, [one.file for one in written])


def _shared(files: Sequence[RowFile], count: int) -> int:
    """How many of these files are never written again by who has `count` rows."""
    if len(files) < 2:
        return 0
    return min(len(files) - 1, count // files[0].rows)


def _put(
    source: Path, target: Path, manifest: bytes, shared: Collection[str], copied: Sequence[str]
) -> None:
    target.mkdir()
    try:
        for name in shared:
            try:
                os.link(source / name, target / name)
            except FileNotFoundError:
                raise
            except OSError:  # not every file system has links
                shutil.copyfile(source / name, target / name)
        for name in copied:
            shutil.copyfile(source / name, target / name)
    except FileNotFoundError as error:
        raise DamagedIndex(source / MANIFEST, "names what is no longer there") from error
    write_manifest(target, manifest)


def _decoded(folder: Path, body: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.MsgspecError as error:
        raise DamagedIndex(folder / MANIFEST, "is of another format") from error
