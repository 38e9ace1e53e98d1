"""`rostra eval run judge`: what is printed, and for whom."""

import json
import shlex
from pathlib import Path

import pytest

from rostra.cli.eval.judge import judge as command
from rostra.cli.eval.runs import resume_command
from rostra.cli.main import run
from rostra.core import Settings

RIGHT, WRONG = "red", "something else"


def write_set(folder: Path) -> Path:
    folder.mkdir()
    pairs = [
        {"question": f"Say red {n}.", "first": RIGHT, "second": WRONG, "label": "first"}
        if n % 2 == 0
        else {"question": f"Say red {n}.", "first": WRONG, "second": RIGHT, "label": "second"}
        for n in range(30)
    ]
    lines = [*map(json.dumps, pairs), '{"question": 5}']
    (folder / "mine.jsonl").write_text("\n".join(lines))
    return folder


def judge(*arguments: str) -> int:
    return run(["eval", "run", "judge", *arguments])


def test_json(settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = write_set(tmp_path / "a set")
    assert judge("--data", str(data), "--json", "--seed", "5") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["complete"]
    assert told["standard"]["min_agreement"] == 0.4
    assert told["sets"][0]["problems"] == [
        {"reason": "no question", "count": 1, "examples": ["line 31"]}
    ]
    assert {row["kind"] for row in told["results"]} == {"simulated"}
    path = settings.home / "evals" / "runs" / f"{told['run']}.jsonl"
    assert json.loads(path.read_text().split("\n")[0])["arguments"]["seed"] == 5
    # Going on with a run that is complete does nothing, and says the same.
    assert judge("--data", str(data), "--json", "--seed", "5", "--resume", told["run"]) == 0
    assert json.loads(capsys.readouterr().out) == told


def test_the_table(settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = write_set(tmp_path / "set")
    assert judge("--data", str(data), "--judges", "simulated", "--min-agreement", "0.9") == 0
    said = capsys.readouterr()
    assert "position bias" in said.out
    assert "UNFIT" in said.out
    assert "under 0.90" in said.out
    assert "mine: 1 left out: no question (line 31)" in said.err
    assert "nan" not in said.out.lower()
    assert "kappa of each two" not in said.out


def test_the_table_of_people(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sides = ["first", "second"]
    lines = [
        {"question": f"q{n}", "first": "x", "second": "yy", "labels": [sides[n % 2]] * 3}
        for n in range(20)
    ]
    path = tmp_path / "three.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)))
    assert judge("--data", str(path)) == 0
    assert "1-2: 1.00, 1-3: 1.00, 2-3: 1.00" in capsys.readouterr().out


def test_the_model_that_is_set(
    settings: Settings,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    script = tmp_path / "script.jsonl"
    verdicts = [{"reason": "r", "verdict": verdict} for verdict in "abbaab"]
    script.write_text("\n".join(json.dumps(json.dumps(verdict)) for verdict in verdicts))
    monkeypatch.setenv("ROSTRA_CHAT_SCRIPT", str(script))
    data = write_set(tmp_path / "set")
    arguments = ("--data", str(data), "--judges", "model", "--limit", "3", "--parallel", "1")
    assert judge(*arguments, "--json") == 0
    (row,) = json.loads(capsys.readouterr().out)["results"]
    assert (row["kind"], row["pairs"]) == ("model", 3)
    assert row["accuracy"]["value"] == 1.0


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--judges", "model"], "no model to judge"),
        (["--judges", "everybody"], "'everybody' is not one of recorded, model, simulated"),
        (["--judges", "recorded"], "no judges to measure"),
        (["--data", "nowhere"], "no set of labelled pairs"),
        (["--resume", "no-such-run"], "no run is called 'no-such-run'"),
    ],
)
def test_what_cannot_be_done(
    settings: Settings,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    why: str,
) -> None:
    data = write_set(tmp_path / "set")
    assert judge("--data", str(data), *arguments) != 0
    said = capsys.readouterr()
    assert said.out == ""
    assert why in said.err


def test_every_report_of_the_run_has_the_table(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_set(tmp_path / "set")
    assert judge("--data", str(data), "--min-agreement", "0.85", "--limit", "20") == 0
    said = capsys.readouterr().out
    table = said[: said.index("\n\n")]
    assert table.startswith("judges\n")
    assert "UNFIT" in table
    assert run(["eval", "show", "latest:judge"]) == 0
    shown = capsys.readouterr().out
    assert table in shown
    assert shown.rstrip().rpartition("\n")[2].startswith("run ")
    page, data_file = tmp_path / "page.html", tmp_path / "run.json"
    assert run(["eval", "report", "latest", "--html", str(page), "--json", str(data_file)]) == 0
    capsys.readouterr()
    told = json.loads(data_file.read_text())["sections"][0]
    assert told["title"] == "judges"
    assert "surely at least 0.85" in told["notes"][0]
    html = page.read_text()
    assert "<h3>judges</h3>" in html
    assert html.count("<bdi>UNFIT</bdi>") == sum(row[-2] == "UNFIT" for row in told["rows"]) > 0
    assert run(["eval", "show", "latest", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["sections"] == [told]
    # One task alone is not the run.
    assert run(["eval", "show", "latest", "--task", "mine/sim: coin"]) == 0
    assert "judges\n" not in capsys.readouterr().out


def test_shares_as_published_are_rounded(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """25 verdicts with 14 right in both orders: as a float, 56.00000000000001 %."""
    data = tmp_path / "bar"
    place = data / "evaluators" / "Some" / "Plain"
    place.mkdir(parents=True)
    pairs = [
        {"input": f"q{n}", "output_1": f"a{n}", "output_2": f"b{n}", "label": 1 + n % 2}
        for n in range(25)
    ]
    said = [str(pair["label"] if n < 14 else 3 - pair["label"]) for n, pair in enumerate(pairs)]
    results = [
        {**pair, "results": [{f"swap = {order}": {"winner": one} for order in (False, True)}]}
        for pair, one in zip(pairs, said, strict=True)
    ]
    (data / "dataset.json").write_text(json.dumps(pairs))
    (place / "result.json").write_text(json.dumps(results))
    assert judge("--data", str(data), "--judges", "recorded") == 0
    told = capsys.readouterr().out
    assert "14 / 25 = 56.0 %" in told
    assert "00000" not in told


def test_pairs_that_say_little_are_told(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pairs = [
        {"question": "q0", "first": "", "second": "", "label": "tie"},
        {"question": "q1", "first": "", "second": "x", "label": "second"},
        {"question": "q2", "first": "x", "second": "x", "label": "tie"},
    ]
    path = tmp_path / "few.jsonl"
    path.write_text("\n".join(map(json.dumps, pairs)))
    assert judge("--data", str(path), "--judges", "simulated") == 0
    assert judge("--data", str(path), "--judges", "simulated", "--json") == 0
    said = capsys.readouterr()
    notes = json.loads(said.out.splitlines()[-1])["notes"]
    assert "few: 1 of 2 pairs has an empty answer (1)" in notes
    assert "few: 1 left out: both answers are empty (line 1)" in said.err
    assert "few: 1 of 2 pairs has an empty answer (1)" in said.out
    assert "few: 1 of 2 pairs has the same answer twice (2)" in said.out
    assert "nan" not in said.out.lower()


def test_the_command_that_goes_on_is_this_one(tmp_path: Path) -> None:
    words = ["--data", "my set", "--judges", "model,recorded", "--judge-url", "http://x/v1",
             "--judge-model", "a", "--judge-model", "b", "--panel",
             "--rubric", "helpfulness", "--min-agreement", "0.5"]  # fmt: skip
    with command.make_context("judge", list(words)):
        said = shlex.split(resume_command("judge", tmp_path / "r.jsonl", own=True))
    assert said[:4] == ["rostra", "eval", "run", "judge"]
    assert said[-2:] == ["--resume", "r"]
    again = command.make_context("judge", said[4:])
    assert again.params | {"resume": None} == command.make_context("judge", words).params


def test_a_rubric_of_ones_own(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = tmp_path / "mine.md"
    own.write_text("---\nname: mine\nversion: 1\n---\nJudge.")
    data = write_set(tmp_path / "set")
    assert judge("--data", str(data), "--rubric", str(own)) == 2
    assert "a front matter has a name" in capsys.readouterr().err
    own.write_text(
        "---\nname: mine\nversion: 1\nvalues: answer\nverdicts: yes 1, no 0\n---\nJudge."
    )
    assert judge("--data", str(data), "--rubric", str(own), "--limit", "2", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    path = settings.home / "evals" / "runs" / f"{told['run']}.jsonl"
    arguments = json.loads(path.read_text().split("\n")[0])["arguments"]
    assert arguments["rubric"].startswith("mine 1.")
