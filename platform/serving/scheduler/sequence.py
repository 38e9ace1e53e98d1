"""One generated text on its way, the request it belongs to, and who is charged for it.

What always holds: `computed <= scheduled <= total`. `total` counts the tokens there are, `computed`
those whose keys and values are stored, `scheduled` those that launched steps will have stored once
they are committed; between steps, without overlap, the last two are equal. The scheduler alone
changes these fields.
"""

from dataclasses import dataclass, field
from enum import Enum

from rostra.serving.kv.manager import BlockTable
from rostra.serving.request import EngineRequest


class Status(Enum):
    """Where a sequence is."""

    WAITING = "waiting"
    """Holds no blocks; not begun, or preempted."""
    RUNNING = "running"
    """Holds blocks for all its tokens."""
    ENDED = "ended"
    """Nothing more will be computed for it."""


@dataclass(slots=True, eq=False)
class Tenant:
    """Who the fair share is counted for.

    Attributes:
        name: as in the requests.
        service: tokens computed for it, or the virtual time at which it came back.
        open: its sequences that have not ended.
        queued: its sequences in the queue.
    """

    name: str
    service: float = 0.0
    open: int = 0
    queued: int = 0


@dataclass(slots=True, eq=False)
class Sequence:
    """One of a request's `n` texts.

    Attributes:
        group: the request's state.
        index: which of the request's sequences.
        number: in order of arrival; smaller is older.
        tenant: who is charged.
        table: its blocks and what the prefix cache knows of them.
        tokens: prompt and output.
        limit: most tokens it may have.
        needs_token: the next step must know the last token on the host (grammar, penalties), so
            none is launched while one is pending.
        computed, scheduled: see the module.
        pending: tokens sampled by launched steps and not yet in `tokens`.
        flights: launched steps that are not committed and compute for it.
        goal: tokens that were there when it was last admitted; until they are scheduled it is a
            prompt, afterwards it decodes.
        cached_tokens: prompt tokens found in the prefix cache when it first began.
        preemptions: how often it was.
        wants: available blocks below which it is known not to fit.
        blocked_at: scheduler's work counter when it first did not fit.
        leader: a running sequence that is computing what this one needs too, and up to which token.
    """

    group: "Group"
    index: int
    number: int
    tenant: Tenant
    table: BlockTable
    tokens: list[int]
    limit: int
    needs_token: bool
    status: Status = Status.WAITING
    computed: int = 0
    scheduled: int = 0
    pending: int = 0
    flights: int = 0
    goal: int = 0
    cached_tokens: int = 0
    preemptions: int = 0
    wants: int = 0
    blocked_at: int | None = None
    leader: "tuple[Sequence, int] | None" = None
    rank: tuple[int, int] = field(init=False)
    prompt_length: int = field(init=False)
    blocks: list[int] = field(init=False)

    def __post_init__(self) -> None:
        self.rank = (self.group.request.priority, self.number)
        self.prompt_length = len(self.tokens)
        self.blocks = self.table.blocks

    @property
    def request(self) -> EngineRequest:
        """The request it belongs to."""
        return self.group.request

    @property
    def priority(self) -> int:
        """Lower goes first."""
        return self.rank[0]

    @property
    def total(self) -> int:
        """Tokens there are, pending ones included."""
        return len(self.tokens) + self.pending

    @property
    def output_length(self) -> int:
        """New tokens known so far."""
        return len(self.tokens) - self.prompt_length

    @property
    def remaining(self) -> int:
        """Tokens of its prompt, or of what it recomputes, that no step was launched for."""
        if self.status is Status.WAITING:
            return len(self.tokens)
        return self.goal - self.scheduled

    def __repr__(self) -> str:
        return (
            f"<Sequence {self.request.id}#{self.index} {self.status.value} "
            f"{self.computed}/{self.scheduled}/{self.total}>"
        )


@dataclass(slots=True, eq=False)
class Group:
    """A request and its sequences.

    Attributes:
        request: as it came.
        arrived: the scheduler's clock, seconds.
        sequences: all of them, by index.
        open: how many have not ended.
        shared: prompt tokens that sequences after the first take from the prefix cache.
        unfolded: whether they have been let in; before, only the leader is.
        begun: whether any of them was ever admitted.
    """

    request: EngineRequest
    arrived: float
    shared: int
    sequences: list[Sequence] = field(default_factory=list)
    open: int = 0
    unfolded: bool = False
    begun: bool = False

    @property
    def ended(self) -> bool:
        """Whether all sequences have ended, and with them the request."""
        return self.open == 0

    @property
    def leader(self) -> Sequence | None:
        """The first sequence that has not ended."""
        return next((one for one in self.sequences if one.status is not Status.ENDED), None)
