"""Each rule of the scheduler, on its own."""

import random

import pytest

from rostra.serving.errors import InvalidParameter, NeverFits, PromptTooLong, QueueFull
from rostra.serving.scheduler.sequence import Sequence, Status
from rostra.serving.scheduler.step import Step
from tests.unit.serving.scheduler.driver import Driver, config, request


def _shape(step: Step) -> list[tuple[str, int, int, bool]]:
    return [(one.sequence.request.id, one.start, one.count, one.samples) for one in step.chunks]


# --- Steps ---


def test_a_prompt_is_computed_in_chunks_and_then_decodes() -> None:
    driver = Driver(config(max_step_tokens=8))
    driver.add(request("a", 20, 3))
    assert [_shape(driver.step()) for _ in range(5)] == [
        [("a", 0, 8, False)],
        [("a", 8, 8, False)],
        [("a", 16, 4, True)],
        [("a", 20, 1, True)],
        [("a", 21, 1, True)],
    ]
    driver.check_idle()


def test_decoding_comes_first_and_prompts_fill_what_is_left() -> None:
    driver = Driver(config(max_step_tokens=8))
    driver.add(request("a", 4, 9))
    driver.step()
    driver.add(request("b", 20, 2))
    assert _shape(driver.step()) == [("a", 4, 1, True), ("b", 0, 7, False)]


def test_an_unchunked_prompt_is_computed_in_one_step_whatever_the_budget() -> None:
    driver = Driver(config(max_step_tokens=8, chunked_prefill=False))
    for name, prompt in (("a", 20), ("b", 5), ("c", 3)):
        driver.add(request(name, prompt, 1))
    assert _shape(driver.step()) == [("a", 0, 20, True)]
    assert _shape(driver.step()) == [("b", 0, 5, True), ("c", 0, 3, True)]
    driver.check_idle()


def test_forced_tokens_are_computed_together_with_the_sampled_one() -> None:
    driver = Driver(config())
    (sequence,) = driver.add(request("a", 5, 9))
    step = driver.scheduler.schedule()
    assert driver.scheduler.commit(step, {sequence: [7, 8, 9]}) == [(sequence, [7, 8, 9])]
    assert (sequence.computed, sequence.total) == (5, 8)
    assert _shape(driver.scheduler.schedule()) == [("a", 5, 3, True)]


def test_no_more_sequences_run_than_allowed_or_than_the_budget_has_tokens() -> None:
    for limits in ({"max_running": 2}, {"max_step_tokens": 2, "max_running": 9}):
        driver = Driver(config(**limits))
        for name in "abcd":
            driver.add(request(name, 1, 3))
        driver.step()
        assert driver.scheduler.stats().running == 2
        assert driver.scheduler.stats().waiting == 2
        driver.run()


def test_steps_are_committed_in_order() -> None:
    driver = Driver(config())
    driver.add(request())
    first, second = driver.scheduler.schedule(), driver.scheduler.schedule()
    with pytest.raises(ValueError, match="in the order"):
        driver.scheduler.commit(second, {})
    driver.scheduler.commit(first, {})
    driver.scheduler.commit(second, {})
    with pytest.raises(ValueError, match="in the order"):
        driver.scheduler.commit(second, {})


# --- What is refused ---


@pytest.mark.parametrize(
    ("prompt", "new", "n", "field"),
    [(0, 4, 1, "prompt"), (4, 0, 1, "max_tokens"), (4, 4, 0, "n"), (4, -1, 1, "max_tokens")],
)
def test_nothing_to_do_is_refused(prompt: int, new: int, n: int, field: str) -> None:
    driver = Driver(config())
    with pytest.raises(InvalidParameter) as caught:
        driver.add(request("a", prompt, new, n=n))
    assert caught.value.details["field"] == field
    assert not driver.scheduler.has_work


def test_an_id_cannot_be_used_twice_at_once() -> None:
    driver = Driver(config())
    driver.add(request("a"))
    with pytest.raises(InvalidParameter, match="running"):
        driver.add(request("a"))
    driver.run()
    driver.add(request("a"))
    driver.run()


def test_the_context_is_the_limit_of_prompt_and_new_tokens() -> None:
    driver = Driver(config(), max_context=20)
    driver.add(request("a", 10, 10))
    with pytest.raises(PromptTooLong):
        driver.add(request("b", 10, 11))
    with pytest.raises(PromptTooLong):
        driver.add(request("c", 1, 10**9))
    driver.run()


def test_what_can_never_fit_is_refused_and_what_just_fits_runs() -> None:
    driver = Driver(config(), blocks=4)
    with pytest.raises(NeverFits):
        driver.add(request("a", 12, 6))
    driver.add(request("b", 12, 5))  # the last token's keys and values are never stored
    driver.run()
    driver.add(request("c", 12, 5, n=3))
    driver.run()


def test_a_full_queue_refuses_and_begun_requests_do_not_count() -> None:
    driver = Driver(config(max_waiting=2, max_running=1))
    for name in "ab":
        driver.add(request(name))
    with pytest.raises(QueueFull):
        driver.add(request("c"))
    driver.step()
    driver.add(request("c"))
    with pytest.raises(QueueFull):
        driver.add(request("d"))
    driver.run()


def test_who_waits_too_long_is_let_go_and_who_has_begun_is_not() -> None:
    driver = Driver(config(max_running=1, max_wait_seconds=5.0))
    driver.add(request("a", 8, 30))
    driver.step()
    driver.add(request("b", n=2))
    driver.clock.now = 4.0
    driver.add(request("c"))
    assert driver.expire() == []
    driver.clock.now = 6.0
    assert driver.expire() == ["b"]
    assert driver.expire() == []
    driver.run()
    assert driver.ends.total() == 4


# --- Memory ---


def test_the_youngest_of_the_least_priority_gives_way() -> None:
    driver = Driver(config(), blocks=10)
    preempted: list[str] = []
    driver.add(request("low", 8, 24, priority=1))
    driver.add(request("old", 8, 24))
    driver.add(request("young", 8, 24))
    while driver.scheduler.has_work:
        preempted += [one.request.id for one in driver.step().preempted]
    assert preempted[:2] == ["low", "young"]
    assert "old" not in preempted
    driver.check_idle()


def test_a_preempted_sequence_recomputes_and_goes_on() -> None:
    driver = Driver(config(), blocks=7)
    (first,) = driver.add(request("a", 8, 16))
    (second,) = driver.add(request("b", 8, 16))
    driver.run()
    assert first.preemptions == 0
    assert second.preemptions >= 1
    assert len(second.tokens) == 24


@pytest.mark.parametrize(("preemptions", "left"), [(0, 1), (1, 2), (2, 4), (3, 8), (9, 12)])
def test_who_was_preempted_often_returns_only_with_more_room(preemptions: int, left: int) -> None:
    # At 9 it is bounded by what both can still need: 6 blocks of its own and 6 of the other's.
    for blocks, fits in ((8 + left, True), (7 + left, False)):
        driver = Driver(config(), blocks + 8)
        driver.add(request("running", 28, 28))
        driver.step()
        driver.step()
        (sequence,) = driver.add(request("often", 32, 24))
        sequence.preemptions = preemptions
        driver.step()
        assert (sequence.status is Status.RUNNING) == fits


def test_a_better_priority_takes_the_place_of_a_worse_one() -> None:
    for limits, blocks in (({"max_running": 1}, 64), ({}, 5)):
        for overlap in (False, True):
            driver = Driver(config(**limits), blocks, overlap=overlap)
            (batch,) = driver.add(request("batch", 8, 12, priority=5))
            driver.step()
            driver.step()
            (urgent,) = driver.add(request("urgent", 12, 4))
            while urgent.status is not Status.ENDED:
                driver.step()
            assert batch.preemptions == 1
            assert batch.status is not Status.ENDED
            driver.run()


def test_equal_priorities_do_not_take_each_others_place() -> None:
    driver = Driver(config(max_running=1))
    (first,) = driver.add(request("a", 8, 12))
    driver.step()
    driver.add(request("b", 8, 2))
    driver.run()
    assert first.preemptions == 0


def test_a_large_prompt_is_not_overtaken_for_ever() -> None:
    driver = Driver(config(), blocks=16)
    names = iter(range(10_000))
    for _ in range(6):
        driver.add(request(f"small-{next(names)}", 6, 6))
    driver.step()
    (large,) = driver.add(request("large", 50, 6))
    begin = driver.steps
    while large.status is not Status.ENDED and driver.steps - begin < 60:
        driver.add(request(f"small-{next(names)}", 6, 6))
        driver.step()
    assert large.status is Status.ENDED
    driver.run()


def test_small_prompts_use_the_memory_that_a_large_one_cannot_use_yet() -> None:
    driver = Driver(config(max_step_tokens=64), blocks=16)
    driver.add(request("running", 30, 30))
    driver.step()
    (large,) = driver.add(request("large", 50, 6))
    (small,) = driver.add(request("small", 4, 2))
    driver.step()
    assert large.status is Status.WAITING
    assert small.status is Status.RUNNING
    driver.run()


@pytest.mark.parametrize("overlap", [False, True])
@pytest.mark.parametrize("seed", range(2))
def test_many_requests_in_tiny_memory_all_end(overlap: bool, seed: int) -> None:
    draw = random.Random(seed)
    driver = Driver(
        config(max_step_tokens=16, max_running=6, max_waiting=500), 9, overlap=overlap, seed=seed
    )
    sequences: list[Sequence] = []
    driver.check_every = 7
    for number in range(220):
        prompt = [1] * draw.choice([0, 4, 8]) + [draw.randrange(3) for _ in range(8)]
        sequences += driver.add(
            request(
                str(number),
                prompt[: draw.randint(1, 16)],
                draw.randint(1, 20),
                n=draw.choice([1, 1, 1, 2]),
                penalty=draw.choice([0.0, 1.0]),
                tenant=draw.choice("abc"),
                priority=draw.choice([0, 1]),
            )
        )
        if draw.random() < 0.3:
            driver.step(force=2)
    driver.run(20_000)
    assert all(len(one.tokens) == one.limit for one in sequences)
    stats = driver.scheduler.stats()
    assert stats.preemptions > 20, "memory was not tight"
    assert max(one.preemptions for one in sequences) <= 12
    # What preemption costs: tokens computed again stay fewer than those computed once.
    assert stats.computed_tokens < 2 * sum(one.limit for one in sequences)


# --- Prefixes ---


def test_a_repeated_prompt_is_computed_but_for_its_last_block() -> None:
    driver = Driver(config())
    for name in "ab":
        (sequence,) = driver.add(request(name, list(range(12)), 1))
        driver.run()
    assert sequence.cached_tokens == 8
    stats = driver.scheduler.stats()
    assert (stats.prefix_queries, stats.prefix_hits) == (24, 8)


def test_equal_prompts_that_come_together_are_computed_once() -> None:
    driver = Driver(config(max_step_tokens=16))
    for number in range(5):
        driver.add(request(str(number), [*range(40), number], 2))
    driver.run()
    assert driver.computed.total() == 41 + 4 + 5

    apart = Driver(config(max_step_tokens=16, prefix_cache=False))
    for number in range(5):
        apart.add(request(str(number), [*range(40), number], 2))
    apart.run()
    assert apart.computed.total() == 5 * 42
    assert apart.scheduler.stats().cached_blocks == 0


@pytest.mark.parametrize("prefix_cache", [True, False])
def test_siblings_share_their_prompt_and_recompute_its_tail(prefix_cache: bool) -> None:
    driver = Driver(config(prefix_cache=prefix_cache), vocabulary=1000)
    sequences = driver.add(request("a", 18, 3, n=4))
    used = 0
    while driver.scheduler.has_work:
        driver.step()
        used = max(used, driver.scheduler.stats().used_blocks)
    assert driver.computed.total() == 18 + 3 * 2 + 4 * 2
    assert used == 4 + 4
    assert [one.cached_tokens for one in sequences] == [0, 16, 16, 16]
    if not prefix_cache:
        assert driver.scheduler.stats().cached_blocks == 0
    driver.check_idle()


def test_siblings_of_a_short_prompt_begin_at_once() -> None:
    driver = Driver(config())
    driver.add(request("a", 4, 3, n=3))
    assert len(driver.step().chunks) == 3


@pytest.mark.parametrize("field", [{"namespace": "other"}, {"adapter": "other"}])
def test_other_namespaces_and_adapters_share_nothing(field: dict[str, str]) -> None:
    driver = Driver(config())
    driver.add(request("a", list(range(20)), 1))
    driver.run()
    (sequence,) = driver.add(request("b", list(range(20)), 1, **field))
    driver.run()
    assert sequence.cached_tokens == 0


def test_a_prompt_whose_logprobs_are_wanted_is_computed_whole() -> None:
    driver = Driver(config())
    driver.add(request("a", list(range(20)), 1))
    driver.run()
    first, second = driver.add(request("b", list(range(20)), 1, n=2, prompt_logprobs=1))
    driver.run()
    assert (first.cached_tokens, second.cached_tokens) == (0, 16)


# --- Cancellation ---


def test_one_of_several_sequences_can_be_cancelled_in_any_state() -> None:
    for steps in range(6):
        for index in range(3):
            driver = Driver(config(max_step_tokens=8))
            sequences = driver.add(request("a", 18, 4, n=3))
            for _ in range(steps):
                driver.step()
            driver.abort("a", index)
            driver.abort("a", index)
            driver.run()
            ended_whole = [one for one in sequences if len(one.tokens) == one.limit]
            assert sequences[index] not in ended_whole
            assert len(ended_whole) == 2


def test_a_cancelled_request_ends_once_and_gives_back_its_blocks() -> None:
    for overlap in (False, True):
        driver = Driver(config(max_step_tokens=8), overlap=overlap)
        driver.add(request("a", 18, 4, n=3))
        driver.abort("unknown")
        driver.step()
        driver.abort("a", 77)
        driver.abort("a")
        driver.abort("a")
        driver.run()


def test_a_failed_step_ends_its_sequences_and_publishes_nothing() -> None:
    driver = Driver(config(max_step_tokens=12))
    driver.add(request("a", list(range(12)), 4))
    driver.launch()
    driver.add(request("b", 8, 2))
    driver.discard()
    assert driver.scheduler.stats().cached_blocks == 0
    driver.run()
    assert driver.ends.total() == 2


# --- Overlap ---


def test_a_step_is_launched_before_the_last_token_is_known() -> None:
    driver = Driver(config(), overlap=True)
    (sequence,) = driver.add(request("a", 6, 4))
    driver.launch()
    assert (sequence.total, sequence.pending, sequence.computed) == (7, 1, 0)
    (chunk,) = driver.launch().chunks
    assert (chunk.start, chunk.count, chunk.samples, chunk.pending) == (6, 1, True, True)
    driver.commit()
    assert (len(sequence.tokens), sequence.pending, sequence.computed) == (7, 1, 6)
    driver.run()
    assert driver.computed.total() == 6 + 3  # none beyond max_tokens


def test_who_needs_the_last_token_waits_for_it() -> None:
    driver = Driver(config(), overlap=True)
    driver.add(request("a", 6, 4, penalty=1.0))
    assert driver.launch().chunks
    assert not driver.launch().chunks
    driver.commit()
    driver.commit()
    assert driver.launch().chunks


def test_what_was_launched_for_an_ended_sequence_is_dropped_and_then_released() -> None:
    driver = Driver(config(), overlap=True)
    (sequence,) = driver.add(request("a", 6, 9))
    first, second = driver.scheduler.schedule(), driver.scheduler.schedule()
    assert driver.scheduler.commit(first, {sequence: [5]}) == [(sequence, [5])]
    assert driver.scheduler.finish(sequence)  # say, 5 ends the text
    assert driver.scheduler.has_work
    assert driver.scheduler.stats().used_blocks == 2
    assert driver.scheduler.commit(second, {sequence: [6]}) == []
    assert sequence.tokens[-1] == 5
    assert driver.scheduler.stats().used_blocks == 0
    assert not driver.scheduler.has_work
    driver.scheduler.check_integrity()


def test_several_tokens_cannot_come_while_a_later_step_computes() -> None:
    driver = Driver(config(), overlap=True)
    (sequence,) = driver.add(request("a", 6, 9))
    first = driver.scheduler.schedule()
    driver.scheduler.schedule()
    with pytest.raises(ValueError, match="under way"):
        driver.scheduler.commit(first, {sequence: [5, 6]})
