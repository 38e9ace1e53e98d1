"""Block tables of sequences: how they get blocks, share them, publish them and give them back.

What always holds: a table holds every block in it exactly once; blocks are appended only, until the
table gives back all of them; a block that others may find is full and never written again; the
memory that a failed call asked for is not taken.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from rostra.serving.kv.block_pool import BlockId, BlockPool
from rostra.serving.kv.prefix_cache import BlockKey, Node, PrefixCache, RootKey


@dataclass(slots=True, eq=False)
class BlockTable:
    """The blocks of one sequence.

    Attributes:
        root: the prefix-cache root that it matches and publishes under; None for neither.
        blocks: in the order of the tokens.
        keys: the tokens of each full block known so far, made once.
        published: how many of its blocks the prefix cache knows, by their content.
        node: the prefix cache's node of the last published block.
    """

    root: RootKey | None
    blocks: list[BlockId] = field(default_factory=list)
    keys: list[BlockKey] = field(default_factory=list)
    published: int = 0
    node: Node | None = None


class Match(NamedTuple):
    """What a new table would share and take.

    Attributes:
        nodes: findable blocks of its prefix.
        need: blocks that `open` would take out of `available`, revived cached ones included.
    """

    nodes: list[Node]
    need: int


class BlockManager:
    """All blocks of an engine.

    Args:
        blocks: how many there are.
        block_size: tokens of one block.
    """

    def __init__(self, blocks: int, block_size: int) -> None:
        if block_size < 1:
            raise ValueError(f"a block holds at least one token, not {block_size}")
        self.block_size = block_size
        self.pool = BlockPool(blocks)
        self.cache = PrefixCache(self.pool)

    @property
    def available(self) -> int:
        """Blocks that nobody holds."""
        return self.pool.available

    def blocks_for(self, tokens: int) -> int:
        """How many blocks so many tokens fill or begin."""
        return -(-tokens // self.block_size)

    def lookup(self, table: BlockTable, tokens: Sequence[int], *, reuse: bool = True) -> Match:
        """What an empty table would share and take for these tokens; takes nothing.

        At least the last token is left to compute, since its logits are wanted.
        """
        nodes: list[Node] = []
        if reuse and table.root is not None:
            most = (len(tokens) - 1) // self.block_size
            self._make_keys(table, tokens, most)
            nodes = self.cache.match(table.root, table.keys, most)
        revived = sum(self.pool.is_cached(node.block) for node in nodes)
        return Match(nodes, self.blocks_for(len(tokens)) - len(nodes) + revived)

    def open(self, table: BlockTable, tokens: int, match: Match) -> int:
        """Blocks for so many tokens in an empty table; gives the number of tokens reused.

        Raises:
            OutOfBlocks: if `match.need` exceeds `available`.
        """
        for node in match.nodes:
            self.pool.hold(node.block)
            table.blocks.append(node.block)
        if match.nodes:
            table.node = match.nodes[-1]
            table.published = len(match.nodes)
        self._append(table, self.blocks_for(tokens) - len(match.nodes))
        return len(match.nodes) * self.block_size

    def grow(self, table: BlockTable, tokens: int) -> bool:
        """Room for so many tokens in all; False, and nothing taken, when blocks are too few."""
        missing = self.blocks_for(tokens) - len(table.blocks)
        if missing > self.pool.available:
            return False
        self._append(table, missing)
        return True

    def _append(self, table: BlockTable, count: int) -> None:
        for _ in range(count):
            if not self.pool.free:
                self.cache.evict()
            table.blocks.append(self.pool.take())

    def publish(self, table: BlockTable, tokens: Sequence[int], computed: int) -> None:
        """Makes the full blocks among the first `computed` tokens findable."""
        full = computed // self.block_size
        if table.root is None or full <= table.published:
            return
        self._make_keys(table, tokens, full)
        node = table.node
        if node is None or not node.attached:
            # Never published, or the original of a copy was given up: begin again at the root.
            node, table.published = self.cache.root(table.root), 0
        for position in range(table.published, full):
            node = self.cache.publish(node, table.keys[position], table.blocks[position])
        table.node, table.published = node, full

    def release(self, table: BlockTable) -> None:
        """Gives back all blocks, the last one first, so that a prefix outlives what follows it."""
        node = table.node
        for position in range(len(table.blocks) - 1, -1, -1):
            block = table.blocks[position]
            self.pool.release(block)
            if node is not None and position < table.published:
                if node.block != block and node.attached:
                    self.pool.touch(node.block)
                node = node.parent
        table.blocks.clear()
        table.node, table.published = None, 0

    def forget(self, root: RootKey) -> None:
        """Makes what was published under this root unfindable."""
        self.cache.forget(root)

    def _make_keys(self, table: BlockTable, tokens: Sequence[int], count: int) -> None:
        size = self.block_size
        for start in range(len(table.keys) * size, count * size, size):
            table.keys.append(tuple(tokens[start : start + size]))

    def check_integrity(self, tables: Iterable[BlockTable]) -> None:
        """Raises RuntimeError if an invariant is broken or the tables do not explain all holds."""
        self.pool.check_integrity()
        self.cache.check_integrity()
        holds = [0] * self.pool.total
        for table in tables:
            if len(set(table.blocks)) != len(table.blocks):
                raise RuntimeError("a table holds a block twice")
            for block in table.blocks:
                holds[block] += 1
        for block, count in enumerate(holds):
            if self.pool.holders(block) != count:
                raise RuntimeError(
                    f"block {block} has {self.pool.holders(block)} holders, tables say {count}"
                )
