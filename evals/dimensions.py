"""What search by truncated vectors keeps of full width: a table by dimension.

Each judged set is ingested as `rostra eval run retrieval` does it; the vectors of its chunks and
queries are then searched exactly: at full width; by their first d coordinates alone; and in two
stages, a shortlist of chunks by the first d coordinates, rescored at full width. Each with the
model's own vectors, with the rotation of the settings (the one that ships, by default) and, where
asked for, with one fitted on the set's chunks as `rostra embed fit` does it. A rotation leaves
full width as it was. (Kusupati et al., "Matryoshka Representation Learning", 2022, train a model
for what rotations give here.)

What always holds: all ways rank the same vectors, documents by their best chunk; no rotation has
seen a query; what a way keeps is a share of full width's measure over the same queries.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec
import numpy as np

from evals.beir import JudgedSet
from evals.core import Dataset, Passage, RunRecord, State, Task, report_of, values_of
from evals.ingested import ingest_set
from evals.retrieval_measures import DEPTH, K, RankingScorer
from rostra.core import FloatMatrix, FloatVector, InvalidRequest
from rostra.ingest import OnProgress
from rostra.retrieval import (
    Rotation,
    SentenceEmbedder,
    fit_rotation,
    shipped_rotation,
    truncate,
)
from rostra.runtime import Runtime
from rostra.store import document_stamps, get_collection, index_rows

DIMENSIONS = (32, 64, 128, 192, 256)
SHORTLIST = 100
_RESAMPLES = 2_000
_MEASURE = f"ndcg@{K}"

Way = Literal["full", "truncated", "two-stage"]


class DimensionSolver:
    """One way of searching by vectors, exactly.

    Args:
        way: `full` ranks by `vectors`, `truncated` by `short`; `two-stage` takes the best chunks by
            `short` and ranks these by `vectors`.
        vectors: of chunks, float32 [chunks, width], unit length.
        short: the same, truncated; the same as `vectors` for `full`.
        documents: of each chunk.
        queries: vectors by text, of full width.
        facts: that the vectors depend on; `vectors` among them names the rotation, or says plain.
        shortlist: chunks of a two-stage search's first stage.
        k: documents.
    """

    def __init__(
        self,
        way: Way,
        vectors: FloatMatrix,
        short: FloatMatrix,
        documents: Sequence[str],
        queries: Mapping[str, FloatVector],
        facts: Mapping[str, Any],
        *,
        shortlist: int = SHORTLIST,
        k: int = DEPTH,
    ) -> None:
        self._way = way
        self._vectors = vectors
        self._short = short
        self._documents = documents
        self._queries = queries
        self._facts = dict(facts)
        self._shortlist = shortlist
        self._k = k

    @property
    def name(self) -> str:
        """Vectors, way and dimensions."""
        kind = self._facts["vectors"]
        before = "" if kind == "plain" else f"{kind}, "
        return f"{before}{self._way} {self._short.shape[1]}"

    def config(self) -> dict[str, Any]:
        """See `Solver.config`."""
        said = {"way": self._way, "dimensions": self._short.shape[1], "k": self._k}
        if self._way == "two-stage":
            said["shortlist"] = self._shortlist
        return self._facts | said

    async def __call__(self, state: State, seed: int) -> State:
        """See `Solver`."""
        query = self._queries[state.sample.input]
        scores = self._short @ truncate(query[None, :], self._short.shape[1])[0]
        rows = np.arange(len(scores))
        if self._way == "two-stage":
            rows = _best(scores, rows)[: self._shortlist]
            scores = self._vectors[rows] @ query
        # A document by its best chunk, which comes first.
        found: dict[str, float] = {}
        by_row = dict(zip(rows.tolist(), scores.tolist(), strict=True))
        for row in _best(scores, rows).tolist():
            found.setdefault(self._documents[row], by_row[row])
            if len(found) == self._k:
                break
        passages = [Passage(document, score=score) for document, score in found.items()]
        return msgspec.structs.replace(state, passages=passages)


def _best(scores: FloatVector, rows: Any) -> Any:
    """Rows, the best first; equal scores go by row, so that a run can be repeated."""
    return rows[np.lexsort((rows, -scores))]


@dataclass(frozen=True, slots=True)
class JudgedVectors:
    """A set with its vectors.

    Attributes:
        vectors: of chunks, float32 [chunks, width], not rotated.
        documents: of each chunk.
        queries: vectors by text, likewise.
        rotations: by name, `rotated` that of the settings, `fitted` that of the set.
        facts: what they depend on.
    """

    dataset: Dataset
    vectors: FloatMatrix
    documents: list[str]
    queries: dict[str, FloatVector]
    rotations: dict[str, Rotation]
    facts: dict[str, Any]


async def judged_vectors(
    runtime: Runtime,
    judged: JudgedSet,
    *,
    fit: bool = False,
    on_ingest: OnProgress | None = None,
    on_query: Callable[[int, int], None] = lambda done, total: None,
) -> JudgedVectors:
    """Ingests a set, embeds its queries, fits a rotation where asked.

    Vectors of documents stay in the workspace, so that another run embeds queries alone.

    Args:
        fit: a rotation on the set's chunks, if these are enough.

    Raises:
        InvalidRequest: the settings truncate vectors already.
        PathNotFound, DatasetError: of the set.
    """
    if runtime.settings.embedding_dimensions:
        raise InvalidRequest(
            "the settings truncate vectors already",
            hint="Unset ROSTRA_EMBEDDING_DIMENSIONS.",
        )
    taken = await ingest_set(runtime, judged, on_ingest=on_ingest)
    async with runtime.database.read() as session:
        collection = await get_collection(session, taken.collection)
        rows = await index_rows(session, collection.id, collection.space_id)
        stamps = await document_stamps(session, collection.id)
    uris = {stamp.id: stamp.uri for stamp in stamps}
    rows.sort(key=lambda row: (uris[row.document_id], row.ordinal))
    vectors = np.stack([row.vector for row in rows]).astype(np.float32)
    embedder = await asyncio.to_thread(runtime.embedder)
    queries: dict[str, FloatVector] = {}
    texts = [sample.input for sample in taken.dataset.samples]
    for done, text in enumerate(texts, 1):
        queries[text] = await asyncio.to_thread(embedder.embed_query, text)
        on_query(done, len(texts))
    rotations: dict[str, Rotation] = {}
    if isinstance(embedder, SentenceEmbedder) and embedder.rotation is not None:
        rotations["rotated"] = own = embedder.rotation
        queries = {text: own.undo(vector[None, :])[0] for text, vector in queries.items()}
        vectors = own.undo(vectors)
    elif runtime.settings.embedding_rotation == "auto" and (
        shipped := shipped_rotation(embedder.space.revision)
    ):
        rotations["rotated"] = shipped  # at full width nothing is rotated by itself
    distinct = np.unique(vectors, axis=0)
    if fit and len(distinct) >= 2 * vectors.shape[1]:
        fitting = asyncio.to_thread(fit_rotation, distinct, embedder.space.revision)
        rotations["fitted"] = await fitting
    facts = {"corpus": taken.digest, "space": embedder.space.fingerprint, "chunks": len(vectors)}
    documents = [uris[row.document_id] for row in rows]
    return JudgedVectors(taken.dataset, vectors, documents, queries, rotations, facts)


def dimension_tasks(
    judged: JudgedVectors,
    *,
    dimensions: Sequence[int] = DIMENSIONS,
    shortlist: int = SHORTLIST,
) -> list[Task]:
    """A task for each way: full width, then by dimension.

    Args:
        dimensions: of truncated vectors, each below full width.
        shortlist: chunks of a two-stage search's first stage.

    Raises:
        InvalidRequest: a dimension is not below full width.
    """
    width = judged.vectors.shape[1]
    if not all(1 <= dimension < width for dimension in dimensions):
        raise InvalidRequest(f"dimensions are 1 to {width - 1}, below full width")
    kinds = [("plain", judged.vectors, judged.queries)]
    for kind, rotation in judged.rotations.items():
        turned = {
            text: rotation.apply(vector[None, :])[0] for text, vector in judged.queries.items()
        }
        kinds.append((kind, rotation.apply(judged.vectors), turned))
    solvers = []
    for kind, vectors, queries in kinds:

        def solver(
            way: Way,
            short: FloatMatrix,
            kind: str = kind,
            vectors: FloatMatrix = vectors,
            queries: Mapping[str, FloatVector] = queries,
        ) -> DimensionSolver:
            facts = judged.facts | {"vectors": kind}
            return DimensionSolver(
                way, vectors, short, judged.documents, queries, facts, shortlist=shortlist
            )

        if kind == "plain":  # a rotation leaves full width as it was
            solvers.append(solver("full", vectors))
        for dimension in dimensions:
            short = truncate(vectors, dimension)
            solvers += [solver("truncated", short), solver("two-stage", short)]
    scorer = RankingScorer()
    # Never cached: answers hang on this very code, and searching again is quick.
    return [Task(judged.dataset, solver, [scorer], cached=False) for solver in solvers]


@dataclass(frozen=True, slots=True)
class DimensionsReport:
    """All that is said of a run, from its file alone."""

    record: RunRecord
    seed: int = 0

    def to_dict(self) -> dict[str, Any]:
        """As `--json` prints it: a row each set and way, with what it keeps of full width."""
        report = report_of(self.record)
        values = self._values()
        rows = []
        for task in report.tasks:
            header, config = task.header, task.header.solver_config
            row: dict[str, Any] = {
                "dataset": header.dataset,
                "vectors": config["vectors"],
                "way": config["way"],
                "dimensions": config["dimensions"],
                "queries": header.samples,
            }
            intervals: dict[str, list[float] | None] = {}
            for one in task.measures:
                found = one.estimate
                row[one.measure.name] = None if found is None else round(found.mean, 4)
                interval = None if found is None else found.interval
                intervals[one.measure.name] = (
                    None if interval is None else [round(interval.low, 4), round(interval.high, 4)]
                )
            own, full = values[header.dataset, header.solver], values[header.dataset, ""]
            row["retained"], around = retained(own, full, self.seed)
            intervals["retained"] = around
            rows.append(row | {"intervals": intervals, "failed": task.failed})
        whole = report.to_dict()
        return {
            "run": report.run,
            "complete": report.is_complete,
            "measure": _MEASURE,
            "results": rows,
            "mixed": whole["mixed"],
            "tasks": whole["tasks"],
        }

    def _values(self) -> dict[tuple[str, str], dict[str, float]]:
        """The measure by query, by set and way; full width's also under no name."""
        found: dict[tuple[str, str], dict[str, float]] = {}
        for number, task in enumerate(self.record.header.tasks):
            own = [outcome for outcome in self.record.outcomes if outcome.task == number]
            (measure,) = [one for one in task.measures if one.name == _MEASURE]
            found[task.dataset, task.solver] = values_of(own, measure)[0]
            if task.solver_config["way"] == "full":
                found[task.dataset, ""] = found[task.dataset, task.solver]
        return found


def retained(
    own: Mapping[str, float], full: Mapping[str, float], seed: int = 0
) -> tuple[float | None, list[float] | None]:
    """A way's mean over full width's, and a 95 % interval: percentiles of a paired bootstrap.

    None where no query has both, or full width finds nothing.
    """
    shared = sorted(own.keys() & full.keys())
    mine = np.array([own[query] for query in shared])
    theirs = np.array([full[query] for query in shared])
    if not len(shared) or not theirs.sum():
        return None, None
    drawn = np.random.default_rng(seed).integers(0, len(shared), (_RESAMPLES, len(shared)))
    sums = theirs[drawn].sum(axis=1)
    shares = mine[drawn].sum(axis=1)[sums > 0] / sums[sums > 0]
    low, high = np.percentile(shares, (2.5, 97.5))
    return round(float(mine.sum() / theirs.sum()), 4), [round(float(low), 4), round(float(high), 4)]
