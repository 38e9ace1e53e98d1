"""Chat models as settings describe them: tables that are read strictly, roles, and routes."""

from typing import Any

import pytest

from rostra.core import ConfigError
from rostra.models import (
    Cascade,
    ConfiguredModels,
    OpenAIModel,
    Prices,
    Router,
    ScriptedModel,
    context_of,
)

SMALL = {"url": "http://localhost:1/v1", "model": "s", "context": 4096}
LARGE = {
    "url": "http://localhost:2/v1",
    "model": "l",
    "prices": {"prompt": 1, "completion": 2.5},
    "key_env": "LARGE_KEY",
}
BOTH = {"small": SMALL, "large": LARGE}


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LARGE_KEY", "k")


async def test_roles_share_the_models_of_their_names() -> None:
    made = ConfiguredModels(BOTH, {"planner": "large", "judge": "large", "executor": "small"})
    assert set(made.roles) == {"planner", "judge", "executor"}
    assert made.roles["planner"] is made.roles["judge"] is made.named["large"]
    large, small = made.named["large"], made.named["small"]
    assert isinstance(large, OpenAIModel)
    assert (large.name, large.prices) == ("l", Prices(1, 2.5))
    assert (await context_of(small), await context_of(large)) == (4096, None)
    await made.close()


def test_a_route_is_the_main_model() -> None:
    cascade = ConfiguredModels(BOTH, {"judge": "small"}, "cascade", 0.9).roles["main"]
    assert isinstance(cascade, Cascade)
    assert cascade.name == "s > l"
    own = ScriptedModel(["x"], name="own")
    with_own = ConfiguredModels(BOTH, {"judge": "small"}, "cascade", 0.9, first=own)
    assert with_own.roles["main"].name == "own > s > l"
    assert isinstance(ConfiguredModels(BOTH, {}, "router").roles["main"], Router)
    assert "main" not in ConfiguredModels(BOTH, {}).roles


@pytest.mark.parametrize(
    ("tables", "roles", "route", "why"),
    [
        ({"a": {"url": "http://x/v1"}}, {}, "", "chat_models.a: .*model"),
        ({"a": {**SMALL, "modle": "x"}}, {}, "", "chat_models.a: .*modle"),
        ({"a": {**SMALL, "url": ""}}, {}, "", "chat_models.a: url"),
        ({"a": {**SMALL, "url": "nowhere"}}, {}, "", "chat_models.a: .*http://"),
        ({"a": {**SMALL, "key_env": "NOT_THERE"}}, {}, "", "chat_models.a: NOT_THERE is not set"),
        ({"a": {**SMALL, "prices": {"prompt": -1, "completion": 0}}}, {}, "", "negative"),
        (BOTH, {"planner": "huge"}, "", "chat_roles.planner: .*'huge' .small, large"),
        (BOTH, {"main": "small"}, "cascade", "chat_route"),
        ({}, {}, "router", "chat_route: there are no"),
        ({f"m{at}": SMALL for at in range(40)}, {}, "", "40 are set"),
    ],
)
def test_what_cannot_work_is_said(tables: Any, roles: Any, route: Any, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        ConfiguredModels(tables, roles, route)
