"""JUnit XML of a run or of a gate, for whatever shows test results.

What always holds: the file is valid after the schema of Ant's JUnit task and after Jenkins' (order
and attributes of elements), and holds no character that XML cannot. A sample that failed is an
error, one that some scorer could not tell of is skipped, a measure that got worse is a failure.
"""

from collections.abc import Iterable
from datetime import datetime
from xml.etree import ElementTree as xml

from evals.compare import Comparison
from evals.core import Outcome, RunRecord, TaskReport, report_of
from evals.gate import GateReport
from evals.reports.numbers import show_amount, show_interval
from evals.reports.text import shown

_LONG = 2000
_SHORT = 300


def run_junit(record: RunRecord) -> str:
    """A run: a suite for each task, a case for each of its samples and of its measures."""
    report = report_of(record)
    suites = xml.Element("testsuites")
    for number, task in enumerate(report.tasks):
        own = [outcome for outcome in record.outcomes if outcome.task == number]
        suite = _suite(suites, number, task.header.name, record.header.begun)
        properties = _child(suite, "properties")
        for name, value in _properties(task):
            _child(properties, "property", name=shown(name, _SHORT), value=shown(value, _SHORT))
        for outcome in own:
            _sample(suite, task.header.name, outcome, task.header.repeats)
        for one in task.measures:
            case = _case(suite, task.header.name, one.measure.name)
            if one.estimate is None:
                _child(case, "skipped", message="no sample has a value")
        missing = task.header.samples * task.header.repeats - task.done
        if missing:
            case = _case(suite, task.header.name, "all samples are done")
            _child(case, "error", message=f"{missing} samples are not done", type="incomplete")
        _close(suite)
    return _written(suites)


def gate_junit(gate: GateReport, at: datetime) -> str:
    """A gate: a case for each measure, whether it could be compared or not, and for the whole run.

    Args:
        at: when it was asked.
    """
    suites = xml.Element("testsuites")
    suite = _suite(suites, 0, "evaluation gate", at)
    properties = _child(suite, "properties")
    for name, value in (
        ("baseline", gate.baseline),
        ("candidate", gate.candidate),
        ("alpha", str(gate.alpha)),
    ):
        _child(properties, "property", name=name, value=shown(value, _SHORT))
    # By identity: two comparisons may well be equal.
    worse = {id(one) for one in gate.regressions}
    lacking = {(one.task, name): one for one in gate.missing for name in one.measures}
    for one in gate.comparisons:
        case = _case(suite, f"{one.dataset}/{one.candidate_system}", one.measure.name)
        lacks = lacking.pop((f"{one.dataset}/{one.baseline_system}", one.measure.name), None)
        if id(one) in worse:
            told = difference_in_words(one)
            found = _child(case, "failure", message=shown(told, _SHORT), type="regression")
            found.text = shown("\n".join((told, *_losses(one))), _LONG)
        elif lacks is not None:
            _child(case, "failure", message=shown(lacks.reason, _SHORT), type="missing")
    for (task, name), lacks in lacking.items():
        case = _case(suite, task, name)
        _child(case, "failure", message=shown(lacks.reason, _SHORT), type="missing")
    for lacks in gate.missing:
        if not lacks.measures:
            case = _case(suite, "evaluation gate", "the run is complete")
            _child(case, "failure", message=shown(lacks.reason, _SHORT), type="missing")
    _close(suite)
    return _written(suites)


def difference_in_words(one: Comparison) -> str:
    """What a comparison found, on one line."""
    unit = one.measure.unit
    told = (
        f"{one.measure.name} of {one.dataset}/{one.candidate_system}: "
        f"{show_amount(one.baseline, unit)} to {show_amount(one.candidate, unit)} "
        f"({show_amount(one.difference, unit, signed=True)}"
    )
    if one.interval is not None:
        told += f", 95 % {show_interval(one.interval.low, one.interval.high, unit, signed=True)}"
    if one.adjusted is not None:
        told += f", p {one.adjusted:.4f}"
    return told + f"), {one.wins} wins, {one.losses} losses"


def _losses(one: Comparison) -> Iterable[str]:
    for sample in one.samples[:10]:
        before, after = show_amount(sample.baseline), show_amount(sample.candidate)
        yield f"{sample.sample}: {before} to {after}: {sample.input[:100]}"


def _properties(task: TaskReport) -> Iterable[tuple[str, str]]:
    for one in task.measures:
        if one.estimate is not None:
            told = show_amount(one.estimate.mean, one.measure.unit)
            if one.estimate.interval is not None:
                ends = one.estimate.interval
                told += f" ({show_interval(ends.low, ends.high, one.measure.unit)})"
            yield one.measure.name, told
    for problem in task.header.problems:
        yield "left out of the set", f"{problem.count}: {problem.reason}"


def _sample(suite: xml.Element, task: str, outcome: Outcome, repeats: int) -> None:
    name = outcome.state.sample.id + (f" ({outcome.repeat + 1})" if repeats > 1 else "")
    case = _case(suite, task, name, outcome.seconds + outcome.scoring)
    unscored = [score for score in outcome.scores if score.value is None]
    if outcome.failed:
        kind = shown(outcome.failed, _SHORT)
        found = _child(case, "error", message=shown(outcome.detail, _SHORT), type=kind)
        found.text = shown(outcome.state.sample.input, _LONG)
    elif unscored:
        told = "; ".join(f"{score.name}: {score.unscored}" for score in unscored)
        _child(case, "skipped", message=shown(told, _SHORT))


def _suite(parent: xml.Element, number: int, name: str, at: datetime) -> xml.Element:
    return _child(
        parent,
        "testsuite",
        name=shown(name, _SHORT) or "-",
        package="rostra.eval",
        id=str(number),
        timestamp=at.strftime("%Y-%m-%dT%H:%M:%S"),
        hostname="localhost",
    )


def _close(suite: xml.Element) -> None:
    """Counts, and the two elements that the older schema ends a suite with."""
    cases = suite.findall("testcase")
    suite.set("tests", str(len(cases)))
    for name, kind in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(name, str(sum(case.find(kind) is not None for case in cases)))
    suite.set("time", f"{sum(float(case.get('time', 0)) for case in cases):.3f}")
    _child(suite, "system-out")
    _child(suite, "system-err")


def _case(suite: xml.Element, task: str, name: str, seconds: float = 0.0) -> xml.Element:
    return _child(
        suite,
        "testcase",
        classname=shown(task, _SHORT) or "-",
        name=shown(name, _SHORT) or "-",
        time=f"{seconds:.3f}",
    )


def _child(parent: xml.Element, tag: str, **attributes: str) -> xml.Element:
    return xml.SubElement(parent, tag, attributes)


def _written(suites: xml.Element) -> str:
    body = xml.tostring(suites, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{body}\n'
