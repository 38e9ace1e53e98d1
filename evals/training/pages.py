"""Documentation pages as passages: what the platform itself would search and show.

Pages are taken in like any documents, by the ingester, into a collection of the workspace; or they
are read from a collection that is there. A passage is a chunk with the sentences in it.

What always holds: passages come by page and place; those of one page are neighbours. Indexes and
tables of contents are no passages: they hold nothing that answers a question.
"""

import asyncio
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import msgspec
import numpy as np

from evals.training.clozes.words import words
from evals.training.errors import SourcesMissing
from evals.training.holdout import is_held_out, page_name
from evals.training.work import Sources
from rostra.core import EmbeddingSpace, FloatMatrix, sentence_spans
from rostra.ingest import OnProgress, Source, list_sources
from rostra.runtime import Runtime
from rostra.store import document_stamps, get_collection, index_rows

COLLECTION = "training-pages"
_LISTINGS = re.compile(
    r"(?:genindex.*|bookindex|py-modindex|contents|search|modindex|index)\.html?"
)


class Passage(msgspec.Struct, frozen=True):
    """A passage that can be read with a question.

    Attributes:
        page: its page's name; see `page_name`. Of a reading set the passage's own text.
        context: the headings above it.
        spans: `[start, end)` of its sentences in `text`.
        is_held_out: it is never trained on.
    """

    page: str
    context: str
    text: str
    spans: list[tuple[int, int]]
    is_held_out: bool

    def sentence(self, number: int) -> str:
        """The text of a sentence."""
        start, end = self.spans[number]
        return self.text[start:end]


@dataclass(frozen=True, slots=True)
class Pages:
    """Passages of a collection.

    Attributes:
        chunks: the id of each passage's chunk.
        vectors: of each passage, float32 [passages, dimensions].
        space: of the vectors.
        collection: it can be searched in.
    """

    passages: list[Passage]
    chunks: list[UUID]
    vectors: FloatMatrix
    space: EmbeddingSpace
    collection: str


async def read_pages(
    runtime: Runtime, sources: Sources, *, on_ingest: OnProgress | None = None
) -> Pages:
    """The passages of the pages; folders are taken in first, or only compared.

    Args:
        runtime: over the data directory with the collection, or over a workspace.

    Raises:
        SourcesMissing: there are no pages.
        CollectionNotFound: of `sources.collection`.
    """
    name = sources.collection
    if name is None:
        name = COLLECTION
        pages = _listed(runtime, sources.docs)
        await runtime.ingester.ingest(pages, name, on_progress=on_ingest, delete_missing=("file:",))
    async with runtime.database.read() as session:
        collection = await get_collection(session, name)
        uris = {one.id: one.uri for one in await document_stamps(session, collection.id)}
        rows = await index_rows(session, collection.id, collection.space_id)
    rows = [row for row in rows if row.document_id in uris]
    rows.sort(key=lambda row: (uris[row.document_id], row.ordinal))
    kept = [row for row in rows if not _is_listing(uris[row.document_id])]
    if not kept:
        raise SourcesMissing(f"the collection {name} has no passages")
    passages = await asyncio.to_thread(
        lambda: [_passage(uris[row.document_id], row.context, row.text) for row in kept]
    )
    vectors = np.stack([row.vector for row in kept])
    return Pages(passages, [row.chunk_id for row in kept], vectors, collection.space, name)


def word_counts(passages: Sequence[Passage]) -> Counter[str]:
    """In how many passages each word occurs, in lower case."""
    counts: Counter[str] = Counter()
    for passage in passages:
        counts.update({word.lower() for word in words(passage.text)})
    return counts


def _listed(runtime: Runtime, docs: Sequence[Path]) -> list[Source]:
    folders = [folder for folder in docs if folder.is_dir()]
    listed = list_sources(folders, runtime.settings).sources if folders else []
    pages = [source for source in listed if source.name.endswith((".html", ".htm"))]
    if not pages:
        raise SourcesMissing(
            "no HTML pages in " + ", ".join(str(folder) for folder in docs),
            hint="Install the packages postgresql-doc-15 and python3.11-doc, or name --docs.",
        )
    return pages


def _is_listing(uri: str) -> bool:
    return _LISTINGS.fullmatch(uri.rpartition("/")[2]) is not None


def _passage(uri: str, context: str, text: str) -> Passage:
    return Passage(page_name(uri), context, text, sentence_spans(text), is_held_out(uri))
