"""Who gets how much of the steps, by simulated steps."""

import pytest

from rostra.serving.scheduler.sequence import Sequence, Status
from tests.unit.serving.scheduler.driver import Driver, config, request


def _steps_until_first_token(driver: Driver, sequence: Sequence, most: int = 500) -> int:
    for steps in range(most):
        if len(sequence.tokens) > sequence.prompt_length:
            return steps
        driver.step()
    raise AssertionError("starved")


def test_a_short_prompt_does_not_wait_for_a_long_one() -> None:
    driver = Driver(config(max_step_tokens=16), blocks=600)
    driver.add(request("long", 1000, 2))
    driver.add(request("longer", 1000, 2))
    for _ in range(3):
        driver.step()
    (short,) = driver.add(request("short", 7, 2))
    assert _steps_until_first_token(driver, short) == 1
    driver.run()


def test_a_long_prompt_does_not_wait_for_a_stream_of_short_ones() -> None:
    driver = Driver(config(max_step_tokens=16, max_waiting=9999), blocks=600)
    (long,) = driver.add(request("long", 400, 2))
    steps = 0
    while len(long.tokens) == long.prompt_length:
        for number in range(3):
            driver.add(request(f"short-{steps}-{number}", 8, 1))
        driver.step()
        steps += 1
        assert steps < 400, "starved"
    # Half of every step is its own.
    assert steps <= 2 * 400 / 16 + 3


def test_alone_a_long_prompt_gets_the_whole_step() -> None:
    driver = Driver(config(max_step_tokens=16), blocks=600)
    (long,) = driver.add(request("long", 160, 2))
    assert _steps_until_first_token(driver, long) == 10


def test_a_tenant_with_many_requests_does_not_delay_one_with_few() -> None:
    driver = Driver(config(max_step_tokens=16, max_running=4), blocks=64)
    for number in range(50):
        driver.add(request(f"greedy-{number}", 16, 4, tenant="greedy"))
    for _ in range(5):
        driver.step()
    (modest,) = driver.add(request("modest", 16, 4, tenant="modest"))
    begin = driver.steps
    while modest.status is not Status.ENDED:
        driver.step()
    assert driver.steps - begin < 20
    driver.run()


@pytest.mark.parametrize(
    ("one", "other"),
    [((16, 4), (16, 4)), ((40, 1), (5, 1)), ((4, 12), (40, 2))],
    ids=["alike", "long and short", "decoding and prompts"],
)
def test_busy_tenants_get_equal_shares(one: tuple[int, int], other: tuple[int, int]) -> None:
    driver = Driver(config(max_step_tokens=16, max_running=6, max_waiting=9999), blocks=80)
    for number in range(250):
        driver.add(request(f"a-{number}", *one, tenant="a"))
        driver.add(request(f"b-{number}", *other, tenant="b"))
    while driver.computed.total() < 1200:
        driver.step()
    share = driver.computed["a"] / driver.computed.total()
    assert 0.42 < share < 0.58


def test_idleness_earns_no_credit() -> None:
    driver = Driver(config(max_step_tokens=16, max_running=6, max_waiting=9999), blocks=80)
    driver.add(request("b-first", 4, 1, tenant="b"))
    for number in range(150):
        driver.add(request(f"a-{number}", 16, 4, tenant="a"))
    while driver.computed["a"] < 1000:
        driver.step()
    for number in range(80):
        driver.add(request(f"b-{number}", 16, 4, tenant="b"))
    before = driver.computed.copy()
    while driver.computed.total() - before.total() < 1000:
        driver.step()
    assert 0.4 < (driver.computed["a"] - before["a"]) / 1000 < 0.6


def test_many_tenants_come_and_go_without_a_trace() -> None:
    driver = Driver(config(max_waiting=9999, max_running=4), blocks=600)
    driver.add(request("steady", 4, 2000, tenant="steady"))
    for number in range(300):
        driver.add(request(str(number), 8, 1, tenant=str(number)))
        driver.step()
    assert len(driver.scheduler._queue._tenants) < 100
    driver.abort("steady")
    driver.run()
    assert not driver.scheduler._queue._tenants


def test_a_better_priority_is_served_first() -> None:
    driver = Driver(config(max_step_tokens=16, max_running=2), blocks=64)
    for number in range(20):
        driver.add(request(f"batch-{number}", 16, 4, priority=9))
    driver.step()
    urgent = [driver.add(request(f"urgent-{one}", 16, 4, priority=0))[0] for one in range(4)]
    done = driver.ends.total()
    while any(one.status is not Status.ENDED for one in urgent):
        driver.step()
    assert driver.ends.total() - done <= 5
    driver.run()


def test_without_tenants_the_oldest_come_first() -> None:
    driver = Driver(config(max_step_tokens=8, max_running=1))
    order: list[str] = []
    for name in "abcd":
        driver.add(request(name, 8, 2))
    while driver.scheduler.has_work:
        for chunk in driver.step().chunks:
            if chunk.start == 0:
                order.append(chunk.sequence.request.id)
    assert order == list("abcd")
