"""Paged key/value blocks: who holds which, and which released ones still hold something known.

A block stores the keys and values of `block_size` consecutive tokens (PagedAttention,
arXiv:2309.06180) and is in exactly one of three states:

- *free*: nobody holds it and its content is not known,
- *cached*: nobody holds it, but its content is findable and can be taken back,
- *used*: one or more sequences hold it (equal prefixes share blocks).

What always holds: free + cached + used = total; a used block is never handed out again; a block is
cached only while its content is findable. The pool does not know what a content is, the prefix
cache does; cached blocks stand in the order in which they were released, oldest first.
"""

from collections import OrderedDict

BlockId = int


class OutOfBlocks(RuntimeError):
    """No block is free. The scheduler asks before it takes; no request sees this."""


class BlockPool:
    """Hands out fixed-size blocks and counts their holders.

    Args:
        total: number of blocks in the pool, at least 1.
    """

    def __init__(self, total: int) -> None:
        if total < 1:
            raise ValueError(f"a pool needs at least one block, not {total}")
        self.total = total
        self._free: list[BlockId] = list(range(total - 1, -1, -1))
        self._cached: OrderedDict[BlockId, None] = OrderedDict()
        self._holders = [0] * total
        self._findable = [False] * total

    @property
    def free(self) -> int:
        """Blocks that `take` can hand out now."""
        return len(self._free)

    @property
    def cached(self) -> int:
        """Blocks that nobody holds and whose content is findable."""
        return len(self._cached)

    @property
    def available(self) -> int:
        """Blocks that nobody holds: what there is to take once cached blocks are given up."""
        return len(self._free) + len(self._cached)

    @property
    def used(self) -> int:
        """Blocks that somebody holds."""
        return self.total - self.available

    def is_cached(self, block: BlockId) -> bool:
        """Whether the block is findable and nobody holds it."""
        return block in self._cached

    def holders(self, block: BlockId) -> int:
        """How many hold the block."""
        return self._holders[block]

    def take(self) -> BlockId:
        """A free block, for new content.

        Raises:
            OutOfBlocks: if none is free; `drop` the oldest cached one first.
        """
        if not self._free:
            raise OutOfBlocks(f"none of {self.total} blocks is free")
        block = self._free.pop()
        self._holders[block] = 1
        return block

    def hold(self, block: BlockId) -> None:
        """One more holder of a used or cached block."""
        self._cached.pop(block, None)
        self._holders[block] += 1

    def release(self, block: BlockId) -> None:
        """Lets go of one hold; the last one makes the block cached or free.

        Raises:
            RuntimeError: if nobody holds it.
        """
        left = self._holders[block] - 1
        if left < 0:
            raise RuntimeError(f"block {block} was released once too often")
        self._holders[block] = left
        if left == 0:
            if self._findable[block]:
                self._cached[block] = None
            else:
                self._free.append(block)

    def touch(self, block: BlockId) -> None:
        """Makes a cached block the youngest; does nothing to a used one."""
        if block in self._cached:
            self._cached.move_to_end(block)

    def keep(self, block: BlockId) -> None:
        """The used block's content is findable from now on.

        Raises:
            RuntimeError: if it already is, or if nobody holds the block.
        """
        if self._findable[block] or not self._holders[block]:
            raise RuntimeError(f"block {block} is not a private block in use")
        self._findable[block] = True

    def drop(self, block: BlockId) -> None:
        """The block's content is no longer findable; a cached block becomes free."""
        self._findable[block] = False
        if block in self._cached:
            del self._cached[block]
            self._free.append(block)

    def oldest(self) -> BlockId | None:
        """The cached block that was released first."""
        return next(iter(self._cached), None)

    def cached_order(self) -> list[BlockId]:
        """The cached blocks, oldest first."""
        return list(self._cached)

    def is_findable(self, block: BlockId) -> bool:
        """Whether the block's content can be found."""
        return self._findable[block]

    def check_integrity(self) -> None:
        """Raises RuntimeError if an invariant of this module is broken; meant for idle time."""
        if any(count < 0 for count in self._holders):
            raise RuntimeError("a block has a negative number of holders")
        used = {block for block, count in enumerate(self._holders) if count}
        free, cached = set(self._free), set(self._cached)
        counted = len(used) + len(cached) + len(self._free)
        if counted != self.total or used | cached | free != set(range(self.total)):
            raise RuntimeError(
                f"block states overlap or leak: {len(used)} used, {len(cached)} cached, "
                f"{len(self._free)} free of {self.total}"
            )
        if any(not self._findable[block] for block in cached):
            raise RuntimeError("a cached block cannot be found")
        if any(self._findable[block] for block in free):
            raise RuntimeError("a free block can be found")
