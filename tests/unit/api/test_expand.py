"""Query strategies over REST: chosen by the request, shown in the answer, refused by status."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from litestar import Litestar
from litestar.testing import AsyncTestClient

from rostra.api import Pace, create_app
from rostra.core import Settings
from tests.fakes import FakeEmbedder

Client = AsyncTestClient[Litestar]
Upload = Callable[..., Awaitable[dict[str, Any]]]
FILES = (
    ("pumps.md", b"# Pumps\n\nChange the oil of the pump every month.\n"),
    ("valves.md", b"# Valves\n\nA valve opens above three bar.\n"),
)
SCRIPT = [
    json.dumps({"queries": ["pressure valve"]}),
    json.dumps({"conditions": [{"field": "media_type", "operator": "eq", "value": "x"}]}),
    json.dumps({"question": "What is maintenance?"}),
    "Change it monthly [1].",
]


@pytest.fixture
def app(
    request: pytest.FixtureRequest,
    settings: Settings,
    embedder: FakeEmbedder,
    static: Path,
    tmp_path: Path,
) -> Litestar:
    """With a model that says the script, or with none."""
    if "with_script" in request.fixturenames:
        script = tmp_path / "script.jsonl"
        script.write_text("\n".join(map(json.dumps, SCRIPT)), encoding="utf-8")
        settings = settings.model_copy(update={"chat_script": script})
    return create_app(settings, pace=Pace(poll=0.05, beat=0.05), static=static)


@pytest.fixture
def with_script() -> None:
    """Asked for by tests whose application has a model."""


@pytest.fixture
async def filled(client: Client, upload: Upload) -> AsyncIterator[Client]:
    await upload(*FILES)
    yield client


async def test_search_and_ask_show_what_was_added(with_script: None, filled: Client) -> None:
    body = {"query": "when to oil", "collection": "docs"}
    plain = (await filled.post("/api/search", json=body)).json()
    assert "expansion" not in plain
    found = await filled.post("/api/search", json=body | {"expand": ["multi", "filters"]})
    assert found.status_code == 200, found.text
    added = found.json()["expansion"]
    assert [(one["name"], one["outcome"]) for one in added["strategies"]] == [
        ("multi", "used"),
        ("filters", "nothing"),  # it named a value that no document has
    ]
    assert added["strategies"][0]["queries"] == ["pressure valve"]
    assert (added["filters"], added["filters_dropped"]) == ({}, False)
    asked = {"question": "When to oil?", "collection": "docs", "expand": ["step_back"]}
    answer = (await filled.post("/api/ask", json=asked)).json()
    assert answer["answer"] == "Change it monthly [1]."
    assert answer["expansion"]["strategies"][0]["queries"] == ["What is maintenance?"]
    plain = (await filled.post("/api/search", json=body | {"expand": []})).json()
    assert "expansion" not in plain


async def test_events_end_with_what_was_added(with_script: None, filled: Client) -> None:
    asked = {"question": "When to oil?", "collection": "docs", "expand": ["multi"]}
    response = await filled.post("/api/ask", json=asked, headers={"accept": "text/event-stream"})
    last = response.text.strip().split("\n\n")[-1]
    assert last.startswith("event: done")
    done = json.loads(last.split("data: ", 1)[1])
    assert done["expansion"]["strategies"][0]["queries"] == ["pressure valve"]


@pytest.mark.parametrize(
    ("path", "body"), [("/api/search", {"query": "oil"}), ("/api/ask", {"question": "oil"})]
)
async def test_what_cannot_be_is_refused_with_a_status(
    filled: Client, path: str, body: dict[str, Any]
) -> None:
    for headers in ({}, {"accept": "text/event-stream"}):
        refused = await filled.post(path, json=body | {"expand": ["hyde"]}, headers=headers)
        assert refused.status_code == 503
        assert refused.json()["code"] == "model_unavailable"
        assert "ROSTRA_MODEL" in refused.json()["hint"]
    for wrong in (["magic"], "hyde", ["hyde"] * 7, [1]):
        refused = await filled.post(path, json=body | {"expand": wrong})
        assert refused.status_code == 400, wrong
        assert refused.json()["errors"][0]["field"].startswith("expand")
