"""A question that takes two searches and a sum, through the command, its tools and its log."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rostra.cli.main import run
from rostra.core import Settings
from tests.agent_parts import final

PAGES = {
    "types.md": "# Integer types\n\nThe type bigint takes 8 bytes. The type smallint takes 2.\n",
    "limits.md": "# Limits\n\nA table has at most 1,600 columns. A name has at most 63 bytes.\n",
    "other.md": "# Vacuum\n\nVacuum reclaims the space of dead rows.\n",
}
TASK = "How many bytes do the values of the widest row take, if all its columns are bigint?"


def line(thought: str, *calls: tuple[str, dict[str, object]]) -> str:
    action = [{"tool": tool, "args": args} for tool, args in calls]
    return json.dumps({"text": json.dumps({"thought": thought, "action": action})})


@pytest.fixture
def rostra(
    settings: Settings, capfdbinary: pytest.CaptureFixture[bytes]
) -> Callable[..., tuple[int, Any]]:
    """Runs a command line over one home; its status and what `--json` printed."""

    def call(*arguments: str) -> tuple[int, Any]:
        status = run([*arguments])
        out, _ = capfdbinary.readouterr()
        return status, json.loads(out) if "--json" in arguments else None

    return call


def test_an_answer_of_two_searches_and_a_product(
    rostra: Callable[..., tuple[int, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "pages"
    folder.mkdir()
    for name, text in PAGES.items():
        (folder / name).write_text(text)
    script = tmp_path / "script.jsonl"
    searches = [
        ("search", {"query": "size of bigint in bytes", "k": 1}),
        ("search", {"query": "most columns of a table", "k": 1}),
    ]
    script.write_text(
        "\n".join(
            [
                line("Find both numbers.", *searches),
                line("Multiply.", ("calculator__calculate", {"expression": "8 * 1600"})),
                json.dumps({"text": final("They take 12,800 bytes.", 2, 5)}),
            ]
        )
    )
    assert rostra("ingest", str(folder))[0] == 0
    monkeypatch.setenv("ROSTRA_CHAT_SCRIPT", str(script))
    status, found = rostra("agent", "run", TASK, "--tools", "search,calculator", "--json")
    assert (status, found["status"]) == (0, "completed")
    assert found["answer"]["text"] == "They take 12,800 bytes."
    cited = found["answer"]["claims"][0]["evidence"]
    # In the order of the searches, whichever ended first.
    quotes = [citation["quote"] for citation in cited]
    assert quotes == ["The type bigint takes 8 bytes.", "A table has at most 1,600 columns."]
    for citation, page in zip(cited, PAGES.values(), strict=False):
        assert page[citation["start"] : citation["end"]] == citation["quote"]
    status, replayed = rostra("agent", "replay", found["run"], "--json")
    assert (status, replayed["difference"]) == (0, None)
    status, shown = rostra("agent", "show", found["run"], "--json")
    events = [record["event"] for record in shown["events"]]
    results = [event["text"] for event in events if event["type"] == "ToolEnded"]
    assert any("12800" in text for text in results)
