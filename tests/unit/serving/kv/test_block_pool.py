"""Blocks change hands as they should, and misuse is noticed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rostra.serving.kv.block_pool import BlockPool, OutOfBlocks


def test_each_block_is_handed_out_once() -> None:
    pool = BlockPool(3)
    assert {pool.take() for _ in range(3)} == {0, 1, 2}
    with pytest.raises(OutOfBlocks):
        pool.take()
    assert (pool.used, pool.cached, pool.free) == (3, 0, 0)


def test_a_shared_block_stays_used_until_its_last_holder_lets_go() -> None:
    pool = BlockPool(2)
    block = pool.take()
    pool.hold(block)
    pool.release(block)
    assert pool.used == 1
    pool.release(block)
    assert (pool.used, pool.free) == (0, 2)
    with pytest.raises(RuntimeError, match="once too often"):
        pool.release(block)


def test_a_findable_block_is_cached_when_released_and_free_when_dropped() -> None:
    pool = BlockPool(2)
    block = pool.take()
    pool.keep(block)
    with pytest.raises(RuntimeError, match="not a private block"):
        pool.keep(block)
    pool.release(block)
    assert (pool.used, pool.cached, pool.free) == (0, 1, 1)
    pool.hold(block)
    assert (pool.used, pool.cached, pool.free) == (1, 0, 1)
    pool.release(block)
    pool.drop(block)
    assert (pool.used, pool.cached, pool.free) == (0, 0, 2)


def test_cached_blocks_stand_in_the_order_of_their_release() -> None:
    pool = BlockPool(3)
    blocks = [pool.take() for _ in range(3)]
    for block in blocks:
        pool.keep(block)
    for block in reversed(blocks):
        pool.release(block)
    assert pool.cached_order() == blocks[::-1]
    assert pool.oldest() == blocks[2]
    pool.touch(blocks[2])
    assert pool.cached_order() == [blocks[1], blocks[0], blocks[2]]


@pytest.mark.parametrize("total", [0, -1])
def test_an_empty_pool_is_refused(total: int) -> None:
    with pytest.raises(ValueError, match="at least one"):
        BlockPool(total)


@given(st.integers(1, 5), st.lists(st.tuples(st.sampled_from("thrkdo"), st.integers(0, 4))))
def test_the_three_states_always_add_up(total: int, moves: list[tuple[str, int]]) -> None:
    pool = BlockPool(total)
    holders = [0] * total
    for move, pick in moves:
        block = pick % total
        if move == "t" and pool.free:
            block = pool.take()
            assert holders[block] == 0 and not pool.is_cached(block)
            holders[block] = 1
        elif move == "h" and (holders[block] or pool.is_cached(block)):
            pool.hold(block)
            holders[block] += 1
        elif move == "r" and holders[block]:
            pool.release(block)
            holders[block] -= 1
        elif move == "k" and holders[block] and not pool.is_findable(block):
            pool.keep(block)
        elif move == "d":
            pool.drop(block)
        elif move == "o" and (oldest := pool.oldest()) is not None:
            pool.touch(oldest)
            assert pool.cached_order()[-1] == oldest
        pool.check_integrity()
        assert pool.used == sum(map(bool, holders))
        assert pool.used + pool.cached + pool.free == total
        assert [pool.holders(block) for block in range(total)] == holders
