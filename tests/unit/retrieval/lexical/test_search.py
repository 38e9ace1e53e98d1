"""Pruned search over segments of thousands of rows finds what sorting all scores does."""

import dataclasses
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from rostra.retrieval.lexical import (
    Bm25,
    LexicalReader,
    LexicalWriter,
    Ties,
    Variant,
    best_positions,
    frequent,
    segment,
)

ROWS = 9000
TERMS = [f"w{at:03}" for at in range(400)]


def zipf_rows(random: np.random.Generator, rows: int) -> list[list[str]]:
    """Rows of uneven lengths; few have very many terms, or one term very often."""
    shares = 1 / np.arange(1, len(TERMS) + 1)
    shares /= shares.sum()
    lengths = random.integers(0, 30, rows)
    tokens = random.choice(len(TERMS), int(lengths.sum()), p=shares)
    texts = [[TERMS[at] for at in part] for part in np.split(tokens, np.cumsum(lengths)[:-1])]
    texts[7] += ["w001"] * 60
    texts[rows // 2] += ["w002"] * 1100
    return texts


@pytest.fixture(scope="module", params=["one segment", "several, some dead, a delta", "wide"])
def reader(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> object:
    random = np.random.default_rng(3)
    index = LexicalWriter(tmp_path_factory.mktemp("index"), "test-1")
    rows = zipf_rows(random, ROWS)
    if request.param == "one segment":
        for row in rows:
            row[200:] = []  # counts fit a byte
        index.add(rows)
        index.flush()
    elif request.param == "wide":
        index.add(rows)
        index.flush()
    else:
        for begin, end in ((0, 6000), (6000, 8900)):
            index.add(rows[begin:end])
            index.flush()
        index.add(rows[8900:])
        index.remove(random.choice(ROWS, ROWS // 7, replace=False))
    return index.snapshot()


def queries(random: np.random.Generator) -> list[list[str]]:
    drawn = [
        [TERMS[at] for at in random.integers(0, high, size)]
        for high, size in ((5, 3), (40, 4), (400, 2), (400, 6), (400, 20), (3, 1))
        for _ in range(3)
    ]
    return [*drawn, ["w001"], ["w002", "w002", "w399"], ["w000", "nothing"]]


@pytest.mark.parametrize("variant", list(Variant))
def test_search_is_exact(
    reader: LexicalReader, variant: Variant, monkeypatch: pytest.MonkeyPatch
) -> None:
    this = LexicalReader(reader.parts, reader.delta, reader.statistics, Bm25(variant))
    random = np.random.default_rng(11)
    # Few distinct keys, so that some ties are left to the positions.
    tie: Ties = random.integers(0, 50, ROWS).astype(np.uint64)
    masks: list[npt.NDArray[np.bool_] | None] = [None]
    masks += [random.random(ROWS) < share for share in (0.5, 0.01, 0.001)]
    masks.append(np.arange(ROWS) > 8800)
    for query in queries(random):
        scores = this.scores(query)
        for mask in masks:
            for k in (1, 10, 200):
                positions, found = this.search(query, k, mask, tie)
                best = best_positions(scores, k, mask, tie)
                assert positions.tolist() == best.tolist(), (query, k)
                assert found.tolist() == scores[best].tolist()


def with_counts_by_row(reader: LexicalReader, monkeypatch: pytest.MonkeyPatch) -> LexicalReader:
    """The same, with tables of counts, which only larger segments have."""
    monkeypatch.setattr(frequent, "_LEAST_ROWS", 1)
    for part in reader.parts:
        part.segment.__dict__.pop("_frequent", None)
    return LexicalReader(reader.parts, reader.delta, reader.statistics)


def test_counts_by_row_change_nothing(
    reader: LexicalReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = np.random.default_rng(5)
    mask = random.random(ROWS) < 0.5
    asked = [*queries(random), TERMS[:12], TERMS[:200:3]]
    plain = [reader.search(query, 50, allowed) for query in asked for allowed in (None, mask)]
    again = with_counts_by_row(reader, monkeypatch)
    fast = [again.search(query, 50, allowed) for query in asked for allowed in (None, mask)]
    for (positions, scores), (others, same) in zip(plain, fast, strict=True):
        assert positions.tolist() == others.tolist()
        assert scores.tolist() == same.tolist()


def test_searches_at_the_same_time_do_not_disturb_one_another(
    reader: LexicalReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = queries(np.random.default_rng(6)) * 4
    alone = [reader.search(query, 10)[0].tolist() for query in asked]
    again = with_counts_by_row(reader, monkeypatch)
    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(lambda query: again.search(query, 10)[0].tolist(), asked))
    assert together == alone


def test_whoever_asks_first_for_counts_by_row_all_get_the_same_ones(
    reader: LexicalReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = threading.Barrier(2)

    class Slow(frequent.FrequentTerms):
        def __init__(self, *arrays: Any) -> None:
            both.wait(60)
            super().__init__(*arrays)

    monkeypatch.setattr(segment, "FrequentTerms", Slow)
    one = dataclasses.replace(reader.parts[0].segment)
    with ThreadPoolExecutor(2) as threads:
        first, second = threads.map(lambda _: one.frequent, range(2))
    assert first is second is one.frequent


def test_bm25l_without_a_lift_is_exact_beyond_the_table_too(reader: LexicalReader) -> None:
    model = Bm25(Variant.L, delta=0.0)
    this = LexicalReader(reader.parts, reader.delta, reader.statistics, model)
    for query in (["w001"], ["w002", "w399"]):
        scores = this.scores(query)
        positions, found = this.search(query, 50)
        best = best_positions(scores, 50)
        assert positions.tolist() == best.tolist()
        assert found.tolist() == scores[best].tolist()


@pytest.mark.parametrize("by_row", [False, True])
@pytest.mark.parametrize("damaged", ["docs", "tfs", "block_last", "block_tf", "block_length"])
def test_damage_that_nobody_noticed_yet_gives_wrong_results_and_no_faults(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damaged: str, by_row: bool
) -> None:
    if by_row:
        monkeypatch.setattr(frequent, "_LEAST_ROWS", 1)
    random = np.random.default_rng(7)
    index = LexicalWriter(tmp_path, "test-1")
    index.add([row[:200] for row in zipf_rows(random, ROWS)])
    index.flush()
    index.close()
    entry = index.snapshot().parts[0].segment.entry
    path, section = tmp_path / entry.file, entry.sections[damaged]
    whole = np.fromfile(path, np.uint8)
    size = section.count * np.dtype(section.dtype).itemsize
    whole[section.offset : section.offset + size] = random.integers(0, 256, size, np.uint8)
    whole.tofile(path)
    monkeypatch.setattr(segment, "_QUICK", 0)
    reader = LexicalWriter(tmp_path, "test-1").snapshot()
    for query in queries(random):
        positions, _ = reader.search(query, 20)
        assert ((positions >= 0) & (positions < ROWS)).all()


def test_nothing_is_found_for_nothing(reader: LexicalReader, tmp_path: Path) -> None:
    for terms, k in (([], 10), (["nothing"], 10), (["w000"], 0)):
        assert [len(part) for part in reader.search(terms, k)] == [0, 0]
    assert len(reader.search(["w000"], 10, np.zeros(ROWS, np.bool_))[0]) == 0
    empty = LexicalWriter(tmp_path, "test-1").snapshot()
    assert len(empty.search(["a"], 10)[0]) == 0
    assert len(empty.scores(["a"])) == 0


def test_masks_and_ties_of_another_length_are_refused(reader: LexicalReader) -> None:
    with pytest.raises(ValueError, match="9000 positions"):
        reader.search(["w000"], 10, np.ones(ROWS - 1, np.bool_))
    with pytest.raises(ValueError, match="9000 positions"):
        reader.search(["w000"], 10, None, np.zeros(ROWS + 1, np.uint64))
