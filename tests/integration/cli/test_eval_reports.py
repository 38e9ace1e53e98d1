"""`rostra eval list, show, compare, gate, report, baseline, power, delete, prune`."""

import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from evals import Outcome, RunRecord, gate_run, list_runs, read_run, runs_folder
from rostra.cli.main import run
from rostra.core import Settings
from tests.unit.evals.reports.parts import HOSTILE, outcome, record, write

COUNT = 40


def outcomes(wrong: int = 0, **others: Any) -> list[Outcome]:
    """So many samples, the first ones wrong."""
    return [outcome(at, right=float(at >= wrong), **others) for at in range(COUNT)]


@pytest.fixture
def folder(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Of runs: a good one, one that is as good, and a bad one, which is the newest."""
    monkeypatch.chdir(tmp_path)
    folder = runs_folder(settings)
    write(folder, record(outcomes(2), run="20260101-good"))
    write(folder, record(outcomes(3), run="20260102-same"))
    write(folder, record(outcomes(20), run="20260103-bad"))
    return folder


def eval_(*arguments: str | Path) -> int:
    return run(["eval", *(str(argument) for argument in arguments)])


def told(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


def test_runs_are_listed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(folder, record(outcomes()[:3], run="20260104-torn", is_complete=False))
    (folder / "20260105-broken.jsonl").write_text("nonsense\n")
    assert eval_("list") == 0
    shown = capsys.readouterr().out
    assert re.search(r"20260104-torn .*not complete", shown)
    assert re.search(r"20260101-good +test +set/system +40 +40 +complete", shown)
    assert "it is no log" in shown
    assert eval_("list", "--json", "--limit", "2") == 0
    page = told(capsys)
    assert page["total"] == 5
    assert [one["id"] for one in page["items"]] == ["20260105-broken", "20260104-torn"]


def test_a_run_without_its_header_is_told_and_the_others_are_listed(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = folder / "20260102-same.jsonl"
    first, rest = path.read_bytes().split(b"\n", 1)
    path.write_bytes(first[:30] + b"\n" + rest)
    assert eval_("list") == 0
    shown = capsys.readouterr().out
    assert re.search(r"20260102-same .*the header of the run is damaged", shown)
    assert re.search(r"20260101-good .*complete", shown)
    for words in (("show", "20260102"), ("compare", "20260101", "20260102")):
        assert eval_(*words, "--json") == 2
        error = told(capsys)["error"]
        assert error["code"] == "eval_run_broken"
        assert "20260102-same.jsonl, line 1: the header of the run is damaged" in error["message"]
        assert "run again" in error["hint"]


def test_a_run_is_shown(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert eval_("show", "20260101", "--samples", "2") == 0
    shown = capsys.readouterr().out
    assert re.search(r"right +↑ +95\.0 %", shown)
    assert "2 of 40, worst first" in shown
    assert "question 0" in shown
    assert eval_("show", "20260101", "--json", "--task", "set/system", "--samples", "1") == 0
    (task,) = told(capsys)["tasks"]
    assert [one["id"] for one in task["worst"]] == ["s0"]
    assert eval_("show", "20260101", "--task", "other") == 2


def test_hostile_content_cannot_steer_the_terminal(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "".join(HOSTILE)
    one = record([outcome(0, text=text), outcome(1, failed=text, text=text)], systems=(text,))
    path = folder / "hostile.jsonl"
    write(folder, one).rename(path)
    for arguments in (
        ["show", path, "--samples", "9"],
        ["list"],
        ["compare", path, path],
        ["gate", "--baseline", path, path],
    ):
        assert eval_(*arguments) == 0
        shown = capsys.readouterr().out
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u202a-\u202e\u2066-\u2069]", shown)


def test_runs_that_were_done_differently_say_so(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in (
        ("compare", "20260101", "20260102"),
        ("gate", "20260102", "--baseline", "20260101"),
    ):
        assert eval_(*words) == 0
        assert "differ in more than results" not in capsys.readouterr().out
    other = record(outcomes(3), run="20260104-other")
    other.header.versions["rostra"] = "9.9"
    write(folder, other)
    for words in (
        ("compare", "20260101", "20260104"),
        ("gate", "20260104", "--baseline", "20260101"),
    ):
        assert eval_(*words) == 0
        (line,) = (one for one in capsys.readouterr().out.splitlines() if "differ in more" in one)
        assert "rostra " in line
        assert ", then 9.9" in line
        assert eval_(*words, "--json") == 0
        assert told(capsys)["differs"]["versions"]["rostra"][1] == "9.9"


def test_two_runs_are_compared(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert eval_("compare", "20260101", "20260103", "--samples", "2") == 0
    shown = capsys.readouterr().out
    assert re.search(r"right +↑ +95\.0 % +50\.0 % +-45\.0 % .* 40 +0 +18 +worse", shown)
    assert "losses first; 16 more changed" in shown
    assert eval_("compare", "20260101", "20260103", "--json", "--samples", "1") == 0
    right = told(capsys)["comparisons"][0]
    assert (right["verdict"], right["samples_changed"]) == ("worse", 18)
    assert [one["sample"] for one in right["samples"]] == ["s2"]


def test_the_systems_of_one_run_are_compared(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    both = [*outcomes(20), *outcomes(1, task=1)]
    write(folder, record(both, run="20260109-two", systems=("a", "b")))
    assert eval_("compare", "20260109", "--json") == 0
    right = told(capsys)["comparisons"][0]
    assert (right["baseline_system"], right["candidate_system"]) == ("a", "b")
    assert right["verdict"] == "better"
    assert eval_("compare", "20260101") == 0
    assert "name a second run" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["20260102"], 0, "the gate is open"),
        (["20260103"], 1, "worse: right of set/system: 95.0 % to 50.0 %"),
        ([], 1, "the gate is closed: 20260103-bad"),
        (["20260103", "--tolerance", "0.5"], 0, "the gate is open"),
        (["20260103", "--alpha", "0.0000001"], 0, "the gate is open"),
        (["nothing"], 2, ""),
        (["20260103", "--alpha", "2"], 2, ""),
        (["20260103", "--junit", "/proc/no/where.xml"], 2, ""),
    ],
)
def test_the_gate(
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    status: int,
    words: str,
) -> None:
    assert eval_("gate", "--baseline", "20260101", *arguments) == status
    assert words in capsys.readouterr().out


def test_the_gate_closes_on_what_is_missing(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(folder, record(outcomes(2)[:30], run="20260104-torn", is_complete=False))
    assert eval_("gate", "--baseline", "20260101", "--json") == 1
    report = told(capsys)
    assert not report["open"]
    assert any("not complete" in lacks["reason"] for lacks in report["missing"])


def test_an_error_of_any_kind_is_no_regression(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "20260105-broken.jsonl").write_text("nonsense\n")
    assert eval_("gate", "--baseline", "20260105", "20260101") == 2
    write(folder, record(outcomes(), run="20260106-else", text="else"))
    assert eval_("gate", "--baseline", "20260101", "20260106") == 2

    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("rostra.cli.eval.gate.gate_run", fail)
    capsys.readouterr()
    assert eval_("gate", "--baseline", "20260101", "20260102", "--json") == 2
    assert told(capsys)["error"]["code"] == "internal_error"
    # A broken setting is status 500, which elsewhere exits with 1.
    monkeypatch.setenv("ROSTRA_CHUNK_TOKENS", "many")
    assert eval_("gate", "--baseline", "20260101", "20260102") == 2


def test_the_gate_writes_junit(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "deep" / "gate.xml"
    assert eval_("gate", "--baseline", "20260101", "--junit", file) == 1
    root = ElementTree.fromstring(file.read_text())
    assert [one.get("type") for one in root.iter("failure")] == ["regression"]


def test_reports_are_written(folder: Path, tmp_path: Path) -> None:
    page, cases, data = (tmp_path / "out" / name for name in ("a.html", "a.xml", "a.json"))
    assert eval_(
        "report", "20260103", "20260101", "--html", page, "--junit", cases, "--json", data,
        "--trace-url", "https://traces.example/{trace}", "--samples", "5",
    ) == 0  # fmt: skip
    html = page.read_text()
    assert "5 of 40, the worst first" in html
    assert "https://traces.example/0af7651916cd43dd8448eb211c80319c" in html
    assert "Against the baseline" in html
    assert ElementTree.fromstring(cases.read_text()).tag == "testsuites"
    assert json.loads(data.read_text())["comparisons"]
    assert not [path for path in page.parent.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize(
    "arguments",
    [[], ["--html", "a", "--trace-url", "javascript:{trace}"], ["--html", "/proc/no/a.html"]],
)
def test_reports_that_cannot_be_written(folder: Path, arguments: list[str]) -> None:
    assert eval_("report", "20260101", *arguments) == 2


def test_a_baseline_gates_as_the_whole_run_does(
    folder: Path, tmp_path: Path, settings: Settings
) -> None:
    file = tmp_path / "baseline.jsonl"
    assert eval_("baseline", "20260101", file) == 0
    whole = folder / "20260101-good.jsonl"
    assert file.stat().st_size < whole.stat().st_size / 2
    assert b"passage" not in file.read_bytes()

    def gated(path: Path, other: RunRecord) -> Any:
        return gate_run(read_run(path), other).to_dict()

    for candidate in list_runs(settings):
        other = read_run(candidate)
        assert gated(file, other) == gated(whole, other)
    write(folder, record(outcomes(), run="20260104-torn", is_complete=False))
    assert eval_("baseline", "20260104", file) == 2


def test_power_from_runs_and_from_numbers(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert eval_("power", "20260101", "20260103", "--measure", "right") == 0
    assert re.search(r"the same samples, correlation 0\.\d+ \(seen\)", capsys.readouterr().out)
    assert eval_("power", "--share", "0.5", "--difference", "0.1", "--json") == 0
    plan = told(capsys)
    assert plan["deviation"] == 0.5
    # The textbook's 392, and one or two more for the t distribution.
    assert plan["designs"][0]["samples_needed"] == pytest.approx(393, abs=2)
    for wrong in ([], ["20260101", "--share", "0.5"], ["20260101", "--measure", "none"],
                  ["--share", "0.5", "--difference", "0"], ["--deviation", "-1"]):  # fmt: skip
        assert eval_("power", *wrong) == 2


def test_runs_are_deleted_and_pruned(
    folder: Path, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    assert eval_("delete", "nothing", "20260101") == 2
    assert len(list_runs(settings)) == 3, "one that is not there keeps the others"
    assert eval_("delete", "20260101", "--json") == 0
    assert told(capsys) == {"deleted": ["20260101-good"]}
    assert eval_("prune", "--keep", "1") == 0
    assert [path.stem for path in list_runs(settings)] == ["20260103-bad"]
