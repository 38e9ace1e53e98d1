"""Parts of a run's budget that its calls take with them, for runs that they begin.

What always holds: what a run has spent and what its open calls were lent never exceed its budget
together, so that neither several calls side by side nor an interruption can spend anything twice.
A loan stands in the log with the start of its call, and ends with the call's end, which says how
much of it was spent. Seconds pass in both runs at once, so they are cut but not set aside.
"""

from rostra.agents.events import Budget, RunEvent, Spent, ToolEnded, ToolStarted


class Loans:
    """What the calls of a log that have begun and not ended were lent."""

    def __init__(self) -> None:
        self._open: dict[str, Budget] = {}

    def __len__(self) -> int:
        return len(self._open)

    def see(self, event: RunEvent) -> None:
        """Takes note of the next event of the log."""
        if isinstance(event, ToolStarted):
            if event.lent is not None:
                self._open[event.key] = event.lent
        elif isinstance(event, ToolEnded) and self._open:
            self._open.pop(event.key, None)

    @property
    def total(self) -> Spent:
        """As if all of it were spent."""
        total = Spent()
        for lent in self._open.values():
            total = plus(
                total, Spent(lent.steps, lent.tokens or 0, 0.0, lent.cost or 0.0, lent.calls)
            )
        return total


def plus(one: Spent, other: Spent) -> Spent:
    """Both together, but for `other`'s seconds."""
    return Spent(
        steps=one.steps + other.steps,
        tokens=one.tokens + other.tokens,
        seconds=one.seconds,
        cost=one.cost + other.cost,
        calls=one.calls + other.calls,
        estimated=one.estimated or other.estimated,
    )


def loan(budget: Budget, taken: Spent, share: float) -> Budget | None:
    """A share of what is left of a budget; None where that is not enough to ask a model once.

    Args:
        taken: spent, lent or set aside already.
        share: over 0, at most 1.
    """
    tokens = None if budget.tokens is None else int((budget.tokens - taken.tokens) * share)
    seconds = None if budget.seconds is None else (budget.seconds - taken.seconds) * share
    cost = None if budget.cost is None else (budget.cost - taken.cost) * share
    lent = Budget(
        steps=int((budget.steps - taken.steps) * share),
        tokens=tokens,
        seconds=seconds,
        cost=cost,
        calls=max(0, int((budget.calls - taken.calls) * share)),
    )
    if lent.steps < 1 or (tokens is not None and tokens < 1):
        return None
    # Where there is no limit there is enough.
    return None if any(one is not None and one <= 0 for one in (seconds, cost)) else lent
