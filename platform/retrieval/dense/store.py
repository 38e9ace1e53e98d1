"""Full-width vectors on disk, read through a memory map, and what belongs to them.

What always holds:
- the manifest names what counts: vectors, the codes made of them, tombstones, what training gave,
  and the owner's note of what that all is; it is replaced in one step, after everything it names is
  synced;
- rows are appended and never changed; a removed one becomes a tombstone and keeps its position;
- vectors that cannot be compared, of zeros or with a value that is not finite, are never stored;
- a view stays what it was.
"""

import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import msgspec
import numpy as np

from rostra.core import FloatMatrix, FloatVector
from rostra.retrieval.dense.rows import (
    FILE_BYTES,
    LettingGo,
    Octets,
    RowFile,
    Rows,
    RowsView,
    as_octets,
    pieces,
)
from rostra.retrieval.lexical import DamagedIndex, Mask, Positions, Scores
from rostra.retrieval.lexical.storage import (
    MANIFEST,
    read_manifest,
    remove_others,
    sync_folder,
    write_manifest,
)
from rostra.store import UnusableVector

_FORMAT = 1
# Rows that are read at once.
BLOCK = 4096
# Vectors up to this many bytes are compared with their checksums whenever they are opened.
_QUICK = 1 << 26
# Up to this many bytes all may as well be resident.
_RESIDENT = 1 << 26


def _unusable(row: int, reason: str) -> UnusableVector:
    hint = "Look at what the embedding model makes of this text."
    return UnusableVector(f"vector {row} {reason}", hint=hint, row=row)


class Attached(msgspec.Struct, frozen=True):
    """A file that is written as a whole: its name, and BLAKE2b of it."""

    file: str
    digest: str


class StoreManifest(msgspec.Struct, frozen=True):
    """What a folder holds.

    Attributes:
        format: of the files.
        dimensions: of the vectors.
        half: whether they are kept as float16.
        recipe: what the codes were made by; empty where there are none.
        state: the owner's own note.
        count: positions.
        file_bytes: most bytes of a file of rows.
        next_file: number of the next file.
        code_width: bytes of a code.
        vectors, codes: their files; both hold `count` rows, or no code is there.
        dead: which rows were removed.
        trained: what codes are made with.
    """

    format: int
    dimensions: int
    half: bool
    recipe: str
    state: str
    count: int
    file_bytes: int
    next_file: int
    code_width: int
    vectors: list[RowFile]
    codes: list[RowFile]
    dead: Attached | None
    trained: Attached | None


@dataclass(frozen=True)
class VectorView:
    """The vectors that were there at one time.

    Attributes:
        rows: their bytes.
        dimensions: of each.
        half: whether they are float16.
        lean: whether little of them should stay in memory.
    """

    rows: RowsView
    dimensions: int
    half: bool
    lean: LettingGo | None = field(default=None, compare=False)

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, positions: Positions) -> FloatMatrix:
        """Copies of vectors, float32 [positions, dimensions].

        Raises:
            IndexError: there is no such row.
        """
        if self.lean is not None and len(self) * self.rows.width > _RESIDENT:
            return self._typed(self.rows.read(positions))
        return self._typed(self.rows.take(positions))

    def block(self, start: int, stop: int) -> FloatMatrix:
        """Consecutive vectors, float32; not a copy where they are kept as such in one file."""
        whole = self.rows.capacity
        if start // whole == (stop - 1) // whole and stop > start:
            first = start // whole * whole
            return self._typed(self.rows.parts[start // whole][start - first : stop - first])
        return self._typed(self.rows.take(np.arange(start, stop)))

    def scanned(self, rows: int) -> None:
        """Told after so many rows were read by blocks."""
        if self.lean is not None:
            self.lean.after(rows, self.rows)

    def scores(self, query: FloatVector, positions: Positions) -> Scores:
        """Inner products with the query, float64 [positions]; equal rows have equal ones."""
        scores = np.empty(len(positions))
        for piece in pieces(len(positions), BLOCK):
            # Not a matrix product: there a row's last bit can depend on how many rows stand beside
            # it, and equal vectors would no longer tie.
            scores[piece] = np.einsum("ij,j->i", self.take(positions[piece]), query)
        return scores

    def _typed(self, octets: Octets) -> FloatMatrix:
        if self.half:
            return octets.view(np.float16).astype(np.float32)
        return octets.view(np.float32)


class VectorStore:
    """See this module. One thread writes; views may be read by any.

    Args:
        folder: of the files; made if it is missing. One store at a time.
        dimensions: of the vectors.
        half: keep them as float16.
        recipe: what codes are made by; codes of another are forgotten.
        lean: whether little of the vectors should stay in memory.
        keep: forget the rows from here on, and the owner's note.
        file_bytes: most bytes of a new folder's files.

    Raises:
        DamagedIndex: a file is missing, damaged, or of another make. Empty the folder and add the
            rows anew.
        OSError: the folder cannot be made or read.
    """

    def __init__(
        self,
        folder: Path,
        dimensions: int,
        *,
        half: bool = False,
        recipe: str = "",
        lean: bool = True,
        keep: int | None = None,
        file_bytes: int = FILE_BYTES,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.dimensions = dimensions
        self.half = half
        self._recipe = recipe
        self._lean = LettingGo() if lean else None
        manifest = _open_manifest(folder, dimensions, half)
        if manifest is None:
            manifest = StoreManifest(
                _FORMAT, dimensions, half, recipe, "", 0, file_bytes, 0, 0, [], [], None, None
            )
        self._file_bytes = manifest.file_bytes
        self._next_file = manifest.next_file
        width = dimensions * (2 if half else 4)
        self._vectors = self._rows("vectors", width, manifest.vectors)
        if len(self._vectors) != manifest.count:
            raise DamagedIndex(folder / MANIFEST, "counts wrongly")
        if len(self._vectors) * width <= _QUICK:
            self._vectors.verify()
        self.dead: Mask = self._read_dead(manifest)
        fits = manifest.recipe == recipe and manifest.trained is not None
        self._trained = manifest.trained if fits else None
        self._codes: Rows | None = None
        if fits and manifest.code_width:
            self._codes = self._rows("codes", manifest.code_width, manifest.codes)
            if len(self._codes) != manifest.count:
                raise DamagedIndex(folder / MANIFEST, "counts wrongly")
            self._codes.verify()
        self._written = manifest
        self._dead_changed = False
        if keep is not None and keep < manifest.count:
            self._vectors.cut(keep)
            self.dead = self.dead[:keep].copy()
            if self._codes is not None:
                self._codes.cut(keep)
            self._dead_changed = True
            # Before any of these rows is written again. What the owner noted is no longer true.
            self.flush()
        remove_others(folder, _named(self._written))

    # --- Reading --------------------------------------------------------------------------------
    def __len__(self) -> int:
        """Positions, dead ones included."""
        return len(self._vectors)

    @property
    def state(self) -> str:
        """What the last `flush` was given; empty before the first."""
        return self._written.state

    @property
    def flushed(self) -> int:
        """Positions that survive a crash."""
        return min(self._written.count, len(self))

    def view(self) -> VectorView:
        """All vectors as they are now."""
        return VectorView(self._vectors.view(), self.dimensions, self.half, self._lean)

    def codes(self) -> RowsView | None:
        """The codes, uint8; None where none are kept."""
        return self._codes.view() if self._codes is not None else None

    def trained(self) -> bytes | None:
        """What training gave; None where nothing was trained.

        Raises:
            DamagedIndex: its file is missing or damaged.
        """
        return _read(self.folder, self._trained) if self._trained is not None else None

    def verify(self) -> None:
        """Reads every file and compares it with what was written.

        Raises:
            DamagedIndex: one is damaged.
        """
        for check in self.checks():
            check()

    def checks(self) -> list[Callable[[], object]]:
        """What `verify` does, one file at a time; what is gone by then was replaced."""
        found: list[Callable[[], object]] = [
            partial(self._vectors.verify_file, at) for at in range(len(self._vectors.files))
        ]
        if (codes := self._codes) is not None:
            found += [partial(self._verify_codes, codes, at) for at in range(len(codes.files))]
        return [*found, self.trained]

    def _verify_codes(self, codes: Rows, at: int) -> None:
        if codes is self._codes:
            codes.verify_file(at)

    # --- Writing --------------------------------------------------------------------------------
    def checked(self, rows: FloatMatrix) -> FloatMatrix:
        """Rows as they will be read back.

        Raises:
            ValueError: they are of another width.
            UnusableVector: one is of zeros or not finite.
        """
        if rows.ndim != 2 or rows.shape[1] != self.dimensions:
            raise ValueError(f"vectors of {rows.shape} where {self.dimensions} wide ones are kept")
        kept = np.ascontiguousarray(rows, np.float32)
        if self.half:
            with np.errstate(over="ignore"):  # what is too large is found below
                kept = kept.astype(np.float16).astype(np.float32)
        finite = np.isfinite(kept).all(axis=1)
        if not finite.all():
            raise _unusable(int(np.argmin(finite)), "has a value that is not finite")
        some = kept.any(axis=1)
        if not some.all():
            raise _unusable(int(np.argmin(some)), "is of zeros")
        return kept

    def append(self, rows: FloatMatrix, codes: Octets | None = None) -> None:
        """Adds checked rows, and their codes where codes are kept. Durable after `flush`.

        Raises:
            OSError: the disk is full or not writable; nothing was added.
        """
        before = len(self)
        self._vectors.append(as_octets(rows.astype(np.float16) if self.half else rows))
        if self._codes is not None and codes is not None:
            try:
                self._codes.append(codes)
            except OSError:
                self._vectors.cut(before)
                raise
        self.dead = np.concatenate([self.dead, np.zeros(len(rows), np.bool_)])

    def bury(self, positions: Positions) -> None:
        """Makes rows tombstones; views and masks made before stay as they were."""
        dead = self.dead.copy()
        dead[positions] = True
        self.dead = dead
        self._dead_changed = True

    def retrain(self, trained: bytes, code_width: int, codes: Iterable[Octets]) -> None:
        """Replaces what training gave, and with it all codes. Durable after `flush`.

        Raises:
            OSError: the disk is full or not writable; the older ones stand.
        """
        fresh: Rows | None = None
        if code_width:
            fresh = self._rows("codes", code_width, [])
            try:
                for some in codes:
                    fresh.append(some)
                attached = self._attach("trained", trained)
            except OSError:
                fresh.discard()
                raise
        else:
            attached = self._attach("trained", trained)
        self._trained = attached
        self._codes = fresh

    def untrain(self) -> None:
        """Forgets what training gave, and all codes. Durable after `flush`."""
        self._trained = None
        self._codes = None

    def flush(self, state: str = "") -> None:
        """Makes everything so far durable, together with the owner's note of what that is.

        Raises:
            OSError: the disk is full or not writable; what was flushed before stands, and this can
                be tried again.
        """
        self._vectors.sync()
        if self._codes is not None:
            self._codes.sync()
        dead = self._written.dead
        if self._dead_changed or (dead is not None and self._written.count != len(self)):
            octets = np.packbits(self.dead).tobytes()
            dead = self._attach("dead", octets) if self.dead.any() else None
        manifest = StoreManifest(
            _FORMAT,
            self.dimensions,
            self.half,
            self._recipe,
            state,
            len(self),
            self._file_bytes,
            self._next_file,
            self._codes.width if self._codes is not None else 0,
            self._vectors.files,
            self._codes.files if self._codes is not None else [],
            dead,
            self._trained,
        )
        if not _named(manifest) <= _named(self._written):
            sync_folder(self.folder)
        write_manifest(self.folder, msgspec.json.encode(manifest))
        self._written = manifest
        self._dead_changed = False
        remove_others(self.folder, _named(manifest))

    # --- Within ---------------------------------------------------------------------------------
    def _rows(self, what: str, width: int, files: Sequence[RowFile]) -> Rows:
        return Rows(self.folder, self._name(what), width, files, self._file_bytes)

    def _name(self, what: str) -> str:
        self._next_file += 1
        return f"{self._next_file:08d}.{what}"

    def _attach(self, what: str, body: bytes) -> Attached:
        name = self._name(what)
        path = self.folder / name
        done = False
        try:
            with path.open("wb") as file:
                file.write(body)
                file.flush()
                os.fsync(file.fileno())
            done = True
        finally:
            if not done:
                path.unlink(missing_ok=True)
        return Attached(name, _digest(body))

    def _read_dead(self, manifest: StoreManifest) -> Mask:
        if manifest.dead is None:
            return np.zeros(manifest.count, np.bool_)
        body = np.frombuffer(_read(self.folder, manifest.dead), np.uint8)
        if len(body) != -(-manifest.count // 8):
            raise DamagedIndex(self.folder / manifest.dead.file, "is of another number of rows")
        return np.unpackbits(body, count=manifest.count).astype(np.bool_)


def _open_manifest(folder: Path, dimensions: int, half: bool) -> StoreManifest | None:
    body = read_manifest(folder)
    if body is None:
        return None
    path = folder / MANIFEST
    try:
        manifest = msgspec.json.decode(body, type=StoreManifest)
    except msgspec.MsgspecError as error:
        raise DamagedIndex(path, "is of another format") from error
    if (manifest.format, manifest.dimensions, manifest.half) != (_FORMAT, dimensions, half):
        raise DamagedIndex(path, "is of other vectors or another format")
    return manifest


def _named(manifest: StoreManifest) -> set[str]:
    files = {one.file for one in (*manifest.vectors, *manifest.codes)}
    return files | {one.file for one in (manifest.dead, manifest.trained) if one is not None}


def _read(folder: Path, attached: Attached) -> bytes:
    path = folder / attached.file
    try:
        body = path.read_bytes()
    except OSError as error:
        raise DamagedIndex(path, error.strerror or "cannot be read") from error
    if _digest(body) != attached.digest:
        raise DamagedIndex(path, "is not what was written")
    return body


def _digest(body: bytes) -> str:
    return hashlib.blake2b(body, digest_size=16).hexdigest()
