"""Search with and without the graph, on questions that take two pages.

What always holds: both systems search the same collection with the same settings; a piece of
evidence is found where a hit among the first k holds at least half of it; a question counts as
found where both its pieces are.
"""

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from evals.compare import Comparison, compare_systems
from evals.core import Measure, Passage, RunRecord, Score, Solver, State, Task, report_of, values_of
from evals.errors import DatasetError
from evals.graph.questions import (
    EVIDENCE,
    Page,
    TwoHopQuestion,
    pages_of,
    two_hop_samples,
)
from evals.solvers.facts import search_facts
from evals.statistics import Interval, PairedResult, bootstrap, mean_of, paired_bootstrap
from rostra.ingest import AnySource, GraphBuilder, OnProgress, list_sources
from rostra.retrieval import GraphSearcher, GraphWeights, Searches, SearchRequest
from rostra.runtime import Runtime
from rostra.store import document_versions, get_collection, get_text

COLLECTION = "graph-documentation"
DOCS = (Path("/usr/share/doc/postgresql-doc-15/html"), Path("/usr/share/doc/python3.11/html"))
DEPTHS = (5, 10, 20)
_RESAMPLES = 2_000
_SEED = 0
_ENOUGH = 0.5  # of a piece of evidence


class GraphSolver:
    """One way to search, as a solver.

    Args:
        name: of the system.
        searcher: plain, or with the graph.
        config: what its results depend on.
    """

    def __init__(self, name: str, searcher: Searches, config: dict[str, Any]) -> None:
        self.name = name
        self._searcher = searcher
        self._config = config

    def config(self) -> dict[str, Any]:
        """See `Solver.config`."""
        return self._config

    async def __call__(self, state: State, seed: int) -> State:
        """See `Solver`."""
        found = await self._searcher.search(
            SearchRequest(state.sample.input, (COLLECTION,), k=max(DEPTHS))
        )
        passages = [
            Passage(hit.uri, score=hit.score, start=hit.start, end=hit.end) for hit in found.hits
        ]
        return msgspec.structs.replace(state, passages=passages)


class EvidenceScorer:
    """Whether the evidence of a question is among the first hits."""

    name = "evidence"

    @property
    def measures(self) -> Sequence[Measure]:
        """Means over questions."""
        return tuple(
            Measure(f"{name}@{depth}", unit="score")
            for depth in DEPTHS
            for name in ("both", "recall")
        )

    def config(self) -> dict[str, Any]:
        """See `Scorer.config`."""
        return {"depths": list(DEPTHS), "enough": _ENOUGH}

    async def __call__(self, state: State, seed: int) -> Sequence[Score]:
        """See `Scorer`."""
        pieces = state.sample.data[EVIDENCE]
        scores = []
        for depth in DEPTHS:
            found = [_is_found(piece, state.passages[:depth]) for piece in pieces]
            scores.append(Score(f"both@{depth}", float(all(found))))
            scores.append(Score(f"recall@{depth}", sum(found) / len(found)))
        return scores


def _is_found(piece: dict[str, Any], passages: Sequence[Passage]) -> bool:
    return any(
        passage.document == piece["uri"]
        and min(passage.end, end) - max(passage.start, start) >= _ENOUGH * (end - start)
        for passage in passages
        for start, end in piece["spans"]
    )


async def two_hop_tasks(
    runtime: Runtime,
    questions: Sequence[TwoHopQuestion],
    docs: Sequence[Path] = DOCS,
    *,
    distractors: int | None = None,
    on_ingest: OnProgress | None = None,
    on_build: Callable[[str], None] = lambda _: None,
) -> list[Task]:
    """Takes the pages in, builds their graph, and gives the two tasks.

    Args:
        runtime: of a workspace, which keeps the pages for the next run; see `open_workspace`.
        docs: folders of HTML pages.
        distractors: pages beside those that the questions take, drawn by a fixed seed; None takes
            all.
        on_build: told of the stages of the graph.

    Raises:
        DatasetError: there is no page, or no question is left.
    """
    sources = _chosen(runtime, docs, pages_of(questions), distractors)
    if not sources:
        raise DatasetError(
            "no HTML pages in " + ", ".join(str(folder) for folder in docs),
            hint="Install the packages postgresql-doc-15 and python3.11-doc, or name --docs.",
        )
    await runtime.ingester.ingest(
        sources, COLLECTION, on_progress=on_ingest, delete_missing=("file:",)
    )
    report = await GraphBuilder(runtime.database).build(
        COLLECTION, lambda progress: on_build(progress.stage)
    )
    async with runtime.database.read() as session:
        collection = await get_collection(session, COLLECTION)
        versions = await document_versions(session, collection.id)
        texts = {
            page: Page(uri, await get_text(session, versions[uri].id))
            for page in pages_of(questions)
            for uri in versions
            if uri.endswith(f"/{page}")
        }
    dataset = two_hop_samples(questions, texts.get)
    facts = await asyncio.to_thread(search_facts, runtime, rerank=False)
    corpus = {"documents": len(versions), "chunks": report.chunks}
    weights = GraphWeights()
    graph = GraphSearcher(runtime.searcher, runtime.database, runtime.settings, weights)
    told = {"entities": report.entities, "relations": report.relations}
    told |= {"communities": report.communities}
    both = {"graph_weight": weights.graph, "community_weight": weights.communities}
    solvers: list[Solver] = [
        GraphSolver("plain", runtime.searcher, facts | corpus),
        GraphSolver("graph", graph, facts | corpus | told | both),
    ]
    # Never cached: answers hang on this very code, and searching again is quick.
    return [Task(dataset, solver, [EvidenceScorer()], cached=False) for solver in solvers]


def _chosen(
    runtime: Runtime, docs: Sequence[Path], needed: Sequence[str], distractors: int | None
) -> list[AnySource]:
    listed = list_sources([folder for folder in docs if folder.is_dir()], runtime.settings).sources
    pages = [source for source in listed if source.name.endswith((".html", ".htm"))]
    if distractors is None:
        return [*pages]
    wanted = tuple(f"/{page}" for page in needed)
    kept = [page for page in pages if page.uri.endswith(wanted)]
    others = [page for page in pages if not page.uri.endswith(wanted)]
    drawn = random.Random(_SEED).sample(others, min(distractors, len(others)))
    return [*kept, *drawn]


@dataclass(frozen=True, slots=True)
class TwoHopReport:
    """All that is said of a run, from its file alone.

    Attributes:
        intervals: bootstrap's, by system and measure.
        comparisons: the graph against plain search by every measure, with the bootstrap beside.
    """

    record: RunRecord
    intervals: dict[tuple[str, str], Interval | None]
    comparisons: tuple[tuple[Comparison, PairedResult | None], ...]

    def to_dict(self) -> dict[str, Any]:
        """As `--json` prints it."""
        report = report_of(self.record)
        whole = report.to_dict()
        rows = []
        for task in report.tasks:
            row: dict[str, Any] = {"system": task.header.solver, "questions": task.header.samples}
            intervals: dict[str, list[float] | None] = {}
            for one in task.measures:
                name, estimate = one.measure.name, one.estimate
                row[name] = None if estimate is None else round(estimate.mean, 4)
                interval = self.intervals.get((task.header.solver, name))
                intervals[name] = (
                    None if interval is None else [round(interval.low, 4), round(interval.high, 4)]
                )
            rows.append(
                row
                | {"intervals": intervals, "failed": task.failed}
                | {"config": task.header.solver_config}
            )
        return {
            "run": report.run,
            "complete": report.is_complete,
            "results": rows,
            "comparisons": [_compared(*one) for one in self.comparisons],
            "mixed": whole["mixed"],
            "tasks": whole["tasks"],
        }


def report_two_hop(record: RunRecord, *, seed: int = 0) -> TwoHopReport:
    """Compares search with and without the graph.

    Args:
        seed: of the tests and of the bootstrap.
    """
    values: dict[tuple[str, str], dict[str, float]] = {}
    for number, task in enumerate(record.header.tasks):
        own = [outcome for outcome in record.outcomes if outcome.task == number]
        for measure in task.measures:
            values[task.solver, measure.name] = values_of(own, measure)[0]
    intervals = {
        key: bootstrap(list(of.values()), mean_of, resamples=_RESAMPLES, seed=seed).interval
        for key, of in values.items()
        if len(of) > 1
    }

    def beside(one: Comparison) -> PairedResult | None:
        new = values.get((one.candidate_system, one.measure.name), {})
        old = values.get((one.baseline_system, one.measure.name), {})
        shared = [sample for sample in old if sample in new]
        if not shared:
            return None
        return paired_bootstrap(
            [new[sample] for sample in shared],
            [old[sample] for sample in shared],
            resamples=_RESAMPLES,
            seed=seed,
        )

    found = compare_systems(record, seed=seed)
    return TwoHopReport(record, intervals, tuple((one, beside(one)) for one in found))


def _compared(one: Comparison, beside: PairedResult | None) -> dict[str, Any]:
    told = one.to_dict()
    if beside is not None:
        interval = beside.interval
        told["bootstrap"] = {
            "low": None if interval is None else interval.low,
            "high": None if interval is None else interval.high,
            "p": beside.p_value,
        }
    return told
