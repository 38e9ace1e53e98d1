"""Errors of runs. What a model or a tool does wrong is an observation; these are ours or users'."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rostra.core import Conflict, InvalidRequest, RostraError

if TYPE_CHECKING:
    from rostra.agents.events import ApprovalAsked


class UnknownStrategy(InvalidRequest):
    """No strategy has this name."""

    code = "unknown_strategy"


class BudgetSpent(RostraError):
    """A run has used up one of its budgets; it ends as `exhausted`."""

    status = 409
    code = "budget_spent"


class NothingUsable(RostraError):
    """A model wrote no step, plan or answer that could be used; its run ends as `abstained`."""

    status = 502
    code = "nothing_usable"


class ReplayDiverged(Conflict):
    """Executed again, a run did something else than its log says; nothing was done."""

    code = "replay_diverged"


class RunGivenUp(RostraError):
    """A run's process died with it again and again."""

    status = 500
    code = "run_given_up"


class RunPaused(Exception):
    """Leaves a strategy when its run waits for a person. Strategies let it pass.

    Args:
        reason: `approval` or `outcome_unknown`.
        calls: ids of the calls in question.
        asked: what the log must have of them, where they are another run's calls.
        error: code and message, where another run was interrupted by one.
    """

    def __init__(
        self,
        reason: str,
        calls: list[str],
        asked: "Sequence[ApprovalAsked]" = (),
        error: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(f"{reason}: {', '.join(calls)}")
        self.reason = reason
        self.calls = calls
        self.asked = asked
        self.error = error


class LogEnds(Exception):
    """A replayed run wants to go on where its log ends. Strategies let it pass."""
