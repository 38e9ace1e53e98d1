"""Sets of tool calls in the layout of the Berkeley Function Calling Leaderboard.

Questions with function schemas stand in `BFCL_v4_*.json`, and for each parameter the values that
count as right in `possible_answer/`; an empty string among these says that the parameter may be
left out (Patil et al., 2025).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from evals.core.dataset import Dataset, make_dataset
from evals.core.samples import Sample
from evals.errors import DatasetError

_PREFIX = "BFCL_v4_"


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


def read_tool_tasks(folder: Path) -> list[ToolTask]:
    """All tasks of a folder, file by file.

    Raises:
        DatasetError: if there is none, or a file cannot be read.
    """
    tasks: list[ToolTask] = []
    for path in sorted(folder.glob(f"{_PREFIX}*.json")):
        category = path.stem.removeprefix(_PREFIX)
        answers = {row["id"]: row for row in _rows(folder / "possible_answer" / path.name)}
        for row in _rows(path):
            try:
                tasks.append(_task(row, category, answers.get(row["id"])))
            except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
                raise DatasetError(f"{path}: {row.get('id')}: {error!r}") from error
    if not tasks:
        raise DatasetError(f"{folder}: no {_PREFIX}*.json")
    return tasks


def _rows(path: Path) -> list[dict[str, Any]]:
    if not path.is_file():
        return []
    try:
        return [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.strip()]
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path}: {error!r}") from error


def _task(row: Mapping[str, Any], category: str, answer: Mapping[str, Any] | None) -> ToolTask:
    if answer is None and "irrelevance" not in category:
        raise ValueError("no possible answer")
    gold = [next(iter(call.items())) for call in answer["ground_truth"]] if answer else []
    return ToolTask(
        row["id"],
        category,
        tuple((message["role"], message["content"]) for message in row["question"][0]),
        {each["name"]: each["parameters"] for each in row["function"]},
        {each["name"]: each.get("description", "") for each in row["function"]},
        tuple(GoldCall(name, options) for name, options in gold),
    )


def tool_datasets(tasks: Sequence[ToolTask]) -> list[Dataset]:
    """A dataset for each category, each task a sample that is judged by its own data alone."""
    by_category: dict[str, list[Sample]] = {}
    for task in tasks:
        data = msgspec.to_builtins(task)
        asked = task.messages[-1][1] if task.messages else ""
        sample = Sample(id=task.id, input=asked, data=data)
        by_category.setdefault(task.category, []).append(sample)
    return [make_dataset(category, samples) for category, samples in by_category.items()]


def tool_task(sample: Sample) -> ToolTask:
    """The task of a sample of `tool_datasets`."""
    return msgspec.convert(sample.data, ToolTask)
