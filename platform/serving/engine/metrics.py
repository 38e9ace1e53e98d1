"""What an engine counts, and how Prometheus sees it.

Names follow vLLM's stems with the prefix `rostra_`, so that dashboards carry over. What always
holds: every engine has a registry of its own; counters never fall, also when the engine's process
was restarted and counts from 0 again.
"""

from collections.abc import Iterator

import msgspec
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from rostra.serving.request import Usage

# Of what `Metrics.text` gives.
METRICS_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_LABEL = "model_name"
_SECONDS = (
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600,
)  # fmt: skip
_TOKENS = (1, 4, 16, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768, 65536, 131072)


class EngineStats(msgspec.Struct, frozen=True, kw_only=True):
    """A look at the engine's loop: gauges of now, and counts since it was loaded.

    Attributes:
        running: sequences that hold blocks.
        waiting: sequences that wait for their first step, or to be taken up again.
        used_blocks: held by sequences.
        cached_blocks: held by nobody, their content known.
        free_blocks: neither.
        preemptions: sequences that had to give their blocks back.
        prefix_queries: prompt tokens looked up in the prefix cache.
        prefix_hits: of these, found there.
        prompt_tokens: tokens of the prompts begun.
        generation_tokens: tokens drawn.
        steps: steps run.
        queue_times: seconds from arrival to the first step, of each request begun since the last
            look.
    """

    running: int = 0
    waiting: int = 0
    used_blocks: int = 0
    cached_blocks: int = 0
    free_blocks: int = 0
    preemptions: int = 0
    prefix_queries: int = 0
    prefix_hits: int = 0
    prompt_tokens: int = 0
    generation_tokens: int = 0
    steps: int = 0
    queue_times: list[float] = []

    @property
    def blocks(self) -> int:
        """All blocks."""
        return self.used_blocks + self.cached_blocks + self.free_blocks


_COUNTS = {
    "preemptions": ("rostra_num_preemptions", "Sequences that gave their blocks back."),
    "prefix_queries": ("rostra_prefix_cache_queries", "Prompt tokens looked up in the cache."),
    "prefix_hits": ("rostra_prefix_cache_hits", "Prompt tokens found in the prefix cache."),
    "prompt_tokens": ("rostra_prompt_tokens", "Prompt tokens of requests begun."),
    "generation_tokens": ("rostra_generation_tokens", "Tokens generated."),
    "steps": ("rostra_engine_steps", "Steps run."),
}


class Metrics(Collector):
    """Collectors of one engine, in a registry of their own.

    Args:
        model_name: value of the label `model_name`.
    """

    def __init__(self, model_name: str) -> None:
        self._name = model_name
        self._stats = EngineStats()
        # Of the processes before the present one.
        self._before = dict.fromkeys(_COUNTS, 0)
        self.registry = CollectorRegistry(auto_describe=False)
        self.registry.register(self)
        self._success = Counter(
            "rostra_request_success",
            "Requests that ended, by how.",
            (_LABEL, "finished_reason"),
            registry=self.registry,
        )
        self._ttft = self._seconds("rostra_time_to_first_token_seconds", "To the first token.")
        self._itl = self._seconds("rostra_inter_token_latency_seconds", "Between two tokens.")
        self._tpot = self._seconds(
            "rostra_time_per_output_token_seconds", "Mean between two tokens of a request."
        )
        self._e2e = self._seconds("rostra_e2e_request_latency_seconds", "Of a whole request.")
        self._queue = self._seconds("rostra_request_queue_time_seconds", "To the first step.")
        self._prompt = self._counted("rostra_request_prompt_tokens", "Prompt tokens of a request.")
        self._generated = self._counted(
            "rostra_request_generation_tokens", "Tokens generated for a request."
        )

    @property
    def stats(self) -> EngineStats:
        """As last reported by the engine's loop."""
        return self._stats

    def report(self, stats: EngineStats) -> None:
        """Takes a new look at the engine's loop."""
        self._stats = stats
        for seconds in stats.queue_times:
            self._queue.observe(seconds)

    def restarted(self) -> None:
        """The engine counts from 0 again."""
        for field in _COUNTS:
            self._before[field] += getattr(self._stats, field)
        self._stats = EngineStats()

    def first_token(self, seconds: float) -> None:
        """A request's first token came so long after its arrival."""
        self._ttft.observe(seconds)

    def next_tokens(self, seconds: float, count: int) -> None:
        """`count` more tokens of a sequence came so long after those before."""
        for _ in range(count):
            self._itl.observe(seconds / count)

    def ended(self, reason: str, seconds: float, usage: Usage, per_token: float | None) -> None:
        """A request has ended.

        Args:
            reason: stop, length, abort or error.
            seconds: since its arrival.
            usage: its token counts.
            per_token: mean seconds between two of its tokens; None for fewer than two.
        """
        self._success.labels(self._name, reason).inc()
        self._e2e.observe(seconds)
        self._prompt.observe(usage.prompt_tokens)
        self._generated.observe(usage.completion_tokens)
        if per_token is not None:
            self._tpot.observe(per_token)

    def text(self) -> str:
        """All of it in Prometheus' text format; its type is `METRICS_CONTENT_TYPE`."""
        return generate_latest(self.registry).decode()

    def collect(self) -> Iterator[GaugeMetricFamily | CounterMetricFamily]:
        """The engine's own numbers, for the registry."""
        stats = self._stats
        usage = stats.used_blocks / stats.blocks if stats.blocks else 0.0
        gauges = (
            ("rostra_num_requests_running", "Sequences that hold blocks.", stats.running),
            ("rostra_num_requests_waiting", "Sequences that wait.", stats.waiting),
            ("rostra_kv_cache_usage_perc", "Used key/value blocks; 1 is all.", usage),
        )
        for name, meaning, value in gauges:
            gauge = GaugeMetricFamily(name, meaning, labels=[_LABEL])
            gauge.add_metric([self._name], value)
            yield gauge
        for field, (name, meaning) in _COUNTS.items():
            counter = CounterMetricFamily(name, meaning, labels=[_LABEL])
            counter.add_metric([self._name], self._before[field] + getattr(stats, field))
            yield counter

    def _seconds(self, name: str, meaning: str) -> Histogram:
        histogram = Histogram(name, meaning, (_LABEL,), buckets=_SECONDS, registry=self.registry)
        return histogram.labels(self._name)

    def _counted(self, name: str, meaning: str) -> Histogram:
        histogram = Histogram(name, meaning, (_LABEL,), buckets=_TOKENS, registry=self.registry)
        return histogram.labels(self._name)
