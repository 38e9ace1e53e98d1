"""Evaluations over the API: listed, reported, their samples page by page."""

from pathlib import Path

import pytest
from litestar import Litestar
from litestar.testing import AsyncTestClient

from evals import report_of, runs_folder
from rostra.core import Settings
from tests.unit.evals.reports.parts import HOSTILE, outcome, record, write

Client = AsyncTestClient[Litestar]


@pytest.fixture
def folder(settings: Settings) -> Path:
    return runs_folder(settings)


async def test_nothing_was_evaluated(client: Client) -> None:
    assert (await client.get("/api/evals")).json() == {"items": [], "total": 0}


async def test_runs_are_listed_newest_first_some_at_a_time(client: Client, folder: Path) -> None:
    for number in range(5):
        write(folder, record([outcome(0)], run=f"2026010{number}", is_complete=number != 4))
    (folder / "20260109.jsonl").write_text("nonsense\n")
    page = (await client.get("/api/evals", params={"limit": 3})).json()
    assert page["total"] == 6
    assert [one["id"] for one in page["items"]] == ["20260109", "20260104", "20260103"]
    broken, torn, whole = page["items"]
    assert broken["problem"]
    assert (torn["complete"], whole["complete"]) == (False, True)
    assert (whole["kind"], whole["samples"], whole["done"]) == ("test", 1, 1)
    rest = (await client.get("/api/evals", params={"limit": 3, "offset": 3})).json()
    assert [one["id"] for one in rest["items"]] == ["20260102", "20260101", "20260100"]
    assert (await client.get("/api/evals", params={"kind": "other"})).json()["total"] == 0


async def test_a_run_is_its_report(client: Client, folder: Path) -> None:
    run = record([outcome(0), outcome(1, right=None), outcome(2, failed="Error")])
    write(folder, run)
    told = (await client.get("/api/evals/run")).json()
    report = report_of(run).to_dict()
    assert {name: told[name] for name in report} == report
    assert told["begun"] == "2026-01-02T03:04:05Z"


async def test_samples_come_in_pages_and_orders(client: Client, folder: Path) -> None:
    outcomes = [outcome(at, right=float(at != 3), task=task) for at in range(5) for task in (0, 1)]
    write(folder, record(outcomes, systems=("a", "b")))
    page = (await client.get("/api/evals/run/samples?task=1&limit=2&offset=1")).json()
    assert page["total"] == 5
    assert [one["id"] for one in page["items"]] == ["s1", "s2"]
    worst = (await client.get("/api/evals/run/samples?order=worst&limit=1")).json()
    assert worst["items"][0]["id"] == "s3"
    assert worst["items"][0]["scores"][0] == {
        "name": "right", "value": 0.0, "why": "because ", "unscored": "", "data": "",
    }  # fmt: skip


async def test_a_page_reads_its_own_samples_alone(client: Client, folder: Path) -> None:
    path = write(folder, record([outcome(at) for at in range(6)]))
    lines = path.read_bytes().splitlines(keepends=True)
    lines[3] = lines[3][:60] + b"\x00 damaged\n"
    path.write_bytes(b"".join(lines))
    url = "/api/evals/run/samples"
    for offset, ids in ((0, ["s0", "s1"]), (3, ["s3", "s4"]), (5, ["s5"])):
        page = (await client.get(url, params={"limit": 2, "offset": offset})).json()
        assert [one["id"] for one in page["items"]] == ids
        assert page["total"] == 6
    found = await client.get(url, params={"limit": 2, "offset": 1})
    assert (found.status_code, found.json()["code"]) == (400, "eval_run_broken")


async def test_a_run_that_grows_is_shown_as_it_is_now(client: Client, folder: Path) -> None:
    path = write(folder, record([outcome(at) for at in range(3)], is_complete=False))
    whole = path.read_bytes()
    lines = whole.splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:3]) + lines[3][:50])
    url = "/api/evals/run/samples"
    assert (await client.get(url)).json()["total"] == 2
    assert (await client.get("/api/evals/run")).json()["tasks"][0]["done"] == 2
    path.write_bytes(whole)
    assert (await client.get(url)).json()["total"] == 3
    assert (await client.get("/api/evals/run")).json()["tasks"][0]["done"] == 3
    assert (await client.get("/api/evals")).json()["items"][0]["done"] == 3
    path.unlink()
    assert (await client.get(url)).status_code == 404


@pytest.mark.parametrize("text", HOSTILE)
async def test_hostile_content_is_json(client: Client, folder: Path, text: str) -> None:
    write(folder, record([outcome(0, text=text)]))
    found = await client.get("/api/evals/run/samples")
    assert found.headers["content-type"] == "application/json"
    assert found.json()["items"][0]["output"] == "said" + text


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/api/evals/nothing", 404, "eval_run_not_found"),
        ("/api/evals/ru", 404, "eval_run_not_found"),
        ("/api/evals/latest", 404, "eval_run_not_found"),
        ("/api/evals/run.jsonl", 404, "eval_run_not_found"),
        ("/api/evals/..%2Fsecret", 404, "not_found"),
        ("/api/evals/run/samples?task=1", 404, "eval_task_not_found"),
        ("/api/evals/broken", 400, "eval_run_broken"),
        ("/api/evals/run/samples?limit=0", 400, "invalid_request"),
        ("/api/evals/run/samples?limit=201", 400, "invalid_request"),
        ("/api/evals/run/samples?task=-1", 400, "invalid_request"),
        ("/api/evals/run/samples?order=best", 400, "invalid_request"),
    ],
)
async def test_what_cannot_be_had_is_a_problem(
    client: Client, folder: Path, path: str, status: int, code: str
) -> None:
    write(folder, record([outcome(0)]))
    write(folder.parent, record([outcome(0)], run="secret"))
    (folder / "broken.jsonl").write_text("nonsense\n")
    found = await client.get(path)
    assert (found.status_code, found.json()["code"]) == (status, code)
