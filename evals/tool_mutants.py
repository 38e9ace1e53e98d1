"""The tool scorer tried on answers known to be right and on answers known to be wrong.

Right are the gold calls of a set, with and without what may be left out, as Python and as JSON.
Each mutant differs from them in one place, of one class. What always holds: mutants are made from
the gold alone, without asking the scorer, and a change that the gold allows is not made.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from keyword import iskeyword
from typing import Any

from evals.agents.executed import Execute, executed
from evals.core.log import RunRecord
from evals.core.measures import Better, Measure
from evals.core.runner import Task
from evals.core.samples import Problem
from evals.core.scores import Score
from evals.core.states import State
from evals.tools import Call, GoldCall, ToolTask, judge_output
from evals.tools.tasks import tool_datasets, tool_task

_GOLD = "gold accepted"
_ACCEPTED = "accepted though "
_MOST_WRONG = 20
MUTATIONS = ("wrong_name", "missing", "extra", "wrong_type", "wrong_value", "unparseable")
_SURPLUS = "surplus_argument"
_UNREADABLE = ("", "I would call the function now.", "[", '[{"name": ', "f(", "call: none")


def _accepted(mutation: str) -> str:
    """The name of a class's scores."""
    return f"{_ACCEPTED}{mutation}"


@dataclass(slots=True)
class ScorerReport:
    """How the scorer judged.

    Attributes:
        tasks, gold, gold_right: by category; several texts a task are gold.
        mutants, accepted: by class; none should be accepted.
        wrong: ids of tasks whose gold was refused or a mutant of which was accepted; the first.
    """

    tasks: Counter[str] = field(default_factory=Counter)
    gold: Counter[str] = field(default_factory=Counter)
    gold_right: Counter[str] = field(default_factory=Counter)
    mutants: Counter[str] = field(default_factory=Counter)
    accepted: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, record: RunRecord) -> "ScorerReport":
        """The report of a run that has a task for each category."""
        report = cls()
        for outcome in record.outcomes:
            category = record.header.tasks[outcome.task].dataset
            report.tasks[category] += 1
            fine = not outcome.failed
            for score in outcome.scores:
                # Scores that could not be had have no counts; the run tells them.
                texts, accepted = score.data.get("texts", 0), score.data.get("accepted", 0)
                if score.name == _GOLD:
                    report.gold[category] += texts
                    report.gold_right[category] += accepted
                    fine &= score.value == 1.0
                else:
                    mutation = score.name.removeprefix(_ACCEPTED)
                    report.mutants[mutation] += texts
                    report.accepted[mutation] += accepted
                    fine &= score.value == 0.0
            if not fine and len(report.wrong) < _MOST_WRONG:
                report.wrong.append(outcome.state.sample.id)
        return report

    def to_dict(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return {
            "gold": [
                {
                    "category": category,
                    "tasks": self.tasks[category],
                    "texts": self.gold[category],
                    "right": self.gold_right[category],
                }
                for category in self.tasks
            ],
            "mutants": [
                {"class": each, "texts": self.mutants[each], "accepted": self.accepted[each]}
                for each in MUTATIONS
            ],
            "wrong": self.wrong,
        }


class GoldAndMutants:
    """A solver that leaves it to the scorer to make the answers: they follow from the task."""

    name = "gold and mutants"

    def config(self) -> dict[str, Any]:
        """Nothing can be chosen."""
        return {}

    async def __call__(self, state: State, seed: int) -> State:
        """The state as it is."""
        return state


class JudgeOfCalls:
    """What the judge of tool calls accepts of a task's right answers, and of its wrong ones.

    A score's data has how many `texts` it is about and how many of them were `accepted`.
    """

    name = "judge of calls"
    measures = (
        Measure(_GOLD, unit="share"),
        *(Measure(_accepted(each), Better.LOWER, unit="share") for each in MUTATIONS),
    )

    def config(self) -> dict[str, Any]:
        """Nothing can be chosen."""
        return {}

    async def __call__(self, state: State, seed: int) -> Sequence[Score]:
        """Shares of texts that are accepted; none for a class that a task has no mutant of."""
        task = tool_task(state.sample)
        texts, accepted = Counter[str](), Counter[str]()
        for text in gold_texts(task):
            texts[_GOLD] += 1
            accepted[_GOLD] += judge_output(task, text) is None
        for mutation, text in mutants(task):
            texts[_accepted(mutation)] += 1
            accepted[_accepted(mutation)] += judge_output(task, text) is None
        return [
            Score(name, accepted[name] / count, data={"texts": count, "accepted": accepted[name]})
            for name, count in texts.items()
        ]


async def try_scorer(
    tasks: Sequence[ToolTask],
    *,
    problems: Mapping[str, Sequence[Problem]] | None = None,
    execute: Execute = executed,
) -> ScorerReport:
    """Judges all gold texts and mutants of some tasks.

    Args:
        problems: by category, lines of the set that could not be used; the run keeps them.
        execute: does the tasks of the evaluation.
    """
    made = [
        Task(dataset, GoldAndMutants(), (JudgeOfCalls(),), cached=False)
        for dataset in tool_datasets(tasks, problems)
    ]
    return ScorerReport.of(await execute(made))


def gold_texts(task: ToolTask) -> Iterator[str]:
    """Texts that are right."""
    full = [gold_call(gold) for gold in task.gold]
    least = [
        gold_call(gold, sparing=_required(task.functions.get(gold.name, {}))) for gold in task.gold
    ]
    for calls in (full, least, full[::-1]):
        yield as_python(calls)
        yield as_json(calls)


def gold_call(gold: GoldCall, *, sparing: Sequence[str] | None = None) -> Call:
    """A right call: of each parameter the first value that is right.

    Args:
        sparing: where given, whatever may be left out and is not among these is.
    """
    arguments: dict[str, Any] = {}
    for name, options in gold.options.items():
        values = [each for each in options if each != ""]
        optional = "" in options and (sparing is None or name not in sparing)
        if values and not (optional and sparing is not None):
            arguments[name] = _plain(values[0])
        elif not optional:
            arguments[name] = ""
    return Call(gold.name, arguments)


def as_python(calls: Sequence[Call]) -> str:
    """`[name(a=1), ...]`."""
    return "[" + ", ".join(f"{call.name}({_keywords(call.arguments)})" for call in calls) + "]"


def as_json(calls: Sequence[Call]) -> str:
    """`[{"name": {"a": 1}}, ...]`."""
    return json.dumps([{call.name: call.arguments} for call in calls], ensure_ascii=False)


def mutants(task: ToolTask) -> Iterator[tuple[str, str]]:
    """Class and text of answers that are wrong in one place."""
    calls = [gold_call(gold) for gold in task.gold]
    for text in _UNREADABLE:
        yield "unparseable", text
    for write in (as_python, as_json):
        if calls:
            yield "unparseable", write(calls)[:-2]
            yield "unparseable", "Sure: " + write(calls)
        for name in task.functions:
            yield "extra", write([*calls, Call(name, {})])
        for at, call in enumerate(calls):
            for mutation, changed in _changed(task, call):
                yield mutation, write([*calls[:at], *changed, *calls[at + 1 :]])


def _changed(task: ToolTask, call: Call) -> Iterator[tuple[str, list[Call]]]:
    """A call in wrong forms: none, one or two calls in its place."""
    schema = task.functions.get(call.name, {})
    arguments = dict(call.arguments)
    yield "wrong_name", [Call(call.name + "_x", arguments)]
    for other in task.functions:
        if other != call.name:
            yield "wrong_name", [Call(other, arguments)]
    yield "missing", []
    yield "extra", [call, call]
    yield "extra", [Call(call.name, arguments | {_SURPLUS: 1})]
    for name, value in arguments.items():
        rest = {key: each for key, each in arguments.items() if key != name}
        options = _options(task, call.name, name)
        if "" not in options or name in _required(schema):
            yield "wrong_name", [Call(call.name, rest | {name + "_x": value})]
            yield "missing", [Call(call.name, rest)]
        declared = (schema.get("properties") or {}).get(name, {})
        for other_value in _of_another_type(value, options, declared):
            yield "wrong_type", [Call(call.name, arguments | {name: other_value})]
        for other_value in _of_another_value(value, options):
            yield "wrong_value", [Call(call.name, arguments | {name: other_value})]


def _of_another_type(
    value: Any, options: Sequence[Any], declared: Mapping[str, Any]
) -> Iterator[Any]:
    kinds = {_kind(each) for each in options if each != ""}
    match _kind(value):
        case "str":
            candidates: list[Any] = [7, True, None, [value], {"value": value}]
        case "int":
            candidates = [str(value), [value], None]
            if declared.get("type") == "integer":
                candidates += [float(value), bool(value)]
        case "float":
            candidates = [str(value), [value], None]
        case "bool":
            candidates = [str(value).lower(), int(value), None]
        case "list":
            candidates = [json.dumps(value), {"value": value}, None]
            if value and _kind(value[0]) == "str":
                yield [*value[:-1], 7]
            elif value and _kind(value[0]) in ("int", "float"):
                yield [*value[:-1], str(value[-1])]
        case "dict":
            candidates = [json.dumps(value), [value], None]
        case _:
            candidates = [[1], {"value": 1}]
    yield from (each for each in candidates if _kind(each) not in kinds)


def _of_another_value(value: Any, options: Sequence[Any]) -> Iterator[Any]:
    match _kind(value):
        case "str":
            yield f"{value} but not quite"
        case "int" | "float":
            other = value + (1 if isinstance(value, int) else 0.5)
            while other in [each for each in options if _kind(each) in ("int", "float")]:
                other += 1
            yield other
        case "bool":
            if (not value) not in [each for each in options if _kind(each) == "bool"]:
                yield not value
        case "list":
            yield [*value, value[0] if value else "more"]
            if value and value[:-1] not in options:
                yield value[:-1]
            if len(value) > 1 and value[0] != value[-1] and value[::-1] not in options:
                yield value[::-1]
        case "dict":
            yield value | {_SURPLUS: 1}
            for key, part in value.items():
                for other in _of_another_value(part, ()):
                    yield value | {key: other}


def _options(task: ToolTask, function: str, parameter: str) -> list[Any]:
    """What is right for a parameter in any of the task's calls of a function."""
    return [
        each
        for gold in task.gold
        if gold.name == function
        for each in gold.options.get(parameter, ())
    ]


def _required(schema: Mapping[str, Any]) -> Sequence[str]:
    return schema.get("required") or []


def _plain(value: Any) -> Any:
    """A right value with the first choice wherever a dict in it lists several."""
    if isinstance(value, dict):
        chosen = {
            key: next((each for each in options if each != ""), "")
            if isinstance(options, list)
            else options
            for key, options in value.items()
        }
        return {key: _plain(each) for key, each in chosen.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return value


def _kind(value: Any) -> str:
    return "list" if isinstance(value, tuple) else type(value).__name__


def _keywords(arguments: Mapping[str, Any]) -> str:
    plain = {key: each for key, each in arguments.items() if key.isidentifier()}
    plain = {key: each for key, each in plain.items() if not iskeyword(key)}
    named = [f"{key}={value!r}" for key, value in plain.items()]
    rest = {key: each for key, each in arguments.items() if key not in plain}
    return ", ".join([*named, f"**{rest!r}"] if rest else named)
