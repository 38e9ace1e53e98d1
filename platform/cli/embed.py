"""`rostra embed`: rotations fitted, collections embedded anew, token vectors stored."""

import asyncio
from pathlib import Path
from typing import Any

import click
import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from rostra.cli.output import (
    collection_option,
    console,
    json_option,
    print_json,
    print_table,
    settings_of_process,
    with_runtime,
)
from rostra.core import FloatMatrix, InvalidRequest, SpaceMismatch
from rostra.ingest import reembed
from rostra.retrieval import (
    Rotation,
    TokenManifest,
    fit_rotation,
    load_embedder,
    shipped_rotation,
    truncate,
)
from rostra.runtime import Runtime, drop_collection_tokens, store_collection_tokens
from rostra.store import get_collection, index_rows

_SAMPLE = 500
_NEIGHBOURS = 10


@click.group("embed")
def command() -> None:
    """Fit rotations, embed collections anew, store token vectors."""


@command.command("fit")
@click.option(
    "--out", type=click.Path(path_type=Path), help="File to write.  [default: in the data folder]"
)
@collection_option
@json_option
def fit(out: Path | None, collection: str, as_json: bool) -> None:
    """Fit the rotation that makes this encoder's vectors truncatable.

    The packaged encoder has one that ships; one fitted on what you search may keep more. Uses a
    collection's stored vectors, which must be of full width. Set ROSTRA_EMBEDDING_ROTATION
    and ROSTRA_EMBEDDING_DIMENSIONS afterwards, then run `rostra embed apply`.
    """

    async def work(runtime: Runtime) -> tuple[Rotation, FloatMatrix]:
        async with runtime.database.read() as session:
            found = await get_collection(session, collection)
            shipped = shipped_rotation(found.space.revision) if found.space.rotation else None
            if found.space.rotation and (shipped is None or found.space.rotation != shipped.sha256):
                raise SpaceMismatch(
                    f"collection {collection!r} is rotated already",
                    hint="Fit on a collection that was embedded without a rotation.",
                )
            rows = await index_rows(session, found.id, found.space_id)
        width = (await asyncio.to_thread(runtime.embedder)).space.dimensions
        if found.space.dimensions != width:
            raise SpaceMismatch(
                f"collection {collection!r} has vectors of {found.space.dimensions} of the "
                f"model's {width} dimensions",
                hint="Fit on a collection that was embedded at full width.",
            )
        if not rows:
            raise InvalidRequest(f"collection {collection!r} is empty")
        vectors = np.unique(np.stack([row.vector for row in rows]), axis=0)
        if shipped is not None:
            vectors = shipped.undo(vectors)
        return await asyncio.to_thread(fit_rotation, vectors, found.space.revision), vectors

    settings = settings_of_process().model_copy(
        update={"embedding_rotation": "off", "embedding_dimensions": None}
    )
    rotation, vectors = with_runtime(work, settings)
    path = out or settings.home / "rotations" / f"{rotation.sha256[:12]}.safetensors"
    rotation.save(path)
    table = _retention(rotation, vectors)
    if as_json:
        print_json(
            {
                "rotation": str(path),
                "sha256": rotation.sha256,
                "passages": len(vectors),
                "retention": table,
            }
        )
        return
    console().print(f"fitted on {len(vectors)} passages: {escape(str(path))}")
    print_table(
        ("dimensions", "neighbours kept, plain", "rotated"),
        ((row["dimensions"], f"{row['plain']:.1%}", f"{row['rotated']:.1%}") for row in table),
    )


@command.command("apply")
@collection_option
@json_option
def apply(collection: str, as_json: bool) -> None:
    """Embed a collection anew with the model, width and rotation of the settings."""

    async def work(runtime: Runtime) -> int:
        async with runtime.database.read() as session:
            await get_collection(session, collection)  # before the model loads
        embedder = await asyncio.to_thread(runtime.embedder)
        with _counter() as bar:
            # Equal passages are embedded once, so nobody knows yet how many there are.
            task = bar.add_task("Embedding", total=None)
            return await reembed(
                runtime.database,
                runtime.indexes,
                collection,
                embedder,
                lambda done: bar.update(task, completed=done),
            )

    embedded = with_runtime(work)
    if as_json:
        print_json({"collection": collection, "embedded": embedded})
    else:
        console().print(f"{embedded} passages embedded anew")


@command.command("tokens")
@collection_option
@click.option("--drop", is_flag=True, help="Remove them instead.")
@json_option
def tokens(collection: str, drop: bool, as_json: bool) -> None:
    """Store a collection's token vectors, which make reranking by late interaction quick.

    Run it again after the collection has changed: new passages are added, those that are gone are
    left out. What is not stored is computed with each search. About 130 bytes a token.
    """

    async def remove(runtime: Runtime) -> bool:
        return await drop_collection_tokens(runtime, collection)

    async def store(runtime: Runtime) -> TokenManifest:
        with _counter() as bar:
            task = bar.add_task("Reading", total=None)
            return await store_collection_tokens(
                runtime, collection, lambda done, total: bar.update(task, advance=done)
            )

    if drop:
        removed = with_runtime(remove)
        if as_json:
            print_json({"collection": collection, "dropped": removed})
        else:
            console().print("removed" if removed else "there were none")
        return
    stored = with_runtime(store)
    if as_json:
        print_json(
            {
                "collection": collection,
                "passages": stored.passages,
                "tokens": stored.tokens,
                "dimensions": stored.dimensions,
            }
        )
    else:
        console().print(f"{stored.passages} passages, {stored.tokens} tokens stored")


@command.command("export")
@click.argument("folder", type=click.Path(path_type=Path))
@json_option
def export(folder: Path, as_json: bool) -> None:
    """Save the encoder with its rotation as a sentence-transformers model."""
    from transformers.utils import logging

    logging.disable_progress_bar()
    settings = settings_of_process()
    embedder = load_embedder(settings)
    model = embedder.model
    if embedder.rotation is not None:
        model.append(embedder.rotation.as_module())
    model.float().save(str(folder))
    if as_json:
        print_json({"saved": str(folder)})
    else:
        console().print(f"saved {escape(str(folder))}")


def _counter() -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description} {task.completed} passages"),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
    )


def _retention(rotation: Rotation, vectors: FloatMatrix) -> list[dict[str, Any]]:
    """By width, the share of each sampled passage's true neighbours that truncation keeps."""
    chosen = np.random.default_rng(0).permutation(len(vectors))[: min(_SAMPLE, len(vectors))]
    width = vectors.shape[1]
    rotated = rotation.apply(vectors)
    wanted = _neighbours(vectors, chosen)
    table = []
    for divisor in (1, 2, 3, 4, 6, 8):
        dimensions = width // divisor
        row: dict[str, Any] = {"dimensions": dimensions}
        for name, matrix in (("plain", vectors), ("rotated", rotated)):
            kept = _neighbours(truncate(matrix, dimensions), chosen)
            shared = [len(a & b) / len(a) for a, b in zip(wanted, kept, strict=True) if a]
            row[name] = round(float(np.mean(shared)), 4)
        table.append(row)
    return table


def _neighbours(vectors: FloatMatrix, chosen: np.ndarray[Any, Any]) -> list[set[int]]:
    scores = vectors[chosen] @ vectors.T
    scores[np.arange(len(chosen)), chosen] = -np.inf
    count = min(_NEIGHBOURS, len(vectors) - 1)
    return [set(row[:count].tolist()) for row in np.argsort(-scores, axis=1)]
