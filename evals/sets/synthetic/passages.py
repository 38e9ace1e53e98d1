"""Passages to ask about: pieces of stored documents, spread over a collection.

What always holds: a passage's text is `[start, end)` of its document's, cut at sentences; which one
is taken at a turn depends on the seed, the turn and the collection alone. Documents take turns in
an order by chance; each further time another part of a document is taken, until there have been as
many as its length allows.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from uuid import UUID

from rostra.core import DocumentNotFound, sentence_spans
from rostra.store import (
    Collection,
    Database,
    DocumentStamp,
    document_stamps,
    get_collection,
    get_document,
    get_text,
)

MOST_CHARS = 1600
_AROUND = 400  # read on both sides, to find whole sentences
_CHARS_A_TURN = 150  # of a document's length; of a passage, several questions can be asked
_LEAST_LETTERS = 60
_GOLDEN = 0.6180339887498949  # steps of it fall far from all those before


@dataclass(frozen=True, slots=True)
class SourcePassage:
    """A piece of a document."""

    document_id: UUID
    uri: str
    title: str
    start: int
    end: int
    text: str

    @property
    def is_telling(self) -> bool:
        """Whether there is enough text in it to ask about."""
        letters = sum(character.isalpha() for character in self.text)
        return letters >= max(_LEAST_LETTERS, len(self.text) // 3)


class Sampler:
    """Takes passages; see this module. Make with `open_sampler`."""

    def __init__(
        self,
        database: Database,
        collection: Collection,
        documents: Sequence[DocumentStamp],
        seed: int,
    ) -> None:
        self.collection = collection
        self.documents = len(documents)
        self._database = database
        self._order = list(documents)
        self._seed = seed
        Random(seed).shuffle(self._order)

    async def take(self, turn: int) -> SourcePassage | None:
        """The passage of a turn, from 0; None if its document is gone or has no more."""
        round_, at = divmod(turn, len(self._order))
        document = self._order[at]
        # Uris, unlike ids, are the same in another copy of the collection.
        digest = hashlib.sha256(f"{self._seed}\0{document.uri}".encode()).digest()
        share = (int.from_bytes(digest[:4], "big") / 2**32 + round_ * _GOLDEN) % 1.0
        try:
            return await self._passage(document.id, share, round_)
        except DocumentNotFound:
            return None

    async def around(self, document_id: UUID, start: int, end: int) -> SourcePassage | None:
        """A given piece of a document as a passage, cut if it is too long."""
        end = min(end, start + MOST_CHARS)
        try:
            async with self._database.read() as session:
                document = await get_document(session, document_id)
                text = await get_text(session, document_id, start, end)
        except DocumentNotFound:
            return None
        return SourcePassage(document_id, document.uri, document.title, start, end, text)

    async def _passage(self, document_id: UUID, share: float, round_: int) -> SourcePassage | None:
        async with self._database.read() as session:
            document = await get_document(session, document_id)
            if round_ > 0 and round_ * _CHARS_A_TURN >= document.length:
                return None
            begin = int(share * max(1, document.length - MOST_CHARS + 1))
            first = max(0, begin - _AROUND)
            text = await get_text(session, document_id, first, begin + MOST_CHARS + _AROUND)
        found = sentence_spans(text)
        if not found:
            return None
        # Whole sentences that begin behind the place and do not go on for too long.
        sentences = [one for one in found if one[0] >= begin - first] or found
        start = sentences[0][0]
        ends = [end for _, end in sentences if end - start <= MOST_CHARS]
        end = max(ends, default=min(len(text), start + MOST_CHARS))
        return SourcePassage(
            document_id,
            document.uri,
            document.title,
            first + start,
            first + end,
            text[start:end],
        )


async def open_sampler(database: Database, collection: str, seed: int) -> Sampler:
    """A sampler over a collection; it has no documents if the collection has none.

    Raises:
        CollectionNotFound: there is no such collection.
    """
    async with database.read() as session:
        found = await get_collection(session, collection)
        stamps = await document_stamps(session, found.id)
    return Sampler(database, found, stamps, seed)
