"""Prefixes are found by their tokens, kept as long as they can be, and given up leaf first."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rostra.serving.kv.block_pool import OutOfBlocks
from rostra.serving.kv.manager import BlockManager, BlockTable

_ROOT = ("workspace", "")


def _open(
    manager: BlockManager, tokens: list[int], root: tuple[str, ...] | None = _ROOT
) -> tuple[BlockTable, int]:
    table = BlockTable(root)
    return table, manager.open(table, len(tokens), manager.lookup(table, tokens))


def _computed(
    manager: BlockManager, tokens: list[int], root: tuple[str, ...] = _ROOT
) -> BlockTable:
    table, _ = _open(manager, tokens, root)
    manager.publish(table, tokens, len(tokens))
    return table


def test_a_released_prefix_is_found_again() -> None:
    manager = BlockManager(8, 4)
    tokens = list(range(14))
    first = _computed(manager, tokens)
    blocks = list(first.blocks)
    manager.release(first)
    assert (manager.pool.used, manager.pool.cached, manager.pool.free) == (0, 3, 5)
    second, reused = _open(manager, tokens)
    assert reused == 12
    assert second.blocks[:3] == blocks[:3]
    manager.check_integrity([second])


def test_a_running_prefix_is_shared() -> None:
    manager = BlockManager(8, 4)
    first = _computed(manager, list(range(9)))
    second, reused = _open(manager, [*range(8), 99])
    assert reused == 8
    assert first.blocks[:2] == second.blocks[:2]
    assert first.blocks[2] != second.blocks[2]
    assert manager.pool.used == 4
    manager.check_integrity([first, second])


@pytest.mark.parametrize(("length", "reused"), [(4, 0), (5, 4), (8, 4), (9, 8)])
def test_the_last_token_is_left_to_compute(length: int, reused: int) -> None:
    manager = BlockManager(8, 4)
    manager.release(_computed(manager, list(range(12))))
    assert _open(manager, list(range(length)))[1] == reused


def test_equal_hashes_are_not_equal_tokens() -> None:
    # In CPython -1 and -2 have the same hash, and so have tuples of them.
    assert hash((-1,) * 4) == hash((-2,) * 4)
    manager = BlockManager(8, 4)
    manager.release(_computed(manager, [-1] * 9))
    assert _open(manager, [-2] * 9)[1] == 0
    assert _open(manager, [-1] * 4 + [-2] * 5)[1] == 4


def test_the_same_block_after_another_prefix_is_not_it() -> None:
    manager = BlockManager(8, 4)
    manager.release(_computed(manager, [1, 1, 1, 1, 5, 5, 5, 5, 0]))
    assert _open(manager, [2, 2, 2, 2, 5, 5, 5, 5, 0])[1] == 0


@pytest.mark.parametrize("other", [("elsewhere", ""), ("workspace", "adapter"), None])
def test_namespaces_and_adapters_share_nothing(other: tuple[str, ...] | None) -> None:
    manager = BlockManager(8, 4)
    manager.release(_computed(manager, list(range(9))))
    assert _open(manager, list(range(9)), other)[1] == 0


def test_without_a_root_nothing_is_kept() -> None:
    manager = BlockManager(4, 4)
    table, _ = _open(manager, list(range(9)), None)
    manager.publish(table, list(range(9)), 9)
    manager.release(table)
    assert manager.pool.free == 4


def test_leaves_are_given_up_before_what_they_stand_on() -> None:
    manager = BlockManager(4, 2)
    manager.release(_computed(manager, [1, 1, 2, 2, 3, 3, 4, 4]))
    left = []
    for taken in range(5):
        left.append(len(manager.cache.match(_ROOT, [(1, 1), (2, 2), (3, 3), (4, 4)], 9)))
        assert manager.grow(BlockTable(None), 2) is (taken < 4)
    assert left == [4, 3, 2, 1, 0]


def test_the_prefix_used_last_outlives_an_older_one() -> None:
    manager = BlockManager(4, 2)
    manager.release(_computed(manager, [1, 1, 2, 2]))
    manager.release(_computed(manager, [3, 3, 4, 4]))
    manager.release(_computed(manager, [1, 1, 2, 2]))
    manager.grow(BlockTable(None), 4)
    assert len(manager.cache.match(_ROOT, [(1, 1), (2, 2)], 2)) == 2
    assert manager.cache.match(_ROOT, [(3, 3), (4, 4)], 2) == []


def test_a_failed_call_takes_nothing() -> None:
    manager = BlockManager(3, 4)
    table, _ = _open(manager, list(range(8)))
    assert not manager.grow(table, 17)
    assert len(table.blocks) == 2
    assert manager.grow(table, 12)
    match = manager.lookup(BlockTable(_ROOT), [1])
    assert match.need == 1 > manager.available
    with pytest.raises(OutOfBlocks):
        manager.open(BlockTable(_ROOT), 1, match)


def test_a_lookup_counts_the_cached_blocks_it_would_revive() -> None:
    manager = BlockManager(4, 4)
    running = _computed(manager, list(range(5)))
    assert manager.lookup(BlockTable(_ROOT), list(range(9))).need == 2
    manager.release(running)
    assert manager.lookup(BlockTable(_ROOT), list(range(9))).need == 3


def test_a_copy_keeps_its_own_block_and_shares_what_follows() -> None:
    manager = BlockManager(12, 2)
    tokens = [1, 1, 2, 2, 3]
    first, _ = _open(manager, tokens)
    second, _ = _open(manager, tokens)
    manager.publish(first, tokens, 2)
    manager.publish(second, tokens, 4)  # its first block is a copy, its second is new
    assert first.blocks[0] != second.blocks[0]
    third, reused = _open(manager, tokens)
    assert reused == 4
    assert third.blocks[:2] == [first.blocks[0], second.blocks[1]]
    manager.check_integrity([first, second, third])
    manager.release(first)
    manager.release(third)
    manager.check_integrity([second])
    manager.release(second)  # makes the original of its copy younger than its own second block
    manager.check_integrity([])
    assert len(manager.cache.match(_ROOT, [(1, 1), (2, 2)], 2)) == 2


def test_what_follows_a_copy_is_published_anew_when_the_original_is_given_up() -> None:
    manager = BlockManager(6, 2)
    tokens = [1, 1, 2, 2, 3, 3, 4]
    first, _ = _open(manager, [1, 1])
    second, _ = _open(manager, tokens)
    manager.publish(first, [1, 1], 2)
    manager.publish(second, tokens, 4)
    manager.release(first)
    other = BlockTable(None)
    assert manager.grow(other, 4)  # takes the free block and the cached original
    assert manager.cache.match(_ROOT, [(1, 1)], 1) == []
    manager.check_integrity([second, other])
    manager.publish(second, tokens, 6)
    path = manager.cache.match(_ROOT, [(1, 1), (2, 2), (3, 3)], 3)
    assert [node.block for node in path] == second.blocks[:3]
    manager.check_integrity([second, other])


def test_a_forgotten_root_leaves_free_blocks() -> None:
    manager = BlockManager(8, 2)
    cached = _computed(manager, [1, 1, 2, 2])
    manager.release(cached)
    used = _computed(manager, [1, 1, 3, 3])
    manager.forget(_ROOT)
    assert manager.pool.cached == 0 and len(manager.cache) == 0
    manager.check_integrity([used])
    manager.release(used)
    assert manager.pool.free == 8


@settings(max_examples=150, deadline=None)
@given(
    st.integers(2, 7),
    st.lists(
        st.tuples(
            st.sampled_from(["open", "open", "publish", "publish", "grow", "release", "forget"]),
            st.integers(0, 3),
            st.lists(st.integers(0, 1), min_size=1, max_size=9),
            st.sampled_from(["a", "b"]),
        ),
        max_size=40,
    ),
)
def test_a_block_found_holds_the_prefix_asked_for(
    blocks: int, moves: list[tuple[str, int, list[int], str]]
) -> None:
    manager = BlockManager(blocks, 2)
    content: dict[int, tuple[str, tuple[int, ...]]] = {}  # what a model would have written
    tables: list[tuple[BlockTable, list[int], str]] = []
    for move, pick, tokens, name in moves:
        if move == "open":
            table = BlockTable((name,))
            match = manager.lookup(table, tokens)
            if match.need > manager.available:
                continue
            reused = manager.open(table, len(tokens), match)
            for position, block in enumerate(table.blocks):
                prefix = (name, tuple(tokens[: 2 * position + 2]))
                if 2 * position < reused:
                    assert content[block] == prefix
                else:
                    content[block] = prefix
            tables.append((table, tokens, name))
        elif move == "forget":
            manager.forget((name,))
        elif move == "grow":
            table = BlockTable(None)
            if manager.grow(table, 2 * pick):
                content.update((block, ("", ())) for block in table.blocks)
                tables.append((table, [], ""))
        elif tables:
            table, tokens, _ = tables[pick % len(tables)]
            if move == "publish":
                manager.publish(table, tokens, len(tokens))
            else:
                manager.release(table)
                tables = [one for one in tables if one[0] is not table]
        manager.check_integrity(one for one, _, _ in tables)
        for (root,), path in manager.cache.walk():
            spelled = tuple(token for node in path for token in node.key)
            assert content[path[-1].block] == (root, spelled)
