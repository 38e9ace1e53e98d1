"""Tunes how a collection's hits are ranked, and says what that gains on queries not tuned on.

What always holds: figures called tuned are cross-validated, each query's by weights that the
queries of other folds chose; weights that do not gain in that way are not kept, nor is anything
where queries are few. Intervals of measures lie where the measures do.
"""

import asyncio
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import msgspec
import numpy as np

from evals.core.dataset import Problems
from evals.core.samples import Problem
from evals.errors import DatasetError
from evals.retrieval_measures import DEPTH, K
from evals.retrieval_rankings import Rankings
from evals.statistics import Estimate, Interval, PairedResult, mean_estimate, paired_randomisation
from evals.tuning.choices import (
    Choice,
    Floats,
    JudgedQuery,
    choices,
    ndcg,
    ranking,
    recall,
    untuned,
)
from evals.tuning.folds import FOLDS, ROUNDS, CrossValidated, best_way, cross_validate
from rostra.core import Settings
from rostra.retrieval import (
    Calibration,
    SearchRequest,
    Tuning,
    fit_calibration,
    lexical_share,
    searchable_text,
)
from rostra.runtime import Runtime
from rostra.store import get_collection

# With fewer a gain is chance, and weights would change on it.
LEAST_QUERIES = 20
_RESAMPLES = 10_000


async def judged_queries(
    runtime: Runtime,
    collection: str,
    queries: Mapping[str, str],
    relevant: Mapping[str, Mapping[str, int]],
    *,
    late: bool,
    depth: int = DEPTH,
    on_query: Callable[[int], None] = lambda done: None,
) -> list[JudgedQuery]:
    """The candidates of each query with all their raw scores.

    Args:
        queries: texts by id.
        relevant: relevance by document by query.
        late: with those of late interaction, which takes long where no token vectors are stored.
        depth: hits that are asked for, which decides how many candidates each side finds.
        on_query: called with 1 after each.

    Raises:
        CollectionNotFound: there is no such collection.
        ModelUnavailable: the embedding model gives no vectors of tokens.
    """
    async with runtime.database.read() as session:
        found = await get_collection(session, collection)
    reranker = None
    if late:
        reranker = await asyncio.to_thread(runtime.late.reranker, [found.id])
    gathered = []
    for query, text in queries.items():
        result = await runtime.searcher.search(
            SearchRequest(text, (collection,), k=depth, candidates=True)
        )
        hits = result.hits
        scores = None
        if reranker is not None:
            texts = [searchable_text(hit.context, hit.text) for hit in hits]
            scores = await asyncio.to_thread(reranker.scores, result.query, texts)
        lexical = np.array([hit.scores.lexical or np.nan for hit in hits], np.float64)
        shares = [lexical_share(hit.scores.lexical, result.term_weights) for hit in hits]
        gathered.append(
            JudgedQuery(
                id=query,
                documents=tuple(hit.uri for hit in hits),
                dense=np.array([hit.scores.dense for hit in hits], np.float64),
                lexical=lexical,
                shares=np.array(shares, np.float64),
                late=scores,
                relevant=relevant[query],
            )
        )
        on_query(1)
    return gathered


@dataclass(frozen=True, slots=True)
class Compared:
    """One measure, untuned and tuned."""

    measure: str
    untuned: Estimate
    tuned: Estimate
    difference: PairedResult


@dataclass(frozen=True, slots=True)
class CalibrationQuality:
    """How good probabilities are, on queries that they were not fitted on.

    Attributes:
        brier: mean squared error, lower is better.
        base: of always saying the share of relevant candidates.
    """

    brier: float
    base: float


@dataclass(frozen=True, slots=True)
class TuningReport:
    """What tuning found.

    Attributes:
        name: of what was tuned.
        queries: how many.
        before: what the settings say.
        found: the best on all queries.
        kept: `found` where it gained when cross-validated, on enough queries, else `before`.
        compared: by measure; `tuned` is cross-validated.
        calibration: fitted on all queries; None where none could be.
        quality: of it.
        folds, rounds: of the cross-validation.
        late: whether late interaction was tried.
        rankings: of each query by the weights that the other folds chose.
        problems: of the judgements.
    """

    name: str
    queries: int
    before: Choice
    found: Choice
    kept: Choice
    compared: tuple[Compared, ...]
    calibration: Calibration | None
    quality: CalibrationQuality | None
    folds: int
    rounds: int
    late: bool
    rankings: Rankings
    problems: tuple[Problem, ...] = ()

    @property
    def enough(self) -> bool:
        """Whether it says enough for anything of it to be kept."""
        return self.queries >= LEAST_QUERIES

    def tuning(self, space: str) -> Tuning:
        """What to keep for the collection."""
        return Tuning(
            space=space,
            fusion=self.kept.fusion,
            dense_weight=self.kept.dense_weight,
            rerank_weight=self.kept.rerank_weight if self.late else None,
            calibration=self.calibration,
            queries=self.queries,
        )

    def to_dict(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return {
            "name": self.name,
            "queries": self.queries,
            "folds": self.folds,
            "rounds": self.rounds,
            "late": self.late,
            "least_queries": LEAST_QUERIES,
            "enough": self.enough,
            "problems": msgspec.to_builtins(self.problems),
            "before": asdict(self.before),
            "found": asdict(self.found),
            "kept": asdict(self.kept),
            "measures": [
                {
                    "measure": one.measure,
                    "untuned": _told(one.untuned),
                    "tuned_cross_validated": _told(one.tuned),
                    "difference": round(one.difference.difference, 4),
                    "interval": _ends(one.difference.interval),
                    "p": one.difference.p_value,
                }
                for one in self.compared
            ],
            "calibration": (
                None if self.calibration is None else msgspec.to_builtins(self.calibration)
            ),
            "brier": None if self.quality is None else round(self.quality.brier, 5),
            "brier_base": None if self.quality is None else round(self.quality.base, 5),
        }


def tune(
    name: str,
    queries: Sequence[JudgedQuery],
    settings: Settings,
    *,
    k: int = K,
    depth: int = DEPTH,
    folds: int = FOLDS,
    rounds: int = ROUNDS,
    seed: int = 0,
) -> TuningReport:
    """Finds the weights with the best nDCG, and what they are worth.

    Args:
        k: places that nDCG looks at, which is what is tuned.
        depth: places that recall looks at, reported beside.
        seed: of the folds and the tests.

    Raises:
        DatasetError: there are fewer than two queries, or none has a relevant candidate.
    """
    late = bool(queries) and all(query.late is not None for query in queries)
    tried = choices(settings, late=late)
    values = {
        f"ndcg@{k}": np.zeros((len(tried), len(queries))),
        f"recall@{depth}": np.zeros((len(tried), len(queries))),
    }
    first, second = values.values()
    for at, query in enumerate(queries):
        for way, choice in enumerate(tried):
            ranked = _ranked(query, choice, settings, depth)
            first[way, at] = ndcg(query.relevant, ranked, k)
            second[way, at] = recall(query.relevant, ranked, depth)
    if not first.any():
        raise DatasetError(
            f"{name}: no query finds a document that is judged relevant",
            hint="Judgements name documents by their address in the collection, its `uri`.",
        )
    held_out = cross_validate(first, folds=folds, rounds=rounds, seed=seed)
    best = tried[best_way(first)]
    compared = tuple(_compared(measure, one, held_out, seed) for measure, one in values.items())
    gains = compared[0].difference.difference > 0
    calibration, quality = _calibrated(queries, held_out)
    documents = {
        query.id: _ranked(query, tried[int(way)], settings, depth)
        for query, way in zip(queries, held_out.chosen[0], strict=True)
    }
    return TuningReport(
        name=name,
        queries=len(queries),
        before=tried[0],
        found=best,
        kept=best if gains and len(queries) >= LEAST_QUERIES else untuned(settings),
        compared=compared,
        calibration=calibration,
        quality=quality,
        folds=min(folds, len(queries)),
        rounds=rounds,
        late=late,
        rankings=_rankings("tuned", documents),
    )


def _ranked(query: JudgedQuery, choice: Choice, settings: Settings, depth: int) -> list[str]:
    reranked = max(depth, settings.rerank_candidates)
    return ranking(query, choice, reranked=reranked, rrf_k=settings.rrf_k)[:depth]


def _compared(measure: str, values: Floats, held_out: CrossValidated, seed: int) -> Compared:
    before, after = values[0], held_out.values(values)
    difference = paired_randomisation(after, before, resamples=_RESAMPLES, seed=seed)
    return Compared(
        measure,
        _share(before),
        _share(after),
        replace(difference, interval=_within(difference.interval, -1.0, 1.0)),
    )


def _share(values: Floats) -> Estimate:
    """The mean of shares; t alone does not know that they lie from 0 to 1."""
    estimate = mean_estimate(values)
    return replace(estimate, interval=_within(estimate.interval, 0.0, 1.0))


def _within(interval: Interval | None, least: float, most: float) -> Interval | None:
    if interval is None:
        return None
    return replace(interval, low=max(least, interval.low), high=min(most, interval.high))


def _calibrated(
    queries: Sequence[JudgedQuery], held_out: CrossValidated
) -> tuple[Calibration | None, CalibrationQuality | None]:
    """A calibration on all queries, and how good one is on queries it was not fitted on."""
    dense = [query.dense for query in queries]
    shares = [query.shares for query in queries]
    relevant = [
        np.array([query.relevant.get(one, 0) > 0 for one in query.documents], np.bool_)
        for query in queries
    ]
    everything = np.concatenate(relevant)
    if not everything.any() or everything.all():
        return None, None
    whole = fit_calibration(np.concatenate(dense), np.concatenate(shares), everything)
    errors: list[Floats] = []
    base: list[Floats] = []
    for fold in np.unique(held_out.folds[0]):
        out = np.flatnonzero(held_out.folds[0] == fold)
        rest = np.flatnonzero(held_out.folds[0] != fold)
        known = np.concatenate([relevant[at] for at in rest])
        if not known.any() or known.all():
            return whole, None
        fitted = fit_calibration(
            np.concatenate([dense[at] for at in rest]),
            np.concatenate([shares[at] for at in rest]),
            known,
        )
        for at in out:
            errors.append((fitted.probabilities(dense[at], shares[at]) - relevant[at]) ** 2)
            base.append((known.mean() - relevant[at]) ** 2)
    return whole, CalibrationQuality(
        float(np.concatenate(errors).mean()), float(np.concatenate(base).mean())
    )


def _rankings(name: str, documents: Mapping[str, Sequence[str]]) -> Rankings:
    placed = {
        query: [(document, -float(at)) for at, document in enumerate(ranked)]
        for query, ranked in documents.items()
    }
    digest = hashlib.sha256(msgspec.json.encode(placed, order="sorted")).hexdigest()[:32]
    return Rankings(name, digest, placed, Problems())


def _told(estimate: Estimate) -> dict[str, Any]:
    return {"mean": round(estimate.mean, 4), "interval": _ends(estimate.interval)}


def _ends(interval: Any) -> list[float] | None:
    return None if interval is None else [round(interval.low, 4), round(interval.high, 4)]
