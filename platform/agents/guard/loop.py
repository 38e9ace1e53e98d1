"""Tells a run that goes in circles from one that waits or gets on.

A call that is repeated is no loop as long as its result changes: that is waiting for something. It
is one when the same call keeps giving the same result, or when a sequence of calls with the same
results begins anew for the third time.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from rostra.agents.events import PlannedCall

Past = Sequence[tuple[PlannedCall, str]]
"""Calls so far, oldest first, each with a digest of its result."""


@dataclass(frozen=True, slots=True)
class LoopDetector:
    """Looks at the calls so far and the one to be made; keeps nothing.

    Attributes:
        repeats: how often the same call may give the same result before it is refused.
        longest_cycle: most calls in a sequence that repeats.
        cycles: how often a sequence may have run before its next call is refused.
        window: how many of the latest calls are looked at.
    """

    repeats: int = 3
    longest_cycle: int = 4
    cycles: int = 2
    window: int = 50

    def __call__(self, past: Past, call: PlannedCall) -> str | None:
        """Why the call must not be made, for the model to read; None where it may be."""
        wanted = _signature(call)
        seen = [(_signature(made), result) for made, result in past[-self.window :]]
        results = [result for made, result in seen if made == wanted]
        if len(results) >= self.repeats and len(set(results[-self.repeats :])) == 1:
            return (
                f"This call of {call.tool} with the same arguments gave the same result "
                f"{self.repeats} times. Use that result, change the arguments, or do something "
                "else."
            )
        for length in range(2, self.longest_cycle + 1):
            latest = seen[-length * self.cycles :]
            if len(latest) < length * self.cycles or len(set(latest[:length])) == 1:
                continue
            turns = [latest[at : at + length] for at in range(0, len(latest), length)]
            if all(turn == turns[0] for turn in turns) and turns[0][0][0] == wanted:
                return (
                    f"The last {len(latest)} calls were the same {length} calls over and over, "
                    "with the same results. Use what they gave, or do something else."
                )
        return None


def _signature(call: PlannedCall) -> bytes:
    """Equal for calls of equal arguments, whatever their order and the space around strings."""
    return msgspec.json.encode([call.tool, _plain(call.arguments)], order="sorted")


def _plain(value: object) -> object:
    if isinstance(value, str):
        return " ".join(value.split())
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
