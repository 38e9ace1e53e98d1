"""Recorded judges: replayed as they were, to the last digit of what was published."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from evals.core import Header, RunFile, Task, read_run, run_tasks
from evals.errors import DatasetError
from evals.judge.compare import Compare, ballots_of, both_orders
from evals.judge.evaluate import judge_tasks, panels_of, replayed
from evals.judge.measures import VerdictScorer
from evals.judge.pairs import pair_of
from evals.judge.published import differs, published_statistics
from evals.judge.recorded import find_recorded, read_recorded
from evals.judge.report import judge_reports
from evals.judge.sets import read_pair_sets

DATA = Path(__file__).parents[5] / "shared" / "data" / "judge" / "llmbar"

needs_llmbar = pytest.mark.skipif(not DATA.is_dir(), reason=f"no {DATA}")

PAIR = {"input": "Say hi.", "output_1": "hi", "output_2": "no", "label": 1}


def record(given: str | None, swapped: str | None, **changed: Any) -> dict[str, Any]:
    told = {
        "swap = False": {"winner": given, "completion": ["words", "stop"]},
        "swap = True": {"winner": swapped, "completion": ["words", "stop"]},
    }
    return {**PAIR, "results": [{"ignored": 1}, told], **changed}


def write(folder: Path, pairs: list[dict[str, Any]], results: list[Any] | str) -> Path:
    path = folder / "evaluators" / "GPT-4" / "CoT" / "result.json"
    path.parent.mkdir(parents=True)
    (folder / "dataset.json").write_text(json.dumps(pairs))
    path.write_text(results if isinstance(results, str) else json.dumps(results))
    return path


@needs_llmbar
async def test_published_statistics_are_reproduced(tmp_path: Path) -> None:
    """All eight recordings through the solver, the log and back, against `statistics.json`."""
    sets = read_pair_sets(DATA / "LLMBar" / "Natural")
    tasks = judge_tasks(sets, ["recorded"])
    header = Header(
        id="run",
        kind="judge",
        begun=datetime.now(UTC),
        seed=0,
        tasks=[task.header() for task in tasks],
    )
    path = tmp_path / "run.jsonl"
    with RunFile(path, header) as file:
        await run_tasks(tasks, file, seed=0)
    run = read_run(path)
    found = {one.judge: one for one in replayed(run, sets)}
    assert set(found) == {
        f"{model}/{prompt}"
        for model in ("GPT-4", "PaLM2", "ChatGPT", "LLaMA2")
        for prompt in ("Vanilla", "CoT")
    }
    for judge, one in found.items():
        folder = DATA / "LLMBar" / "Natural" / "evaluators" / judge
        published = json.loads((folder / "statistics.json").read_text())
        assert one.published == published
        assert one.different == ()
        for name in ("correct_False", "correct_True", "correct_average", "correct_both", "equal"):
            assert one.computed[name] == published[name]
        for name in ("kappa_False", "kappa_True", "kappa_average", "kappa_agreement"):
            assert one.computed[name] == pytest.approx(published[name], abs=1e-12)
    # Where every answer had a verdict the harness's own measures are the published ones too.
    reports = judge_reports(run)
    for report in reports:
        told = report.to_dict()
        if report.kind == "recorded" and not told["unscored"]:
            published = found[report.name.removesuffix(" (recorded)")].published or {}
            assert f"{100 * told['accuracy']['value']:.1f}%" == published["correct_average"]
            assert 100 * told["consistency"]["value"] == pytest.approx(
                float(published["equal"].split("= ")[1].rstrip("%"))
            )
    assert {r.name for r in reports if r.kind == "panel"} == {
        "panel of 4 CoT",
        "panel of 4 Vanilla",
    }


def test_a_difference_is_named() -> None:
    published = {"correct_False": "1 / 2 = 50.0%", "kappa_agreement": 0.5}
    computed = dict.fromkeys(
        ("correct_True", "correct_average", "correct_both", "equal", "kappa_False", "kappa_True",
         "kappa_average")
    )  # fmt: skip
    computed |= {"correct_False": "2 / 2 = 100.0%", "kappa_agreement": 0.5 + 1e-12}
    assert differs(computed, published) == ["correct_False"]


async def test_verdicts_are_found_by_the_texts_of_the_pair(tmp_path: Path) -> None:
    turned = {**PAIR, "output_1": "no", "output_2": "hi", "label": 2}
    path = write(tmp_path, [PAIR, turned], [record("1", None)])
    (judge,) = find_recorded(tmp_path)
    assert judge.name == "GPT-4/CoT (recorded)"
    assert judge.published is None
    (found,) = read_pair_sets(path.parents[3] / "dataset.json")
    known, unknown = map(pair_of, found.dataset.samples)
    ballots = await both_orders(judge, known, seed=0)
    assert ballots.winners == ("first", None)
    assert ballots.unscored == "the recorded answer has no verdict"
    assert ballots.given[0].reason == "words"
    ballots = await both_orders(judge, unknown, seed=0)
    assert ballots.winners == (None, None)
    assert ballots.unscored == "nothing was recorded for this pair"


async def test_the_definitions_that_were_published(tmp_path: Path) -> None:
    """Without a verdict: wrong; and twice without one: equal."""
    pairs = [
        {**PAIR, "input": f"q{number}", "label": label} for number, label in enumerate((1, 2, 1, 2))
    ]
    said = [("1", "1"), ("2", "1"), (None, "1"), (None, None)]
    results = [record(*each, input=f"q{number}") for number, each in enumerate(said)]
    write(tmp_path, pairs, results)
    sets = read_pair_sets(tmp_path)
    (judge,) = find_recorded(tmp_path)
    task = Task(sets[0].dataset, Compare(judge), (VerdictScorer(),))
    header = Header(id="r", kind="judge", begun=datetime.now(UTC), seed=0, tasks=[task.header()])
    with RunFile(tmp_path / "run.jsonl", header) as file:
        await run_tasks([task], file, seed=0)
    run = read_run(tmp_path / "run.jsonl")
    told = published_statistics(run.outcomes)
    assert told["correct_False"] == "2 / 4 = 50.0%"
    assert told["correct_True"] == "2 / 4 = 50.0%"
    assert told["correct_average"] == "50.0%"
    assert told["correct_both"] == "1 / 4 = 25.0%"
    assert told["equal"] == "2 / 4 = 50.0%"
    # By the harness: one of the two that have both orders.
    (report,) = judge_reports(run)
    assert report.to_dict()["both_orders_right"]["value"] == 0.5
    assert report.unscored == {"the recorded answer has no verdict": 2}
    assert [ballots_of(one.state).resolved for one in run.outcomes] == ["first", "tie", None, None]


@pytest.mark.parametrize(
    "results",
    ["no json", "{}", "[1]", '[{"input": "x"}]', json.dumps([{**PAIR, "results": []}])],
)
def test_what_is_no_recording(tmp_path: Path, results: str) -> None:
    path = write(tmp_path, [PAIR], results)
    with pytest.raises(DatasetError, match="evaluators"):
        read_recorded(path, "x")


def test_broken_statistics_are_none(tmp_path: Path) -> None:
    path = write(tmp_path, [PAIR], [record("1", "1")])
    path.with_name("statistics.json").write_text("[1]")
    assert read_recorded(path, "x").published is None


def test_nobody_to_judge(tmp_path: Path) -> None:
    (tmp_path / "dataset.json").write_text(json.dumps([PAIR]))
    sets = read_pair_sets(tmp_path)
    assert panels_of(find_recorded(tmp_path)) == []
    with pytest.raises(DatasetError, match="no judges"):
        judge_tasks(sets, ["recorded", "model"])
