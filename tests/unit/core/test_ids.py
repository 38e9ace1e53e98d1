"""Ids: UUIDv7, unique, in the order they were made."""

from concurrent.futures import ThreadPoolExecutor
from uuid import RFC_4122, UUID

import pytest

from rostra.core import new_id, parse_id


def test_ids_are_version_7() -> None:
    made = new_id()
    assert type(made) is UUID
    assert (made.version, made.variant) == (7, RFC_4122)


def test_ids_sort_by_the_order_they_were_made() -> None:
    made = [new_id() for _ in range(20_000)]
    assert made == sorted(set(made))
    # PostgreSQL compares them as bytes, SQLite as text.
    assert [i.hex for i in made] == sorted(i.hex for i in made)
    assert [i.bytes for i in made] == sorted(i.bytes for i in made)


def test_ids_of_several_threads_are_unique_and_in_order_within_each() -> None:
    with ThreadPoolExecutor(4) as pool:
        parts = list(pool.map(lambda _: [new_id() for _ in range(2_000)], range(4)))
    assert len({i for part in parts for i in part}) == 8_000
    assert all(part == sorted(part) for part in parts)


@pytest.mark.parametrize("text", ["", "1", "not-an-id", "0" * 31, "g" * 32, "\x00", "é" * 32])
def test_no_id(text: str) -> None:
    assert parse_id(text) is None


def test_an_id_is_read_as_written() -> None:
    made = new_id()
    assert parse_id(str(made)) == parse_id(made.hex) == parse_id(str(made).upper()) == made
