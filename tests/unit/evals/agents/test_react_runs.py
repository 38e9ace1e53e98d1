"""ReAct runs over pages: what is asked, and what counts as right."""

import json
import random
import re
from pathlib import Path
from typing import Any

import pytest

from evals.agents.react_runs import evaluate_react, react_tasks
from evals.agents.scorers.grounded import Grounded
from evals.core.samples import Sample
from evals.core.states import Cited, State
from evals.errors import DatasetError
from evals.rag.clapnq import read_clapnq
from evals.rag.samples import rag_data
from evals.rag.sets import RagSet
from evals.training.reader.tasks import arithmetic_step
from rostra.core import ChatMessage, ConfigError, GenerationOptions, Role, Settings
from rostra.models import ScriptedModel
from rostra.runtime import open_runtime
from tests.fakes import FakeEmbedder

ABOUT = {
    "vacuum": "The vacuum command gives back the space of dead rows.",
    "index": "An index is built without blocking writes when it is built concurrently.",
    "lock": "A lock on a table is held until the transaction ends.",
}


def line(number: int, question: str, title: str, answer: str | None) -> dict[str, Any]:
    sentences = [f"This page tells of the {title}.", ABOUT[title], "There is more elsewhere."]
    output = {"answer": answer or "", "selected_sentences": [answer] if answer else []}
    passage = {"title": title, "text": " ".join(sentences), "sentences": sentences}
    return {"id": f"q{number}", "input": question, "passages": [passage], "output": [output]}


@pytest.fixture
def questions(tmp_path: Path) -> RagSet:
    known = [line(at, f"What of the {name}?", name, ABOUT[name]) for at, name in enumerate(ABOUT)]
    unknown = [line(9, "Who was the first king?", "lock", None)]
    for name, lines in (("answerable", known), ("unanswerable", unknown)):
        text = "".join(json.dumps(each) + "\n" for each in lines)
        (tmp_path / f"{name}.jsonl").write_text(text)
    return read_clapnq(tmp_path)


def test_tasks_are_of_three_kinds_and_the_same_for_a_seed(questions: RagSet) -> None:
    made = react_tasks(questions, 20, 3)
    kinds = [sample.data["kind"] for sample in made.samples]
    # As many as there are of the first two.
    assert {kind: kinds.count(kind) for kind in kinds} == {
        "answerable": 3,
        "unanswerable": 1,
        "computed": 3,
    }
    assert react_tasks(questions, 20, 3) == made
    assert react_tasks(questions, 20, 4).samples != made.samples


def wording(task: str) -> str:
    """A task in small letters, with # for each number."""
    return " ".join(re.sub(r"\d+(?:\.\d+)?", "#", task.lower()).replace("?", " ").split())


def test_no_sum_is_worded_as_the_reader_learnt_it(questions: RagSet) -> None:
    made = react_tasks(questions, 400, 0).samples
    asked = {wording(one.input).rstrip(".") for one in made if one.data["kind"] == "computed"}
    rng = random.Random(0)
    learnt = {wording(arithmetic_step(rng).prompt) for _ in range(20_000)}
    assert len(asked) > 4
    assert any("the total of # and #" in one for one in learnt)
    for one in asked:
        assert not any(one in other for other in learnt), one


def state(kind: str, *, cited: Cited | None = None, **more: Any) -> State:
    spans = [[("page", 100, 200)]]
    data = rag_data(answerable=kind == "answerable", spans=spans) | {"kind": kind, "value": 42}
    sample = Sample(id="x", input="?", targets=["forty two rows"], data=data)
    return State(sample=sample, citations=[cited] if cited else [], **more)


@pytest.mark.parametrize(
    ("cited", "right"),
    [
        (Cited("page", 100, 200, "it"), 1.0),
        (Cited("page", 150, 400, "it"), 1.0),
        (Cited("page", 151, 400, "it"), 0.0),
        (Cited("other", 100, 200, "it"), 0.0),
        (Cited("other", 0, 9, "There are Forty-two rows."), 1.0),
        (Cited("other", 0, 9, "There are forty two rowset."), 0.0),
    ],
)
async def test_a_citation_supports_by_its_place_or_its_words(cited: Cited, right: float) -> None:
    scores = {one.name: one.value for one in await Grounded()(state("answerable", cited=cited), 0)}
    assert scores == {
        "right end": right,
        "supported answer": right,
        "right citations": right,
        "wrong abstention": 0.0,
    }


async def test_abstaining_is_right_only_without_an_answer() -> None:
    for kind, name, right in (
        ("answerable", "wrong abstention", 0.0),
        ("unanswerable", "right abstention", 1.0),
    ):
        scores = {one.name: one.value for one in await Grounded()(state(kind, abstained=True), 0)}
        assert (scores["right end"], scores[name]) == (right, 1.0)


@pytest.mark.parametrize(
    ("quote", "right"),
    [
        ("6 * 7 = 42", 1.0),
        ("84 / 2 ≈ 42.0", 1.0),
        ("value: 42; exact: true", 1.0),
        ("42 * 7 = 294", 0.0),
        ("value: 420", 0.0),
        ("it is", 0.0),
    ],
)
async def test_a_computed_value_has_to_be_cited(quote: str, right: float) -> None:
    given = state("computed", data={"evidence": [{"claim": 0, "quote": quote, "call": "1"}]})
    scores = {one.name: one.value for one in await Grounded()(given, 0)}
    assert scores == {"right end": right, "computed answer": right}


def agent(messages: tuple[ChatMessage, ...], options: GenerationOptions) -> str:
    """Searches for the task and cites the sentence of the first page that says most."""
    task, last = messages[1].content, messages[-1].content
    if messages[-1].role is Role.USER and len(messages) == 2:
        call = {"tool": "search", "args": {"query": task}}
        if any(char.isdigit() for char in task):
            return "no step at all"
        return json.dumps({"thought": "look", "action": [call]})
    known = next((name for name in ABOUT if name in task), None)
    numbers = [
        int(row[1:].split("]")[0])
        for row in last.splitlines()
        if row.startswith("[") and known is not None and ABOUT[known] in row
    ]
    claims = [{"text": "So it says.", "evidence": numbers[:1]}] if numbers else []
    return json.dumps({"thought": "done", "final": {"claims": claims}})


async def test_runs_are_the_platforms_own_and_invalid_steps_are_counted(
    settings: Settings, questions: RagSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = FakeEmbedder()
    monkeypatch.setattr("rostra.runtime.runtime.load_embedder", lambda _: fake)
    own = settings.model_copy(
        update={"mcp": {"servers": {"calculator": {"command": "none", "enabled": False}}}}
    )
    model = ScriptedModel(agent)  # type: ignore[arg-type]
    records: list[Any] = []

    async def kept(tasks: Any) -> Any:
        from evals.agents.executed import executed

        records.append(await executed(tasks))
        return records[0]

    async with open_runtime(own, model) as runtime:
        report = await evaluate_react(runtime, questions, runs=10, execute=kept)
    runs, quoted = (
        {
            outcome.state.sample.id: {score.name: score.value for score in outcome.scores}
            for outcome in records[0].outcomes
            if outcome.task == task
        }
        for task in (0, 1)
    )
    assert [task.solver for task in records[0].header.tasks] == ["react, scripted", "quote mode"]
    assert quoted.keys() == runs.keys()
    assert [quoted[f"q{at}"]["supported answer"] for at in range(3)] == [1.0, 1.0, 1.0]
    assert [runs[f"q{at}"]["supported answer"] for at in range(3)] == [1.0, 1.0, 1.0]
    assert runs["q9"]["right abstention"] == 1.0
    sums = [found for name, found in runs.items() if name.startswith("computed")]
    assert [one["right end"] for one in sums] == [0.0] * len(sums)
    assert (report.failed, report.too_long, report.model) == (0, 0, "scripted")
    assert report.runs == len(runs)
    assert report.invalid == sum(one["invalid steps"] or 0 for one in sums) > 0


async def test_without_a_model_or_questions_it_is_refused(
    settings: Settings, questions: RagSet, tmp_path: Path
) -> None:
    async with open_runtime(settings) as runtime:
        with pytest.raises(ConfigError, match="no model"):
            await evaluate_react(runtime, questions)
    (tmp_path / "answerable.jsonl").write_text("")
    with pytest.raises(DatasetError):
        read_clapnq(tmp_path / "none")
