"""What lexical tests hold results against: rank-bm25, built anew of the rows that are there."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from rank_bm25 import BM25L, BM25Okapi, BM25Plus

from rostra.retrieval.lexical import Bm25, LexicalReader, Scores, Variant, best_positions

MODELS = {Variant.OKAPI: BM25Okapi, Variant.PLUS: BM25Plus, Variant.L: BM25L}
Rows = Sequence[Sequence[str] | None]


def expected_scores(rows: Rows, query: Sequence[str], variant: Variant) -> Scores:
    """rank-bm25's scores by position; NaN for rows that are gone (None) or share no term."""
    live = [(at, list(row)) for at, row in enumerate(rows) if row is not None]
    scores = np.full(len(rows), np.nan)
    if not any(row for _, row in live):
        return scores
    found = MODELS[variant]([row for _, row in live]).get_scores(list(query))
    for (at, row), score in zip(live, found, strict=True):
        if not set(row).isdisjoint(query):
            scores[at] = score
    return scores


def check(
    reader: LexicalReader, rows: Rows, queries: Sequence[Sequence[str]], seed: int = 0
) -> None:
    """Scores are rank-bm25's, searches find what sorting all scores would, statistics are exact."""
    assert len(reader) == len(rows)
    live = [row for row in rows if row is not None]
    assert reader.live.tolist() == [row is not None for row in rows]
    frequencies = Counter(term for row in live for term in set(row))
    assert reader.statistics.chunks == len(live)
    assert reader.statistics.total_length == sum(map(len, live))
    assert reader.statistics.histogram == Counter(frequencies.values())
    random = np.random.default_rng(seed)
    for variant in Variant:
        this = LexicalReader(reader.parts, reader.delta, reader.statistics, Bm25(variant))
        for query in queries:
            scores = this.scores(query)
            expected = expected_scores(rows, query, variant)
            np.testing.assert_allclose(scores, expected, rtol=0, atol=1e-9)
            mask = random.random(len(rows)) < random.choice([0.05, 0.5, 1.0])
            tie = random.permutation(len(rows)).astype(np.uint64)
            for k in (1, 3, 10):
                for allowed in (None, mask):
                    positions, found = this.search(query, k, allowed, tie)
                    best = best_positions(scores, k, allowed, tie)
                    assert positions.tolist() == best.tolist()
                    assert found.tolist() == scores[best].tolist()
            at = random.permutation(len(rows))[:5]
            assert np.array_equal(this.scores(query, at), scores[at], equal_nan=True)
        for query in queries:
            assert this.frequencies(query).tolist() == [frequencies[term] for term in query]
