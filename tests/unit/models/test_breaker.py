"""The circuit breaker against a simple model of it."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from rostra.models import Breaker, BreakerOpen
from rostra.models.breaker import Admitted

THRESHOLD, COOLDOWN = 3, 10.0


class BreakerMachine(RuleBasedStateMachine):
    """Requests begin and end in any order while time passes."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.breaker = Breaker(THRESHOLD, COOLDOWN, clock=lambda: self.now)
        self.running: list[tuple[Admitted, bool]] = []  # and whether it is the one that tries
        self.opened: float | None = None
        self.failures = 0

    @property
    def tries(self) -> bool:
        return any(one for _, one in self.running)

    @rule(seconds=st.sampled_from([0.5, 4.0, 11.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def ask(self) -> None:
        allowed = self.opened is None or (self.now >= self.opened + COOLDOWN and not self.tries)
        try:
            admitted = self.breaker.admit("x")
        except BreakerOpen as error:
            assert not allowed
            assert error.details["retry_after"] >= 0
        else:
            assert allowed
            self.running.append((admitted, self.opened is not None))

    @precondition(lambda self: self.running)
    @rule(data=st.data(), how=st.sampled_from(["succeeded", "failed", "left", "answered"]))
    def end(self, data: st.DataObject, how: str) -> None:
        place = data.draw(st.integers(0, len(self.running) - 1))
        admitted, tries = self.running.pop(place)
        getattr(admitted, how)()
        if how == "answered":
            self.running.append((admitted, False))
        else:
            admitted.left()  # a second end counts for nothing
        if tries and how in ("succeeded", "answered"):
            self.opened, self.failures = None, 0
        elif how == "succeeded" and self.opened is None:
            self.failures = 0
        elif how == "failed":
            self.failures += 1
            if tries or (self.opened is None and self.failures >= THRESHOLD):
                self.opened = self.now

    @invariant()
    def it_is_open_as_it_should_be(self) -> None:
        assert self.breaker.is_open == (self.opened is not None)
        assert sum(one for _, one in self.running) <= 1


TestBreaker = BreakerMachine.TestCase
TestBreaker.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)


def test_it_says_how_long() -> None:
    now = [0.0]
    breaker = Breaker(1, 30, clock=lambda: now[0])
    breaker.admit("host").failed()
    now[0] = 12.0
    with pytest.raises(BreakerOpen, match="host failed 1 times") as caught:
        breaker.admit("host")
    assert caught.value.details["retry_after"] == 18.0
    assert caught.value.status == 503
