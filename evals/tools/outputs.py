"""Reads a file of a model's outputs: JSON lines of `id` and `output`.

An output is text, or calls as JSON, as `read_calls` takes them.

What always holds: a line that cannot be used costs itself alone and is counted with its place; of
a task's outputs the first one stays.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evals.core.dataset import Problems
from evals.core.samples import Problem
from evals.errors import DatasetError
from evals.json_lines import id_of, in_words, read_json_lines
from evals.tools.tasks import ToolTask


@dataclass(frozen=True, slots=True)
class OutputFile:
    """See this module.

    Attributes:
        outputs: by task.
        problems: by category; those of lines that name no task stand with the first category.
    """

    outputs: Mapping[str, str]
    problems: Mapping[str, Sequence[Problem]]


def read_outputs(path: Path, tasks: Sequence[ToolTask]) -> OutputFile:
    """Reads a file.

    Args:
        tasks: that the outputs are of.

    Raises:
        DatasetError: it cannot be opened, or no output of any task is in it.
    """
    categories = {task.id: task.category for task in tasks}
    first = tasks[0].category if tasks else ""
    found: dict[str, Problems] = {first: Problems()}
    outputs: dict[str, str] = {}
    for place, record in read_json_lines(path, found[first]):
        task = id_of(record, "id")
        category = categories.get(task or "", first)
        problems = found.setdefault(category, Problems())
        if task is None:
            problems.add("an output without an id", place)
        elif task not in categories:
            problems.add("an output of a task that the set does not have", place)
        elif "output" not in record:
            problems.add("a record without an output", place)
        elif (said := _said(record["output"])) is None:
            problems.add("an output that is neither text nor calls", place)
        elif task in outputs:
            problems.add("an output of a task that has one already", place)
        else:
            outputs[task] = said
    if not outputs:
        why = "; ".join(words for one in found.values() if (words := in_words(one)))
        raise DatasetError(f"{path}: no output of a task of the set" + (why and f" ({why})"))
    return OutputFile(outputs, {name: one.all() for name, one in found.items()})


def _said(output: Any) -> str | None:
    if isinstance(output, list | dict):
        return json.dumps(output)
    return output if isinstance(output, str) else None
