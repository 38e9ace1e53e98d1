"""One ranking of several queries' results: weighted reciprocal rank fusion of hits.

What always holds: the question itself has more than half of the weight; what is equal in all
results keeps its order; equal scores are told apart by rank under the question and then by place in
the documents, never by when anything was stored or asked. Scores of different queries do not
compare, so only ranks do (Cormack, Clarke & Buettcher 2009).
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from rostra.retrieval.hits import Hit, HitScores

# Set on Cranfield, where three unrelated questions in the place of other wordings then cost nothing
# of nDCG@10. With even halves and the usual constant of 60, which makes near ranks nearly equal,
# they cost 0.07. What only other wordings find stands behind the six best of the question.
QUESTION_SHARE = 0.6
RANK_CONSTANT = 10


def merge_hits(
    question: Sequence[Hit],
    others: Sequence[Sequence[Hit]],
    *,
    k: int,
    rrf_k: int = RANK_CONSTANT,
    per_document: int | None = None,
) -> list[Hit]:
    """The best hits of all, best first, each once.

    A hit that the question did not find has no partial scores: none was computed for the question.

    Args:
        question: what the question itself found, best first.
        others: what each further query found, best first; they share the rest of the weight evenly.
        k: most hits.
        rrf_k: rank constant.
        per_document: most hits of one document; None sets no limit.
    """
    if not others:
        return list(question[:k])
    share = (1 - QUESTION_SHARE) / len(others)
    scores: dict[UUID, float] = {}
    hits: dict[UUID, Hit] = {hit.chunk_id: hit for hit in question}
    for weight, found in [(QUESTION_SHARE, question), *((share, one) for one in others)]:
        for rank, hit in enumerate(found, 1):
            scores[hit.chunk_id] = scores.get(hit.chunk_id, 0.0) + weight / (rrf_k + rank)
            hits.setdefault(hit.chunk_id, replace(hit, scores=HitScores()))
    # Rounded: sums of the same parts in another order must not part hits.
    scores = {chunk_id: round(score, 12) for chunk_id, score in scores.items()}
    own = {hit.chunk_id: rank for rank, hit in enumerate(question)}

    def order(hit: Hit) -> tuple[float, int, str, str, int, int]:
        rank = own.get(hit.chunk_id, len(own))
        return -scores[hit.chunk_id], rank, hit.collection, hit.uri, hit.start, hit.end

    taken: Counter[UUID] = Counter()
    shown: list[Hit] = []
    known: set[UUID] = set()
    for hit in sorted(hits.values(), key=order):
        if len(shown) == k:
            break
        # A near duplicate of what stands above: other queries may show another one of them.
        if hit.chunk_id in known or not known.isdisjoint(hit.near_duplicates):
            continue
        taken[hit.document_id] += 1
        if per_document is not None and taken[hit.document_id] > per_document:
            continue
        known |= {hit.chunk_id, *hit.near_duplicates}
        shown.append(replace(hit, score=scores[hit.chunk_id]))
    return shown
