"""Retrieval on judged sets: each search mode, and rankings of other systems, query by query.

What always holds: all sets and systems are tasks of one run; systems are compared with each other
on the same queries, with p-values adjusted for all comparisons of the run.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from evals.beir import JudgedSet
from evals.compare import Comparison, adjusted, compare_systems, comparison_section
from evals.core import RunRecord, Section, Solver, Task, report_of, values_of
from evals.errors import DatasetError
from evals.ingested import ingest_set
from evals.retrieval_measures import DEPTH, K, RankingScorer
from evals.retrieval_rankings import RankedSolver, Rankings, with_rankings
from evals.solvers.expanded import ExpandedSolver
from evals.solvers.search import SearchSolver
from evals.statistics import PairedResult, paired_bootstrap
from evals.tuning.tune import judged_queries, tune
from rostra.ingest import OnProgress
from rostra.retrieval import SearchMode
from rostra.runtime import Runtime, store_collection_tokens

_RESAMPLES = 2_000  # of the bootstrap, which stands beside the randomisation test


async def retrieval_tasks(
    runtime: Runtime,
    judged: JudgedSet,
    *,
    k: int = K,
    depth: int = DEPTH,
    rankings: Sequence[Rankings] = (),
    on_ingest: OnProgress | None = None,
    late: bool = False,
    tuned: bool = False,
    on_done: Callable[[str, int, int], None] = lambda stage, done, total: None,
) -> list[Task]:
    """Ingests a set and gives its tasks: each search mode, and rankings of other systems.

    Args:
        runtime: of a workspace, which has to stay open while the tasks run; see `open_workspace`.
            `reranked` is among the modes where a reranker is set, `hybrid+...` where
            `query_strategies` are.
        k: places that nDCG, precision and MRR look at.
        depth: documents asked for, which recall and MAP look at.
        late: late interaction is one of the systems; its token vectors are stored first.
        tuned: so is search with weights that were tuned on the queries of other folds.
        on_done: called with what is done, how many there are done of it, and of how many.

    Raises:
        PathNotFound: the set has no corpus.
        DatasetError: the corpus has no document.
    """
    ingested = await ingest_set(runtime, judged, on_ingest=on_ingest)
    collection, dataset, digest = ingested.collection, ingested.dataset, ingested.digest

    def solvers() -> list[Solver]:
        modes = [
            (mode, False) for mode in (SearchMode.DENSE, SearchMode.LEXICAL, SearchMode.HYBRID)
        ]
        if runtime.settings.reranker_model:
            modes.append((SearchMode.HYBRID, True))
        found: list[Solver] = [
            SearchSolver(runtime, collection, digest, mode, rerank=rerank, k=depth)
            for mode, rerank in modes
        ]
        if late:
            mode = SearchMode.HYBRID
            found.append(SearchSolver(runtime, collection, digest, mode, k=depth, late=True))
        if strategies := runtime.settings.query_strategies:
            found.append(ExpandedSolver(runtime, collection, digest, strategies, k=depth))
        return found

    if late:
        await store_collection_tokens(
            runtime, collection, lambda done, total: on_done("token vectors", done, total)
        )
    others = list(rankings)
    if tuned:
        asked = len(dataset.samples)
        gathered = await judged_queries(
            runtime,
            collection,
            {sample.id: str(sample.input) for sample in dataset.samples},
            judged.relevant,
            late=late,
            depth=depth,
            on_query=lambda done: on_done("candidates", done, asked),
        )
        others.append(tune(judged.name, gathered, runtime.settings, k=k, depth=depth).rankings)

    scorer = RankingScorer(k, depth)
    # Never cached: answers hang on this very code, and searching again is quick.
    # In a thread, as the embedder may have to be loaded.
    tasks = [
        Task(dataset, solver, [scorer], cached=False) for solver in await asyncio.to_thread(solvers)
    ]
    tasks += [
        Task(with_rankings(dataset, one), RankedSolver(one, depth), [scorer], cached=False)
        for one in others
    ]
    if len({task.solver.name for task in tasks}) < len(tasks):
        raise DatasetError(
            f"two systems on {judged.name} have the same name",
            hint="A ranking goes by the tag in its TREC run, or by its file's name.",
        )
    return tasks


@dataclass(frozen=True, slots=True)
class RetrievalReport:
    """All that is said of a run, from its file alone.

    Attributes:
        comparisons: of each two systems on a set, by every measure, with the bootstrap beside;
            the p-values of either are adjusted after Holm over all comparisons, each by itself.
    """

    record: RunRecord
    comparisons: tuple[tuple[Comparison, PairedResult | None], ...]

    @property
    def section(self) -> Section:
        """The comparisons as a table; see `comparison_section`."""
        return comparison_section(self.record, [one for one, _ in self.comparisons])

    def to_dict(self, *, wins: int = 0) -> dict[str, Any]:
        """As `--json` prints it.

        Args:
            wins: queries of each comparison that are named, of either side.
        """
        report = report_of(self.record)
        whole = report.to_dict()
        rows = []
        for task in report.tasks:
            row: dict[str, Any] = {"dataset": task.header.dataset, "mode": task.header.solver}
            intervals: dict[str, list[float] | None] = {}
            for one in task.measures:
                name, estimate = one.measure.name, one.estimate
                row[name] = None if estimate is None else round(estimate.mean, 4)
                interval = None if estimate is None else estimate.interval
                intervals[name] = (
                    None if interval is None else [round(interval.low, 4), round(interval.high, 4)]
                )
            row["queries"] = task.header.samples
            rows.append(row | {"intervals": intervals, "failed": task.failed})
        return {
            "run": report.run,
            "complete": report.is_complete,
            "results": rows,
            "comparisons": [
                _compared(one, beside, by_bootstrap, wins)
                for (one, beside), by_bootstrap in zip(
                    self.comparisons, self._by_bootstrap(), strict=True
                )
            ],
            "mixed": whole["mixed"],
            "tasks": whole["tasks"],
        }

    def _by_bootstrap(self) -> list[float | None]:
        """P-values of the bootstrap, adjusted as those of the randomisation tests are."""
        given = [
            replace(one, p_value=None if beside is None else beside.p_value, adjusted=None)
            for one, beside in self.comparisons
        ]
        return [one.adjusted for one in adjusted(given)]


def report_retrieval(record: RunRecord, *, seed: int = 0) -> RetrievalReport:
    """Compares the systems of a run.

    Args:
        seed: of the tests.
    """
    found = compare_systems(record, seed=seed)
    values: dict[tuple[str, str, str], dict[str, float]] = {}
    for number, task in enumerate(record.header.tasks):
        own = [outcome for outcome in record.outcomes if outcome.task == number]
        for measure in task.measures:
            key = (task.dataset, task.solver, measure.name)
            values[key] = values_of(own, measure)[0]

    def beside(one: Comparison) -> PairedResult | None:
        measure = one.measure.name
        new = values.get((one.dataset, one.candidate_system, measure), {})
        old = values.get((one.dataset, one.baseline_system, measure), {})
        shared = [sample for sample in old if sample in new]
        if not shared:
            return None
        return paired_bootstrap(
            [new[sample] for sample in shared],
            [old[sample] for sample in shared],
            resamples=_RESAMPLES,
            seed=seed,
        )

    return RetrievalReport(record, tuple((one, beside(one)) for one in found))


def wins_and_losses(comparison: Comparison, most: int) -> list[dict[str, Any]]:
    """The queries that gained and lost most, the greatest loss first.

    Args:
        most: of gains, and of losses.
    """
    changed = comparison.samples
    losses = [one for one in changed if one.candidate < one.baseline][:most]
    gains = [one for one in changed if one.candidate > one.baseline]
    return [
        {
            "query": one.sample,
            "text": one.input,
            "baseline": round(one.baseline, 4),
            "candidate": round(one.candidate, 4),
            "difference": round(one.candidate - one.baseline, 4),
        }
        for one in [*losses, *gains[max(0, len(gains) - most) :]]
    ]


def _compared(
    one: Comparison, beside: PairedResult | None, by_bootstrap: float | None, wins: int
) -> dict[str, Any]:
    told = one.to_dict()
    if beside is not None:
        interval = beside.interval
        told["bootstrap"] = {
            "low": interval.low if interval else None,
            "high": interval.high if interval else None,
            "p": beside.p_value,
            "p_holm": by_bootstrap,
        }
    if wins:
        told["queries"] = wins_and_losses(one, wins)
    return told
