"""The cache of solved samples: losing it, or a part of it, loses time and nothing else."""

import sqlite3
from pathlib import Path

from evals.core import State, StateCache
from tests.eval_parts import numbers

SAMPLE = numbers(1).samples[0]
STATE = State(sample=SAMPLE, output="said")


def test_a_damaged_file_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "cache.db"
    path.write_bytes(b"no database at all" * 300)
    cache = StateCache(path, {})
    key = cache.key(SAMPLE, "echo", {}, 0)
    assert cache.get(key) is None
    cache.put(key, STATE)
    cache.close()
    assert StateCache(path, {}).get(key) == STATE


def test_a_file_that_cannot_be_opened_is_done_without(tmp_path: Path) -> None:
    (tmp_path / "cache.db").mkdir()
    cache = StateCache(tmp_path / "cache.db", {})
    key = cache.key(SAMPLE, "echo", {}, 0)
    cache.put(key, STATE)
    assert cache.get(key) is None
    cache.close()


def test_a_table_that_is_gone_costs_the_cache_alone(tmp_path: Path) -> None:
    path = tmp_path / "cache.db"
    cache = StateCache(path, {})
    key = cache.key(SAMPLE, "echo", {}, 0)
    with sqlite3.connect(path) as other:
        other.execute("DROP TABLE states")
    cache.put(key, STATE)
    assert cache.get(key) is None
    cache.close()


def test_a_version_that_changed_matches_nothing(tmp_path: Path) -> None:
    old, new = (StateCache(tmp_path / "cache.db", {"torch": one}) for one in ("1", "2"))
    old.put(old.key(SAMPLE, "echo", {}, 0), STATE)
    assert old.get(old.key(SAMPLE, "echo", {}, 0)) == STATE
    assert new.get(new.key(SAMPLE, "echo", {}, 0)) is None
