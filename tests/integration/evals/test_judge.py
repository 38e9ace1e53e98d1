"""The evaluation of judges as a whole: sets, judges, a logged run, its table."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from evals.core import Outcome, read_run
from evals.errors import DatasetError, EvalRunConflict
from evals.judge.run import JudgeOptions, JudgeRun, evaluate_judges
from rostra.core import (
    ChatMessage,
    GenerationOptions,
    InvalidRequest,
    ModelUnavailable,
    Settings,
)
from rostra.models import ScriptedModel, Turn

COLOURS = ("red", "green", "blue", "black", "white")


def write_sets(folder: Path, count: int = 40) -> Path:
    """A set in LLMBar's layout with two recordings, and one of our own with a bad line."""
    pairs = [
        {
            "input": f"Say {COLOURS[n % 5]} {n}.",
            "output_1": f"{COLOURS[n % 5]} {n}" if n % 2 else "something else, and at length",
            "output_2": "no" if n % 2 else f"{COLOURS[n % 5]} {n}",
            "label": 1 if n % 2 else 2,
        }
        for n in range(count)
    ]
    bar = folder / "bar"
    for judge, wrong in (("Good/Plain", 20), ("Bad/Plain", 2)):
        results = [
            {
                **pair,
                "results": [
                    {
                        "swap = False": {"winner": str(3 - int(pair["label"]))},
                        "swap = True": {"winner": str(pair["label"])},
                    }
                    if n % wrong == 0
                    else {
                        "swap = False": {"winner": str(pair["label"])},
                        "swap = True": {"winner": str(pair["label"])},
                    }
                ],
            }
            for n, pair in enumerate(pairs)
        ]
        place = bar / "evaluators" / judge
        place.mkdir(parents=True)
        (place / "result.json").write_text(json.dumps(results))
    (bar / "dataset.json").write_text(json.dumps(pairs))
    lines = [
        {
            "id": f"own {n}",
            "question": pair["input"],
            "first": pair["output_1"],
            "second": pair["output_2"],
            "labels": ["first" if pair["label"] == 1 else "second"] * 2,
        }
        for n, pair in enumerate(pairs)
    ]
    own = "\n".join([json.dumps(line) for line in lines] + ["{torn"])
    (folder / "own.jsonl").write_text(own)
    return folder


def judge_of(messages: Sequence[ChatMessage], options: GenerationOptions) -> str:
    """Reads the prompt: the answer that repeats the question's colour is better."""
    shown = messages[-1].content
    is_a_wrong = "answer_a]\nsomething" in shown or "answer_a]\nno\n" in shown
    return json.dumps({"reason": "as asked", "verdict": "b" if is_a_wrong else "a"})


def without_times(run: JudgeRun) -> dict[str, Any]:
    return {key: value for key, value in run.to_dict().items() if key != "run"}


def by_name(run: JudgeRun) -> dict[tuple[str, str], dict[str, Any]]:
    return {(row["set"], row["judge"]): row for row in run.to_dict()["results"]}


async def test_all_kinds_of_judges(settings: Settings, tmp_path: Path) -> None:
    data = write_sets(tmp_path / "sets")
    run = await evaluate_judges(
        settings,
        data,
        JudgeOptions(seed=3),
        models=[ScriptedModel(judge_of, name="reader")],
    )
    rows = by_name(run)
    assert run.is_complete
    assert {row["done"] for row in rows.values()} == {40}
    for name in ("bar", "own"):
        told = rows[name, "reader"]
        assert (told["accuracy"]["value"], told["consistency"]["value"]) == (1.0, 1.0)
        assert told["fit"], told["unfit_for"]
        assert not rows[name, "sim: coin"]["fit"]
        assert rows[name, "sim: nonsense 30 %"]["unscored"] > 4
    assert rows["bar", "Good/Plain (recorded)"]["fit"]
    assert not rows["bar", "Bad/Plain (recorded)"]["fit"]
    assert ("own", "Good/Plain (recorded)") not in rows
    told = json.loads(json.dumps(run.to_dict(), allow_nan=False))
    problems = {one["set"]: one["problems"] for one in told["sets"]}
    assert problems["own"] == [{"reason": "no JSON", "count": 1, "examples": ["line 41"]}]
    assert {one["set"]: one["people"]["annotators"] for one in told["sets"]} == {"bar": 1, "own": 2}
    assert {one["judge"]: one["equal"] for one in told["replayed"]} == {
        "Bad/Plain": "20 / 40 = 50.0%",
        "Good/Plain": "38 / 40 = 95.0%",
    }
    # What the model used is in the run.
    usage = [r.task.usage for r in run.reports if r.task.usage.prompt_tokens]
    assert len(usage) == 2


async def test_a_run_that_was_cut_off_goes_on_to_the_same_report(
    settings: Settings, tmp_path: Path
) -> None:
    data = write_sets(tmp_path / "sets")
    options = JudgeOptions(kinds=("recorded", "simulated"), seed=3)
    whole = await evaluate_judges(settings, data, options)
    lines = whole.path.read_bytes().splitlines(keepends=True)
    cut = tmp_path / "cut.jsonl"
    cut.write_bytes(b"".join(lines[: len(lines) // 2]) + lines[-2][:50])
    again = await evaluate_judges(settings, data, replace(options, resume=str(cut)))
    assert without_times(again) == without_times(whole)
    assert len(read_run(cut).outcomes) == len(read_run(whole.path).outcomes)
    with pytest.raises(EvalRunConflict):
        await evaluate_judges(settings, data, replace(options, resume=str(cut), seed=4))


async def test_a_model_that_fails_on_some_pairs(settings: Settings, tmp_path: Path) -> None:
    def script(messages: Sequence[ChatMessage], options: GenerationOptions) -> str | Turn:
        if "red" in messages[-1].content:
            return Turn(raises=ModelUnavailable("gone"))
        return judge_of(messages, options) if "blue" not in messages[-1].content else "what?"

    data = write_sets(tmp_path / "sets") / "own.jsonl"
    options = JudgeOptions(kinds=("model",))
    frail = ScriptedModel(script, name="frail")
    run = await evaluate_judges(settings, data, options, models=[frail])
    (row,) = run.to_dict()["results"]
    assert row["unscored_for"] == {"model_unavailable": 8, "the judge gave no verdict": 8}
    assert (row["accuracy"]["value"], row["accuracy"]["n"]) == (1.0, 24)
    assert row["unfit_for"] == [
        "no verdict about 16 of 40 pairs (8: model_unavailable; 8: the judge gave no verdict), "
        "more than 10 %"
    ]


async def test_nothing_to_judge(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no set of labelled pairs"):
        await evaluate_judges(settings, tmp_path, JudgeOptions())
    data = write_sets(tmp_path / "sets") / "own.jsonl"
    with pytest.raises(DatasetError, match="no judges"):
        await evaluate_judges(settings, data, JudgeOptions(kinds=("recorded", "model")))


async def test_a_limit_takes_the_first_pairs_and_replays_nothing(
    settings: Settings, tmp_path: Path
) -> None:
    options = JudgeOptions(kinds=("recorded",), limit=10)
    run = await evaluate_judges(settings, write_sets(tmp_path / "sets") / "bar", options)
    assert {row["pairs"] for row in run.to_dict()["results"]} == {10}
    assert run.replayed == ()
    outcomes: Sequence[Outcome] = read_run(run.path).outcomes
    assert {outcome.state.sample.id for outcome in outcomes} == set(map(str, range(10)))


async def test_two_judges_of_one_name(settings: Settings, tmp_path: Path) -> None:
    data = write_sets(tmp_path / "sets") / "own.jsonl"
    with pytest.raises(InvalidRequest, match="are called 'sim: coin'"):
        await evaluate_judges(
            settings, data, JudgeOptions(), models=[ScriptedModel(judge_of, name="sim: coin")]
        )
