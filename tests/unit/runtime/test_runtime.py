"""The runtime's parts: made once, on first need."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from rostra.core import ConfigError, Settings
from rostra.runtime import Once, open_runtime
from rostra.store import list_collections


def test_a_value_is_made_at_the_first_call_and_once() -> None:
    made: list[object] = []

    def make() -> object:
        made.append(object())
        return made[-1]

    once = Once(make)
    assert not once.is_made
    assert once() is once() is made[0]
    assert once.is_made
    assert len(made) == 1


def test_threads_that_ask_at_once_get_the_same_value() -> None:
    barrier, made = threading.Barrier(8), list[int]()

    def make() -> int:
        made.append(len(made))
        return made[-1]

    once = Once(make)

    def ask(_: int) -> int:
        barrier.wait()
        return once()

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(ask, range(8))) == {0}
    assert made == [0]


def test_a_value_may_be_none() -> None:
    calls: list[None] = []
    once = Once(lambda: calls.append(None))
    assert once() is once() is None
    assert len(calls) == 1


def test_a_failed_try_is_tried_again() -> None:
    tries = iter([ValueError("not yet"), "value"])

    def make() -> str:
        result = next(tries)
        if isinstance(result, Exception):
            raise result
        return result

    once = Once(make)
    with pytest.raises(ValueError, match="not yet"):
        once()
    assert not once.is_made
    assert once() == "value"


async def test_opening_makes_a_home_and_loads_no_model(settings: Settings) -> None:
    async with open_runtime(settings) as runtime:
        assert not runtime.embedder.is_made
        assert not runtime.reranker.is_made
        async with runtime.database.read() as session:
            assert await list_collections(session) == ([], 0)
    assert (settings.home / "rostra.db").is_file()
    async with open_runtime(settings):
        pass


async def test_a_database_that_cannot_work_is_refused(settings: Settings) -> None:
    wrong = settings.model_copy(update={"database_url": "mysql://somewhere"})
    with pytest.raises(ConfigError, match="database_url"):
        async with open_runtime(wrong):
            pass
