"""The platform's answers as a solver, with citations looked up in the store.

What always holds: the answer is the one that users get, to a follow-up within its conversation too;
`mode` in the state's data says who made it, as quote mode answers for a generator that fails. Under
a `Disturbance` only the passages that it is made from are others.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from evals.core.states import Cited, Passage, State
from evals.rag.samples import gold_documents, said_before
from evals.solvers.claims import claims_of, without_marks
from evals.solvers.counted import CountedModel
from evals.solvers.disturbed import Disturbance, DisturbedSearcher
from evals.solvers.facts import answer_facts, evidence_facts
from rostra.answer import (
    Answer,
    Answerer,
    AnswerMode,
    Citation,
    Done,
    Passages,
    Question,
    read_turns,
)
from rostra.core import ChatModel, Embedder, normalize_text, sentence_spans
from rostra.retrieval import ExpandedSearcher, Hit, SearchRequest
from rostra.runtime import Runtime
from rostra.store import get_text

if TYPE_CHECKING:
    from rostra.answer import EvidenceScorer

# The `[start, end)` of a document's sentences, in code points, by document.
SentenceTable = Mapping[str, Sequence[tuple[int, int]]]
MODE = "mode"
DISTURBED = "disturbed"  # whether a disturbance made the passages others than they were
SENTENCES = "sentences"  # those that citations cover, as [document, place among its sentences]
BEST = "best sentences"  # the same of the most telling citation alone
MODEL_SECONDS = "model seconds"  # that a generator took for its part


@dataclass(frozen=True, slots=True)
class Way:
    """One way to answer, whatever the settings say.

    Attributes:
        name: of the system.
        generator: chooses or writes; None leaves the answer to a picker of evidence.
        style: what the generator does, as the setting `answer_style` has it.
        scorer: of evidence; None is similarity's pick.
    """

    name: str
    generator: ChatModel | None = None
    style: str = "point"
    scorer: "EvidenceScorer | None" = None


class AskSolver:
    """See this module.

    Args:
        runtime: where the documents are.
        collections: asked, by name.
        digest: of their documents.
        sentences: of annotated documents; an answer's state then says which ones it cites.
        disturbance: of the passages; None for what users get.
        embedder: of the sentences that quote mode reads; the platform's by default.
        way: to answer, by plain searches; what users get by default.
    """

    def __init__(
        self,
        runtime: Runtime,
        collections: Sequence[str],
        digest: str,
        *,
        sentences: SentenceTable | None = None,
        disturbance: Disturbance | None = None,
        embedder: Callable[[], Embedder] | None = None,
        way: Way | None = None,
    ) -> None:
        self._runtime = runtime
        self._way = way
        self._embedder = embedder or runtime.embedder
        self._collections = tuple(collections)
        self._sentences = sentences
        self._disturbance = disturbance
        self._facts = answer_facts(runtime) | {
            "corpus": digest,
            "disturbance": str(disturbance or ""),
        }
        if way is not None:
            self._facts |= {
                "generator": way.generator.name if way.generator is not None else "",
                "answer_style": way.style,
                "evidence": evidence_facts(way.scorer),
            }

    @property
    def name(self) -> str:
        """The way's; else `ask`, and what is done to its passages."""
        if self._way is not None:
            return self._way.name
        return "ask" if self._disturbance is None else f"ask {self._disturbance}"

    def config(self) -> dict[str, Any]:
        """See `Solver.config`."""
        return self._facts

    async def __call__(self, state: State, seed: int) -> State:
        """See `Solver`."""
        runtime = self._runtime
        way, settings = self._way, runtime.answer_settings
        generator = runtime.writer
        if way is not None:
            generator = way.generator
            settings = settings.model_copy(update={"answer_style": way.style})
        counted = CountedModel(generator) if generator is not None else None
        searcher, disturbed = runtime.searcher, None
        expanded: ExpandedSearcher | None = None
        if way is None:
            expanded = runtime.expanded.by(counted)
        if self._disturbance is not None:
            gold = gold_documents(state.sample)
            searcher = disturbed = DisturbedSearcher(runtime, self._disturbance, gold, seed)
            expanded = None
        answerer = Answerer(
            searcher,
            self._embedder,
            settings,
            counted,
            expanded=expanded,
            scorer=runtime.scorer if way is None else lambda: way.scorer,
        )
        asked = Question(
            normalize_text(state.sample.input),
            self._collections,
            read_turns(said_before(state.sample)),
        )
        hits, answer = await _asked(answerer, asked)
        marked = answer.mode is AnswerMode.GENERATE and settings.answer_style == "write"
        claims, backed = claims_of(
            answer.answer if answer.found else "",
            [(one.answer_start, one.answer_end) for one in answer.citations],
            marked=marked,
        )
        cited = [
            await looked_up(runtime, citation, claim)
            for citation, claim in zip(answer.citations, backed, strict=True)
        ]
        data: dict[str, Any] = {MODE: str(answer.mode)}
        if self._sentences is not None:
            data[SENTENCES] = sentences_in(cited, self._sentences)
            best = [] if answer.best is None else [cited[answer.best]]
            data[BEST] = sentences_in(best, self._sentences)
        if counted is not None and counted.steps:
            data[MODEL_SECONDS] = counted.seconds
        if disturbed is not None:
            data[DISTURBED] = disturbed.has_changed(hits)
        return msgspec.structs.replace(
            state,
            output=without_marks(answer.answer) if marked else answer.answer,
            claims=claims,
            abstained=not answer.found,
            passages=[passage_of(hit) for hit in hits],
            citations=cited,
            steps=counted.steps if counted is not None else 0,
            usage=counted.usage if counted is not None else state.usage,
            data=data,
        )


class LeadSolver:
    """The baseline: quotes the first sentence of the passage that search puts first, always.

    Args:
        sentences: of annotated documents; the first one of the whole document is then quoted.
    """

    name = "first sentence"

    def __init__(
        self,
        runtime: Runtime,
        collections: Sequence[str],
        digest: str,
        *,
        sentences: SentenceTable | None = None,
    ) -> None:
        self._runtime = runtime
        self._collections = tuple(collections)
        self._sentences = sentences
        self._facts = answer_facts(runtime) | {"corpus": digest, "generator": ""}

    def config(self) -> dict[str, Any]:
        """See `Solver.config`."""
        return self._facts

    async def __call__(self, state: State, seed: int) -> State:
        """See `Solver`."""
        found = await self._runtime.searcher.search(
            SearchRequest(state.sample.input, self._collections, k=1)
        )
        if not found.hits:
            return msgspec.structs.replace(state, abstained=True, data=self._data([]))
        hit = found.hits[0]
        start, end = self._first(hit)
        async with self._runtime.database.read() as session:
            quote = await get_text(session, hit.document_id, start, end)
        cited = [Cited(hit.uri, start, end, quote, claim=0, exact=True)]
        return msgspec.structs.replace(
            state,
            output=quote,
            claims=[quote],
            passages=[passage_of(hit)],
            citations=cited,
            data=self._data(cited),
        )

    def _first(self, hit: Hit) -> tuple[int, int]:
        if self._sentences is not None and self._sentences.get(hit.uri):
            return self._sentences[hit.uri][0]
        spans = sentence_spans(hit.text) or [(0, len(hit.text))]
        return hit.start + spans[0][0], hit.start + spans[0][1]

    def _data(self, cited: Sequence[Cited]) -> dict[str, Any]:
        data: dict[str, Any] = {MODE: str(AnswerMode.QUOTE)}
        if self._sentences is not None:
            data[SENTENCES] = data[BEST] = sentences_in(cited, self._sentences)
        return data


def passage_of(hit: Hit) -> Passage:
    """A hit as evaluations have it."""
    return Passage(hit.uri, hit.text, hit.score, hit.start, hit.end)


async def looked_up(runtime: Runtime, citation: Citation, claim: int) -> Cited:
    """A citation, with whether it quotes its document exactly.

    Args:
        claim: place of the claim that it backs.
    """
    async with runtime.database.read() as session:
        stored = await get_text(session, citation.document_id, citation.start, citation.end)
    return Cited(
        citation.uri, citation.start, citation.end, citation.quote, claim, stored == citation.quote
    )


def sentences_in(cited: Sequence[Cited], table: SentenceTable) -> list[tuple[str, int]]:
    """The sentences that a citation covers by more than half, each once."""
    covered: dict[tuple[str, int], None] = {}
    for citation in cited:
        for at, (start, end) in enumerate(table.get(citation.document, ())):
            shared = min(end, citation.end) - max(start, citation.start)
            if 2 * shared > end - start:
                covered[citation.document, at] = None
    return list(covered)


async def _asked(answerer: Answerer, question: Question) -> tuple[list[Hit], Answer]:
    """The passages that an answer is made from, and the answer."""
    hits: list[Hit] = []
    async with aclosing(answerer.stream(question)) as events:
        async for event in events:
            if isinstance(event, Passages):
                hits = event.hits
            if isinstance(event, Done):
                return hits, event.answer
    raise RuntimeError("an answer's stream ended without its end")
