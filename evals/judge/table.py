"""The tables of judges and of people, as every report of a run shows them.

What always holds: they are computed from the run's record, so that `show`, `report` and the API say
what the run itself said; what makes a judge fit is what the run was begun with, and stands below.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from itertools import compress
from typing import Any

from evals.core.log import Outcome, RunRecord
from evals.core.report import Section
from evals.core.samples import Sample
from evals.judge.fitness import JudgeStandard
from evals.judge.pairs import pair_of
from evals.judge.report import JudgeReport, judge_reports, people_to_dict

JUDGES = "judges"
PEOPLE = "people"

_JUDGES = (
    "judge",
    "set",
    "pairs",
    "accuracy",
    "both orders",
    "consistency",
    "again",
    "votes agree",
    "position bias",
    "length bias",
    "own family",
    "kappa",
    "alpha",
    "human kappa (n)",
    "unscored",
    "fit",
    "why",
)
_PEOPLE = (
    "set",
    "annotators",
    "pairs with two labels",
    "kappa of each two",
    "kappa",
    "alpha",
    "with the others",
)
_MOST_KAPPAS = 10
_MOST_FAILURES = 5
_MOST_DETAIL = 200  # characters


def judge_sections(
    record: RunRecord,
    reports: Sequence[JudgeReport] | None = None,
    standard: JudgeStandard | None = None,
) -> tuple[Section, ...]:
    """The table of a run's judges and, where pairs have several labels, that of people.

    Args:
        reports: of the run, where they are there already; made by `standard`.
        standard: what makes a judge fit; by default what the run was begun with.
    """
    if not all(map(_is_whole, record.outcomes)):
        return ()  # a baseline, which has scores alone
    standard = standard or standard_of(record.header.arguments)
    if reports is None:
        reports = judge_reports(record, standard=standard)
    if not reports:
        return ()
    told = [report.to_dict() for report in reports]
    people = {report.task.header.dataset: report.people for report in reports}
    notes = [
        _in_words(standard),
        *_rubrics(reports),
        *_ceilings(reports),
        *_remarkable(record),
        *_failures(record),
    ]
    columns, rows = _without_empty(_JUDGES, tuple(map(_judge, told)))
    sections = [Section(JUDGES, columns, rows, tuple(dict.fromkeys(notes)), tuple(told))]
    of_people = [
        {"set": name} | people_to_dict(each) for name, each in people.items() if each.items
    ]
    if of_people:
        columns, rows = _without_empty(_PEOPLE, tuple(map(_of_set, of_people)))
        sections.append(Section(PEOPLE, columns, rows, data=tuple(of_people)))
    return tuple(sections)


def _without_empty(
    columns: tuple[str, ...], rows: tuple[tuple[str | int, ...], ...]
) -> tuple[tuple[str, ...], tuple[tuple[str | int, ...], ...]]:
    """A table without the columns of which no row has anything to say."""
    said = [any(row[at] not in {"-", ""} for row in rows) for at in range(len(columns))]
    return tuple(compress(columns, said)), tuple(tuple(compress(row, said)) for row in rows)


def _is_whole(outcome: Outcome) -> bool:
    """Whether a pair and all that was said of it are there."""
    has_pair = {"first", "second"} <= outcome.state.sample.data.keys()
    return has_pair and (bool(outcome.failed) or "ballots" in outcome.state.data)


def standard_of(arguments: Mapping[str, Any]) -> JudgeStandard:
    """What a run was begun with; for what it does not say, what is usual."""
    found: dict[str, float] = {}
    for one in fields(JudgeStandard):
        value = arguments.get(one.name)
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            found[one.name] = float(value)
    return JudgeStandard(**found)


def _in_words(standard: JudgeStandard) -> str:
    return (
        f"fit: kappa with people surely at least {standard.min_agreement:g} and not surely under "
        f"{standard.min_of_ceiling:g} of that among people, at most "
        f"{100 * standard.max_unscored:g} % of the pairs without a verdict, no bias by length or "
        f"own family surely over {standard.max_bias:g}"
    )


def _rubrics(reports: Sequence[JudgeReport]) -> Iterator[str]:
    for rubric in dict.fromkeys(report.rubric for report in reports):
        if rubric:
            judges = dict.fromkeys(one.name for one in reports if one.rubric == rubric)
            yield f"rubric {rubric}: {', '.join(judges)}"


def _ceilings(reports: Sequence[JudgeReport]) -> Iterator[str]:
    for report in reports:
        if report.fitness.ceiling:
            yield f"{report.task.header.dataset}: {report.fitness.ceiling}"


def _remarkable(record: RunRecord) -> Iterator[str]:
    """Pairs that are judged like any others although little can be said of them."""
    sets: dict[str, dict[str, Sample]] = {}
    for outcome in record.outcomes:
        name = record.header.tasks[outcome.task].dataset
        sets.setdefault(name, {})[outcome.state.sample.id] = outcome.state.sample
    for name, samples in sets.items():
        pairs = [pair_of(sample) for sample in samples.values()]
        for what, ids in (
            ("an empty answer", [one.id for one in pairs if not all(map(str.strip, one.answers))]),
            ("the same answer twice", [one.id for one in pairs if one.first == one.second]),
        ):
            if ids:
                shown = ", ".join(ids[:3]) + (", ..." if len(ids) > 3 else "")
                have = "has" if len(ids) == 1 else "have"
                yield f"{name}: {len(ids)} of {len(pairs)} pairs {have} {what} ({shown})"


def _failures(record: RunRecord) -> Iterator[str]:
    """Of each kind of failure of a judge the first one's words, which say what to do."""
    seen: set[tuple[int, str]] = set()
    for outcome in record.outcomes:
        key = (outcome.task, outcome.failed)
        if not outcome.failed or key in seen or len(seen) >= _MOST_FAILURES:
            continue
        seen.add(key)
        judge, detail = record.header.tasks[outcome.task].solver, outcome.detail[:_MOST_DETAIL]
        yield f"{judge}: {outcome.failed}, such as: {detail or 'without a word'}"


def _judge(told: dict[str, Any]) -> tuple[str | int, ...]:
    among = _plain(told["human_kappa"], with_interval=False)
    return (
        told["judge"],
        told["set"],
        told["pairs"],
        _share(told["accuracy"]),
        _share(told["both_orders_right"]),
        _share(told["consistency"]),
        _share(told["same_when_asked_again"]),
        _share(told["votes_agree"]),
        _signed(told["position_bias"]),
        _signed(told["length_bias"]),
        _signed(told["self_preference"]),
        _plain(told["kappa"]),
        _plain(told["alpha"], with_interval=False),
        f"{among} ({told['human_pairs']})" if told["human_pairs"] else "-",
        told["unscored"],
        "fit" if told["fit"] else "UNFIT",
        _why(told),
    )


def _why(told: dict[str, Any]) -> str:
    """Reasons against a judge, and its biases."""
    biases = [f"bias: {', '.join(told['remarks'])}"] if told["remarks"] else []
    return "; ".join((*told["unfit_for"], *biases))


def _of_set(told: dict[str, Any]) -> tuple[str | int, ...]:
    known = [(pair, kappa) for pair, kappa in told["kappas"].items() if kappa is not None]
    shown = ", ".join(f"{pair}: {kappa:.2f}" for pair, kappa in known[:_MOST_KAPPAS])
    if len(known) > _MOST_KAPPAS:
        shown += f" and {len(known) - _MOST_KAPPAS} more"
    share = told["leave_one_out"]
    return (
        told["set"],
        told["annotators"],
        told["pairs"],
        shown or "-",
        _plain(told["kappa"]),
        _plain(told["alpha"]),
        "-" if share is None else f"{100 * share:.1f} %",
    )


def _share(value: dict[str, Any] | None) -> str:
    return "-" if value is None else f"{100 * value['value']:.1f} %"


def _signed(value: dict[str, Any] | None) -> str:
    """A bias with its interval."""
    return "-" if value is None else f"{value['value']:+.2f}{_interval(value, '+.2f')}"


def _plain(value: dict[str, Any] | None, *, with_interval: bool = True) -> str:
    if value is None:
        return "-"
    return f"{value['value']:.2f}{_interval(value, '.2f') if with_interval else ''}"


def _interval(value: dict[str, Any], form: str) -> str:
    if value["low"] is None:
        return f" ({why})" if (why := value.get("no_interval")) else ""
    return f" [{value['low']:{form}}, {value['high']:{form}}]"
