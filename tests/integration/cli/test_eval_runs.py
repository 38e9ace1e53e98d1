"""`rostra eval run`, as every evaluation has it: options, report, Ctrl-C, going on."""

import errno
import json
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from evals import Problem, Task, list_runs, make_dataset, read_run, report_of
from rostra.cli.eval.runs import RunOptions, print_report
from rostra.core import InvalidRequest, Settings
from tests.eval_parts import Echo, Same, numbers
from tests.eval_parts import run as done
from tests.integration.cli import eval_scripted

MODULE = ("-m", "tests.integration.cli.eval_scripted")
ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def _home(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def started(*arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, *MODULE, *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_the_report_says_what_was_measured_and_what_went_wrong(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert eval_scripted.run(["--words", "fails", "--wrong", "s5,s6"]) == 0
    told = capsys.readouterr().out
    assert "numbers/echo: 20 samples" in told
    assert re.search(r"same +↑ +1\.0000 +- +17 +2", told)
    assert "failed: 1 of 20: model_unavailable" in told
    assert "unscored: 2: no number" in told
    assert "model: 38 tokens read, 0 written" in told
    assert re.search(r"^run \d{8}-\d{6}-scripted-\w{4}$", told, re.MULTILINE)


async def test_what_was_left_out_for_rare_reasons_is_counted_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    problems = [Problem(f"reason {at}", 20 - at, [f"line {at}"]) for at in range(11)]
    dataset = make_dataset("set", numbers(1).samples, problems)
    await done(tmp_path / "run.jsonl", [Task(dataset, Echo(), [Same()])])
    print_report(report_of(read_run(tmp_path / "run.jsonl")))
    told = [line.strip() for line in capsys.readouterr().out.splitlines() if "left out" in line]
    assert len(told) == 9
    assert told[0] == "left out: 20: reason 0 (line 0)"
    assert told[-1] == "left out: 33: 3 other reasons, which --json has"


def test_json_is_one_object(capsys: pytest.CaptureFixture[str]) -> None:
    assert eval_scripted.run(["--json", "--limit", "7", "--seed", "3", "--parallel", "2"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["kind"], told["complete"]) == ("scripted", True)
    assert told["tasks"][0]["done"] == 7


def test_options_are_in_the_log(settings: Settings, tmp_path: Path) -> None:
    out = tmp_path / "deep" / "run.jsonl"
    assert (
        eval_scripted.run(["--limit", "7", "--seed", "3", "--words", "a", "--out", str(out)]) == 0
    )
    header = read_run(out).header
    assert header.seed == 3
    assert header.arguments == {"limit": 7, "seed": 3, "parallel": 8, "words": ["a"]}
    assert not list_runs(settings)


def test_the_cache_is_used_unless_it_is_not_wanted(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for arguments, cached in (([], 0), ([], 20), (["--no-cache"], 0)):
        assert eval_scripted.run(["--json", *arguments]) == 0
        told = json.loads(capsys.readouterr().out)
        assert told["tasks"][0]["times"]["cached"] == cached


def test_ctrl_c_keeps_what_is_done_and_says_how_to_go_on(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--words", "two words", "--words", "it's", "--parallel", "1"]
    process = started("--hang", "s12", *arguments)
    assert process.stdout is not None
    assert process.stdout.readline() == "hanging\n"
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130, told
    assert "Traceback" not in told
    assert "12 of 20 samples are done and kept" in told
    (path,) = list_runs(settings)
    assert len(read_run(path).outcomes) == 12

    # The printed command goes on, word for word, and the report is that of a run at one go.
    line = next(line for line in told.splitlines() if "--resume" in line)
    words = shlex.split(line)
    assert words[:4] == ["rostra", "eval", "run", "scripted"]
    assert words[-2:] == ["--resume", path.stem]
    at = words.index("--hang")
    again = [*words[4:at], *words[at + 2 :]]
    assert again[:-2] == arguments
    assert eval_scripted.run([*again, "--json"]) == 0
    resumed = json.loads(capsys.readouterr().out)
    assert eval_scripted.run([*arguments, "--no-cache", "--json"]) == 0
    whole = json.loads(capsys.readouterr().out)
    assert eval_scripted.same_parts(resumed) == eval_scripted.same_parts(whole)


def test_failed_samples_are_done_again_when_that_is_wanted(
    capsys: pytest.CaptureFixture[str],
) -> None:
    # Whether it fails is no part of the scripted solver's configuration.
    assert eval_scripted.run(["--words", "fails"]) == 0
    for arguments, failed in (([], 1), (["--retry-failed"], 0)):
        capsys.readouterr()
        assert eval_scripted.run(["--resume", "latest", "--json", *arguments]) == 0
        assert json.loads(capsys.readouterr().out)["tasks"][0]["failed"] == failed


def test_other_versions_than_those_it_was_begun_with_are_told(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert eval_scripted.run(["--words", "fails"]) == 0
    monkeypatch.setattr("evals.runs.recorded_versions", lambda: {"faiss-cpu": "99"})
    capsys.readouterr()
    assert eval_scripted.run(["--resume", "latest"]) == 0
    told = capsys.readouterr()
    assert "other versions" in told.err
    assert "99" in told.err
    assert "mixed versions" not in told.out  # nothing was done with them
    assert eval_scripted.run(["--resume", "latest", "--retry-failed"]) == 0
    assert re.search("done with mixed versions: .*faiss-cpu .*, then 99", capsys.readouterr().out)


def test_a_full_disk_is_told_and_gone_on_from(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "run.jsonl"
    whole = os.write

    def full(file: int, data: bytes) -> int:
        if os.fstat(file).st_size > 2000:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return whole(file, data)

    monkeypatch.setattr("evals.core.lines.os.write", full)
    assert eval_scripted.run(["--out", str(out), "--json"]) == 1
    monkeypatch.undo()
    told = capsys.readouterr()
    assert json.loads(told.out)["error"]["code"] == "eval_run_unwritable"
    assert "To go on:" in told.err
    assert "This is a bug" not in told.err
    assert 0 < len(read_run(out).outcomes) < 20
    assert eval_scripted.run(["--resume", str(out)]) == 0
    assert len(read_run(out).outcomes) == 20


def test_a_folder_that_cannot_be_made_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    assert eval_scripted.run(["--out", str(tmp_path / "file" / "run.jsonl")]) == 1
    assert "run.jsonl" not in capsys.readouterr().out
    assert eval_scripted.run(["--out", str(tmp_path)]) == 2


def test_the_log_says_on_what_machine_it_was_done(settings: Settings) -> None:
    assert eval_scripted.run([]) == 0
    (path,) = list_runs(settings)
    assert re.search(r"\d+ cores, \d+\.\d GiB", read_run(path).header.device)


def test_a_run_of_another_seed_is_not_gone_on_with(capsys: pytest.CaptureFixture[str]) -> None:
    assert eval_scripted.run([]) == 0
    assert eval_scripted.run(["--resume", "latest", "--seed", "1"]) == 2
    assert "another seed" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [["--limit", "0"], ["--parallel", "0"], ["--seed", "-1"], ["--out", "a", "--resume", "b"],
     ["--retry-failed"], ["--resume", "nothing"]],
)  # fmt: skip
def test_what_cannot_work_is_told(arguments: list[str], settings: Settings) -> None:
    assert eval_scripted.run(arguments) == 2
    assert not list_runs(settings)


def test_options_that_exclude_each_other(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest):
        RunOptions(resume="a", out=tmp_path)
