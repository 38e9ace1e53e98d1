"""Random runs: what is counted, seen on models that do wrong."""

from collections.abc import Sequence
from datetime import UTC, datetime

from evals.agents.random_runs import RandomReport, judge_run, random_runs, wrong_answer
from evals.agents.runs import RunLogged
from rostra.agents import Budget, Record, RunEnded, RunStarted, Spent, Status
from rostra.core import AnyJson, ChatMessage, GenerationOptions, JsonSchema
from rostra.models import ScriptedModel


def logged(*events: RunStarted | RunEnded) -> RunLogged:
    records = [Record(at, datetime.now(UTC), event) for at, event in enumerate(events, 1)]
    last = records[-1].event
    assert isinstance(last, RunEnded | RunStarted)
    return RunLogged(records, last)  # type: ignore[arg-type] # a log without an end is what is tried


BEGUN = RunStarted(task="t", strategy="react", model="m", budget=Budget())
ENDED = RunEnded(Status.COMPLETED, Spent(steps=3, tokens=100))


def test_what_is_wrong_with_a_log() -> None:
    report = RandomReport("x")
    judge_run(logged(BEGUN, ENDED), Budget(steps=3), report)
    assert report.faults == 0
    judge_run(logged(BEGUN, ENDED), Budget(steps=2), report)
    judge_run(logged(BEGUN, ENDED), Budget(tokens=99), report)
    assert report.past_budget == 2
    for events in ((BEGUN,), (BEGUN, ENDED, ENDED), (BEGUN, ENDED, BEGUN)):
        judge_run(logged(*events), Budget(), report)
    assert report.without_end == 3
    judge_run(logged(BEGUN, RunEnded(Status.FAILED, Spent())), Budget(), report)
    assert report.failed == 1
    assert report.ends == {"completed": 3, "failed": 1}


def test_answers_are_held_against_their_schema() -> None:
    schema = GenerationOptions(constraint=JsonSchema('{"type": "object", "required": ["a"]}'))
    assert wrong_answer('{"a": 1}', schema) is None
    assert wrong_answer('{"b": 1}', schema) is not None
    assert wrong_answer("{", schema) == "no JSON"
    assert wrong_answer("{}", GenerationOptions(constraint=AnyJson())) is not None


async def test_a_model_without_grammar_is_found_out() -> None:
    def prattle(messages: Sequence[ChatMessage], options: GenerationOptions) -> str:
        return "I think I will search."

    report = await random_runs(ScriptedModel(prattle), "react", 4)
    assert report.runs == 4
    assert report.invalid > 2 * 4
    assert report.without_end == report.past_budget == 0
    # Every run spent its steps or came to nothing.
    assert set(report.ends) <= {"exhausted", "abstained"}
