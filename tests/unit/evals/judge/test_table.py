"""The tables of judges and people: computed from the record, by the run's own standard."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from evals.core import Header, Outcome, RunRecord, Section, State, Task, make_dataset
from evals.judge.compare import Compare
from evals.judge.fitness import JudgeStandard
from evals.judge.measures import VerdictScorer
from evals.judge.pairs import Pair, sample_of
from evals.judge.simulated import SimulatedJudge
from evals.judge.table import JUDGES, PEOPLE, judge_sections, standard_of

MakePairs = Callable[..., list[Pair]]


async def judged(
    pairs: Sequence[Pair], *judges: SimulatedJudge, arguments: dict[str, Any] | None = None
) -> RunRecord:
    """A run as its file has it."""
    dataset = make_dataset("pairs", [sample_of(pair) for pair in pairs])
    tasks = [Task(dataset, Compare(judge), (VerdictScorer(),)) for judge in judges]
    header = Header(
        id="r",
        kind="judge",
        begun=datetime(2026, 1, 1, tzinfo=UTC),
        seed=0,
        tasks=[task.header() for task in tasks],
        arguments=arguments or {},
    )
    outcomes = []
    for number, task in enumerate(tasks):
        for at, sample in enumerate(dataset.samples):
            state = await task.solver(State(sample=sample), at)
            scores = [score for scorer in task.scorers for score in await scorer(state, 0)]
            outcomes.append(Outcome(task=number, at=at, state=state, scores=scores))
    return RunRecord(header, tuple(outcomes), True)


def cells(section: Section, row: int = 0) -> dict[str, Any]:
    return dict(zip(section.columns, section.rows[row], strict=True))


async def test_one_row_for_each_judge(make_pairs: MakePairs) -> None:
    right, coin = SimulatedJudge("right", accuracy=1.0), SimulatedJudge("coin", noise=1.0)
    record = await judged(make_pairs(60), right, coin)
    (section,) = judge_sections(record)
    assert section.title == JUDGES
    assert [cells(section, row)["judge"] for row in (0, 1)] == ["right", "coin"]
    assert [cells(section, row)["fit"] for row in (0, 1)] == ["fit", "UNFIT"]
    assert cells(section)["accuracy"] == "100.0 %"
    assert "human kappa (n)" not in cells(section)  # no pair has two labels
    assert "kappa with people may be as low as" in cells(section, 1)["why"]
    told = json.loads(json.dumps(section.to_dict(), allow_nan=False))
    assert [one["kappa"]["n"] for one in told["data"]] == [60, 60]
    assert {len(row) for row in told["rows"]} == {len(told["columns"])}


async def test_kappa_of_a_constant_judge_says_why_it_has_no_interval(
    make_pairs: MakePairs,
) -> None:
    always_first = SimulatedJudge("first shown", position=1.0)
    (section,) = judge_sections(await judged(make_pairs(60), always_first))
    shown = cells(section)
    assert shown["kappa"] == "0.00 (constant: always tie)"
    assert "it says tie of every pair, which is kappa 0.00 whatever people say" in shown["why"]
    assert "may be as low as" not in shown["why"]
    (told,) = section.to_dict()["data"]
    assert told["kappa"]["no_interval"] == "constant: always tie"


async def test_kappa_with_people_of_one_label_alone(make_pairs: MakePairs) -> None:
    pairs = [
        msgspec.structs.replace(pair, labels=["first"], label="first") for pair in make_pairs(60)
    ]
    (section,) = judge_sections(await judged(pairs, SimulatedJudge("coin", noise=1.0)))
    shown = cells(section)
    assert shown["kappa"] == "0.00 (constant labels: always first)"
    assert "people say first of every pair" in shown["why"]


async def test_full_agreement_has_an_interval(make_pairs: MakePairs) -> None:
    (section,) = judge_sections(await judged(make_pairs(60), SimulatedJudge("r", accuracy=1.0)))
    assert cells(section)["kappa"].startswith("1.00 [0.8")
    (told,) = section.to_dict()["data"]
    assert told["kappa"]["no_interval"] is None
    assert 0.8 < told["kappa"]["low"] < told["kappa"]["high"] == 1.0


async def test_the_human_ceiling_has_its_n(make_pairs: MakePairs) -> None:
    pairs = [
        pair if number < 40 else msgspec.structs.replace(pair, labels=[*pair.labels[:1], None])
        for number, pair in enumerate(make_pairs(60, annotators=2))
    ]
    judges, people = judge_sections(await judged(pairs, SimulatedJudge("sim")))
    assert cells(judges)["human kappa (n)"] == "1.00 (40)"
    assert people.title == PEOPLE
    assert cells(people)["pairs with two labels"] == 40
    assert cells(people)["kappa of each two"] == "1-2: 1.00"


async def test_a_ceiling_of_chance_is_told(make_pairs: MakePairs) -> None:
    pairs = [
        msgspec.structs.replace(
            pair, labels=[("first", "second")[n % 2], ("second", "first")[n % 2]]
        )
        for n, pair in enumerate(make_pairs(6, annotators=2))
    ]
    judges, _ = judge_sections(await judged(pairs, SimulatedJudge("sim")))
    assert (
        "pairs: people agree no more than by chance (kappa -1.00, n 6): no ceiling" in judges.notes
    )


async def test_pairs_that_say_little_are_counted(make_pairs: MakePairs) -> None:
    pairs = [
        msgspec.structs.replace(pair, first="" if n < 2 else pair.second if n == 2 else pair.first)
        for n, pair in enumerate(make_pairs(10))
    ]
    (section,) = judge_sections(await judged(pairs, SimulatedJudge("a"), SimulatedJudge("b")))
    assert section.notes[1:] == (
        "pairs: 2 of 10 pairs have an empty answer (p0, p1)",
        "pairs: 1 of 10 pairs has the same answer twice (p2)",
    )


async def test_the_standard_is_the_runs(make_pairs: MakePairs) -> None:
    pairs, judge = make_pairs(60), SimulatedJudge("sim", accuracy=0.85)
    (strict,) = judge_sections(await judged(pairs, judge, arguments={"min_agreement": 0.95}))
    (lenient,) = judge_sections(await judged(pairs, judge, arguments={"min_agreement": 0.1}))
    assert (cells(strict)["fit"], cells(lenient)["fit"]) == ("UNFIT", "fit")
    assert "surely at least 0.95" in strict.notes[0]


@pytest.mark.parametrize("value", ["0.9", None, True, [1], float("nan"), float("inf")])
def test_arguments_that_are_no_standard(value: Any) -> None:
    assert standard_of({"min_agreement": value}) == JudgeStandard()


async def test_a_run_without_outcomes(make_pairs: MakePairs) -> None:
    record = await judged(make_pairs(3), SimulatedJudge("sim"))
    (section,) = judge_sections(replace(record, outcomes=(), is_complete=False))
    assert cells(section)["why"] == "no verdict about any of 3 pairs (3: not done)"


async def test_a_baseline_has_no_ballots_and_no_table(make_pairs: MakePairs) -> None:
    record = await judged(make_pairs(5), SimulatedJudge("sim"))
    slim = [
        msgspec.structs.replace(one, state=State(sample=one.state.sample))
        for one in record.outcomes
    ]
    assert judge_sections(replace(record, outcomes=tuple(slim))) == ()


async def test_failures_are_told_with_their_words(make_pairs: MakePairs) -> None:
    record = await judged(make_pairs(5), SimulatedJudge("sim"))
    gone = [
        Outcome(
            task=0, at=one.at, state=State(sample=one.state.sample), failed="gone", detail="off"
        )
        for one in record.outcomes
    ]
    (section,) = judge_sections(replace(record, outcomes=tuple(gone)))
    assert section.notes[-1] == "sim: gone, such as: off"
    assert cells(section)["why"] == "no verdict about any of 5 pairs (5: gone)"
