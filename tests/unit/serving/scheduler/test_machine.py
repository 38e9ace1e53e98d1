"""Any history of additions, aborts, steps, commits, failures and expiries, in tiny memory."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from rostra.serving.errors import NeverFits, PromptTooLong, QueueFull
from tests.unit.serving.scheduler.driver import Driver, config, request

_CONTEXT = 40
_MAX_WAITING = 6


class SchedulerMachine(RuleBasedStateMachine):
    """The driver asserts; the rules only choose."""

    @initialize(
        blocks=st.integers(3, 14),
        budget=st.integers(2, 24),
        running=st.integers(1, 6),
        overlap=st.booleans(),
        chunked=st.booleans(),
        prefix_cache=st.booleans(),
        seed=st.integers(0, 3),
    )
    def begin(
        self,
        blocks: int,
        budget: int,
        running: int,
        overlap: bool,
        chunked: bool,
        prefix_cache: bool,
        seed: int,
    ) -> None:
        self.driver = Driver(
            config(
                max_running=running,
                max_step_tokens=budget,
                max_waiting=_MAX_WAITING,
                max_wait_seconds=10.0,
                chunked_prefill=chunked,
                prefix_cache=prefix_cache,
            ),
            blocks,
            _CONTEXT,
            overlap=overlap,
            seed=seed,
        )
        self.number = 0

    @rule(
        shared=st.sampled_from([0, 3, 4, 8, 13]),
        tail=st.lists(st.integers(0, 2), min_size=1, max_size=9),
        new=st.integers(0, 14),
        n=st.sampled_from([1, 1, 1, 2, 4]),
        tenant=st.sampled_from("ab"),
        priority=st.integers(0, 2),
        namespace=st.sampled_from(["", "other"]),
        penalty=st.sampled_from([0.0, 1.0]),
        prompt_logprobs=st.sampled_from([None, None, 1]),
    )
    def add(
        self,
        shared: int,
        tail: list[int],
        new: int,
        n: int,
        tenant: str,
        priority: int,
        namespace: str,
        penalty: float,
        prompt_logprobs: int | None,
    ) -> None:
        self.number += 1
        prompt = [1] * shared + tail
        before = self.driver.scheduler.stats()
        longest = len(prompt) + new
        computed = max(len(prompt), longest - 1)
        if not new:
            prompt_logprobs = 1
        try:
            self.driver.add(
                request(
                    str(self.number),
                    prompt,
                    new,
                    penalty=penalty,
                    prompt_logprobs=prompt_logprobs,
                    n=n,
                    tenant=tenant,
                    priority=priority,
                    namespace=namespace,
                )
            )
            assert longest <= _CONTEXT and computed <= 4 * self.driver.blocks
        except NeverFits:
            assert computed > 4 * self.driver.blocks
        except PromptTooLong:
            assert longest > _CONTEXT
        except QueueFull:
            assert before.waiting >= _MAX_WAITING
            assert self.driver.scheduler.stats() == before

    @rule(which=st.integers(0, 8), index=st.sampled_from([None, None, 0, 1, 3, 99]))
    def abort(self, which: int, index: int | None) -> None:
        self.driver.abort(str(self.number - which), index)
        self.driver.check()

    @precondition(lambda self: len(self.driver.launched) <= self.driver.overlap)
    @rule()
    def launch(self) -> None:
        self.driver.launch()

    @precondition(lambda self: self.driver.launched)
    @rule(force=st.integers(1, 6))
    def commit(self, force: int) -> None:
        self.driver.commit(force)

    @rule(steps=st.integers(1, 8), force=st.integers(1, 3))
    def go_on(self, steps: int, force: int) -> None:
        for _ in range(steps):
            self.driver.step(force)

    @precondition(lambda self: self.driver.launched)
    @rule()
    def fail(self) -> None:
        self.driver.discard()

    @rule(seconds=st.sampled_from([1.0, 6.0, 11.0]))
    def wait(self, seconds: float) -> None:
        self.driver.clock.now += seconds
        self.driver.expire()
        self.driver.check()

    def teardown(self) -> None:
        if hasattr(self, "driver"):
            self.driver.run(3_000)


TestSchedulerMachine = SchedulerMachine.TestCase
TestSchedulerMachine.settings = settings(max_examples=120, stateful_step_count=40, deadline=None)
