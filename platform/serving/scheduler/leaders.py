"""Equal prompts that come together: one computes what they share, the others wait for its blocks.

What always holds: a leader runs, is the same tenant's and of no worse priority, so that nobody
waits for whom it should overtake.
"""

from collections.abc import Iterable

from rostra.serving.scheduler.sequence import Sequence, Status


def follows(sequence: Sequence) -> bool:
    """Whether the leader that was found for a sequence is still worth waiting for."""
    if sequence.leader is None:
        return False
    leader, tokens = sequence.leader
    if leader.status is Status.RUNNING and leader.computed < tokens:
        return True
    sequence.leader = None
    return False


def finds_leader(
    sequence: Sequence, known: int, running: Iterable[Sequence], block_size: int
) -> bool:
    """Whether one of these is about to publish the block that a sequence needs next.

    Args:
        sequence: waits.
        known: how many of its blocks were found.
        running: those whose prompts are not all scheduled.
        block_size: tokens of a block.
    """
    keys, root = sequence.table.keys, sequence.table.root
    if known >= len(keys) or root is None:
        return False
    for leader in running:
        theirs = leader.table.keys
        if (
            leader.table.root == root
            and leader.tenant is sequence.tenant
            and leader.priority <= sequence.priority
            and len(theirs) > known
            and theirs[known] == keys[known]
        ):
            common = known + 1
            while common < min(len(keys), len(theirs)) and theirs[common] == keys[common]:
                common += 1
            sequence.leader = (leader, common * block_size)
            return follows(sequence)
    return False
