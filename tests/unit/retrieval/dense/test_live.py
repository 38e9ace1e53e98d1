"""Random histories of vectors, against brute force over the rows that live."""

import dataclasses
import itertools
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rostra.core import FloatMatrix, FloatVector
from rostra.retrieval.dense import (
    DenseOptions,
    DenseReader,
    DenseWriter,
    FinderFailed,
    ivf,
    live,
)
from rostra.retrieval.lexical import Mask, Positions, Ties
from rostra.store import UnusableVector

WIDTH = 24
KINDS = (
    "flat",
    "pruned",
    "auto",
    "hnsw",
    "ivf_sq",
    "two_stage",
    "int8",
    "binary",
    "gpu_flat",
    "gpu_ivf",
)
# What finds everything there is to find when every list is read and the shortlist is long.
OPTIONS = [
    DenseOptions(
        kind=kind,  # type: ignore[arg-type]
        code_dimensions=16,
        shortlist=4000,
        train_at=8,
        lists_at=150,
        device="cpu",
    )
    for kind in KINDS
]


def unit(vectors: np.ndarray) -> FloatMatrix:
    rows = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
    return rows.astype(np.float32)


def clustered(count: int, seed: int) -> FloatMatrix:
    """Vectors in clusters, as text has them; some are equal."""
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(0).normal(size=(40, WIDTH))
    rows = centres[random.integers(0, 40, count)] + 0.6 * random.normal(size=(count, WIDTH))
    rows[random.random(count) < 0.1] = centres[0]
    return unit(rows)


def brute(rows: FloatMatrix, query: FloatVector, k: int, allowed: Mask, tie: Ties) -> list[int]:
    scores = np.einsum("ij,j->i", rows, query)
    places = np.flatnonzero(allowed).tolist()
    return sorted(places, key=lambda at: (-scores[at], int(tie[at]), at))[:k]


@pytest.fixture(params=OPTIONS, ids=KINDS)
def options(request: pytest.FixtureRequest) -> DenseOptions:
    found: DenseOptions = request.param
    return found


@pytest.fixture(params=[0, 10_000], ids=["finder", "gather"])
def gather(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "GATHER", request.param)
    monkeypatch.setattr(ivf, "_FEWEST_PROBES", 4096)


def check(reader: DenseReader, rows: FloatMatrix, dead: Mask, seed: int, tied: bool) -> None:
    """Everything that a reader gives, against what must be there."""
    random = np.random.default_rng(seed)
    assert len(reader) == len(rows)
    assert reader.live.tolist() == (~dead).tolist()
    tie = random.integers(0, 1 << 40, len(rows)).astype(np.uint64)
    masks: list[Mask | None] = [
        None,
        random.random(len(rows)) < 0.3,
        random.random(len(rows)) < 0.9,
    ]
    for mask in masks:
        allowed = ~dead if mask is None else ~dead & mask
        for query in clustered(2, seed):
            for k in (1, 7):
                found, scores = reader.search(query, k, mask, tie)
                expected = brute(rows, query, k, allowed, tie)
                truth = np.einsum("ij,j->i", rows, query)
                assert allowed[found].all()
                assert len(found) == len(set(found.tolist())) == len(expected)
                assert scores.tolist() == truth[found].astype(np.float64).tolist()
                if tied:
                    assert found.tolist() == expected
                else:
                    np.testing.assert_array_equal(truth[found], truth[expected])


@pytest.mark.parametrize("options", OPTIONS, ids=KINDS)
@settings(max_examples=6, deadline=None)
@given(data=st.data())
def test_any_history_is_brute_force_over_live_rows(
    options: DenseOptions, data: st.DataObject
) -> None:
    with TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        patch.setattr(live, "GATHER", 0)
        patch.setattr(ivf, "_FEWEST_PROBES", 4096)
        folder = Path(name) / "0"
        rows, dead = np.zeros((0, WIDTH), np.float32), np.zeros(0, np.bool_)
        writer = DenseWriter(folder, WIDTH, options, file_bytes=WIDTH * 4 * 50)
        flushed = rows, dead
        for step in range(data.draw(st.integers(3, 9))):
            action = data.draw(
                st.sampled_from(["add", "add", "remove", "train", "flush", "reopen", "compact"])
            )
            if action == "add":
                fresh = clustered(data.draw(st.integers(0, 90)), data.draw(st.integers(0, 99)))
                assert writer.add(fresh).tolist() == list(range(len(rows), len(rows) + len(fresh)))
                rows, dead = (
                    np.concatenate([rows, fresh]),
                    np.append(dead, np.zeros(len(fresh), np.bool_)),
                )
            elif action == "remove" and len(rows):
                gone = data.draw(st.lists(st.integers(0, len(rows) - 1), max_size=30))
                went = writer.remove(np.array(gone, np.int64))
                assert went == len({at for at in gone if not dead[at]})
                dead = dead.copy()
                dead[np.array(gone, np.int64)] = True
            elif action == "train":
                writer.train()
            elif action == "flush":
                writer.flush(f"step {step}")
                flushed = rows, dead
                assert (writer.state, writer.flushed) == (f"step {step}", len(rows))
            elif action == "reopen":  # as after kill -9: only what was flushed is there
                rows, dead = flushed
                writer = DenseWriter(folder, WIDTH, options)
            elif action == "compact":
                folder = Path(name) / str(step + 1)
                kept = writer.compact(folder, "compacted")
                assert kept.tolist() == np.flatnonzero(~dead).tolist()
                rows, dead = rows[kept], np.zeros(len(kept), np.bool_)
                writer = DenseWriter(folder, WIDTH, options)
                flushed = rows, dead
                assert writer.state == "compacted"
            check(writer.snapshot(), rows, dead, step, tied=_exact(options))


def _exact(options: DenseOptions) -> bool:
    """Kinds that let in all rows as good as the last, so that ties never depend on history."""
    return options.kind in ("flat", "pruned", "int8", "binary")


def test_a_snapshot_stays_what_it_was(options: DenseOptions, gather: None, tmp_path: Path) -> None:
    writer = DenseWriter(tmp_path, WIDTH, options, file_bytes=WIDTH * 4 * 64)
    rows = clustered(300, 1)
    writer.add(rows[:200])
    writer.train()
    writer.remove(np.arange(5))
    before = writer.snapshot()
    writer.add(rows[200:])
    writer.remove(np.arange(50, 90))
    writer.flush()
    dead = np.arange(200) < 5
    if options.kind == "hnsw" and live.GATHER == 0:
        found, _ = before.search(rows[60], 5)  # a graph is walked in other ways once it has grown
        assert (found >= 5).all()
        assert (found < 200).all()
    else:
        check(before, rows[:200], dead, 3, tied=False)
    after = np.append(dead, np.zeros(100, np.bool_))
    after[50:90] = True
    check(writer.snapshot(), rows, after, 4, tied=False)


@pytest.mark.parametrize("kind", ["ivf_sq", "two_stage", "int8", "binary", "hnsw", "gpu_flat"])
def test_a_short_shortlist_finds_nearly_all(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "GATHER", 0)
    options = DenseOptions(kind, 16, 100, train_at=8, device="cpu")  # type: ignore[arg-type]
    writer = DenseWriter(tmp_path, WIDTH, options)
    rows = clustered(5_000, 2)
    rows = rows[~(rows == unit(np.random.default_rng(0).normal(size=(40, WIDTH)))[0]).all(axis=1)]
    writer.add(rows)
    writer.train()
    reader = writer.snapshot()
    none, tie = np.ones(len(rows), np.bool_), np.zeros(len(rows), np.uint64)
    for mask in (none, np.random.default_rng(3).random(len(rows)) < 0.2):
        found = [
            len(
                set(reader.search(query, 10, mask)[0].tolist())
                & set(brute(rows, query, 10, mask, tie))
            )
            for query in clustered(30, 4)
        ]
        assert sum(found) / 300 >= 0.93


def test_filters_that_leave_little_are_answered_exactly(tmp_path: Path) -> None:
    writer = DenseWriter(tmp_path, WIDTH, OPTIONS[KINDS.index("gpu_ivf")])
    rows = clustered(9_000, 5)
    writer.add(rows)
    writer.train()
    mask = np.random.default_rng(6).random(len(rows)) < 0.01
    tie = np.arange(len(rows)).astype(np.uint64)
    found, _ = writer.snapshot().search(rows[0], 20, mask, tie)
    assert found.tolist() == brute(rows, rows[0], 20, mask, tie)


@pytest.mark.parametrize("half", [False, True])
def test_vectors_that_cannot_be_compared_are_refused_by_row(half: bool, tmp_path: Path) -> None:
    writer = DenseWriter(tmp_path, WIDTH, DenseOptions(half=half))
    writer.add(clustered(3, 1))
    bad = [(np.nan, "not finite"), (np.inf, "not finite"), (0.0, "zeros")]
    if half:
        bad += [(1e6, "not finite"), (1e-9, "zeros")]
    for value, word in bad:
        rows = clustered(4, 2)
        rows[2] = value
        with pytest.raises(UnusableVector, match=word) as caught:
            writer.add(rows)
        assert caught.value.details == {"row": 2}
    assert len(writer) == 3
    with pytest.raises(ValueError, match="wide"):
        writer.add(np.ones((2, WIDTH + 1), np.float32))
    with pytest.raises(IndexError):
        writer.remove(np.array([3]))


def test_half_width_vectors_are_ranked_as_they_are_kept(tmp_path: Path) -> None:
    options = DenseOptions("two_stage", 16, 4000, train_at=8, half=True)
    writer = DenseWriter(tmp_path, WIDTH, options, file_bytes=2 * WIDTH * 70)
    rows = clustered(300, 7)
    writer.add(rows)
    writer.flush()
    kept = rows.astype(np.float16).astype(np.float32)
    for one in (writer, DenseWriter(tmp_path, WIDTH, options)):
        check(one.snapshot(), kept, np.zeros(300, np.bool_), 8, tied=True)
        np.testing.assert_array_equal(one.snapshot().vectors(np.array([299, 0])), kept[[299, 0]])


def test_exact_search_of_many_equal_vectors_goes_by_the_tie(tmp_path: Path) -> None:
    writer = DenseWriter(tmp_path, WIDTH, DenseOptions("flat"))
    rows = np.concatenate([np.repeat(clustered(1, 1), 6_000, axis=0), clustered(3_000, 2)])
    writer.add(rows)
    tie = np.random.default_rng(9).permutation(len(rows)).astype(np.uint64)
    every = np.ones(len(rows), np.bool_)
    found, _ = writer.snapshot().search(rows[0], 12, None, tie)
    assert found.tolist() == brute(rows, rows[0], 12, every, tie)
    assert len(writer.snapshot().search(rows[0], 10**9)[0]) == len(rows)


def test_work_is_due_when_it_pays(tmp_path: Path) -> None:
    writer = DenseWriter(tmp_path / "a", WIDTH, DenseOptions("two_stage", 16, train_at=100))
    assert writer.due == ""
    writer.add(clustered(100, 1))
    assert writer.due == "train"
    writer.train()
    assert writer.due == ""
    writer.remove(np.arange(19))
    assert writer.due == ""
    writer.remove(np.array([19]))
    assert writer.due == "compact"
    writer.compact(tmp_path / "b", "now")
    fresh = DenseWriter(tmp_path / "b", WIDTH, writer.options)
    assert (len(fresh), fresh.due, fresh.state) == (80, "", "now")


def test_lists_are_trained_anew_when_a_collection_has_doubled(tmp_path: Path) -> None:
    options = DenseOptions("two_stage", 16, train_at=100)
    writer = DenseWriter(tmp_path, WIDTH, options)
    writer.add(clustered(100, 1))
    writer.train()
    writer.add(clustered(99, 2))
    assert writer.due == ""
    writer.flush()
    writer = DenseWriter(tmp_path, WIDTH, options)
    assert writer.due == ""
    writer.add(clustered(1, 3))
    assert writer.due == "train"
    writer.train()
    assert writer.due == ""


@pytest.mark.parametrize("reopened", [False, True])
def test_rows_unlike_those_that_lists_were_trained_on_are_found(
    reopened: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "GATHER", 0)
    options = DenseOptions("two_stage", 16, 60, train_at=1_000)
    writer = DenseWriter(tmp_path, WIDTH, options)
    random = np.random.default_rng(1)

    def around(first: int, count: int) -> FloatMatrix:
        """Clusters that differ in eight directions, and hardly in the others."""
        centres = np.zeros((60, WIDTH))
        centres[:, first : first + 8] = np.random.default_rng(first).normal(size=(60, 8))
        noise = random.normal(size=(count, WIDTH))
        noise[:, first : first + 8] *= 10
        return unit(centres[random.integers(0, 60, count)] + 0.03 * noise)

    rows = around(0, 2_000)
    writer.add(rows)
    writer.train()
    for _ in range(75):  # small additions, of another kind; maintenance looks after each
        fresh = around(12, 20)
        writer.add(fresh)
        rows = np.concatenate([rows, fresh])
        if reopened:
            writer.flush()
            writer = DenseWriter(tmp_path, WIDTH, options)
        if writer.due == "train":
            writer.train()
    assert writer.due == ""
    reader = writer.snapshot()
    assert reader.finder is not None
    every, tie = np.ones(len(rows), np.bool_), np.zeros(len(rows), np.uint64)
    for kind in (rows[:2_000:50], rows[2_000::50]):
        found = [
            len(set(reader.search(query, 10)[0].tolist()) & set(brute(rows, query, 10, every, tie)))
            for query in kind
        ]
        assert sum(found) / (10 * len(kind)) >= 0.9


def test_auto_takes_up_lists_for_many_rows(tmp_path: Path) -> None:
    options = DenseOptions("auto", 16, train_at=50, lists_at=200)
    rows = clustered(260, 1)
    writer = DenseWriter(tmp_path, WIDTH, options)
    writer.add(rows[:49])
    assert writer.due == ""
    writer.add(rows[49:190])
    assert writer.due == "train"
    writer.train()
    first = writer.snapshot().finder
    assert first is not None
    assert first.exact
    writer.add(rows[190:])
    assert writer.due == "train"
    writer.flush()
    writer = DenseWriter(tmp_path, WIDTH, options)
    assert writer.due == "train"
    check(writer.snapshot(), rows, np.zeros(260, np.bool_), 1, tied=True)
    writer.train()
    writer.flush()
    writer = DenseWriter(tmp_path, WIDTH, options)
    assert writer.due == ""
    last = writer.snapshot().finder
    assert last is not None
    assert not last.exact
    writer.remove(np.arange(51))  # a few less than it took lists up with
    writer = DenseWriter(tmp_path / "compacted", WIDTH, options)
    writer.add(rows[:150])
    writer.train()
    smaller = writer.snapshot().finder
    assert smaller is not None
    assert smaller.exact


def test_another_kind_is_searched_after_training_anew(tmp_path: Path) -> None:
    rows = clustered(200, 1)
    for options in (*OPTIONS, OPTIONS[0], OPTIONS[3]):
        writer = DenseWriter(tmp_path, WIDTH, options)
        if not len(writer):
            writer.add(rows)
        writer.train()
        check(writer.snapshot(), rows, np.zeros(200, np.bool_), 2, tied=False)
        writer.flush()


def test_positions_beyond_what_the_owner_knows_are_forgotten(
    options: DenseOptions, tmp_path: Path
) -> None:
    rows = clustered(300, 1)
    writer = DenseWriter(tmp_path, WIDTH, options, file_bytes=WIDTH * 4 * 70)
    writer.add(rows[:250])
    if options.kind != "hnsw":
        writer.train()
    writer.remove(np.array([3, 249]))
    writer.flush("ahead")
    writer = DenseWriter(tmp_path, WIDTH, options, keep=200)
    assert (len(writer), writer.flushed, writer.state) == (200, 200, "")
    writer.add(rows[250:])
    writer.flush("on")
    kept = np.concatenate([rows[:200], rows[250:]])
    for one in (writer, DenseWriter(tmp_path, WIDTH, options)):
        one.verify()
        check(one.snapshot(), kept, np.arange(250) == 3, 5, tied=False)


class Failing:
    """A finder whose server is gone."""

    def __init__(self, finder: object) -> None:
        self._finder = finder

    def __getattr__(self, name: str) -> object:
        if name in ("find", "add", "forget"):
            return self._fail
        return getattr(self._finder, name)

    def _fail(self, *_: object) -> Positions:
        raise FinderFailed("gone")


def test_a_finder_that_fails_is_done_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "GATHER", 0)
    rows = clustered(60, 1)
    writer = DenseWriter(tmp_path, WIDTH, OPTIONS[KINDS.index("two_stage")])
    writer.add(rows[:50])
    writer.train()
    none = np.zeros(50, np.bool_)
    reader = writer.snapshot()
    broken = dataclasses.replace(reader, finder=Failing(reader.finder))  # type: ignore[arg-type]
    check(broken, rows[:50], none, 2, tied=True)
    monkeypatch.setattr(writer, "_finder", Failing(writer._finder))
    writer.add(rows[50:])
    assert writer.due == "train"
    writer.flush()
    for one in (writer, DenseWriter(tmp_path, WIDTH, writer.options)):
        check(one.snapshot(), rows, np.zeros(60, np.bool_), 3, tied=True)


def test_searches_beside_a_writer_see_their_own_snapshot(
    options: DenseOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "GATHER", 0)
    rows = clustered(400, 1)
    writer = DenseWriter(tmp_path, WIDTH, options, file_bytes=WIDTH * 4 * 100)
    writer.add(rows[:100])
    writer.train()
    stop = threading.Event()

    def read(seed: int) -> int:
        searches = 0
        for query in itertools.cycle(clustered(20, seed)):
            reader = writer.snapshot()
            found, scores = reader.search(query, 5)
            assert len(found) == 5
            assert reader.live[found].all()
            assert scores.tolist() == reader.scores(query, found).tolist()
            searches += 1
            if stop.is_set():
                return searches
        return searches

    with ThreadPoolExecutor(2) as pool:
        reading = [pool.submit(read, seed) for seed in (1, 2)]
        try:
            for start in range(100, 400, 20):
                writer.add(rows[start : start + 20])
                writer.remove(np.arange(start - 90, start - 85))
                if start == 240:
                    writer.train()
                    writer.flush()
        finally:
            stop.set()
        assert all(one.result() > 0 for one in reading)
