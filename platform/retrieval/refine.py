"""What becomes of candidates after both sides found them: how they are fused, reranked and varied.

What always holds: nothing here adds a hit; one is dropped only by a `min_probability` that was
asked for. What takes too long is left out, and the result says so.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

import numpy as np

from rostra.core import FusionKind, InvalidRequest, ModelUnavailable, Settings
from rostra.retrieval.calibration import Calibration, default_calibration, hit_probabilities
from rostra.retrieval.diversity import diverse_order
from rostra.retrieval.fuse import min_max
from rostra.retrieval.hits import Hit
from rostra.retrieval.index import searchable_text
from rostra.retrieval.indexes import lexical_model
from rostra.retrieval.lexical import Bm25
from rostra.retrieval.rerank import LateInteraction, LateReranker, Reranker, rerank_hits
from rostra.retrieval.tuning import tuning_of
from rostra.store import Collection, Database, vectors_of_chunks

# Passages that are read within a tenth of a second or so on two cores.
_MOST_READ = 5

Watch = Callable[[str], AbstractContextManager[None]]


@dataclass(frozen=True, slots=True)
class Plan:
    """How the hits of one search are ranked.

    Attributes:
        fusion: how two rankings become one.
        dense_weight: of the dense side.
        reranker: reads the best hits; None where nothing does.
        rerank_weight: of the reranker beside the score that hits come with.
        diversity: see `diverse_order`.
        calibration: tells how likely a hit is relevant.
        wanted: hits to fill in, at most.
        most_read: passages that the model may have to read for late interaction, which then is
            left out; None where time does not matter.
    """

    fusion: FusionKind
    dense_weight: float
    reranker: Reranker | None
    rerank_weight: float
    diversity: float
    calibration: Calibration | None
    wanted: int
    most_read: int | None = None


@dataclass(frozen=True, slots=True)
class Refined:
    """Hits in their last order; `reranked` says whether a reranker had its say."""

    hits: list[Hit]
    reranked: bool


class Refiner:
    """Plans and carries out what comes after fusion. Safe to share between tasks.

    Args:
        database: where vectors are, for diversity.
        settings: weights and limits.
        reranker: the cross-encoder, where one is set; called in a thread.
        late: late interaction; None where there is none.
    """

    def __init__(
        self,
        database: Database,
        settings: Settings,
        reranker: Callable[[], Reranker | None],
        late: LateInteraction | None = None,
    ) -> None:
        self._database = database
        self._settings = settings
        self._cross = reranker
        self._late = late

    def plan(
        self,
        collections: Sequence[Collection],
        k: int,
        *,
        automatic: bool = True,
        rerank: bool | None = None,
        diversity: float | None = None,
        min_probability: float | None = None,
    ) -> Plan:
        """How a search over these collections is ranked. May block while a model loads.

        Args:
            automatic: late interaction may be chosen where nobody asked for it.
            rerank: as asked for; None leaves it to the settings.
            diversity: likewise.
            min_probability: likewise.

        Raises:
            InvalidRequest: a probability is asked for, nothing was tuned, and the embedding model
                has no curve of its own.
            ModelUnavailable: the reranker that the settings name cannot be had.
        """
        tuning = tuning_of(collections)
        calibration = tuning.calibration if tuning is not None else None
        if calibration is None and lexical_model(self._settings) == Bm25():  # as it was fitted
            calibration = default_calibration(one.space for one in collections)
        if min_probability is not None and calibration is None:
            raise InvalidRequest(
                "nothing says how likely hits of this search are relevant",
                field="min_probability",
                hint="Run `rostra tune` on the collection, and search that one alone.",
            )
        settings = self._settings
        varied = settings.diversity if diversity is None else diversity
        weight = settings.rerank_weight
        if tuning is not None and tuning.rerank_weight is not None:
            weight = tuning.rerank_weight
        reranker = None
        if rerank is not False:
            reranker = self._pick(collections, rerank is True, automatic, weight)
        more = reranker is not None or varied > 0
        return Plan(
            fusion=tuning.fusion if tuning is not None else settings.fusion,
            dense_weight=tuning.dense_weight if tuning is not None else settings.dense_weight,
            reranker=reranker,
            rerank_weight=(
                weight if isinstance(reranker, LateReranker) else settings.cross_encoder_weight
            ),
            diversity=varied,
            calibration=calibration,
            wanted=max(k, settings.rerank_candidates) if more else k,
            most_read=self._most_read(reranker, rerank is True),
        )

    def _most_read(self, reranker: Reranker | None, asked: bool) -> int | None:
        """How many passages may be computed where nobody asked for late interaction."""
        if asked or self._settings.reranker == "late" or not isinstance(reranker, LateReranker):
            return None
        return None if reranker.is_fast else _MOST_READ

    def _pick(
        self, collections: Sequence[Collection], asked: bool, automatic: bool, weight: float
    ) -> Reranker | None:
        """The reranker of a search; late interaction by itself only where it costs little."""
        kind = self._settings.reranker
        if kind == "off":
            return None
        if kind != "late" and (cross := self._cross()) is not None:
            return cross
        late = self._late
        if late is None or kind == "cross":
            return None
        ids = [one.id for one in collections]
        if kind == "late":
            return late.reranker(ids)
        stored = len(collections) == 1 and late.is_stored(collections[0].id, collections[0].space)
        if not asked and (not automatic or not weight):
            return None
        if not (asked or stored or late.is_fast()):
            return None
        try:
            return late.reranker(ids)
        except ModelUnavailable:
            return None  # nobody named this reranker

    async def refine(self, plan: Plan, query: str, hits: Sequence[Hit], watch: Watch) -> Refined:
        """Reranks and varies hits as planned.

        Args:
            hits: best first.
            watch: times a stage.
        """
        refined = Refined(list(hits), False)
        if plan.reranker is not None and not _takes_long(plan, hits):
            with watch("rerank"):
                done = await rerank_hits(
                    plan.reranker,
                    query,
                    hits,
                    seconds=self._settings.rerank_seconds,
                    weight=plan.rerank_weight,
                )
            refined = Refined(done.hits, done.done)
        if plan.diversity > 0 and len(hits) > 1:
            with watch("diversity"):
                refined = Refined(await self._varied(plan, refined.hits), refined.reranked)
        return refined

    async def _varied(self, plan: Plan, hits: list[Hit]) -> list[Hit]:
        async with self._database.read() as session:
            vectors = await vectors_of_chunks(session, [hit.chunk_id for hit in hits])
        if len({len(vector) for vector in vectors.values()}) != 1 or len(vectors) < len(hits):
            return hits  # of several spaces, or changed meanwhile
        matrix = np.stack([vectors[hit.chunk_id] for hit in hits])
        relevance = min_max(np.array([hit.score for hit in hits]))
        return [hits[row] for row in diverse_order(relevance, matrix, plan.diversity, len(hits))]


def _takes_long(plan: Plan, hits: Sequence[Hit]) -> bool:
    """Whether late interaction, which nobody asked for, would have to read many passages first."""
    if plan.most_read is None or not isinstance(plan.reranker, LateReranker):
        return False
    passages = [searchable_text(hit.context, hit.text) for hit in hits]
    return plan.reranker.missing(passages) > plan.most_read


def judged(
    plan: Plan,
    hits: Sequence[Hit],
    term_weights: Mapping[str, float],
    k: int,
    min_probability: float | None,
) -> tuple[list[Hit], float | None]:
    """The first `k` hits that are likely enough, and how likely the likeliest is relevant.

    The probability is None where there is no calibration, or a side did not score.
    """
    if plan.calibration is None:
        return list(hits[:k]), None
    chances = hit_probabilities(plan.calibration, hits, term_weights)
    if chances is None:
        return list(hits[:k]), None
    kept = [
        (hit, float(chance))
        for hit, chance in zip(hits, chances, strict=True)
        if min_probability is None or chance >= min_probability
    ][:k]
    shown = [chance for _, chance in kept]
    likeliest = max(shown) if shown else float(chances.max(initial=0.0))
    return [hit for hit, _ in kept], round(likeliest, 4)
