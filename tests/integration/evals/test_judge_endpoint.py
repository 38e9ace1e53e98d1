"""Judges behind an OpenAI-compatible endpoint: a real server, all ways of judging."""

import asyncio
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from evals.core import Sample, State, read_run
from evals.errors import DatasetError
from evals.judge.model import ModelJudge
from evals.judge.run import JudgeOptions, JudgeRun, evaluate_judges
from evals.judge.scorers import PairScorer, ReferenceScorer, RubricScorer
from rostra.cli.main import run as run_cli
from rostra.core import Settings
from rostra.models import OpenAIModel
from tests.integration.evals.load_endpoint import Call, scripted

RIGHT, WRONG = "The answer is red.", "Something else, and at great length."
Says = Callable[[Mapping[str, str], str], str]


def shown_in(body: Mapping[str, Any]) -> dict[str, str]:
    """What a judge is shown, by name, as the marks in the prompt have it."""
    text = body["messages"][-1]["content"]
    found = re.findall(r"\[(\w{16}) (\w+)\]\n(.*?)\n\[\1 end\]", text, re.DOTALL)
    return {name: value for _, name, value in found}


def by_colour(shown: Mapping[str, str], model: str) -> str:
    """Finds the red answer right, whatever it is asked; model `first` always says the first."""
    if "answer_a" in shown:
        return "a" if model == "first" or "red" in shown["answer_a"] else "b"
    is_right = "red" in shown["answer"]
    if "reference" in shown:
        return "correct" if is_right else "wrong"
    return "5" if is_right else "2"


def endpoint(says: Says = by_colour, *, schemas: bool = True, words: str = "") -> Any:
    """A script of an endpoint that answers as OpenAI's does.

    Args:
        schemas: it knows `response_format`; otherwise it refuses it.
        words: put before every verdict.
    """

    async def answer(call: Call) -> None:
        form = call.body.get("response_format")
        if form is not None and not schemas:
            await call.start(400, "application/json")
            told = {"error": {"message": "unknown field response_format", "type": "invalid"}}
            await call.give(json.dumps(told).encode())
            await call.end()
            return
        verdict = says(shown_in(call.body), call.body["model"])
        text = words + json.dumps({"reason": "as asked", "verdict": verdict})
        if form is not None and not words:
            jsonschema.validate(json.loads(text), form["json_schema"]["schema"])
        await call.start()
        for delta, finish in (({"content": text}, None), ({}, "stop")):
            chunk = {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}
            await call.give(b"data: " + json.dumps(chunk).encode() + b"\n\n")
        usage = {"choices": [], "usage": {"prompt_tokens": 100, "completion_tokens": 10}}
        await call.give(b"data: " + json.dumps(usage).encode() + b"\n\n", b"data: [DONE]\n\n")
        await call.end()

    return answer


def write_pairs(folder: Path, count: int = 12, **more: Any) -> Path:
    path = folder / "pairs.jsonl"
    lines = [
        {
            "id": f"p{n}",
            "question": f"What colour is number {n}?",
            "first": RIGHT if n % 2 else WRONG,
            "second": WRONG if n % 2 else RIGHT,
            "label": "first" if n % 2 else "second",
            **more,
        }
        for n in range(count)
    ]
    path.write_text("\n".join(map(json.dumps, lines)))
    return path


async def judged(settings: Settings, data: Path, url: str, *names: str, **options: Any) -> JudgeRun:
    models = [OpenAIModel(url, name, retries=0) for name in names]
    try:
        asked = JudgeOptions(kinds=("model",), **options)
        return await evaluate_judges(settings, data, asked, models=models, at=url)
    finally:
        for model in models:
            await model.close()


def row(run: JudgeRun, name: str) -> dict[str, Any]:
    return next(one for one in run.to_dict()["results"] if one["judge"] == name)


@pytest.mark.parametrize("schemas", [True, False])
async def test_pairwise_in_both_orders(settings: Settings, tmp_path: Path, schemas: bool) -> None:
    data = write_pairs(tmp_path)
    async with scripted(endpoint(schemas=schemas)) as server:
        run = await judged(settings, data, server.url, "good", "first", parallel=1)
    good, first = row(run, "good"), row(run, "first")
    assert (good["accuracy"]["value"], good["consistency"]["value"]) == (1.0, 1.0)
    assert (first["accuracy"]["value"], first["position_bias"]["value"]) == (0.5, 1.0)
    assert first["verdicts"] == {"tie": 12}
    asked = [call for call in server.calls if call.body["model"] == "good"]
    # One that knows no schema is asked once with it, and then no more.
    assert len(asked) == 24 + (not schemas)
    assert sum("response_format" in call.body for call in asked) == (24 if schemas else 1)
    assert {call.body["temperature"] for call in asked} == {0.0}
    usage = run.reports[0].task.usage
    assert (usage.prompt_tokens, usage.completion_tokens, usage.estimated) == (2400, 240, False)


async def test_pointwise_by_a_rubric_and_against_a_reference(
    settings: Settings, tmp_path: Path
) -> None:
    data = write_pairs(tmp_path, reference="It is red.")
    async with scripted(endpoint()) as server:
        by_rubric = await judged(settings, data, server.url, "good", rubric="helpfulness")
        names = {frozenset(shown_in(call.body)) for call in server.calls}
        assert names == {frozenset({"question", "answer"})}
        by_reference = await judged(settings, data, server.url, "good", rubric="correctness")
        assert shown_in(server.calls[-1].body)["reference"] == "It is red."
    for run in (by_rubric, by_reference):
        told = row(run, "good")
        assert told["accuracy"]["value"] == 1.0
        assert told["position_bias"]["value"] == 0.0
    ballot = read_run(by_rubric.path).outcomes[0].state.data["ballots"]["given"][0]
    assert ballot["reason"] == "first 2: as asked; second 5: as asked"


@pytest.mark.parametrize("limit", [None, 4])
async def test_a_set_without_references_is_refused_at_once(
    settings: Settings, tmp_path: Path, limit: int | None
) -> None:
    """Also where only pairs after those that are asked about have one."""
    data = write_pairs(tmp_path, 4)
    if limit is not None:
        last = {"question": "?", "first": RIGHT, "second": WRONG, "label": "first"}
        with data.open("a") as file:
            file.write("\n" + json.dumps({**last, "reference": RIGHT}))
    async with scripted(endpoint()) as server:
        with pytest.raises(DatasetError, match=r"none of 4 pairs has a reference.*correctness"):
            await judged(settings, data, server.url, "good", rubric="correctness", limit=limit)
    assert server.calls == []
    assert not list((settings.home / "evals").rglob("*.jsonl"))  # no run was begun


async def test_pairs_without_a_reference_are_told(settings: Settings, tmp_path: Path) -> None:
    data = write_pairs(tmp_path)
    last = {"question": "?", "first": RIGHT, "second": WRONG, "label": "first"}
    with data.open("a") as file:
        file.write("\n" + json.dumps({**last, "reference": RIGHT}))
    async with scripted(endpoint()) as server:
        run = await judged(settings, data, server.url, "good", rubric="correctness")
    assert len(server.calls) == 4  # two answers in two orders
    told = row(run, "good")
    assert told["unscored_for"] == {"the pair has no reference": 12}
    (why,) = (one for one in told["unfit_for"] if "no verdict" in one)
    assert why.startswith("no verdict about 12 of 13 pairs (12: the pair has no reference)")


async def test_a_panel_of_several(settings: Settings, tmp_path: Path) -> None:
    async with scripted(endpoint()) as server:
        names = ("good", "better", "first")
        run = await judged(settings, write_pairs(tmp_path), server.url, *names, panel=True)
    panel = row(run, "panel of 3 models")
    assert panel["kind"] == "panel"
    assert panel["accuracy"]["value"] == 1.0
    assert panel["votes_agree"]["value"] == pytest.approx(2 / 3, abs=1e-5)
    assert row(run, "first")["accuracy"]["value"] == 0.5


async def test_two_endpoints_of_one_model_are_two_judges(
    settings: Settings, tmp_path: Path
) -> None:
    """The cache must not take one endpoint's verdicts for the other's."""
    data = write_pairs(tmp_path)
    async with scripted(endpoint()) as one, scripted(endpoint(lambda *_: "a")) as other:
        for server, accuracy in ((one, 1.0), (other, 0.5), (one, 1.0)):
            run = await judged(settings, data, server.url, "m")
            assert row(run, "m")["accuracy"]["value"] == accuracy
        assert len(one.calls) == 24  # the third run has them from the cache


async def test_nonsense_and_refusals_are_named(settings: Settings, tmp_path: Path) -> None:
    async def refuses(call: Call) -> None:
        await call.start(401, "application/json")
        await call.give(b'{"error": {"message": "bad key"}}')
        await call.end()

    data = write_pairs(tmp_path)
    async with scripted(endpoint(words="I think: ")) as server:
        nonsense = await judged(settings, data, server.url, "talks")
    assert len(server.calls) == 24 * 3
    told = row(nonsense, "talks")
    assert told["unfit_for"] == ["no verdict about any of 12 pairs (12: the judge gave no verdict)"]
    async with scripted(refuses) as server:
        refused = await judged(settings, data, server.url, "m")
    assert row(refused, "m")["unscored_for"] == {"remote_unavailable": 12}
    assert "bad key" in refused.sections[0].notes[-1]


async def test_scorers_ask_an_endpoint_too() -> None:
    state = State(
        sample=Sample(id="1", input="Which?", targets=["red"], data={"baseline": WRONG}),
        output=RIGHT,
    )
    async with scripted(endpoint()) as server:
        model = OpenAIModel(server.url, "good", retries=0)
        judge = ModelJudge(model)
        (helpful,) = await RubricScorer(judge)(state, 1)
        (correct,) = await ReferenceScorer(judge)(state, 1)
        wins, _ = await PairScorer(judge)(state, 1)
        await model.close()
    assert (helpful.value, correct.value, wins.value) == (1.0, 1.0, 1.0)
    assert wins.usage.prompt_tokens == 200


async def test_the_command(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_pairs(tmp_path, 30)
    async with scripted(endpoint()) as server:
        code = await asyncio.to_thread(
            run_cli,
            ["eval", "run", "judge", "--data", str(data), "--judges", "model", "--judge-url",
             server.url, "--judge-model", "good", "--judge-model", "first", "--panel", "--json"],
        )  # fmt: skip
    said = capsys.readouterr()
    assert code == 0, said.err
    told = {one["judge"]: one for one in json.loads(said.out)["results"]}
    assert told["good"]["fit"]
    assert not told["first"]["fit"]
    assert set(told) == {"good", "first", "panel of 2 models"}


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--judge-url", "http://127.0.0.1:9/v1"], "URL and model belong together"),
        (["--judge-model", "m"], "URL and model belong together"),
        (["--judge-url", "nowhere", "--judge-model", "m"], "must begin with http"),
        (["--rubric", "nothing"], "there is no rubric 'nothing'"),
        (["--rubric", "nowhere/mine.md"], "No such file"),
        (["--rubric", "support", "--judge-url", "http://127.0.0.1:9/v1", "--judge-model", "m"],
         "does not judge one answer"),
        (["--judges", "simulated", "--judge-url", "http://127.0.0.1:9/v1", "--judge-model", "m"],
         "which --judges leaves out"),
        (["--panel", "--judge-url", "http://127.0.0.1:9/v1", "--judge-model", "m"],
         "a panel has two judges"),
        (["--judge-url", "http://127.0.0.1:9/v1", "--judge-model", "m", "--judge-model", "m"],
         "each model judges once"),
    ],
)  # fmt: skip
def test_what_cannot_be_asked(
    settings: Settings,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    why: str,
) -> None:
    data = write_pairs(tmp_path, 2)
    assert run_cli(["eval", "run", "judge", "--data", str(data), *arguments]) != 0
    said = capsys.readouterr()
    assert why in " ".join(said.err.split())
    assert said.out == ""
    assert "Traceback" not in said.err
