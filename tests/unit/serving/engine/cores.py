"""Small engines in the test's own process, and what comes out of them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from rostra.serving import EngineConfig, EngineCore, EngineRequest, SamplingParams
from rostra.serving.request import FinishReason, RequestEnd, TokenLogprobs, Tokens

# Of the tests' tokenizers; below are control tokens.
FIRST_TOKEN, LAST_TOKEN = 16, 400


def make_core(folder: Path, **changes: Any) -> EngineCore:
    """An engine in float32 on the CPU, small enough to be quick."""
    defaults: dict[str, Any] = {
        "dtype": "float32",
        "device": "cpu",
        "kv_memory_bytes": 1 << 22,
        "max_running": 8,
        "max_step_tokens": 64,
    }
    return EngineCore(folder, EngineConfig(**(defaults | changes)))


def random_prompt(random: Random, tokens: int) -> list[int]:
    return [random.randrange(FIRST_TOKEN, LAST_TOKEN) for _ in range(tokens)]


def request(name: str, prompt: Sequence[int], **sampling: Any) -> EngineRequest:
    """A request; its sampling is greedy and without an early end unless said otherwise."""
    fields = {
        name: sampling.pop(name)
        for name in ("n", "seed", "eos_token_ids", "namespace", "tenant", "priority", "grammar")
        if name in sampling
    }
    params = {"temperature": 0.0, "max_tokens": 8, "ignore_eos": True} | sampling
    return EngineRequest(id=name, prompt=list(prompt), sampling=SamplingParams(**params), **fields)


@dataclass
class Result:
    """All events of one request."""

    tokens: dict[int, list[int]] = field(default_factory=dict)
    logprobs: dict[int, list[TokenLogprobs]] = field(default_factory=dict)
    reasons: dict[int, FinishReason] = field(default_factory=dict)
    prompt_logprobs: list[TokenLogprobs] | None = None
    ends: list[RequestEnd] = field(default_factory=list)

    @property
    def end(self) -> RequestEnd:
        assert len(self.ends) == 1, "exactly one terminal event"
        return self.ends[0]


class Collector:
    """Sorts events by request; fails on an event after a request's end."""

    def __init__(self) -> None:
        self.results: dict[str, Result] = {}

    def take(self, events: Iterable[Tokens | RequestEnd]) -> None:
        for event in events:
            result = self.results.setdefault(event.request_id, Result())
            assert not result.ends, f"an event after the end: {event}"
            if isinstance(event, RequestEnd):
                result.ends.append(event)
                continue
            assert event.index not in result.reasons, f"an event after a sequence's end: {event}"
            result.tokens.setdefault(event.index, []).extend(event.token_ids)
            if event.logprobs is not None:
                result.logprobs.setdefault(event.index, []).extend(event.logprobs)
            if event.prompt_logprobs is not None:
                result.prompt_logprobs = event.prompt_logprobs
            if event.finish_reason is not None:
                result.reasons[event.index] = event.finish_reason


def run(core: EngineCore, requests: Iterable[EngineRequest]) -> dict[str, Result]:
    """Adds all requests and runs them to their ends; no block stays in use."""
    collector = Collector()
    for one in requests:
        core.add(one)
    while core.has_work:
        collector.take(core.step())
    core.check_integrity()
    assert core.stats().used_blocks == 0
    return collector.results
