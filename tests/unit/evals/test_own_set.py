"""The project's own gate: its set is consistent, its baselines fit, and they notice what breaks."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from evals import Outcome, RunRecord, Score, gate_run, read_judged_set, read_run
from evals.rag.read import read_rag_set
from rostra.core import Settings

OWN = Path(__file__).parents[3] / "evals" / "own"
KINDS = ("retrieval", "rag")


def lines(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (OWN / name).read_text(encoding="utf-8").splitlines()]


def worsened(record: RunRecord, measure: str, task: int, every: int) -> RunRecord:
    """A run in which every so many samples of a task have nothing of a measure."""

    def changed(outcome: Outcome) -> Outcome:
        if outcome.task != task or outcome.at % every:
            return outcome
        scores = [Score(one.name, 0.0) if one.name == measure else one for one in outcome.scores]
        return msgspec.structs.replace(outcome, scores=scores)

    return RunRecord(record.header, tuple(map(changed, record.outcomes)), is_complete=True)


def test_both_halves_of_the_set_ask_the_same(settings: Settings) -> None:
    judged, questions = read_judged_set(OWN), read_rag_set(OWN, settings)
    assert not judged.problems
    assert not questions.dataset.problems
    answerable = {
        sample.id: (sample.input, set(sample.data["gold"]))
        for sample in questions.dataset.samples
        if sample.data["answerable"]
    }
    assert answerable == {
        query: (text, set(judged.relevant[query])) for query, text in judged.queries.items()
    }
    assert len(questions.dataset.samples) == 50
    assert len(answerable) == 40


def test_every_span_is_a_whole_sentence_of_its_document() -> None:
    texts = {one["_id"]: one["text"] for one in lines("corpus.jsonl")}
    for question in lines("questions.jsonl"):
        for span in question.get("spans", []):
            text, quote = texts[span["document"]], span["quote"]
            assert text.count(quote) == 1
            at = text.index(quote)
            assert at == 0 or text[at - 2 : at] == ". " or text[at - 2 : at] == "? "
            assert quote.endswith((".", "?"))


@pytest.mark.parametrize("kind", KINDS)
def test_a_baseline_is_of_this_very_set(kind: str, settings: Settings) -> None:
    record = read_run(OWN / f"baseline-{kind}.jsonl")
    assert record.is_complete
    assert record.header.kind == kind
    wanted = (
        {sample.id for sample in read_rag_set(OWN, settings).dataset.samples}
        if kind == "rag"
        else set(read_judged_set(OWN).queries)
    )
    for number in range(len(record.header.tasks)):
        own = {one.state.sample.id for one in record.outcomes if one.task == number}
        assert own == wanted, "renew the baselines: make gate ARGS=--renew"
    assert not [one for one in record.outcomes if one.failed]


@pytest.mark.parametrize("kind", KINDS)
def test_the_gate_is_open_to_the_baseline_itself(kind: str) -> None:
    record = read_run(OWN / f"baseline-{kind}.jsonl")
    assert gate_run(record, record, tolerance=0.02).is_open


@pytest.mark.parametrize(
    ("kind", "measure"),
    [("retrieval", "ndcg@10"), ("retrieval", "recall@10"), ("rag", "citation recall"),
     ("rag", "abstention accuracy"), ("rag", "citation exactness")],
)  # fmt: skip
def test_the_gate_closes_when_a_third_of_the_questions_break(kind: str, measure: str) -> None:
    record = read_run(OWN / f"baseline-{kind}.jsonl")
    report = gate_run(record, worsened(record, measure, 0, 3), tolerance=0.02)
    assert [one.measure.name for one in report.regressions] == [measure]


def test_the_gate_stays_open_when_one_question_breaks() -> None:
    record = read_run(OWN / "baseline-retrieval.jsonl")
    assert gate_run(record, worsened(record, "ndcg@10", 0, 40), tolerance=0.02).is_open
