"""Runs whose roles have models of their own, as the settings say; against a real endpoint."""

import json
from typing import Any

import pytest

from rostra.agents import Budget, ModelAsked, Noted, RunEnded, RunRequest, Status, read_log
from rostra.core import ChatMessage, GenerationOptions, InvalidRequest, Role, Settings
from rostra.models import complete
from rostra.runtime import open_runtime
from tests.agent_parts import final
from tests.integration.models.conftest import DONE, Answer, Endpoint, chunk, said

PLAN = json.dumps({"thought": "p", "steps": [{"id": "E1", "goal": "go", "needs": []}]})
PASSED = json.dumps({"reason": "r", "passed": True})
# 11 tokens of a prompt and 7 of an answer, as the endpoint counts: 1.8 for each.
PRICES = {"prompt": 100_000, "completion": 100_000}
ROLES = {"main": "small", "planner": "big"}


def configured(settings: Settings, endpoint: Endpoint, **more: Any) -> Settings:
    url = f"{endpoint.url}/v1"
    models = {
        "small": {"url": url, "model": "small"},
        "big": {"url": url, "model": "big", "prices": PRICES},
    }
    return settings.model_copy(update={"chat_models": models, "chat_roles": ROLES} | more)


async def run(settings: Settings, **more: Any) -> tuple[RunEnded, list[Any]]:
    async with open_runtime(settings) as runtime:
        budget = more.pop("budget", runtime.workshop.budget)
        request = RunRequest(task="Is it so?", budget=budget, tools=["search"], **more)
        run_id = await runtime.agents.start(request)
        end = (await runtime.agents.wait(run_id)).event
        assert isinstance(end, RunEnded)
        records = await read_log(runtime.database, run_id)
        return end, [record.event for record in records]


async def test_the_planner_and_the_executor_are_two_models(
    settings: Settings, endpoint: Endpoint
) -> None:
    answers = [said(PLAN), said(final("It is so.")), said(PASSED), said(final("It is so."))]
    endpoint.answers = list(answers)
    end, events = await run(configured(settings, endpoint), strategy="plan")
    assert end.status is Status.COMPLETED
    assert [sent["model"] for sent in endpoint.requests] == ["big", "small", "big", "big"]
    assert [one.model for one in events if isinstance(one, ModelAsked)] == [
        *("big", "small", "big", "big")
    ]
    # Their caches do not change the price, which is told of no cached tokens.
    assert end.spent.cost == pytest.approx(3 * 1.8)

    endpoint.answers = list(answers)
    limited = configured(settings, endpoint, agent_cost=2.0)
    end, _ = await run(limited, strategy="plan")
    assert end.status is Status.EXHAUSTED
    assert end.error is not None
    assert "cost" in end.error["message"]
    assert len(endpoint.requests) == 4 + 3
    with pytest.raises(InvalidRequest, match="unlimited cost"):
        await run(limited, budget=Budget(seconds=60))


async def test_a_cascade_keeps_what_is_likely_enough(
    settings: Settings, endpoint: Endpoint
) -> None:
    def likely(logprob: float) -> Answer:
        tokens = {"content": [{"token": "a", "logprob": logprob}]}
        choice = {"index": 0, "delta": {"content": "a"}, "logprobs": tokens}
        return Answer(body=chunk(choices=[choice | {"finish_reason": "stop"}]) + DONE)

    chosen = configured(settings, endpoint, chat_route="cascade", chat_roles={})
    async with open_runtime(chosen) as runtime:
        assert runtime.generator is not None
        for logprob, asked in ((-0.1, ["small"]), (-1.0, ["small", "big"])):
            endpoint.requests.clear()
            endpoint.answers = [likely(logprob), likely(-3.0)]
            hello = [ChatMessage(Role.USER, "hello")]
            await complete(runtime.generator, hello, GenerationOptions())
            assert [sent["model"] for sent in endpoint.requests] == asked


async def test_a_long_run_is_summarised_where_the_settings_say_so(
    settings: Settings, endpoint: Endpoint
) -> None:
    async def run_with(**more: Any) -> set[str]:
        endpoint.requests.clear()
        search = json.dumps(
            {"thought": "t" * 1500, "action": [{"tool": "search", "args": {"query": "q"}}]}
        )
        endpoint.answers = [*[said(search)] * 8, said(final("It is so."))]
        chosen = configured(settings, endpoint, agent_context_tokens=2000, **more)
        end, events = await run(chosen, strategy="react")
        assert end.status.ended
        return {one.kind for one in events if isinstance(one, Noted) and "memory" in one.kind}

    assert "memory.dropped" in await run_with()
    assert "memory.summarised" in await run_with(agent_context="summarise")
