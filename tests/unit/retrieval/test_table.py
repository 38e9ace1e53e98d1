"""The table of chunks against a list of them, and through the disk."""

from collections.abc import Sequence
from pathlib import Path
from uuid import UUID, uuid4

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rostra.retrieval import table as module
from rostra.retrieval.lexical import DamagedIndex
from rostra.retrieval.table import ChunkTable, Ids, NewPlace, SortedIds, TableWriter, write_table
from rostra.store import packed_ids

KNOWN = [uuid4() for _ in range(30)]


def place(document: UUID, chunks: int, uri: str = "a", generation: int = 1) -> NewPlace:
    ids = [uuid4() for _ in range(chunks)]
    return NewPlace(document, uri, generation, ids, range(chunks))


def ids(*documents: UUID) -> Ids:
    return packed_ids(documents)


def plain(table: ChunkTable) -> list[tuple[bytes, int, int]]:
    return [
        (table.ids[at].tobytes(), int(table.tie[at]), int(table.document[at]))
        for at in range(len(table))
    ]


@given(
    st.lists(st.lists(st.tuples(st.integers(0, 29), st.integers(1, 3)), max_size=8), max_size=6),
    st.lists(st.integers(0, 29), max_size=25),
    st.sampled_from([(0, 1), (3, 2), (1000, 1)]),
)
def test_places_and_positions_are_those_of_a_plain_list(
    tmp_path_factory: pytest.TempPathFactory,
    batches: Sequence[Sequence[tuple[int, int]]],
    wanted: list[int],
    unsorted: tuple[int, int],
) -> None:
    rows: list[int] = []
    places: list[int] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_UNSORTED", unsorted)
        patch.setattr(module, "_FEW", 3)
        folder = tmp_path_factory.mktemp("table")
        writer = TableWriter(folder, 0)
        older = []
        for batch in batches:
            writer.add([place(KNOWN[number], chunks) for number, chunks in batch])
            older.append((writer.table(), plain(writer.table())))
            for number, chunks in batch:
                rows += [number] * chunks
                places.append(number)
        table = writer.table()
        asked = ids(*(KNOWN[number] for number in wanted), uuid4())
        expected = [at for at, number in enumerate(places) if number in wanted]
        assert table.places_of(asked).tolist() == expected
        positions = [at for at, number in enumerate(rows) if number in wanted]
        assert table.positions_of(asked).tolist() == positions
        assert np.flatnonzero(table.mask_of(asked)).tolist() == positions
        assert all(plain(one) == said for one, said in older)
        writer.flush()
        assert plain(TableWriter(folder, len(rows)).table()) == plain(table)


def test_ids_that_share_a_half_are_told_apart() -> None:
    twins = [UUID(int=1 << 64 | 7), UUID(int=2 << 64 | 7), UUID(int=1 << 64 | 8)]
    words = packed_ids(twins).view(np.uint64).reshape(-1, 2)
    known = SortedIds.of(words)
    for at, one in enumerate(twins):
        assert known.find(words, packed_ids([one]).view(np.uint64).reshape(-1, 2)).tolist() == [at]
    assert sorted(known.find(words, words).tolist()) == [0, 1, 2]


def test_ties_depend_on_address_and_place_alone(tmp_path: Path) -> None:
    one, other = TableWriter(tmp_path / "one", 0), TableWriter(tmp_path / "other", 0)
    one.add([place(uuid4(), 2, "x"), place(uuid4(), 2, "y")])
    other.add([place(uuid4(), 3, "y", 7)])
    other.add([place(uuid4(), 1, "x", 9)])
    x, y = one.table().tie[:2].tolist(), one.table().tie[2:].tolist()
    assert other.table().tie[[3, 0, 1]].tolist() == [x[0], *y]
    assert x[0] < x[1]
    assert y[0] < y[1]
    assert len({*x, *y}) == 4


def test_what_others_do_not_know_is_cut_off_and_written_over(tmp_path: Path) -> None:
    writer = TableWriter(tmp_path, 0)
    first, second = place(uuid4(), 2), place(uuid4(), 3)
    writer.add([first])
    kept = plain(writer.table())
    writer.add([second])
    writer.flush()
    reopened = TableWriter(tmp_path, 2)
    assert plain(reopened.table()) == kept
    assert len(reopened.table().places_of(ids(second.id))) == 0
    third = place(uuid4(), 1)
    reopened.add([third])
    # Killed before it was flushed: what was cut off does not come back.
    assert plain(TableWriter(tmp_path, 2).table()) == kept
    with pytest.raises(DamagedIndex):
        TableWriter(tmp_path, 3)


def test_rows_that_are_taken_are_renumbered(tmp_path: Path) -> None:
    writer = TableWriter(tmp_path / "old", 0)
    a, b, c = place(uuid4(), 2), place(uuid4(), 1), place(uuid4(), 2, generation=5)
    writer.add([a, b, c])
    table = writer.table()
    write_table(tmp_path / "new", table, np.array([0, 1, 3, 4]))
    taken = TableWriter(tmp_path / "new", 4).table()
    assert taken.ids.tolist() == table.ids[[0, 1, 3, 4]].tolist()
    assert taken.tie.tolist() == table.tie[[0, 1, 3, 4]].tolist()
    assert taken.document.tolist() == [0, 0, 1, 1]
    assert (taken.firsts.tolist(), taken.generations.tolist()) == ([0, 2], [1, 5])
    assert taken.positions_of(ids(c.id, b.id)).tolist() == [2, 3]
    write_table(tmp_path / "none", table, np.zeros(0, np.int64))
    assert len(TableWriter(tmp_path / "none", 0)) == 0


@pytest.mark.parametrize("name", ["chunks-00000", "documents-00000", "manifest.json"])
def test_a_damaged_file_is_told(tmp_path: Path, name: str) -> None:
    writer = TableWriter(tmp_path, 0)
    writer.add([place(uuid4(), 2)])
    writer.flush()
    octets = (tmp_path / name).read_bytes()
    for damaged in (octets[:-3], octets[:-3] + b"\1\2\3", b""):
        (tmp_path / name).write_bytes(damaged)
        with pytest.raises(DamagedIndex):
            TableWriter(tmp_path, 2)
    (tmp_path / name).unlink()
    with pytest.raises(DamagedIndex):
        TableWriter(tmp_path, 2)
