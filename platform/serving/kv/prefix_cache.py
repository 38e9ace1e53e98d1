"""Finds the blocks of a prefix that was computed before.

A tree with one node for each findable block: the path from a root to a node spells the tokens of
the prefix, a root stands for one namespace (and adapter). So what matches is decided by comparing
tokens, block by block; a hash only ever finds the candidate (compare RadixAttention,
arXiv:2312.07104).

What always holds: a block has at most one node; equal prefixes of one root have one node; a node
that left the tree never returns to it; among cached blocks a child is older than its parent, so
that giving up the oldest first gives up leaves first. For the last, sequences release their last
block first and `touch` the originals of which they hold copies.

Copies arise when two sequences compute the same tokens at the same time: the first to publish wins,
the other keeps a private copy and goes on below the winner's node. Its later blocks can then
outlive the winner's. When such a node is given up, all below it leave the tree too, and their
holders publish them anew.
"""

from collections.abc import Iterator, Sequence

from rostra.serving.kv.block_pool import BlockId, BlockPool

BlockKey = tuple[int, ...]
RootKey = tuple[str, ...]


class Node:
    """One findable block; or, without a parent and with block -1, a root.

    Attributes:
        key: the block's own tokens.
        root: what the root stands for.
        attached: whether the node is in the tree.
    """

    __slots__ = ("attached", "block", "children", "key", "parent", "root")

    def __init__(self, root: RootKey, key: BlockKey, block: BlockId, parent: "Node | None") -> None:
        self.root = root
        self.key = key
        self.block = block
        self.parent = parent
        self.children: dict[BlockKey, Node] = {}
        self.attached = True


class PrefixCache:
    """The tree of findable blocks of one pool."""

    def __init__(self, pool: BlockPool) -> None:
        self._pool = pool
        self._roots: dict[RootKey, Node] = {}
        self._nodes: dict[BlockId, Node] = {}

    def match(self, root: RootKey, keys: Sequence[BlockKey], most: int) -> list[Node]:
        """The longest known prefix, at most `most` blocks of it; holds nothing."""
        node = self._roots.get(root)
        path: list[Node] = []
        if node is not None:
            for key in keys[:most]:
                node = node.children.get(key)
                if node is None:
                    break
                path.append(node)
        return path

    def root(self, root: RootKey) -> Node:
        """The root to publish below."""
        node = self._roots.get(root)
        if node is None:
            node = self._roots[root] = Node(root, (), -1, None)
        return node

    def publish(self, parent: Node, key: BlockKey, block: BlockId) -> Node:
        """Makes a full, used block findable; gives the node of this prefix, maybe another's."""
        node = parent.children.get(key)
        if node is None:
            self._pool.keep(block)
            node = Node(parent.root, key, block, parent)
            parent.children[key] = self._nodes[block] = node
        return node

    def evict(self) -> bool:
        """Gives up the oldest cached block; False if there is none."""
        block = self._pool.oldest()
        if block is None:
            return False
        self._detach(self._nodes[block])
        return True

    def forget(self, root: RootKey) -> None:
        """Makes every block of one root unfindable."""
        node = self._roots.pop(root, None)
        if node is not None:
            self._leave(node)

    def _detach(self, node: Node) -> None:
        parent = node.parent
        if parent is not None:
            del parent.children[node.key]
            if parent.parent is None and not parent.children:
                parent.attached = False
                del self._roots[parent.root]
        self._leave(node)

    def _leave(self, top: Node) -> None:
        leaving = [top]
        while leaving:
            node = leaving.pop()
            node.attached = False
            leaving.extend(node.children.values())
            if node.block >= 0:
                del self._nodes[node.block]
                self._pool.drop(node.block)

    def __len__(self) -> int:
        return len(self._nodes)

    def walk(self) -> Iterator[tuple[RootKey, list[Node]]]:
        """Every node with its root's key, as the path that leads to it."""
        for key, root in self._roots.items():
            paths = [[node] for node in root.children.values()]
            while paths:
                path = paths.pop()
                yield key, path
                paths.extend([*path, node] for node in path[-1].children.values())

    def check_integrity(self) -> None:
        """Raises RuntimeError if an invariant of this module is broken; meant for idle time."""
        seen: set[BlockId] = set()
        age = {block: position for position, block in enumerate(self._pool.cached_order())}
        for _, path in self.walk():
            node = path[-1]
            if not node.attached or self._nodes.get(node.block) is not node or node.block in seen:
                raise RuntimeError(f"block {node.block} has a stale node or two")
            if not self._pool.is_findable(node.block):
                raise RuntimeError(f"block {node.block} is in the tree but not kept")
            seen.add(node.block)
            mine = age.get(node.block)
            above = [age[parent.block] for parent in path[:-1] if parent.block in age]
            if mine is not None and any(position < mine for position in above):
                raise RuntimeError(f"block {node.block} would outlive its prefix")
        if len(seen) != len(self._nodes):
            raise RuntimeError("a findable block is not in the tree")
        if sum(map(self._pool.is_findable, range(self._pool.total))) != len(seen):
            raise RuntimeError("a kept block is not in the tree")
        if any(not root.children or not root.attached for root in self._roots.values()):
            raise RuntimeError("an empty root was left behind")
