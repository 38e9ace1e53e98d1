"""Sets of tool calls in the layout of the Berkeley Function Calling Leaderboard.

Questions with function schemas stand in `BFCL_v4_*.json`, and for each parameter the values that
count as right in `possible_answer/`; an empty string among these says that the parameter may be
left out (Patil et al., 2025).

What always holds: a line that cannot be used costs its own task alone and is counted with its
place.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from evals.core.dataset import Dataset, Problems, make_dataset
from evals.core.samples import Problem, Sample
from evals.errors import DatasetError
from evals.json_lines import id_of, in_words, read_json_lines

_PREFIX = "BFCL_v4_"
_ANSWERS = "possible_answer"


@dataclass(frozen=True, slots=True)
class GoldCall:
    """A call that is asked for.

    Attributes:
        options: by parameter, the values that are right.
    """

    name: str
    options: Mapping[str, Sequence[Any]]


@dataclass(frozen=True, slots=True)
class ToolTask:
    """A question, the functions on offer and the calls that are right.

    Attributes:
        messages: role and content of each.
        functions: name -> schema of its parameters, in the set's own type names.
        descriptions: name -> what it does.
        gold: empty where the right answer is no call.
    """

    id: str
    category: str
    messages: tuple[tuple[str, str], ...]
    functions: Mapping[str, Mapping[str, Any]]
    descriptions: Mapping[str, str]
    gold: tuple[GoldCall, ...]


@dataclass(frozen=True, slots=True)
class ToolSet:
    """The tasks of a folder, file by file.

    Attributes:
        problems: by category, lines that could not be used; those of a category without a task
            stand with the first one that has any.
    """

    tasks: tuple[ToolTask, ...]
    problems: Mapping[str, Sequence[Problem]]


def read_tool_set(folder: Path) -> ToolSet:
    """Reads a folder; a line that cannot be used costs its own task alone.

    Raises:
        DatasetError: there is no task in it, or a file cannot be opened.
    """
    tasks: list[ToolTask] = []
    found: dict[str, Problems] = {}
    for path in sorted(folder.glob(f"{_PREFIX}*.json")):
        category = path.stem.removeprefix(_PREFIX)
        problems = found.setdefault(category, Problems())
        answers = _answers(folder / _ANSWERS / path.name, problems)
        for place, row in read_json_lines(path, problems):
            try:
                tasks.append(_task(row, category, answers))
            except _Unusable as reason:
                problems.add(str(reason), place)
    if not tasks:
        why = "; ".join(words for one in found.values() if (words := in_words(one)))
        none = f"no task in {_PREFIX}*.json" if found else f"no {_PREFIX}*.json"
        raise DatasetError(f"{folder}: {none}" + (why and f" ({why})"))
    told: dict[str, list[Problem]] = {}
    with_tasks = {task.category for task in tasks}
    for category, problems in found.items():
        place = category if category in with_tasks else tasks[0].category
        told.setdefault(place, []).extend(problems.all())
    return ToolSet(tuple(tasks), told)


def read_tool_tasks(folder: Path) -> list[ToolTask]:
    """The tasks of `read_tool_set` alone."""
    return list(read_tool_set(folder).tasks)


class _Unusable(Exception):
    """A line is no task; the message says why, the same words for the same trouble."""


def _answers(path: Path, problems: Problems) -> dict[str, Any]:
    """What is asked for, by task; a category without such a file has none."""
    found: dict[str, Any] = {}
    if not path.is_file():
        return found
    for place, row in read_json_lines(path, problems, name=f"{_ANSWERS}/{path.name}"):
        task = id_of(row, "id")
        if task is None:
            problems.add("a possible answer without an id", place)
        else:
            found.setdefault(task, row.get("ground_truth"))
    return found


def _task(row: dict[str, Any], category: str, answers: Mapping[str, Any]) -> ToolTask:
    name = id_of(row, "id")
    if name is None:
        raise _Unusable("a task without an id")
    match row.get("question"):
        case [[*messages], *_] if messages and all(map(_is_message, messages)):
            asked = tuple((message["role"], message["content"]) for message in messages)
        case _:
            raise _Unusable("a task without a question")
    functions = row.get("function")
    if not isinstance(functions, list) or not all(map(_is_function, functions)):
        raise _Unusable("a task whose functions have no names or parameters")
    if name not in answers and "irrelevance" not in category:
        raise _Unusable("a task without a possible answer")
    calls = answers.get(name, [])
    if not isinstance(calls, list) or not all(map(_is_gold, calls)):
        raise _Unusable("a task whose possible answer is no list of calls")
    return ToolTask(
        name,
        category,
        asked,
        {each["name"]: each["parameters"] for each in functions},
        {each["name"]: str(each.get("description", "")) for each in functions},
        tuple(GoldCall(called, options) for call in calls for called, options in call.items()),
    )


def _is_message(value: Any) -> bool:
    match value:
        case {"role": str(), "content": str()}:
            return True
    return False


def _is_function(value: Any) -> bool:
    match value:
        case {"name": str(), "parameters": dict()}:
            return True
    return False


def _is_gold(value: Any) -> bool:
    """One call by its name, with the values that are right of each parameter."""
    if not isinstance(value, dict) or len(value) != 1:
        return False
    options = next(iter(value.values()))
    return isinstance(options, dict) and all(isinstance(each, list) for each in options.values())


def tool_datasets(
    tasks: Sequence[ToolTask], problems: Mapping[str, Sequence[Problem]] | None = None
) -> list[Dataset]:
    """A dataset for each category, each task a sample that is judged by its own data alone.

    Args:
        problems: by category, lines that could not be used.
    """
    by_category: dict[str, list[Sample]] = {}
    for task in tasks:
        data = msgspec.to_builtins(task)
        asked = task.messages[-1][1] if task.messages else ""
        sample = Sample(id=task.id, input=asked, data=data)
        by_category.setdefault(task.category, []).append(sample)
    told = problems or {}
    return [
        make_dataset(category, samples, told.get(category, ()))
        for category, samples in by_category.items()
    ]


def tool_task(sample: Sample) -> ToolTask:
    """The task of a sample of `tool_datasets`."""
    return msgspec.convert(sample.data, ToolTask)
