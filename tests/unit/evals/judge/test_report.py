"""Reports of judges: the unfit are named with the reason, nothing is NaN, nothing is dropped."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from sklearn.metrics import cohen_kappa_score

from evals.core import Header, Outcome, RunRecord, State, Task, make_dataset
from evals.judge.agreement import Agreed, HumanAgreement, agreement_of
from evals.judge.biases import own_family
from evals.judge.compare import Ballot, Compare
from evals.judge.fitness import JudgeStandard, fitness_of
from evals.judge.measures import VerdictScorer
from evals.judge.pairs import Pair, Winner, sample_of
from evals.judge.report import judge_reports
from evals.judge.simulated import SimulatedJudge

MakePairs = Callable[..., list[Pair]]


NOBODY = HumanAgreement(1, 0, Agreed(None, None, None), {}, None)


class Told:
    """Says for each pair what it was told to; None is nonsense."""

    def __init__(self, said: dict[str, tuple[Winner | None, Winner | None]], name: str = "told"):
        self._said = said
        self.name = name

    def config(self) -> dict[str, Any]:
        return {"judge": "model", "model": self.name}

    async def compare(self, pair: Pair, *, swapped: bool, seed: int) -> Ballot:
        winner = self._said[pair.id][swapped]
        return Ballot(winner, "hm", unscored="" if winner else "the judge gave no verdict")


def strict(value: Any) -> Any:
    """JSON as strict readers take it: no NaN, no infinity."""
    return json.loads(json.dumps(value, allow_nan=False))


@pytest.mark.parametrize(
    ("parts", "is_fit"),
    [
        ({"accuracy": 0.97}, True),
        ({"accuracy": 0.92, "position": 0.05}, True),
        ({"accuracy": 0.97, "length": 0.1}, True),
        ({"accuracy": 0.7}, False),
        ({"accuracy": 0.95, "position": 0.6}, False),
        ({"accuracy": 0.95, "length": 0.6}, False),
        ({"accuracy": 0.95, "noise": 0.6}, False),
        ({"noise": 1.0}, False),
        ({"accuracy": 1.0, "nonsense": 0.2}, False),
        ({"accuracy": 0.0}, False),
    ],
)
@pytest.mark.parametrize("seed", [1, 2])
async def test_the_unfit_are_flagged(
    parts: dict[str, float], is_fit: bool, seed: int, make_pairs: MakePairs, measured: Any
) -> None:
    report = await measured(SimulatedJudge("sim", **parts), make_pairs(150, seed=seed), seed=seed)
    assert report.fitness.is_fit is is_fit
    assert bool(report.fitness.reasons) is not is_fit
    strict(report.to_dict())


async def test_biases_beyond_doubt_are_remarked_on(make_pairs: MakePairs, measured: Any) -> None:
    biased = SimulatedJudge("sim", accuracy=0.95, position=0.6)
    report = await measured(biased, make_pairs(150))
    assert report.fitness.remarks[0].startswith("position +0.")
    assert "kappa with people may be as low as" in report.fitness.reasons[0]


@pytest.mark.parametrize("bias", [{"length": 0.35}, {"length": -0.35}, {"own": 0.5}])
async def test_a_strong_bias_that_swapping_leaves_in_makes_unfit(
    bias: dict[str, float], make_pairs: MakePairs, measured: Any
) -> None:
    judge = SimulatedJudge("sim", accuracy=1.0, family="llama", **bias)
    report = await measured(judge, make_pairs(400))
    (reason,) = report.fitness.reasons
    assert reason.startswith(
        f"bias by {'own family' if 'own' in bias else 'length'} is at least 0."
    )
    lenient = await measured(judge, make_pairs(400), standard=JudgeStandard(max_bias=1.0))
    assert lenient.fitness.is_fit


async def test_nonsense_alone(make_pairs: MakePairs, measured: Any) -> None:
    report = await measured(SimulatedJudge("sim", nonsense=1.0), make_pairs(30), times=2)
    told = strict(report.to_dict())
    for name in ("accuracy", "both_orders_right", "consistency", "position_bias", "prefers_longer",
                 "length_bias", "length_slope", "self_preference", "kappa", "alpha",
                 "same_when_asked_again"):  # fmt: skip
        assert told[name] is None, name
    assert told["unscored"] == 30
    assert told["unscored_for"] == {"a simulated judge's nonsense": 30}
    assert told["verdicts"] == {}
    assert not told["fit"]
    assert told["unfit_for"] == [
        "no verdict about any of 30 pairs (30: a simulated judge's nonsense)"
    ]
    measure = report.task.measure("accuracy")
    assert measure is not None
    assert measure.unscored == {"a simulated judge's nonsense": 30}


async def test_every_pair_is_a_verdict_or_a_reason(make_pairs: MakePairs, measured: Any) -> None:
    report = await measured(SimulatedJudge("sim", nonsense=0.3), make_pairs(100), times=3)
    told = report.to_dict()
    assert sum(told["verdicts"].values()) + told["unscored"] == told["done"] == 100
    assert 0 < told["unscored"] < 100
    assert told["accuracy"]["n"] == 100 - told["unscored"]


async def test_kappa_is_of_resolved_verdicts(make_pairs: MakePairs, measured: Any) -> None:
    pairs = make_pairs(60)
    said: dict[str, tuple[Winner | None, Winner | None]] = {
        pair.id: (("first", "second"), ("first", "first"), ("second", "second"), (None, "first"))[
            number % 4
        ]
        for number, pair in enumerate(pairs)
    }
    report = await measured(Told(said), pairs)
    resolved = {("first", "second"): "tie", ("first", "first"): "first"}
    kept = [pair for pair in pairs if None not in said[pair.id]]
    oracle = cohen_kappa_score(
        [resolved.get(said[pair.id], "second") for pair in kept],  # type: ignore[arg-type]
        [pair.label for pair in kept],
    )
    assert report.agreed.value == pytest.approx(oracle)
    assert report.agreed.kappa.items == 45


async def test_the_ceiling_is_measured_as_the_judge_is(
    make_pairs: MakePairs, measured: Any
) -> None:
    """A judge that is one more annotator comes out at the ceiling, not above it."""
    pairs = make_pairs(400, annotators=3, doubt=0.15)
    said = {pair.id: (pair.labels[1], pair.labels[1]) for pair in pairs}
    peers = [
        msgspec.structs.replace(pair, labels=[pair.labels[0], pair.labels[2]]) for pair in pairs
    ]
    report = await measured(Told(said), peers)
    columns = [[pair.labels[at] for pair in pairs] for at in range(3)]
    assert report.people.kappas == {
        "1-2": pytest.approx(cohen_kappa_score(columns[0], columns[2]), abs=1e-9)
    }
    with_judge = [cohen_kappa_score(columns[1], columns[at]) for at in (0, 2)]
    assert report.agreed.value == pytest.approx(sum(with_judge) / 2, abs=0.01)
    assert abs(report.agreed.value - report.people.agreed.value) < 0.15


async def test_far_under_the_ceiling(make_pairs: MakePairs, measured: Any) -> None:
    pairs = make_pairs(200, annotators=3, doubt=0.02)
    report = await measured(
        SimulatedJudge("sim", accuracy=0.72), pairs, standard=JudgeStandard(min_agreement=0.0)
    )
    assert len(report.fitness.reasons) == 1
    assert "far under" in report.fitness.reasons[0]
    told = strict(report.to_dict())
    assert told["human_kappa"]["value"] > 0.8


async def test_pairs_without_a_majority_are_judged_and_have_no_accuracy(
    make_pairs: MakePairs, measured: Any
) -> None:
    pairs = [
        msgspec.structs.replace(pair, labels=["first", "second"], label=None)
        if number % 2
        else pair
        for number, pair in enumerate(make_pairs(40, annotators=2))
    ]
    told = (await measured(SimulatedJudge("sim"), pairs)).to_dict()
    assert told["consistency"]["n"] == 40
    assert told["accuracy"]["n"] == 20


async def test_intervals_are_clustered(make_pairs: MakePairs, measured: Any) -> None:
    report = await measured(SimulatedJudge("sim"), make_pairs(60, groups=6))
    estimate = report.measure("accuracy")
    assert (estimate.n, estimate.clusters) == (60, 6)


async def test_failed_samples_are_lost_pairs(make_pairs: MakePairs) -> None:
    samples = [sample_of(pair) for pair in make_pairs(4)]
    judge = Told({})
    task = Task(make_dataset("pairs", samples), Compare(judge), (VerdictScorer(),))
    header = Header(id="r", kind="judge", begun=datetime.now(UTC), seed=0, tasks=[task.header()])
    outcomes = tuple(
        Outcome(task=0, at=at, state=State(sample=sample), failed="remote_unavailable")
        for at, sample in enumerate(samples)
    )
    (report,) = judge_reports(RunRecord(header, outcomes, True))
    told = strict(report.to_dict())
    assert told["unscored_for"] == {"remote_unavailable": 4}
    assert told["kappa"] is None
    assert not told["fit"]
    assert told["unfit_for"] == ["no verdict about any of 4 pairs (4: remote_unavailable)"]


def test_a_run_that_has_just_begun(make_pairs: MakePairs) -> None:
    dataset = make_dataset("pairs", [sample_of(pair) for pair in make_pairs(3)])
    task = Task(dataset, Compare(SimulatedJudge("sim")), (VerdictScorer(),))
    header = Header(id="r", kind="judge", begun=datetime.now(UTC), seed=0, tasks=[task.header()])
    (report,) = judge_reports(RunRecord(header, (), False))
    assert report.fitness.reasons == ("no verdict about any of 3 pairs (3: not done)",)
    strict(report.to_dict())


async def test_the_judges_family_is_known_by_its_name(make_pairs: MakePairs, measured: Any) -> None:
    pairs = make_pairs(120)
    told = {
        pair.id: (pair.label, pair.label) if pair.by("llama") == "tie" else (pair.by("llama"),) * 2
        for pair in pairs
    }
    report = await measured(Told(told, "Meta-Llama-3-8B"), pairs)  # type: ignore[arg-type]
    assert report.family == "llama"
    assert report.self_preference.mean == pytest.approx(1.0)
    samples = [sample_of(pair) for pair in pairs]
    assert own_family("gpt-4", samples) == ""
    assert own_family("my-opt-13b", samples) == "opt"


def test_full_agreement_has_a_lower_end_that_knows_how_few_there_were() -> None:
    labels: list[Winner | None] = ["first", "second"] * 3
    few = agreement_of(labels, labels, [str(n) for n in range(6)], seed=0)
    many = agreement_of(labels * 20, labels * 20, [str(n) for n in range(120)], seed=0)
    repeated = agreement_of(labels * 20, labels * 20, ["a", "b"] * 60, seed=0)
    assert few.value == many.value == 1
    assert few.low is not None
    assert many.low is not None
    assert repeated.low is not None
    assert repeated.low < few.low < 0.4 < many.low < 1


def test_one_label_alone_tells_nothing() -> None:
    agreed = agreement_of(["first"] * 5, ["first"] * 5, list("abcde"), seed=0)
    assert (agreed.value, agreed.low) == (None, None)
    fitness = fitness_of(
        agreed=agreed, people=NOBODY, judged=5, lost={}, biases={}, standard=JudgeStandard()
    )
    assert fitness.reasons == ("its agreement with people cannot be told: one label alone occurs",)


@pytest.mark.parametrize("max_unscored", [0.0, 0.1, 1.0])
async def test_no_verdict_at_all_is_never_fit(
    max_unscored: float, make_pairs: MakePairs, measured: Any
) -> None:
    """Whoever lets all pairs be without a verdict has asked for nothing that holds."""
    lenient = JudgeStandard(min_agreement=-1.0, max_unscored=max_unscored)
    judge = SimulatedJudge("sim", nonsense=1.0)
    report = await measured(judge, make_pairs(30), standard=lenient)
    assert not report.fitness.is_fit
    assert report.fitness.reasons[0].startswith("no verdict about any of 30 pairs (30: ")
