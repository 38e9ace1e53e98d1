"""Token codes of a collection's passages on disk, memory-mapped: a cache that can be made again.

A folder a collection: `manifest.json` names the one subfolder that counts, with its keys (sorted
digests of the passages' texts), starts, directions, scales and codes, and a checksum of each file.
Codes and scales are checked passage by passage, as they are read: they are large, and few are read.

What always holds: the manifest is replaced atomically and names complete files only; what does not
match raises `DamagedIndex`, and whoever reads computes instead. A passage is found by its text, so
that a text that was changed is never scored by its old vectors.
"""

import contextlib
import os
import shutil
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from uuid import UUID

import msgspec
import numpy as np
import numpy.typing as npt

from rostra.core import FloatMatrix, file_digest, get_logger, new_id
from rostra.retrieval.lexical import DamagedIndex
from rostra.retrieval.rerank.tokens import TokenCodec, TokenCodes, text_key

log = get_logger(__name__)

_FORMAT = 1
_MANIFEST = "manifest.json"
_CODES = "codes.bin"
_SCALES = "scales.bin"
_SMALL = ("keys.npy", "starts.npy", "checks.npy", "directions.npy")


class TokenManifest(msgspec.Struct, frozen=True):
    """What is stored of a collection.

    Attributes:
        space: fingerprint of the embedding space whose model made the vectors.
        folder: that counts.
        dimensions: of a code.
        passages: different texts.
        tokens: of all of them.
        files: digest by name, of the small files.
    """

    format: int
    space: str
    folder: str
    dimensions: int
    passages: int
    tokens: int
    files: dict[str, str]


class StoredTokens:
    """The stored codes of one collection. Safe between threads. Open with `open_tokens`.

    Args:
        folder: that the manifest names.
    """

    def __init__(self, folder: Path, manifest: TokenManifest) -> None:
        self.manifest = manifest
        self._folder = folder
        keys, self._starts, self._checks, directions = (np.load(folder / name) for name in _SMALL)
        self.codec = TokenCodec(np.asarray(directions, np.float32))
        self._keys = _numbers(keys)
        shape = (manifest.tokens, manifest.dimensions)
        sizes = {_CODES: shape[0] * shape[1], _SCALES: shape[0] * 4}
        for name, size in sizes.items():
            if (folder / name).stat().st_size != size:
                raise DamagedIndex(folder / name, "is not as long as it was written")
        if not manifest.tokens:
            self._codes = np.zeros(shape, np.int8)
            self._scales = np.zeros(0, np.float32)
        else:
            self._codes = np.memmap(folder / _CODES, np.int8, "r", shape=shape)
            self._scales = np.memmap(folder / _SCALES, np.float32, "r", shape=shape[:1])

    def __contains__(self, text: str) -> bool:
        return self._row(text_key(text)) is not None

    def get(self, text: str) -> TokenCodes | None:
        """A passage's codes, copied; None where it is not stored.

        Raises:
            DamagedIndex: they are not what was written.
        """
        row = self._row(text_key(text))
        if row is None:
            return None
        start, end = int(self._starts[row]), int(self._starts[row + 1])
        found = TokenCodes(np.array(self._codes[start:end]), np.array(self._scales[start:end]))
        if _check(found) != int(self._checks[row]):
            raise DamagedIndex(self._folder / _CODES, f"passage {row} is not what was written")
        return found

    def _row(self, key: bytes) -> int | None:
        wanted = _numbers(np.frombuffer(key, np.uint8)[None])[0]
        at = int(np.searchsorted(self._keys[:, 0], wanted[0]))
        while at < len(self._keys) and self._keys[at, 0] == wanted[0]:
            if self._keys[at, 1] == wanted[1]:
                return at
            at += 1
        return None


class TokenFolder:
    """The stored tokens of all collections.

    Args:
        folder: in the data directory.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def open(self, collection: UUID, space: str) -> StoredTokens | None:
        """What is stored of a collection; None where nothing is, or nothing to trust."""
        home = self._folder / str(collection)
        try:
            manifest = msgspec.json.decode((home / _MANIFEST).read_bytes(), type=TokenManifest)
            if (manifest.format, manifest.space) != (_FORMAT, space):
                return None
            inner = home / manifest.folder
            for name, digest in manifest.files.items():
                if file_digest(inner / name) != digest:
                    raise DamagedIndex(inner / name, "is not what was written")
            return StoredTokens(inner, manifest)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, msgspec.MsgspecError, DamagedIndex) as error:
            log.warning("stored token vectors not used", folder=str(home), reason=str(error))
            return None

    def stamp(self, collection: UUID) -> int:
        """Changes whenever something else is stored; 0 where nothing is."""
        try:
            return (self._folder / str(collection) / _MANIFEST).stat().st_mtime_ns
        except OSError:
            return 0

    def write(
        self,
        collection: UUID,
        space: str,
        directions: FloatMatrix,
        passages: Iterable[tuple[bytes, TokenCodes]],
    ) -> TokenManifest:
        """Stores the codes of passages in place of what was stored before.

        Args:
            directions: of the codec that made the codes.
            passages: codes by `text_key`; of a key that comes twice the first counts.

        Raises:
            OSError: the disk is full or not writable; what was stored before is untouched.
        """
        home = self._folder / str(collection)
        aside = home / str(new_id())
        aside.mkdir(parents=True)
        try:
            manifest = _write(aside, space, directions, passages)
            new = home / f".{aside.name}.json"
            new.write_bytes(msgspec.json.encode(manifest))
            _sync(new)
            new.replace(home / _MANIFEST)
        except BaseException:
            shutil.rmtree(aside, ignore_errors=True)
            raise
        _sync(home)
        for other in home.iterdir():
            if other.is_dir() and other.name != manifest.folder:
                shutil.rmtree(other, ignore_errors=True)
        return manifest

    def drop(self, collection: UUID) -> bool:
        """Removes what is stored of a collection; whether there was anything."""
        home = self._folder / str(collection)
        was_there = home.exists()
        shutil.rmtree(home, ignore_errors=True)
        return was_there

    def keep_only(self, collections: Sequence[UUID]) -> None:
        """Removes what is stored of any other collection."""
        if self._folder.is_dir():
            known = {str(collection) for collection in collections}
            for home in self._folder.iterdir():
                if home.name not in known:
                    shutil.rmtree(home, ignore_errors=True)


def _write(
    folder: Path,
    space: str,
    directions: FloatMatrix,
    passages: Iterable[tuple[bytes, TokenCodes]],
) -> TokenManifest:
    keys: list[bytes] = []
    lengths: list[int] = []
    checks: list[int] = []
    places: dict[bytes, int] = {}
    with (folder / "codes.raw").open("wb") as raw, (folder / "scales.raw").open("wb") as scales:
        for key, codes in passages:
            if key in places:
                continue
            places[key] = len(keys)
            keys.append(key)
            lengths.append(len(codes))
            checks.append(_check(codes))
            raw.write(codes.codes.tobytes())
            scales.write(codes.scales.astype("<f4").tobytes())
    dimensions = len(directions)
    order = sorted(range(len(keys)), key=keys.__getitem__)
    ends = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]).astype(np.int64)
    # By key on disk too, so that equal passages give equal files whatever order they came in.
    for name, width in (("codes", dimensions), ("scales", 4)):
        source = folder / f"{name}.raw"
        with source.open("rb") as unordered, (folder / f"{name}.bin").open("wb") as ordered:
            for row in order:
                unordered.seek(int(ends[row]) * width)
                ordered.write(unordered.read(lengths[row] * width))
        source.unlink()
    sorted_lengths = np.array([lengths[row] for row in order], np.int64)
    joined = b"".join(keys[row] for row in order)
    np.save(folder / "keys.npy", np.frombuffer(joined, np.uint8).reshape(-1, 16))
    np.save(folder / "starts.npy", np.concatenate([[0], np.cumsum(sorted_lengths)]).astype("<i8"))
    np.save(folder / "checks.npy", np.array([checks[row] for row in order], np.uint32))
    np.save(folder / "directions.npy", directions)
    for path in folder.iterdir():
        _sync(path)
    _sync(folder)
    return TokenManifest(
        format=_FORMAT,
        space=space,
        folder=folder.name,
        dimensions=dimensions,
        passages=len(keys),
        tokens=int(ends[-1]),
        files={name: file_digest(folder / name) for name in _SMALL},
    )


def _numbers(keys: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint64]:
    """Keys as pairs of numbers of the same order, uint64 [keys, 2]."""
    pairs = np.ascontiguousarray(keys).reshape(-1, 16).view(">u8")
    return np.ascontiguousarray(pairs, np.uint64)


def _check(codes: TokenCodes) -> int:
    return zlib.crc32(codes.scales.astype("<f4").tobytes(), zlib.crc32(codes.codes.tobytes()))


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        # Some file systems refuse to sync a folder; the rename is then as durable as they allow.
        with contextlib.suppress(OSError) if path.is_dir() else contextlib.nullcontext():
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
