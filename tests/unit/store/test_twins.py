"""Near duplicates in rows: linked within their collection, whatever the order, never lost."""

import hashlib
from itertools import permutations
from uuid import UUID

import numpy as np
import pytest

from rostra.core import EmbeddingSpace
from rostra.ingest.duplicates import link_duplicates
from rostra.retrieval import Hit, HitScores, expand
from rostra.store import (
    MOST_UNDER_A_KEY,
    Database,
    NewChunk,
    NewDocument,
    chunk_parents,
    chunks_of_documents,
    delete_document,
    ensure_collection,
    put_document,
    put_vectors,
    twin_groups,
)

SPACE = EmbeddingSpace("toy", "0", 2)
WORDS = [f"word{number}" for number in range(60)]


def text(*changed: int) -> str:
    """Sixty words, some of them others."""
    return " ".join(f"other{at}" if at in changed else word for at, word in enumerate(WORDS))


ONE, NEAR, FAR = text(), text(30), text(*range(0, 60, 4))


async def add(
    database: Database, collection: str, texts: dict[str, str], threshold: float = 0.8
) -> dict[str, UUID]:
    """Stores a document of one chunk for each text, a transaction each; gives the chunks' ids."""
    chunks = {}
    for uri, said in texts.items():
        async with database.write() as session:
            target = await ensure_collection(session, collection, SPACE)
            key = hashlib.sha256(said.encode()).digest()
            document = NewDocument(
                uri=uri,
                title=uri,
                media_type="text/plain",
                sha256="0",
                recipe="",
                bytes=len(said),
                text=f"before {said} after",
                spans=[],
                chunks=[NewChunk(7, 7 + len(said), None, "", key, (0, len(said) + 13))],
            )
            stored = await put_document(session, target.id, document)
            await put_vectors(
                session, target.id, target.space_id, {key: np.array([1, 0], np.float32)}
            )
            await link_duplicates(session, target.id, [stored], threshold)
            (chunk,) = await chunks_of_documents(session, [stored])
            chunks[uri] = chunk.id
    return chunks


async def groups(database: Database, chunks: dict[str, UUID]) -> list[set[str]]:
    """The chunks that are linked, by name."""
    async with database.read() as session:
        found = await twin_groups(session, list(chunks.values()))
    by_group: dict[UUID, set[str]] = {}
    for name, chunk in chunks.items():
        if chunk in found:
            by_group.setdefault(found[chunk], set()).add(name)
    return sorted(by_group.values(), key=min)


async def test_chunks_that_say_nearly_the_same_are_linked(database: Database) -> None:
    chunks = await add(database, "docs", {"a": ONE, "b": FAR, "c": NEAR, "d": ONE})
    assert await groups(database, chunks) == [{"a", "c", "d"}]


async def test_collections_are_apart(database: Database) -> None:
    here = await add(database, "here", {"a": ONE})
    there = await add(database, "there", {"a": ONE, "b": NEAR})
    assert await groups(database, here) == []
    assert await groups(database, there) == [{"a", "b"}]


async def test_zero_links_nothing(database: Database) -> None:
    chunks = await add(database, "docs", {"a": ONE, "b": ONE}, threshold=0)
    assert await groups(database, chunks) == []


async def test_a_group_does_not_depend_on_the_order(database: Database) -> None:
    # Each is near the next alone: the middle ones join what was apart.
    chain = {"a": text(), "b": text(10), "c": text(10, 25), "d": text(10, 25, 40)}
    for number, order in enumerate(permutations(chain)):
        if number % 4:
            continue
        chunks = await add(database, f"c{number}", {name: chain[name] for name in order})
        assert await groups(database, chunks) == [set(chain)]


async def test_a_document_written_again_is_linked_anew(database: Database) -> None:
    before = await add(database, "docs", {"a": ONE, "b": NEAR})
    after = before | await add(database, "docs", {"b": FAR})
    assert await groups(database, after) == [{"a"}]
    again = after | await add(database, "docs", {"b": NEAR})
    assert await groups(database, again) == [{"a", "b"}]


async def test_deleting_leaves_the_others_linked(database: Database) -> None:
    chunks = await add(database, "docs", {"a": ONE, "b": NEAR, "c": ONE})
    async with database.write() as session:
        target = await ensure_collection(session, "docs", SPACE)
        from rostra.store import document_versions

        await delete_document(session, (await document_versions(session, target.id))["a"].id)
    del chunks["a"]
    assert await groups(database, chunks) == [{"b", "c"}]
    more = chunks | await add(database, "docs", {"d": NEAR})
    assert await groups(database, more) == [{"b", "c", "d"}]


async def test_what_is_there_very_often_is_one_group(database: Database) -> None:
    many = {f"d{number:03}": ONE for number in range(2 * MOST_UNDER_A_KEY + 3)}
    chunks = await add(database, "docs", many)
    assert await groups(database, chunks) == [set(many)]


async def test_parents_are_slices_of_the_text(database: Database) -> None:
    chunks = await add(database, "docs", {"a": "é😀 text"})
    async with database.read() as session:
        parents = await chunk_parents(session, [*chunks.values(), UUID(int=0)])
    (parent,) = parents.values()
    assert parent.text == "before é😀 text after"
    assert (parent.start, parent.end) == (0, len(parent.text))


async def test_hits_become_the_passages_around_them_once(database: Database) -> None:
    chunks = await add(database, "docs", {"a": "é😀 text", "b": "other"})
    hits = [
        Hit(
            chunk_id=chunk, document_id=UUID(int=len(name)), collection="docs", uri=name,
            title=name, context="", text="chunk", start=7, end=12, page=None, metadata={},
            score=1.0, scores=HitScores(),
        )
        for name, chunk in [*chunks.items(), ("a", chunks["a"]), ("gone", UUID(int=0))]
    ]  # fmt: skip
    async with database.read() as session:
        found = await expand(session, hits)
    assert [(one.uri, one.text) for one in found] == [
        ("a", "before é😀 text after"),
        ("b", "before other after"),
        ("gone", "chunk"),
    ]
    assert all(one.end - one.start == len(one.text) for one in found)


@pytest.mark.parametrize("threshold", [0.5, 0.95])
async def test_the_threshold_decides(database: Database, threshold: float) -> None:
    # One word of sixty changes three of 58 shingles: a resemblance of 55 / 61.
    chunks = await add(database, "docs", {"a": ONE, "b": NEAR}, threshold)
    assert await groups(database, chunks) == ([{"a", "b"}] if threshold < 0.9 else [])
