"""Numbers as Prometheus reads them."""

from prometheus_client.parser import text_string_to_metric_families

from rostra.serving.engine.metrics import EngineStats, Metrics
from rostra.serving.request import Usage


def samples(metrics: Metrics) -> dict[str, float]:
    """By name and the labels but `model_name`."""
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(metrics.text()):
        for sample in family.samples:
            labels = {k: v for k, v in sample.labels.items() if k != "model_name"}
            assert sample.labels["model_name"] == 'a "b"'
            found[sample.name + (repr(labels) if labels else "")] = sample.value
    return found


def metrics() -> Metrics:
    return Metrics('a "b"')


def test_the_loops_numbers() -> None:
    made = metrics()
    made.report(
        EngineStats(
            running=3, waiting=2, used_blocks=6, cached_blocks=1, free_blocks=5, preemptions=4,
            prefix_queries=100, prefix_hits=64, prompt_tokens=120, generation_tokens=9, steps=8,
            queue_times=[0.02, 3.0],
        )
    )  # fmt: skip
    found = samples(made)
    assert found["rostra_num_requests_running"] == 3
    assert found["rostra_num_requests_waiting"] == 2
    assert found["rostra_kv_cache_usage_perc"] == 0.5
    assert found["rostra_num_preemptions_total"] == 4
    assert found["rostra_prefix_cache_queries_total"] == 100
    assert found["rostra_prefix_cache_hits_total"] == 64
    assert found["rostra_prompt_tokens_total"] == 120
    assert found["rostra_generation_tokens_total"] == 9
    assert found["rostra_request_queue_time_seconds_count"] == 2
    assert found["rostra_request_queue_time_seconds_sum"] == 3.02


def test_counters_go_on_after_a_restart_and_gauges_do_not() -> None:
    made = metrics()
    made.report(EngineStats(running=3, generation_tokens=10))
    made.restarted()
    assert samples(made)["rostra_generation_tokens_total"] == 10
    assert samples(made)["rostra_num_requests_running"] == 0
    made.report(EngineStats(generation_tokens=5))
    assert samples(made)["rostra_generation_tokens_total"] == 15


def test_requests() -> None:
    made = metrics()
    made.first_token(0.3)
    made.next_tokens(0.4, 2)
    made.ended("stop", 0.7, Usage(10, 0, 3), 0.2)
    made.ended("error", 0.1, Usage(10, 0, 0), None)
    found = samples(made)
    assert found["rostra_request_success_total{'finished_reason': 'stop'}"] == 1
    assert found["rostra_request_success_total{'finished_reason': 'error'}"] == 1
    assert found["rostra_time_to_first_token_seconds_sum"] == 0.3
    assert found["rostra_inter_token_latency_seconds_count"] == 2
    assert found["rostra_inter_token_latency_seconds_sum"] == 0.4
    assert found["rostra_time_per_output_token_seconds_count"] == 1
    assert found["rostra_e2e_request_latency_seconds_count"] == 2
    assert found["rostra_request_prompt_tokens_sum"] == 20
    assert found["rostra_request_generation_tokens_sum"] == 3


def test_two_engines_do_not_meet() -> None:
    first, second = metrics(), metrics()
    first.report(EngineStats(running=3))
    assert samples(second)["rostra_num_requests_running"] == 0
