"""A question to an answer: search, then quote or generate.

What always holds: a generator that is missing, fails to load or sheds load before its first word
does not fail the question, quote mode answers it; every answer says in which mode it was made.
"""

import asyncio
import re
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from rostra.answer.copied import copy_evidence
from rostra.answer.events import (
    Answer,
    AnswerEvent,
    AnswerMode,
    Done,
    Passages,
    Stage,
    Status,
)
from rostra.answer.evidence import Evidence, EvidencePicker
from rostra.answer.generate import generate_events
from rostra.answer.pickers import make_picker
from rostra.answer.point import point_at_evidence
from rostra.answer.quote import quote_events
from rostra.core import (
    ChatMessage,
    ChatModel,
    Embedder,
    InvalidRequest,
    ModelUnavailable,
    Overloaded,
    QueryStrategyName,
    Role,
    Settings,
    get_logger,
)
from rostra.retrieval import (
    ExpandedResult,
    ExpandedSearcher,
    ExpansionReport,
    Searcher,
    SearchRequest,
    SearchResult,
)
from rostra.serving import PromptTooLong
from rostra.store import DEFAULT_COLLECTION, Filters

if TYPE_CHECKING:
    from rostra.answer.scorer.scorer import EvidenceScorer

log = get_logger(__name__)

# Words that point back to the turn before.
_ANAPHORA = re.compile(
    r"\b(it|its|they|them|their|this|that|these|those|he|she|his|her|there|one|ones|same|"
    r"instead|also|too|else)\b|^\s*(and|but|or|so|then|what about|how about|why)\b",
    re.IGNORECASE,
)
_SHORT_QUESTION_WORDS = 4


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of which documents.

    Attributes:
        text: the question.
        collections: names to search in.
        history: the conversation before, oldest first.
        filters: on documents' metadata.
        passages: how many passages to answer from; None takes the setting.
        expand: query strategies to search with; None takes the setting.
    """

    text: str
    collections: tuple[str, ...] = (DEFAULT_COLLECTION,)
    history: tuple[ChatMessage, ...] = ()
    filters: Filters | None = None
    passages: int | None = None
    expand: tuple[QueryStrategyName, ...] | None = None


class Answerer:
    """Answers questions. Safe to share between tasks."""

    def __init__(
        self,
        searcher: Searcher,
        embedder: Callable[[], Embedder],
        settings: Settings,
        generator: ChatModel | None = None,
        *,
        expanded: ExpandedSearcher | None = None,
        scorer: Callable[[], "EvidenceScorer | None"] = lambda: None,
    ) -> None:
        """Ties the parts together.

        Args:
            searcher: of plain searches.
            embedder: called in a thread on first need.
            settings: how much is searched and quoted.
            generator: writes answers; without one they quote.
            expanded: searches with query strategies; without it searches are plain.
            scorer: of evidence, called in a thread for each quoted answer; by default there is
                none, and similarity picks.
        """
        self._searcher = searcher
        self._expanded = expanded
        self._embedder = embedder
        self._settings = settings
        self._generator = generator
        self._scorer = scorer

    async def answer(self, question: Question) -> Answer:
        """The whole answer at once.

        Raises:
            InvalidRequest: an empty or too long question, wrong filters.
            CollectionNotFound: no collection of a given name.
            ModelUnavailable: query strategies were asked for, and there is no generator.
        """
        async with aclosing(self.stream(question)) as events:
            async for event in events:
                if isinstance(event, Done):
                    return event.answer
        raise RuntimeError("an answer's stream ended without its end")

    async def stream(self, question: Question) -> AsyncGenerator[AnswerEvent, None]:
        """The answer as it is made; raises what `answer` raises, before the first passage.

        A generator that fails after its first word raises too, `Overloaded` or `ModelUnavailable`:
        what was said cannot be taken back.
        """
        started = time.perf_counter()
        expand = self._strategies(question)
        report: ExpansionReport | None = None
        yield Status(Stage.SEARCHING)
        if self._generator is not None:
            longest = self._settings.max_query_chars
            found = await self._search(question, _in_context(question, longest), expand)
            report = found.expansion if isinstance(found, ExpandedResult) else None
            if self._settings.chunk_parent_tokens is not None:
                found = replace(found, hits=await self._searcher.passages(found.hits))
            yield Passages(found.hits)
            yield Status(Stage.WRITING)
            begun = False
            passages = len(found.hits)
            while passages:
                short = replace(found, hits=found.hits[:passages])
                try:
                    async with aclosing(
                        self._generated(self._generator, question, short)
                    ) as events:
                        async for event in events:
                            begun = True
                            yield _finished(event, started, report)
                    return
                except PromptTooLong:
                    # The best passages may still fit the model's context.
                    log.info("too many passages for the generator's context", passages=passages)
                    passages //= 2
                except (Overloaded, ModelUnavailable, InvalidRequest) as error:
                    if begun:
                        raise
                    log.warning("quote mode answers instead", reason=error.message)
                    break
        best: tuple[SearchResult, Evidence] | None = None
        threshold, picked_by = float("-inf"), ""
        for reading in readings(question, self._settings.max_query_chars):
            found = await self._search(question, reading)
            yield Status(Stage.READING)
            # In a thread, as a model may have to be loaded.
            picker = await asyncio.to_thread(self._picker)
            threshold, picked_by = self._threshold(picker), picker.name
            evidence = await self._read(picker, reading, found)
            if best is None or evidence.score > best[1].score:
                best = found, evidence
            if evidence.sentences and evidence.score >= threshold:
                break
        if best is None:
            raise RuntimeError("a question has at least one reading")
        found, evidence = best
        yield Passages(found.hits)
        yield Status(Stage.WRITING)
        pages = await self._pages(evidence)
        for event in quote_events(
            evidence, pages, threshold, found.timings_ms, picked_by=picked_by
        ):
            yield _finished(event, started, report)
            # Lets the event reach its reader before the next one is made.
            await asyncio.sleep(0)

    async def _generated(
        self, model: ChatModel, question: Question, found: SearchResult
    ) -> AsyncGenerator[AnswerEvent, None]:
        """The generator's answer: its own words with marks, or the text it chose."""
        if self._settings.answer_style == "write":
            async with aclosing(
                generate_events(
                    model, question.text, found.hits, question.history, found.timings_ms
                )
            ) as events:
                async for event in events:
                    yield event
            return
        most = self._settings.answer_sentences
        choose = point_at_evidence if self._settings.answer_style == "point" else copy_evidence
        evidence = await choose(model, question.text, found.hits, question.history, most=most)
        pages = await self._pages(evidence)
        for event in quote_events(
            evidence, pages, 0.0, found.timings_ms, AnswerMode.GENERATE, model.name
        ):
            yield event

    async def _read(self, picker: EvidencePicker, question: str, found: SearchResult) -> Evidence:
        """Picks what to quote from the passages found; adds its time to theirs."""
        began = time.perf_counter()
        most = self._settings.answer_sentences
        evidence = await asyncio.to_thread(picker.pick, question, found, most=most)
        found.timings_ms["evidence"] = round((time.perf_counter() - began) * 1000, 3)
        return evidence

    def _picker(self) -> EvidencePicker:
        return make_picker(self._scorer(), self._embedder, self._searcher.query_terms)

    async def _pages(self, evidence: Evidence) -> list[int | None]:
        """The page of each sentence; its passage may have begun on an earlier one."""
        paged = [s for s in evidence.sentences if s.hit.page is not None]
        found = await self._searcher.pages([(s.hit.document_id, s.start) for s in paged])
        pages = {id(s): page for s, page in zip(paged, found, strict=True)}
        return [pages.get(id(s)) or s.hit.page for s in evidence.sentences]

    def _strategies(self, question: Question) -> tuple[QueryStrategyName, ...]:
        return self._expanded.chosen(question.expand) if self._expanded is not None else ()

    async def _search(
        self, question: Question, query: str, expand: Sequence[QueryStrategyName] = ()
    ) -> SearchResult:
        request = SearchRequest(
            query=query,
            collections=question.collections,
            k=question.passages or self._settings.answer_passages,
            filters=question.filters or {},
        )
        if self._expanded is None or not expand:
            return await self._searcher.search(request)
        return await self._expanded.search(
            request, expand, question=question.text, turns=question.history
        )

    def _threshold(self, picker: EvidencePicker) -> float:
        given = self._settings.answer_threshold
        return picker.threshold if given is None else given


def readings(question: Question, longest: int) -> list[str]:
    """What to search for, the likeliest first.

    A question that points back is first read together with the one before it; any other is first
    taken by itself. Both together are no reading when they are longer than `longest`.
    """
    alone = question.text
    together = _in_context(question, longest)
    if together == alone:
        return [alone]
    points_back = _ANAPHORA.search(alone) is not None or len(alone.split()) <= _SHORT_QUESTION_WORDS
    return [together, alone] if points_back else [alone, together]


def _in_context(question: Question, longest: int) -> str:
    earlier = _last_question(question.history)
    together = f"{earlier} {question.text}"
    return together if earlier and len(together) <= longest else question.text


def _last_question(history: Sequence[ChatMessage]) -> str:
    asked = [message.content for message in history if message.role is Role.USER]
    return asked[-1] if asked else ""


def _finished(event: AnswerEvent, started: float, expansion: ExpansionReport | None) -> AnswerEvent:
    """Puts the whole time into a finished answer, and what was added to its question."""
    if not isinstance(event, Done):
        return event
    total = round((time.perf_counter() - started) * 1000, 3)
    timings = event.answer.timings_ms | {"total": total}
    return Done(replace(event.answer, timings_ms=timings, expansion=expansion))
