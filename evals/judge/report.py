"""What is said of judges, computed from the file of a run.

Accuracy and consistency are means over pairs and come from the harness's own report. The rest is
not: kappa and alpha set what was agreed against what chance would bring, over the
whole set at once; length bias and self-preference are differences between two kinds of pairs; the
human ceiling has no judge in it. So they are computed here from the ballots in the record.

What always holds: no number is NaN; what cannot be told is None. The same file gives the same
report, as resampling has a fixed seed.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from evals.core.log import Outcome, RunRecord
from evals.core.report import MeasureReport, TaskReport, report_of
from evals.core.scores import Unscored
from evals.judge import measures
from evals.judge.agreement import (
    Agreed,
    HumanAgreement,
    agreement_among_people,
    agreement_with_people,
)
from evals.judge.biases import (
    JudgedPair,
    judged_pair,
    length_bias,
    length_control,
    own_family,
    position_bias,
    self_preference,
)
from evals.judge.compare import ballots_of
from evals.judge.fitness import POSITION, Fitness, JudgeStandard, fitness_of
from evals.judge.pairs import Winner
from evals.statistics import Agreement, Estimate, LengthControlled

_SEED = 20_240  # of resampling; a report is no experiment of its own
_TOLD = {
    "accuracy": measures.ACCURACY,
    "accuracy_in_order": measures.IN_ORDER,
    "accuracy_swapped": measures.SWAPPED,
    "both_orders_right": measures.BOTH_RIGHT,
    "consistency": measures.CONSISTENCY,
    "same_when_asked_again": measures.AGAIN,
    "votes_agree": measures.VOTES,
    "prefers_longer": measures.LONGER,
}


@dataclass(frozen=True, slots=True)
class JudgeReport:
    """One judge on one set.

    Attributes:
        task: accuracy and consistency, and what was used up.
        verdicts: of both orders resolved, by winner.
        unscored: pairs without a verdict, by reason; those that failed under their error's name.
        family: of systems that the judge belongs to; empty where unknown.
        fitness: see `evals.judge.fitness`.
    """

    task: TaskReport
    verdicts: dict[str, int]
    unscored: dict[str, int]
    agreed: Agreed
    people: HumanAgreement
    position_bias: Estimate | None
    length_bias: Estimate | None
    length_controlled: LengthControlled | None
    family: str
    self_preference: Estimate | None
    fitness: Fitness

    @property
    def name(self) -> str:
        """The judge's."""
        return self.task.header.solver

    @property
    def kind(self) -> str:
        """`simulated`, `recorded`, `panel` or `model`."""
        told = self.task.header.solver_config.get("judge", {})
        return str(told.get("judge", "")) if isinstance(told, dict) else ""

    @property
    def rubric(self) -> str:
        """What a model went by, with its version; of a panel, its first member; empty for none."""
        told = self.task.header.solver_config.get("judge")
        while isinstance(told, dict) and isinstance(told.get("judges"), dict):
            told = next(iter(told["judges"].values()), None)
        return str(told.get("rubric", "")) if isinstance(told, dict) else ""

    def measure(self, name: str) -> Estimate | None:
        """One of `evals.judge.measures`; None where it has no value."""
        found: MeasureReport | None = self.task.measure(name)
        return found.estimate if found is not None else None

    def to_dict(self) -> dict[str, Any]:
        """As `--json` prints it."""
        controlled = self.length_controlled
        told: dict[str, Any] = {
            "set": self.task.header.dataset,
            "judge": self.name,
            "kind": self.kind,
            "rubric": self.rubric or None,
            "pairs": self.task.header.samples,
            "done": self.task.done,
        }
        told |= {key: _estimate(self.measure(name)) for key, name in _TOLD.items()}
        told |= {
            "position_bias": _estimate(self.position_bias),
            "length_bias": _estimate(self.length_bias),
            "length_slope": _rounded(controlled.length_effect if controlled else None),
            "length_controlled_accuracy": _estimate(controlled.win_rate if controlled else None),
            "family": self.family or None,
            "self_preference": _estimate(self.self_preference),
            "kappa": _kappa(self.agreed),
            "alpha": _agreement(self.agreed.alpha),
            "human_kappa": _kappa(self.people.agreed),
            "human_alpha": _agreement(self.people.agreed.alpha),
            "human_pairs": self.people.items,
            "ceiling": self.fitness.ceiling or None,
            "verdicts": self.verdicts,
            "unscored": sum(self.unscored.values()),
            "unscored_for": self.unscored,
            "fit": self.fitness.is_fit,
            "unfit_for": list(self.fitness.reasons),
            "remarks": list(self.fitness.remarks),
        }
        return told


def judge_reports(
    record: RunRecord, *, standard: JudgeStandard | None = None, level: float = 0.95
) -> list[JudgeReport]:
    """A report for each judge and set of a run, in the run's order.

    Args:
        standard: what makes a judge fit; by default `JudgeStandard()`.
    """
    standard = standard or JudgeStandard()
    people: dict[str, HumanAgreement] = {}
    reports: list[JudgeReport] = []
    for number, task in enumerate(report_of(record, level=level).tasks):
        outcomes = [outcome for outcome in record.outcomes if outcome.task == number]
        key = f"{task.header.dataset}\0{task.header.digest}"
        if key not in people:
            samples = [outcome.state.sample for outcome in outcomes]
            people[key] = agreement_among_people(samples, seed=_SEED, level=level)
        reports.append(_report(task, outcomes, people[key], standard, level))
    return reports


def people_to_dict(people: HumanAgreement) -> dict[str, Any]:
    """How far people agree, as `--json` prints it."""
    return {
        "annotators": people.annotators,
        "pairs": people.items,
        "kappa": _kappa(people.agreed),
        "alpha": _agreement(people.agreed.alpha),
        "kappas": {pair: _rounded(kappa) for pair, kappa in people.kappas.items()},
        "leave_one_out": _rounded(people.leave_one_out),
    }


def _report(
    task: TaskReport,
    outcomes: Sequence[Outcome],
    people: HumanAgreement,
    standard: JudgeStandard,
    level: float,
) -> JudgeReport:
    pairs: list[JudgedPair] = []
    winners: list[Winner | None] = []
    unscored: Counter[str] = Counter(task.failed)
    for outcome in outcomes:
        if outcome.failed:
            continue
        try:
            ballots = ballots_of(outcome.state)
        except Unscored as error:
            unscored[error.reason] += 1
            continue
        winners.append(ballots.resolved)
        pairs.append(judged_pair(outcome.state.sample, ballots))
        if reason := ballots.unscored:
            unscored[reason] += 1
    samples = [outcome.state.sample for outcome in outcomes if "ballots" in outcome.state.data]
    agreed = agreement_with_people(winners, samples, seed=_SEED, level=level)
    family = _family(task, outcomes)
    by_length = length_bias(pairs, seed=_SEED, level=level)
    by_writer = self_preference(pairs, family, seed=_SEED, level=level) if family else None
    by_place = position_bias(pairs, level=level)
    judged = sum(winner is not None for winner in winners)
    undone = task.header.samples * task.header.repeats - task.done
    fitness = fitness_of(
        agreed=agreed,
        people=people,
        judged=judged,
        lost=dict(unscored) | ({"not done": undone} if undone > 0 else {}),
        biases={
            POSITION: by_place,
            "length": by_length,
            "own family": by_writer,
        },
        standard=standard,
    )
    return JudgeReport(
        task=task,
        verdicts=dict(Counter(winner for winner in winners if winner is not None).most_common()),
        unscored=dict(unscored.most_common()),
        agreed=agreed,
        people=people,
        position_bias=by_place,
        length_bias=by_length,
        length_controlled=length_control(pairs, level=level),
        family=family,
        self_preference=by_writer,
        fitness=fitness,
    )


def _family(task: TaskReport, outcomes: Sequence[Outcome]) -> str:
    """The judge's family: as its configuration has it, else as its name tells."""
    told = task.header.solver_config.get("judge")
    config = told if isinstance(told, dict) else {}
    if family := config.get("family"):
        return str(family)
    if config.get("judge") == "simulated":
        return ""  # its name is no model's
    name = str(config.get("model") or config.get("name") or task.header.solver)
    return own_family(name, [outcome.state.sample for outcome in outcomes])


def _estimate(estimate: Estimate | None) -> dict[str, Any] | None:
    if estimate is None:
        return None
    interval = estimate.interval
    return {
        "value": _rounded(estimate.mean),
        "low": _rounded(interval.low if interval else None),
        "high": _rounded(interval.high if interval else None),
        "n": estimate.n,
    }


def _kappa(agreed: Agreed) -> dict[str, Any] | None:
    """Cohen's kappa with its interval, or with the reason why it has none."""
    told = _agreement(agreed.kappa)
    if told is None:
        return None
    low, high = agreed.ends or (None, None)
    return told | {
        "low": _rounded(low),
        "high": _rounded(high),
        "no_interval": agreed.no_interval or None,
    }


def _agreement(agreement: Agreement | None) -> dict[str, Any] | None:
    if agreement is None or agreement.value is None:
        return None
    interval = agreement.interval
    return {
        "value": _rounded(agreement.value),
        "low": _rounded(interval.low if interval else None),
        "high": _rounded(interval.high if interval else None),
        "n": agreement.items,
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)
