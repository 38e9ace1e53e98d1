"""What the scheduler says: which tokens one launch of the model computes, and numbers for metrics.

What always holds: a step's chunks are of different sequences; a chunk's tokens have blocks.
"""

from dataclasses import dataclass, field

import msgspec

from rostra.serving.scheduler.sequence import Sequence


class Chunk(msgspec.Struct, frozen=True):
    """Tokens `start` to `start + count` of a sequence, to be computed in one step.

    Attributes:
        samples: the last one's logits give a new token.
        pending: the last one was sampled by a step not yet committed; it is on the device only.
    """

    sequence: Sequence
    start: int
    count: int
    samples: bool
    pending: bool


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """What one launch of the model computes.

    Attributes:
        chunks: sequences that decode, then prompts; a sequence occurs once.
        tokens: to compute in all.
        preempted: sequences that lost their blocks while this step was made.
    """

    chunks: tuple[Chunk, ...]
    tokens: int
    preempted: tuple[Sequence, ...]


@dataclass(slots=True, eq=False)
class Plan:
    """A step being made.

    Attributes:
        budget: tokens that may be added.
        counts: tokens to compute of each sequence, in the order of the step's chunks.
        preempted: as in `Step`.
        admitting: whether waiting sequences may still be let in.
    """

    budget: int
    counts: dict[Sequence, int] = field(default_factory=dict)
    preempted: list[Sequence] = field(default_factory=list)
    admitting: bool = True


@dataclass(slots=True, eq=False)
class Counts:
    """What has happened since the start; see `SchedulerStats`."""

    preemptions: int = 0
    computed_tokens: int = 0
    prefix_queries: int = 0
    prefix_hits: int = 0


@dataclass(frozen=True, slots=True)
class SchedulerStats:
    """Numbers for metrics; the last four count from the start.

    Attributes:
        running, waiting: sequences with and without blocks.
        used_blocks, cached_blocks, free_blocks: they add up to all.
        preemptions: of sequences.
        computed_tokens: by launched steps.
        prefix_queries, prefix_hits: prompt tokens looked up in the prefix cache, and found.
    """

    running: int
    waiting: int
    used_blocks: int
    cached_blocks: int
    free_blocks: int
    preemptions: int
    computed_tokens: int
    prefix_queries: int
    prefix_hits: int
