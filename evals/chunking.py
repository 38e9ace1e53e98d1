"""Chunkers compared on questions whose answers are known spans of long documents.

As in Smith and Troynikov, "Evaluating Chunking Strategies for Retrieval" (Chroma, 2024): all
documents are cut, every chunk is embedded, each question takes the nearest chunks, and what they
hold is compared with the reference spans token by token. Intervals are clustered by document, and
chunkers are compared question by question.

What always holds: tokens are those of the embedder's tokenizer over the whole document, so that all
chunkers are measured with one rule; a token that was retrieved twice counts once as found and twice
as read; retrieval is exact, by cosine alone, so that nothing but chunks and vectors differs.
"""

import asyncio
import csv
import json
import sys
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from evals.compare import Comparison, compare_systems
from evals.core import (
    Dataset,
    Measure,
    Passage,
    RunRecord,
    Sample,
    Score,
    State,
    Task,
    make_dataset,
    report_of,
)
from evals.core.dataset import Problems
from evals.errors import DatasetError
from rostra.core import Embedder, FloatMatrix, Settings
from rostra.ingest import (
    ParsedDocument,
    ParserProcess,
    TokenIndex,
    chunk_inputs,
    embed_contents,
)
from rostra.retrieval import late_embedder

CHUNKERS = ("structure", "code", "recursive", "fixed", "semantic", "late")
DEFAULT_CHUNKERS = ("structure", "recursive", "fixed", "semantic", "late")
K = 5  # chunks, as published
BUDGET = 1000  # tokens, about what a prompt has room for
_QUESTIONS = "questions_df.csv"
Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class ChunkingSet:
    """Documents, and questions with reference spans in them.

    Attributes:
        documents: by id, parsed as they are when they are ingested.
        dataset: a sample each question, in the group of its document.
    """

    documents: dict[str, ParsedDocument]
    dataset: Dataset


async def read_chunking_set(folder: Path, settings: Settings) -> ChunkingSet:
    """Reads questions_df.csv and corpora/*.md.

    A question is left out, and counted, where a reference is not what its document says there.

    Raises:
        DatasetError: a file is missing or cannot be read, or no question is left.
    """
    documents: dict[str, ParsedDocument] = {}
    paths = sorted((folder / "corpora").glob("*.md"))
    if not paths:
        raise DatasetError(
            f"{folder / 'corpora'}: no documents",
            hint="A set is a folder with questions_df.csv and corpora/*.md.",
        )
    async with ParserProcess(settings) as parser:
        for path in paths:
            documents[path.stem] = await parser.parse(path.name, path.read_bytes())
    problems = Problems()
    samples = []
    for number, row in enumerate(_rows(folder / _QUESTIONS), 2):
        place = f"line {number}"
        try:
            document, question = str(row["corpus_id"]), str(row["question"])
            references = [
                (int(one["start_index"]), int(one["end_index"]), str(one["content"]))
                for one in json.loads(row["references"])
            ]
        except (KeyError, TypeError, ValueError):
            problems.add("a line without question, references or corpus_id", place)
            continue
        if document not in documents:
            problems.add("a question about a document that is not there", place)
            continue
        text = documents[document].text
        if not references or any(text[start:end] != said for start, end, said in references):
            problems.add("a reference that its document does not have there", place)
            continue
        spans = [[start, end] for start, end, _ in references]
        samples.append(
            Sample(id=f"{document}-{number}", input=question, group=document, data={"spans": spans})
        )
    return ChunkingSet(documents, make_dataset("chunking", samples, problems.all()))


def _rows(path: Path) -> list[dict[str, str]]:
    # References are long; the module's limit is of the process, and this one is what others set.
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(f"{path}: {error}") from error


class ChunkingSolver:
    """Retrieval over all documents, cut by one chunker.

    Args:
        name: of the chunker, as reports show it.
        facts: what its chunks depend on.
        where: document and range of each chunk.
        vectors: of the chunks, unit length, float32 [chunks, dimensions].
        sizes: tokens of each chunk.
        embedder: of questions.
    """

    def __init__(
        self,
        name: str,
        facts: Mapping[str, Any],
        where: Sequence[tuple[str, int, int]],
        vectors: FloatMatrix,
        sizes: Sequence[int],
        embedder: Embedder,
    ) -> None:
        self.name = name
        self._facts = dict(facts)
        self._where = where
        self._vectors = vectors
        self._sizes = np.asarray(sizes)
        self._embedder = embedder

    def config(self) -> dict[str, Any]:
        """See `Solver.config`."""
        sizes = self._sizes
        return self._facts | {
            "chunks": len(sizes),
            "mean_tokens": round(float(sizes.mean()), 1) if len(sizes) else 0.0,
        }

    async def __call__(self, state: State, seed: int) -> State:
        """See `Solver`."""
        vector = await asyncio.to_thread(self._embedder.embed_query, state.sample.input)
        scores = self._vectors @ vector
        # Equal scores go by place, so that a run can be repeated.
        order = np.lexsort((np.arange(len(scores)), -scores))
        read = np.cumsum(self._sizes[order])
        count = max(K, int(np.searchsorted(read, BUDGET)) + 1)
        passages = []
        for row in order[:count]:
            document, start, end = self._where[row]
            passages.append(Passage(document, score=float(scores[row]), start=start, end=end))
        return msgspec.structs.replace(state, passages=passages)


class SpanScorer:
    """Recall, precision and IoU of the tokens that were retrieved; see this module.

    Args:
        tokens: of each document.
        k: chunks read; recall within a budget of tokens reads as many as fit it whole or in part.
        budget: tokens.
    """

    name = "spans"

    def __init__(self, tokens: Mapping[str, TokenIndex], k: int = K, budget: int = BUDGET) -> None:
        self._tokens = tokens
        self._k = k
        self._budget = budget
        self._names = (
            f"iou@{k}", f"recall@{k}", f"precision@{k}", f"recall in {budget} tokens"
        )  # fmt: skip

    @property
    def measures(self) -> Sequence[Measure]:
        """Means over questions."""
        return tuple(Measure(name, unit="score") for name in self._names)

    def config(self) -> dict[str, Any]:
        """See `Scorer.config`."""
        return {"k": self._k, "budget": self._budget}

    async def __call__(self, state: State, seed: int) -> Sequence[Score]:
        """See `Scorer`."""
        document = state.sample.group
        wanted = _union(
            [self._range(document, start, end) for start, end in state.sample.data["spans"]]
        )
        passages = [
            (passage.document, self._range(passage.document, passage.start, passage.end))
            for passage in state.passages
        ]
        iou, recall, precision = overlap(document, wanted, passages[: self._k])
        _, within, _ = overlap(document, wanted, _cut(passages, self._budget))
        values = zip(self._names, (iou, recall, precision, within), strict=True)
        return [Score(name, value) for name, value in values]

    def _range(self, document: str, start: int, end: int) -> Span:
        starts = self._tokens[document].starts
        return bisect_left(starts, start), bisect_left(starts, end)


def overlap(
    document: str, wanted: Sequence[Span], read: Sequence[tuple[str, Span]]
) -> tuple[float, float, float]:
    """IoU, recall and precision of what was read.

    Args:
        document: that has the references.
        wanted: their tokens, disjoint.
        read: documents and tokens, best first; they may overlap.
    """
    of_document = _union([span for name, span in read if name == document])
    found = _shared(wanted, of_document)
    references = _length(wanted)
    retrieved = _length([span for _, span in read])
    missed = references - found
    recall = found / references if references else 0.0
    precision = found / retrieved if retrieved else 0.0
    return found / (retrieved + missed) if retrieved + missed else 0.0, recall, precision


def _cut(read: Sequence[tuple[str, Span]], budget: int) -> list[tuple[str, Span]]:
    """As much of it as the budget allows, the last passage in part."""
    kept = []
    for name, (first, last) in read:
        if budget <= 0:
            break
        last = min(last, first + budget)
        kept.append((name, (first, last)))
        budget -= last - first
    return kept


def _union(spans: Sequence[Span]) -> list[Span]:
    merged: list[Span] = []
    for first, last in sorted(spans):
        if merged and first <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
        else:
            merged.append((first, last))
    return merged


def _shared(one: Sequence[Span], other: Sequence[Span]) -> int:
    return sum(max(0, min(a[1], b[1]) - max(a[0], b[0])) for a in one for b in other)


def _length(spans: Sequence[Span]) -> int:
    return sum(last - first for first, last in spans)


async def chunking_tasks(
    judged: ChunkingSet,
    settings: Settings,
    embedder: Embedder,
    *,
    chunkers: Sequence[str] = DEFAULT_CHUNKERS,
    sizes: Sequence[int] = (),
    overlaps: Sequence[int] = (),
    on_system: Callable[[str], None] = lambda _: None,
) -> list[Task]:
    """Cuts and embeds the documents by each chunker; a task each.

    Args:
        judged: documents and questions.
        settings: all that `chunkers`, `sizes` and `overlaps` do not say.
        embedder: of chunks and questions.
        chunkers: among `CHUNKERS`.
        sizes: most tokens of a chunk; by default that of the settings.
        overlaps: tokens repeated; by default that of the settings.
        on_system: told of each before it is begun.
    """
    tokens = {
        name: TokenIndex(document.text, embedder.tokenizer)
        for name, document in judged.documents.items()
    }
    scorer = SpanScorer(tokens)
    tasks = []
    for size in sizes or (settings.chunk_tokens,):
        for overlapping in overlaps or (settings.chunk_overlap,):
            for chunker in chunkers:
                if overlapping and chunker == "semantic":
                    continue
                told = {"chunk_tokens": size, "chunk_overlap": overlapping}
                name = f"{chunker} {size}" + (f"+{overlapping}" if overlapping else "")
                on_system(name)
                chosen = settings.model_copy(update={"chunker": chunker, **told})
                solver = await asyncio.to_thread(
                    _solver, name, judged.documents, chosen, embedder, tokens
                )
                tasks.append(Task(judged.dataset, solver, [scorer], cached=False))
    return tasks


def _solver(
    name: str,
    documents: Mapping[str, ParsedDocument],
    settings: Settings,
    embedder: Embedder,
    tokens: Mapping[str, TokenIndex],
) -> ChunkingSolver:
    where, contents, sizes = [], [], []
    for document, parsed in documents.items():
        for one in chunk_inputs(parsed, settings, embedder):
            where.append((document, one.chunk.start, one.chunk.end))
            sizes.append(tokens[document].count(one.chunk.start, one.chunk.end))
            contents.append(one.content)
    late = late_embedder(settings, embedder) if settings.chunker == "late" else None
    vectors = embed_contents(contents, embedder, late)
    names = {"chunker", "chunk_tokens", "chunk_overlap", "chunk_headers", "chunk_neighbours"}
    facts = settings.model_dump(mode="json", include=names)
    facts["space"] = embedder.space.fingerprint
    return ChunkingSolver(name, facts, where, vectors, sizes, embedder)


@dataclass(frozen=True, slots=True)
class ChunkingReport:
    """All that is said of a run, from its file alone.

    Attributes:
        comparisons: each two chunkers by every measure; p-values are adjusted after Holm over all.
    """

    record: RunRecord
    comparisons: tuple[Comparison, ...]

    def to_dict(self) -> dict[str, Any]:
        """As `--json` prints it."""
        report = report_of(self.record)
        whole = report.to_dict()
        rows = []
        for task in report.tasks:
            config = task.header.solver_config
            row: dict[str, Any] = {
                "chunker": task.header.solver,
                "chunks": config["chunks"],
                "mean_tokens": config["mean_tokens"],
                "questions": task.header.samples,
            }
            intervals: dict[str, list[float] | None] = {}
            for one in task.measures:
                found = one.estimate
                row[one.measure.name] = None if found is None else round(found.mean, 4)
                interval = None if found is None else found.interval
                intervals[one.measure.name] = (
                    None if interval is None else [round(interval.low, 4), round(interval.high, 4)]
                )
            rows.append(row | {"intervals": intervals, "failed": task.failed})
        return {
            "run": report.run,
            "complete": report.is_complete,
            "results": rows,
            "comparisons": [one.to_dict() for one in self.comparisons],
            "mixed": whole["mixed"],
            "tasks": whole["tasks"],
        }


def report_chunking(record: RunRecord, *, seed: int = 0) -> ChunkingReport:
    """Compares the chunkers of a run.

    Args:
        seed: of the randomisation tests.
    """
    return ChunkingReport(record, tuple(compare_systems(record, seed=seed)))
