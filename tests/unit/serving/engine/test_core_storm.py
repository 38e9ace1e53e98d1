"""Many requests, little memory, random cancels: nothing leaks, nothing hangs."""

from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
import torch

from rostra.core import RostraError
from rostra.serving.errors import NeverFits, QueueFull
from tests.unit.serving.engine.cores import Collector, make_core, random_prompt, request, run


@pytest.mark.parametrize("overlap", [False, True])
def test_a_thousand_requests_with_random_cancels(
    checkpoint: Callable[..., Path], overlap: bool
) -> None:
    folder = checkpoint("llama3")
    probe = make_core(folder).describe()
    core = make_core(
        folder,
        kv_memory_bytes=14 * probe.kv_bytes // probe.blocks,
        max_step_tokens=48,
        max_waiting=2000,
        overlap=overlap,
    )
    random = Random(7)
    shared = random_prompt(random, 40)
    collector, accepted, number = Collector(), set(), 0
    while number < 1000 or core.has_work:
        for _ in range(random.randint(0, 6)):
            if number == 1000:
                break
            prompt = shared[: random.choice((0, 16, 32, 40))] + random_prompt(
                random, random.randint(1, 30)
            )
            name = f"r{number}"
            number += 1
            core.add(
                request(
                    name,
                    prompt,
                    max_tokens=random.randint(1, 12),
                    temperature=random.choice((0.0, 1.0)),
                    n=random.choice((1, 1, 1, 3)),
                    seed=number,
                    priority=random.choice((0, 0, 5)),
                    tenant=random.choice("abc"),
                    namespace=random.choice("xy"),
                    repetition_penalty=random.choice((1.0, 1.0, 1.2)),
                )
            )
            accepted.add(name)
        if random.random() < 0.25 and accepted:
            core.abort(random.choice(sorted(accepted)), random.choice((None, None, 0, 1)))
        collector.take(core.step())
        if number % 10 == 0:
            core.check_integrity()
    core.check_integrity()
    stats = core.stats()
    assert stats.used_blocks == stats.running == stats.waiting == 0
    assert stats.preemptions > 0
    assert set(collector.results) == accepted
    assert all(len(result.ends) == 1 for result in collector.results.values())
    assert not [r.end.error for r in collector.results.values() if r.end.error]


def test_what_can_never_fit_is_refused_and_the_rest_goes_on(
    checkpoint: Callable[..., Path],
) -> None:
    folder = checkpoint("llama3")
    probe = make_core(folder).describe()
    core = make_core(folder, kv_memory_bytes=3 * probe.kv_bytes // probe.blocks)
    with pytest.raises(NeverFits):
        core.add(request("big", random_prompt(Random(1), 40), max_tokens=40))
    results = run(core, [request("small", random_prompt(Random(1), 20), max_tokens=20)])
    assert len(results["small"].tokens[0]) == 20


def test_a_full_queue_sheds_load(checkpoint: Callable[..., Path]) -> None:
    core = make_core(checkpoint("llama3"), max_waiting=3)
    for i in range(3):
        core.add(request(str(i), [20, 21]))
    with pytest.raises(QueueFull):
        core.add(request("4", [20, 21]))
    while core.has_work:
        core.step()
    core.add(request("5", [20, 21]))


def test_a_request_that_waits_too_long_ends_with_an_error(
    checkpoint: Callable[..., Path],
) -> None:
    core = make_core(checkpoint("llama3"), max_running=1, max_wait_seconds=0.0)
    core.add(request("late", [20, 21]))
    collector = Collector()
    while core.has_work:
        collector.take(core.step())
    error = collector.results["late"].end.error
    assert error is not None
    assert error["code"] == "waited_too_long"


def test_a_step_that_does_not_fit_ends_its_requests_only(
    checkpoint: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    core = make_core(checkpoint("llama3"))
    decoder = core._decoder
    original = decoder.forward

    def forward(ids: torch.Tensor, *rest: torch.Tensor) -> torch.Tensor:
        if ids.shape[0] > 30:
            raise torch.OutOfMemoryError("no memory")
        return original(ids, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(decoder, "forward", forward)
    collector = Collector()
    core.add(request("small", [20, 21], max_tokens=5))
    collector.take(core.step())
    core.add(request("large", random_prompt(Random(1), 40)))
    while core.has_work:
        collector.take(core.step())
    core.check_integrity()
    large = collector.results["large"].end.error
    assert large is not None
    assert large["code"] == "engine_out_of_memory"
    assert run(core, [request("after", [20, 21], max_tokens=5)])["after"].end.error is None


def test_logits_that_are_not_finite_fail_their_request_only(
    checkpoint: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    core = make_core(checkpoint("llama3"))
    decoder = core._decoder
    original = decoder.logits

    def logits(hidden: torch.Tensor) -> torch.Tensor:
        values = original(hidden).clone()
        if values.shape[0] == 3:
            values[1] = torch.nan
        return values

    monkeypatch.setattr(decoder, "logits", logits)
    results = run(core, [request(str(i), [20 + i, 30], max_tokens=4) for i in range(3)])
    errors = [results[str(i)].end.error for i in range(3)]
    assert [error is None for error in errors] == [True, False, True]
    assert len(results["0"].tokens[0]) == len(results["2"].tokens[0]) == 4


def test_a_seed_gives_the_same_text_alone_and_in_company(
    checkpoint: Callable[..., Path],
) -> None:
    folder = checkpoint("llama3")
    prompt = random_prompt(Random(8), 12)

    def sampled(name: str, seed: int, n: int = 1):  # type: ignore[no-untyped-def]
        return request(name, prompt, temperature=1.0, top_p=0.9, seed=seed, n=n, max_tokens=12)

    alone = run(make_core(folder), [sampled("a", 11)])["a"].tokens[0]
    company = run(
        make_core(folder, max_step_tokens=9),
        [sampled("x", 1), sampled("a", 11), sampled("y", 2, n=4)],
    )
    assert company["a"].tokens[0] == alone
    four = company["y"].tokens
    assert len({tuple(tokens) for tokens in four.values()}) > 1
    assert company["y"].end.usage.prompt_tokens == len(prompt)
    assert company["y"].end.usage.completion_tokens == 48


def test_errors_of_a_refused_request_leave_nothing_behind(
    checkpoint: Callable[..., Path],
) -> None:
    core = make_core(checkpoint("llama3"))
    with pytest.raises(RostraError):
        core.add(request("empty", []))
    assert not core.has_work
    core.abort("empty")
    core.abort("never seen", 3)
    assert not core.has_work
