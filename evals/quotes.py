"""Quote mode on annotated questions: sentence F1, and whether `not found` is said when it is right.

What always holds: the passages of all questions are pooled into one collection and each question is
asked of all of them; every question counts. Predicted are the annotated passages' sentences that
citations cover by more than half; of several annotations of a question the closest counts. The
baseline quotes the first sentence of the passage that search puts first, and always answers.

A set is a folder with answerable.jsonl and unanswerable.jsonl: `input`, `passages` with `title`,
`text` and `sentences`, and `output` with `selected_sentences` (the layout of ClapNQ).
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evals.beir import read_jsonl
from evals.errors import DatasetError
from rostra.answer import Citation, Question
from rostra.core import normalize_text
from rostra.ingest import OnProgress, ParsedDocument, ReadySource, Span, SpanKind
from rostra.retrieval import SearchRequest
from rostra.runtime import Runtime
from rostra.store import get_text

_COLLECTION = "quotes"
# A sentence of a passage: the passage's uri and the sentence's place in it.
SentenceId = tuple[str, int]


@dataclass(frozen=True, slots=True)
class AnnotatedQuestion:
    """A question with the sets of sentences that answer it, one an annotation.

    An answerable question without any is one whose annotators chose no sentence; it has no F1.
    """

    text: str
    is_answerable: bool
    answers: tuple[frozenset[SentenceId], ...]


@dataclass(frozen=True, slots=True)
class Passage:
    """A passage and where its sentences lie, in code points of the document's text."""

    uri: str
    document: ParsedDocument
    sentences: tuple[tuple[int, int], ...]


@dataclass(slots=True)
class QuoteReport:
    """Means over questions; `None` where there was nothing to average.

    Attributes:
        answerable: questions with an answer.
        unanswerable: questions without one.
        sentence_f1: over answerable questions with chosen sentences; `not found` scores 0.
        baseline_f1: the same of the baseline.
        passage_hit: share of answerable questions whose passage is found first.
        not_found_precision: of all `not found`, the share that was right.
        not_found_recall: of all unanswerable questions, the share that got `not found`.
        citations: how many there were.
        citations_exact: how many quote their document's `text[start:end]` exactly.
    """

    answerable: int = 0
    unanswerable: int = 0
    sentence_f1: float | None = None
    baseline_f1: float | None = None
    passage_hit: float | None = None
    not_found_precision: float | None = None
    not_found_recall: float | None = None
    citations: int = 0
    citations_exact: int = 0

    def to_dict(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return {
            "answerable": self.answerable,
            "unanswerable": self.unanswerable,
            "sentence_f1": _rounded(self.sentence_f1),
            "baseline_f1": _rounded(self.baseline_f1),
            "passage_hit@1": _rounded(self.passage_hit),
            "not_found": {
                "precision": _rounded(self.not_found_precision),
                "recall": _rounded(self.not_found_recall),
            },
            "citations": {"count": self.citations, "exact": self.citations_exact},
        }


@dataclass(slots=True)
class _Tally:
    f1: list[float] = field(default_factory=list)
    baseline: list[float] = field(default_factory=list)
    hits: list[float] = field(default_factory=list)
    said_not_found: int = 0
    rightly_not_found: int = 0


async def evaluate_quotes(
    runtime: Runtime,
    folder: Path,
    *,
    on_ingest: OnProgress | None = None,
    on_question: Callable[[int, int], None] = lambda done, total: None,
) -> QuoteReport:
    """Pools a set's passages into a collection and asks all its questions.

    Args:
        runtime: of a workspace; see `open_workspace`.
        folder: the set.
        on_ingest: progress of the ingest.
        on_question: called with (done, total) after each question.

    Raises:
        DatasetError: a file is missing or a record is malformed.
    """
    passages, questions = read_annotated(folder)
    sources = [ReadySource(passage.uri, passage.document) for passage in passages.values()]
    await runtime.ingester.ingest(sources, _COLLECTION, on_progress=on_ingest, delete_missing=("",))
    report, tally = QuoteReport(), _Tally()
    for done, question in enumerate(questions, 1):
        await _ask(runtime, question, passages, report, tally)
        on_question(done, len(questions))
    report.sentence_f1 = _mean(tally.f1)
    report.baseline_f1 = _mean(tally.baseline)
    report.passage_hit = _mean(tally.hits)
    if tally.said_not_found:
        report.not_found_precision = tally.rightly_not_found / tally.said_not_found
    if report.unanswerable:
        report.not_found_recall = tally.rightly_not_found / report.unanswerable
    return report


def read_annotated(folder: Path) -> tuple[dict[str, Passage], list[AnnotatedQuestion]]:
    """Reads a set: its passages by uri, and its questions.

    Raises:
        DatasetError: a file is missing or a record is malformed.
    """
    passages: dict[str, Passage] = {}
    questions: list[AnnotatedQuestion] = []
    for name in ("answerable.jsonl", "unanswerable.jsonl"):
        for place, record in read_jsonl(folder / name):
            try:
                question = _question(record, name == "answerable.jsonl", passages)
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                raise DatasetError(f"{place}: {type(error).__name__}: {error}") from None
            questions.append(question)
    if not questions:
        raise DatasetError(f"{folder} holds no question")
    return passages, questions


def sentence_f1(predicted: set[SentenceId], answers: tuple[frozenset[SentenceId], ...]) -> float:
    """F1 of a set of sentences against the closest annotation."""
    best = 0.0
    for answer in answers:
        shared = len(predicted & answer)
        if shared:
            best = max(best, 2 * shared / (len(predicted) + len(answer)))
    return best


def _question(
    record: dict[str, Any], is_answerable: bool, passages: dict[str, Passage]
) -> AnnotatedQuestion:
    own = [_passage(given) for given in record["passages"]]
    for passage, _ in own:
        passages.setdefault(passage.uri, passage)
    answers = []
    for output in record["output"]:
        chosen = output.get("selected_sentences") or []
        places = frozenset(
            (passage.uri, at)
            for passage, texts in own
            for at, text in enumerate(texts)
            if text in chosen
        )
        if places:
            answers.append(places)
    return AnnotatedQuestion(record["input"], is_answerable, tuple(answers))


def _passage(given: dict[str, Any]) -> tuple[Passage, list[str]]:
    title, body = normalize_text(given["title"]).strip(), normalize_text(given["text"])
    text = f"{title}\n\n{body}" if title else body
    spans = [Span(SpanKind.HEADING, 0, len(title), 1)] if title else []
    at = len(text) - len(body)
    sentences = []
    for sentence in given["sentences"]:
        start = text.find(normalize_text(sentence), at)
        if start < 0:
            raise ValueError(f"the sentence {sentence[:60]!r} is not in its passage")
        at = start + len(sentence)
        sentences.append((start, at))
    uri = "passage:" + hashlib.sha256(text.encode()).hexdigest()[:24]
    document = ParsedDocument(text, title[:300] or uri, "text/plain", tuple(spans), {})
    return Passage(uri, document, tuple(sentences)), list(given["sentences"])


async def _ask(
    runtime: Runtime,
    question: AnnotatedQuestion,
    passages: dict[str, Passage],
    report: QuoteReport,
    tally: _Tally,
) -> None:
    answer = await runtime.answerer.answer(Question(question.text, (_COLLECTION,)))
    report.citations += len(answer.citations)
    report.citations_exact += await _exact(runtime, answer.citations)
    tally.said_not_found += not answer.found
    if not question.is_answerable:
        report.unanswerable += 1
        tally.rightly_not_found += not answer.found
        return
    report.answerable += 1
    if not question.answers:
        return
    tally.f1.append(sentence_f1(_covered(answer.citations, passages), question.answers))
    first = await runtime.searcher.search(SearchRequest(question.text, (_COLLECTION,), k=1))
    top = first.hits[0].uri if first.hits else ""
    tally.baseline.append(sentence_f1({(top, 0)}, question.answers))
    tally.hits.append(float(any(top == uri for a in question.answers for uri, _ in a)))


def _covered(citations: list[Citation], passages: dict[str, Passage]) -> set[SentenceId]:
    covered: set[SentenceId] = set()
    for citation in citations:
        for at, (start, end) in enumerate(passages[citation.uri].sentences):
            shared = min(end, citation.end) - max(start, citation.start)
            if 2 * shared > end - start:
                covered.add((citation.uri, at))
    return covered


async def _exact(runtime: Runtime, citations: list[Citation]) -> int:
    async with runtime.database.read() as session:
        return sum(
            [
                await get_text(session, citation.document_id, citation.start, citation.end)
                == citation.quote
                for citation in citations
            ]
        )


def _mean(values: list[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
