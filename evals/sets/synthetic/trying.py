"""One attempt at a question: passages, the model's question, its checks, where search finds it.

What always holds: what comes of an attempt depends on its own passages, kind and seed alone, so
attempts can be made at the same time; whether the question is new is for the caller to say.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from evals.core.states import Usage
from evals.sets.synthetic.asking import Asker
from evals.sets.synthetic.checks import Candidate, Dropped, candidate_of, supports
from evals.sets.synthetic.passages import Sampler, SourcePassage
from evals.sets.synthetic.prompts import (
    PROMPT_VERSION,
    Difficulty,
    question_messages,
    question_schema,
    verify_messages,
    verify_schema,
)
from rostra.core import DocumentNotFound, FloatVector, QueryTooLong
from rostra.retrieval import Hit, SearchRequest
from rostra.runtime import Runtime
from rostra.store import get_text

_SUBJECT = 300  # characters of a passage that another one is looked for with
_READ = 5  # passages that an unanswerable question is checked against
_DETAIL = 300


@dataclass(frozen=True, slots=True)
class Turn:
    """What an attempt is made with."""

    number: int
    turn: int
    kind: Difficulty
    passage: SourcePassage
    seed: int


@dataclass(slots=True)
class Tried:
    """What came of it, step by step; a record and its vector at the end.

    Attributes:
        said: by the model, for whoever wants to know why it was dropped.
    """

    turn: Turn
    usage: Usage = field(default_factory=Usage)
    said: str = ""
    record: dict[str, Any] | None = None
    vector: FloatVector | None = None


class Trier:
    """Makes attempts, many at once.

    Args:
        k: how many hits the source of a question is looked for among.
        verifies: whether the model is asked if the quotes alone answer; of unanswerable questions
            it always is, about what search finds.
    """

    def __init__(
        self,
        runtime: Runtime,
        sampler: Sampler,
        asker: Asker,
        *,
        k: int,
        seed: int,
        verifies: bool,
    ) -> None:
        self._runtime = runtime
        self._sampler = sampler
        self._asker = asker
        self._k = k
        self._seed = seed
        self._verifies = verifies

    async def __call__(self, tried: Tried) -> None:
        """Makes the attempt.

        Raises:
            Dropped: there is no question that can be taken.
            ModelFailed: the model did.
        """
        turn = tried.turn
        passages = [turn.passage]
        if turn.kind is Difficulty.TWO:
            passages.append(await self._related(turn.passage))
        texts = [passage.text for passage in passages]
        said = await self._asker.ask(
            question_messages(turn.kind, texts),
            question_schema(turn.kind, len(passages)),
            turn.seed,
        )
        tried.usage += said.usage
        tried.said = str(said.value)[:_DETAIL]
        candidate = candidate_of(said.value, turn.kind, passages)
        await self._check_stored(candidate)
        hits = await self._search(candidate.question, self._k)
        if turn.kind is Difficulty.NONE:
            around = [hit.text for hit in hits[:_READ]]
            if await self._is_answered(tried, candidate, [turn.passage.text, *around]):
                raise Dropped("an unanswerable question that the documents answer")
        elif self._verifies:
            quotes = [one.quote for one in candidate.evidence]
            if not await self._is_answered(tried, candidate, quotes):
                raise Dropped("a question that the model answers otherwise by the quotes alone")
        embedder = await asyncio.to_thread(self._runtime.embedder)
        tried.vector = await asyncio.to_thread(embedder.embed_query, candidate.question)
        tried.record = self._record(turn, passages, candidate, hits)

    async def _related(self, passage: SourcePassage) -> SourcePassage:
        """A passage on the same subject, of another document if there is one."""
        subject = f"{passage.title} {passage.text[:_SUBJECT]}"
        hits = await self._search(subject[: self._runtime.settings.max_query_chars], 20)
        others = [hit for hit in hits if hit.document_id != passage.document_id]
        same = [hit for hit in hits if hit.document_id == passage.document_id
                and not _overlap(hit, passage.start, passage.end)]  # fmt: skip
        for hit in others or same:
            found = await self._sampler.around(hit.document_id, hit.start, hit.end)
            if found is not None and found.is_telling:
                return found
        raise Dropped("no second passage on the same subject")

    async def _search(self, query: str, k: int) -> list[Hit]:
        request = SearchRequest(query, (self._sampler.collection.name,), k=k)
        try:
            return (await self._runtime.searcher.search(request)).hits
        except QueryTooLong:
            raise Dropped("a question longer than search takes") from None

    async def _check_stored(self, candidate: Candidate) -> None:
        async with self._runtime.database.read() as session:
            for one in candidate.evidence:
                try:
                    there = await get_text(session, one.passage.document_id, one.start, one.end)
                except DocumentNotFound:
                    there = ""
                if there != one.quote:
                    raise Dropped("a document that changed meanwhile")

    async def _is_answered(
        self, tried: Tried, candidate: Candidate, passages: Sequence[str]
    ) -> bool:
        """Whether the model finds that passages answer, and the same as was said if any was."""
        said = await self._asker.ask(
            verify_messages(candidate.question, passages), verify_schema(), tried.turn.seed
        )
        tried.usage += said.usage
        tried.said = f"{tried.said} {said.value}"[: 2 * _DETAIL]
        answered = said.value.get("answered") if said.value is not None else None
        answer = said.value.get("answer") if said.value is not None else None
        if not isinstance(answered, bool) or not isinstance(answer, str):
            raise Dropped("a check that is no JSON object")
        if not candidate.answer or not answered:
            return answered
        return supports([answer], candidate.answer) or supports([candidate.answer], answer)

    def _record(
        self,
        turn: Turn,
        passages: Sequence[SourcePassage],
        candidate: Candidate,
        hits: Sequence[Hit],
    ) -> dict[str, Any]:
        """A question as the set has it; see `evals.sets.records`."""
        record: dict[str, Any] = {
            "id": f"q{self._seed}-{turn.number:05d}",
            "question": candidate.question,
            "group": turn.passage.uri,
        }
        if turn.kind is Difficulty.NONE:
            record["unanswerable"] = True
            ranks = [_rank(hits, turn.passage, 0, None)]
        else:
            record["answers"] = [candidate.answer]
            record["gold"] = list(dict.fromkeys(one.passage.uri for one in candidate.evidence))
            record["spans"] = [
                {
                    "document": one.passage.uri,
                    "start": one.start,
                    "end": one.end,
                    "quote": one.quote,
                }
                for one in candidate.evidence
            ]
            ranks = [_rank(hits, one.passage, one.start, one.end) for one in candidate.evidence]
        record["metadata"] = {
            "difficulty": turn.kind.value,
            "retrieved": _retrieved(ranks),
            "retrieval": {"k": self._k, "ranks": ranks},
            "verified": turn.kind is Difficulty.NONE or self._verifies,
            "provenance": {
                "collection": self._sampler.collection.name,
                "passages": [
                    {
                        "document_id": str(one.document_id),
                        "uri": one.uri,
                        "start": one.start,
                        "end": one.end,
                    }
                    for one in passages
                ],
                "model": self._asker.name,
                "prompt": PROMPT_VERSION,
                "seed": self._seed,
                "attempt": turn.number,
            },
        }
        return record


def _rank(hits: Sequence[Hit], passage: SourcePassage, start: int, end: int | None) -> int | None:
    """From 1, of the first hit that has some of a document's `[start, end)`; None for none."""
    for rank, hit in enumerate(hits, 1):
        if hit.document_id == passage.document_id and _overlap(hit, start, end):
            return rank
    return None


def _retrieved(ranks: Sequence[int | None]) -> str:
    """How well search finds the sources of a question, all of them."""
    if None in ranks:
        return "missed"
    return "first" if list(ranks) in ([1], [1, 2], [2, 1], [1, 1]) else "found"


def _overlap(hit: Hit, start: int, end: int | None) -> bool:
    return (end is None or hit.start < end) and start < hit.end
