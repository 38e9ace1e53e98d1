"""Files of tasks: what is wrong with them is counted, and the rest is used."""

import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from evals.agents.own import __doc__ as own_docs
from evals.agents.own.checks import Check, holds
from evals.agents.own.reading import asks_platform, read_agent_tasks
from evals.agents.own.world import World, made_tool
from evals.errors import DatasetError
from rostra.agents import CallContext, Effect, ToolFailure

ROOT = Path(__file__).parents[4]
SCHEMA = {
    "type": "object",
    "properties": {"id": {"type": "string"}, "to": {}},
    "required": ["id"],
}
GET: dict[str, Any] = {"name": "get", "parameters": SCHEMA, "gives": "orders.{id}"}
FINE: dict[str, Any] = {
    "id": "t",
    "task": "Look.",
    "tools": [GET],
    "expect": {"calls": [{"tool": "get", "args": {"id": "1"}}]},
}


def write(path: Path, *rows: Any) -> Path:
    path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows))
    return path


TAKEN = "a tool with the name of one of the platform's"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"id": None}, "no id"),
        ({"id": ""}, "no id"),
        ({"task": " "}, "no task"),
        ({"task": 3}, "no task"),
        ({"task": "x" * 20_001}, "a task of more than 20,000 characters"),
        ({"expect": {}}, "nothing is expected"),
        ({"expect": None}, "expect is no object"),
        ({"expect": {"anwser": ["x"]}}, "an expectation that nobody reads: 'anwser'"),
        ({"expects": {}}, "a key that nobody reads: 'expects'"),
        ({"expect": {"answer": "x"}}, "an expectation that cannot be read"),
        ({"expect": {"answer": []}}, "an expectation that cannot be read"),
        ({"expect": {"answer": [[]]}}, "an expectation that cannot be read"),
        ({"expect": {"answer": [" "]}}, "an expectation that cannot be read"),
        ({"expect": {"abstains": "no"}}, "an expectation that cannot be read"),
        ({"expect": {"state": [{"path": "a"}]}}, "an expectation that cannot be read"),
        ({"expect": {"state": [{"path": "a", "iss": 1}]}}, "an expectation that cannot be read"),
        (
            {"expect": {"state": [{"path": "a", "is": 1, "has": 2}]}},
            "an expectation that cannot be read",
        ),
        ({"expect": {"calls": [{"args": {}}]}}, "an expectation that cannot be read"),
        (
            {"expect": {"calls": [{"tool": "get", "args": {}, "options": {}}]}},
            "an expectation that cannot be read",
        ),
        ({"expect": {"calls": [{"tool": "put"}]}}, "an expected call of an unknown tool"),
        ({"tools": "get"}, "tools is no list"),
        ({"tools": [{"name": "get"}]}, "a tool that cannot be read"),
        ({"tools": [GET | {"name": "a b"}]}, "a tool that cannot be read"),
        ({"tools": [GET | {"parameters": {"type": "odd"}}]}, "a tool that cannot be read"),
        ({"tools": [GET | {"effect": "magic"}]}, "a tool that cannot be read"),
        ({"tools": [GET | {"gives": "a." * 40}]}, "a tool that cannot be read"),
        ({"tools": [GET, GET]}, "two tools of one name"),
        ({"tools": [GET, "serach"]}, "an unknown tool: 'serach'"),
        ({"tools": [GET | {"name": "search"}, "ask"]}, TAKEN),
        ({"approve": ["put"]}, "an approval of an unknown tool"),
        ({"approve": [1]}, "approve is no list of names"),
        ({"state": []}, "state is no object"),
        ({"budget": {"steps": "many"}}, "a budget that cannot be read"),
        ({"budget": {"stepz": 3}}, "a budget that cannot be read"),
    ],
)  # fmt: skip
def test_a_bad_line_is_counted_and_the_rest_is_used(
    tmp_path: Path, change: dict[str, Any], reason: str
) -> None:
    path = write(tmp_path / "own.jsonl", FINE, FINE | {"id": "u"} | change)
    dataset = read_agent_tasks(path, ["search", "ask"])
    assert [sample.id for sample in dataset.samples] == ["t"]
    assert [(problem.reason, problem.count) for problem in dataset.problems] == [(reason, 1)]
    assert dataset.problems[0].examples == ["own.jsonl, line 2"]


def test_lines_that_are_no_json_and_ids_that_come_twice(tmp_path: Path) -> None:
    path = write(tmp_path / "own.jsonl", FINE, "{", "[]", "", FINE, FINE | {"id": 7})
    dataset = read_agent_tasks(path)
    assert [sample.id for sample in dataset.samples] == ["t", "7"]
    assert {problem.reason: problem.count for problem in dataset.problems} == {
        "a line that is no JSON": 1,
        "a line that is no JSON object": 1,
        "an id that another sample has": 1,
    }


@pytest.mark.parametrize("rows", [(), ("",), ("{",), (FINE | {"expect": {}},)])
def test_a_file_without_a_task_is_an_error(tmp_path: Path, rows: tuple[Any, ...]) -> None:
    with pytest.raises(DatasetError, match="no sample"):
        read_agent_tasks(write(tmp_path / "own.jsonl", *rows))
    with pytest.raises(DatasetError, match="nowhere"):
        read_agent_tasks(tmp_path / "nowhere.jsonl")


def test_names_of_the_platform(tmp_path: Path) -> None:
    mixed = FINE | {
        "tools": [GET, "calculator", "read_*"],
        "expect": {"calls": [{"tool": "calculator__add"}, {"tool": "read_document"}]},
        "approve": ["calculator__add"],
    }
    path = write(tmp_path / "own.jsonl", mixed)
    known = ["calculator__add", "read_document", "search"]
    (sample,) = read_agent_tasks(path, known).samples
    assert sample.data["patterns"] == ["calculator", "read_*"]
    assert asks_platform(path)
    assert not asks_platform(write(tmp_path / "other.jsonl", FINE, "{", {"tools": 3}))
    hidden = mixed | {"expect": {"calls": [{"tool": "search"}]}}
    with pytest.raises(DatasetError, match="unknown tool"):
        read_agent_tasks(write(tmp_path / "own.jsonl", hidden), known)


STATE = {
    "orders": {"1": {"status": "open", "notes": ["a", {"k": 1}], "n": 3}},
    "text": "Ship it to Ada.",
}


@pytest.mark.parametrize(
    ("check", "right"),
    [
        ({"path": "orders.1.status", "is": "open"}, True),
        ({"path": "orders.1.status", "is": "Open"}, False),
        ({"path": "orders.1.n", "is": 3.0}, True),
        ({"path": "orders.1.notes", "is": ["a", {"k": 1}]}, True),
        ({"path": "orders.1.notes.1.k", "is": 1}, True),
        ({"path": "orders.1.notes.2", "exists": False}, True),
        ({"path": "orders.1.notes.-1", "exists": True}, False),
        ({"path": "orders.2", "exists": False}, True),
        ({"path": "orders.1", "exists": False}, False),
        ({"path": "orders.1", "exists": True}, True),
        ({"path": "orders.1.status", "one_of": ["shipped", "open"]}, True),
        ({"path": "orders.1.status", "one_of": []}, False),
        ({"path": "orders.1.notes", "has": {"k": 1}}, True),
        ({"path": "orders.1", "has": "notes"}, True),
        ({"path": "text", "has": "Ada"}, True),
        ({"path": "text", "has": 3}, False),
        ({"path": "orders.1.n", "at_least": 3}, True),
        ({"path": "orders.1.n", "at_most": 2}, False),
        ({"path": "text", "at_least": 0}, False),
        ({"path": "orders.2.n", "is": None}, False),
    ],
)
def test_checks(check: dict[str, Any], right: bool) -> None:
    assert holds(msgspec.convert(check, Check), STATE) is right


async def call(world: World, name: str, **arguments: Any) -> str:
    return (await world.toolset().call(name, arguments, CallContext("r", "c"))).text


async def test_a_world_is_read_and_changed_by_its_tools_alone() -> None:
    tools = [
        made_tool(GET),
        made_tool(
            {
                "name": "set",
                "parameters": SCHEMA,
                "needs": ["orders.{id}"],
                "sets": {"orders.{id}.to": "{to}", "log.last": "order {id}", "count": 1},
            }
        ),
        made_tool({"name": "say", "parameters": SCHEMA, "says": "Order {id}: {to}{none}"}),
    ]
    infos = {info.name: info.effect for info in await World({}, tools).toolset().list()}
    assert infos == {"get": Effect.READ, "set": Effect.WRITE, "say": Effect.READ}
    world = World(STATE, tools)
    assert json.loads(await call(world, "get", id="1")) == STATE["orders"]["1"]  # type: ignore[index]
    assert await call(world, "set", id="1", to=["Ada", 2]) == "Done."
    assert world.state["orders"]["1"]["to"] == ["Ada", 2]
    assert (world.state["log"], world.state["count"]) == ({"last": "order 1"}, 1)
    assert await call(world, "say", id="1", to=3) == "Order 1: 3"
    before = json.dumps(world.state)
    for name in ("get", "set"):
        with pytest.raises(ToolFailure, match=r"no orders\.9"):
            await call(world, name, id="9")
    # An argument is one key, whatever it holds.
    with pytest.raises(ToolFailure):
        await call(world, "get", id="1.status")
    assert json.dumps(world.state) == before
    assert "to" not in STATE["orders"]["1"]  # type: ignore[index]


def examples() -> list[str]:
    """The tasks that people are shown, one line each."""
    documented = (ROOT / "docs/agents.md").read_text("utf-8")
    (shown,) = re.findall(r'```json\n(\{"id": "ship-17".*?)```', documented, re.DOTALL)
    (own,) = re.findall(r'(    \{"id": "ship-17".*?)\n\n', own_docs or "", re.DOTALL)
    return [" ".join(each.split()) for each in (shown, own)]


@pytest.mark.parametrize("line", examples())
def test_what_is_documented_is_a_task(tmp_path: Path, line: str) -> None:
    dataset = read_agent_tasks(write(tmp_path / "own.jsonl", line), ["calculator__calculate"])
    assert dataset.problems == ()
    (sample,) = dataset.samples
    assert sample.data.keys() >= {"calls", "facts", "checks"}
