"""Indexes on disk: a cache of what the rows say, so that a restart is quick.

What always holds: a folder is complete or absent (written aside, synced, renamed); its manifest
lists every file's checksum, the embedding space, the analyzer and the generation; anything that
does not match is not read and rebuilt from the rows. Losing the whole cache loses nothing.
"""

import contextlib
import os
import shutil
from pathlib import Path
from uuid import UUID

import msgspec
import numpy as np

from rostra.core import get_logger, new_id
from rostra.retrieval.dense import DenseKind, load_dense_index, picked_kind
from rostra.retrieval.index import ChunkTable, CollectionIndex
from rostra.retrieval.lexical import TermCounts, make_lexical_index
from rostra.retrieval.models import file_digest
from rostra.store import DocumentStamp

log = get_logger(__name__)

_FORMAT = 1
_MANIFEST = "manifest.json"


class Manifest(msgspec.Struct, frozen=True):
    """What a cached index is of."""

    format: int
    collection_id: UUID
    space: str
    analyzer: str
    generation: int
    chunks: int
    documents: int
    files: dict[str, str]


class IndexCache:
    """Saved indexes under one folder, the newest of each collection only."""

    def __init__(self, folder: Path, analyzer: str, dense_kind: DenseKind) -> None:
        self._folder = folder
        self._analyzer = analyzer
        self._dense_kind: DenseKind = dense_kind

    def load(self, collection_id: UUID, space: str) -> CollectionIndex | None:
        """The newest saved index of a collection in this space; None when there is none to trust.

        The rows may have moved on since; the caller follows them.
        """
        parent = self._folder / str(collection_id)
        if not parent.is_dir():
            return None
        saved = sorted(
            (path for path in parent.iterdir() if path.name.isdecimal()), key=lambda p: int(p.name)
        )
        for folder in reversed(saved):
            try:
                return self._read(folder, collection_id, space)
            except (OSError, ValueError, KeyError, RuntimeError, msgspec.MsgspecError) as error:
                log.warning("saved index not used", folder=str(folder), reason=str(error))
        return None

    def save(self, index: CollectionIndex) -> None:
        """Writes an index and removes the collection's older ones.

        Raises:
            OSError: the disk is full or not writable; the older index is untouched.
        """
        parent = self._folder / str(index.collection_id)
        target = parent / str(index.generation)
        parent.mkdir(parents=True, exist_ok=True)
        aside = parent / f".{new_id()}"
        try:
            aside.mkdir()
            self._write(aside, index)
            if target.exists():
                shutil.rmtree(target)
            aside.rename(target)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
        _sync(parent)
        for old in parent.iterdir():
            # Hidden ones were left by a process that was killed, or are being written by another,
            # which then saves nothing; an index is a cache.
            if old.name.startswith(".") or (
                old.name.isdecimal() and int(old.name) < index.generation
            ):
                shutil.rmtree(old, ignore_errors=True)

    def drop(self, collection_id: UUID) -> None:
        """Removes everything saved of a collection."""
        shutil.rmtree(self._folder / str(collection_id), ignore_errors=True)

    def _write(self, folder: Path, index: CollectionIndex) -> None:
        np.save(folder / "vectors.npy", index.dense.vectors)
        table, counts = index.table, index.counts
        np.savez(
            folder / "chunks.npz", document=table.document, ordinal=table.ordinal, ids=table.ids
        )
        np.savez(
            folder / "terms.npz", starts=counts.starts, terms=counts.terms, counts=counts.counts
        )
        (folder / "vocabulary.json").write_bytes(msgspec.json.encode(counts.vocabulary))
        (folder / "documents.json").write_bytes(msgspec.json.encode(table.documents))
        index.dense.save(folder)
        files = {path.name: file_digest(path) for path in sorted(folder.iterdir())}
        manifest = Manifest(
            format=_FORMAT,
            collection_id=index.collection_id,
            space=index.space,
            analyzer=self._analyzer,
            generation=index.generation,
            chunks=len(table),
            documents=len(table.documents),
            files=files,
        )
        (folder / _MANIFEST).write_bytes(msgspec.json.encode(manifest))
        for path in folder.iterdir():
            _sync(path)
        _sync(folder)

    def _read(self, folder: Path, collection_id: UUID, space: str) -> CollectionIndex:
        manifest = msgspec.json.decode((folder / _MANIFEST).read_bytes(), type=Manifest)
        if (manifest.format, manifest.space, manifest.analyzer) != (_FORMAT, space, self._analyzer):
            raise ValueError("built with another format, embedding space or analyzer")
        if manifest.collection_id != collection_id:
            raise ValueError("built of another collection")
        for name, digest in manifest.files.items():
            if file_digest(folder / name) != digest:
                raise ValueError(f"{name} is damaged")
        with np.load(folder / "chunks.npz") as saved:
            document, ordinal, ids = saved["document"], saved["ordinal"], saved["ids"]
        documents = msgspec.json.decode(
            (folder / "documents.json").read_bytes(), type=list[DocumentStamp]
        )
        vocabulary = msgspec.json.decode((folder / "vocabulary.json").read_bytes(), type=list[str])
        with np.load(folder / "terms.npz") as saved:
            counts = TermCounts(vocabulary, saved["starts"], saved["terms"], saved["counts"])
        vectors = np.load(folder / "vectors.npy", mmap_mode="r")
        if not len(document) == len(counts) == len(vectors) == manifest.chunks:
            raise ValueError("its parts differ in length")
        if picked_kind(len(vectors), self._dense_kind) == "hnsw" and "hnsw.faiss" not in (
            manifest.files
        ):
            log.info("building the graph that the settings now ask for", folder=str(folder))
        return CollectionIndex(
            collection_id=manifest.collection_id,
            space=manifest.space,
            generation=manifest.generation,
            table=ChunkTable(documents, document, ordinal, ids),
            counts=counts,
            dense=load_dense_index(folder, vectors, self._dense_kind),
            lexical=make_lexical_index(counts),
        )


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        # Some file systems refuse to sync a folder; the rename is then as durable as they allow.
        with contextlib.suppress(OSError) if path.is_dir() else contextlib.nullcontext():
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
