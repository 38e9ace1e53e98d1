"""In what two runs differ beside their results: versions, device, datasets, systems.

What always holds: nothing is said of runs that were done alike, so that a line about them means
something; which of two values is the baseline's is told by their order.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from evals.core import Header, TaskHeader
from evals.core.log import changed

_MOST_NAMED = 5
_LONGEST = 80  # characters of a value
_UNKNOWN = "none"


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What is not the same, each as (baseline, candidate).

    Attributes:
        versions: of libraries and of the platform, and `device`.
        datasets: digests of those that have other samples under the same name.
        systems: parts of the configuration of tasks that both have, such as the model.
    """

    versions: dict[str, tuple[str, str]]
    datasets: dict[str, tuple[str, str]]
    systems: dict[str, dict[str, tuple[Any, Any]]]

    @property
    def told(self) -> str:
        """In words, on one line; empty where nothing differs."""
        return "; ".join(self._parts())

    def to_dict(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return {
            "versions": {name: list(values) for name, values in self.versions.items()},
            "datasets": {name: list(values) for name, values in self.datasets.items()},
            "systems": {
                task: {name: list(values) for name, values in parts.items()}
                for task, parts in self.systems.items()
            },
        }

    def _parts(self) -> Iterator[str]:
        for name, (before, now) in self.versions.items():
            yield f"{name} {_shown(before)}, then {_shown(now)}"
        if self.datasets:
            yield f"other samples in {_named(list(self.datasets))}"
        # What differs in the same way in many tasks is told once.
        tasks: dict[str, list[str]] = {}
        for task, parts in self.systems.items():
            for name, (before, now) in parts.items():
                tasks.setdefault(f"{name} {_shown(before)}, then {_shown(now)}", []).append(task)
        every = len(self.systems)
        for change, where in tasks.items():
            yield change if len(where) == every > 1 else f"{change} in {_named(where)}"


def compare_circumstances(baseline: Header, candidate: Header) -> Circumstances:
    """Compares what two runs were begun with."""
    new = {task.name: task for task in candidate.tasks}
    datasets: dict[str, tuple[str, str]] = {}
    systems: dict[str, dict[str, tuple[Any, Any]]] = {}
    digests = {task.dataset: task.digest for task in candidate.tasks}
    for task in baseline.tasks:
        if digests.get(task.dataset, task.digest) != task.digest:
            datasets[task.dataset] = (task.digest, digests[task.dataset])
        if task.name in new and (parts := _configured(task, new[task.name])):
            systems[task.name] = parts
    return Circumstances(changed(baseline, candidate), datasets, systems)


def _configured(old: TaskHeader, new: TaskHeader) -> dict[str, tuple[Any, Any]]:
    before, now = old.solver_config, new.solver_config
    return {
        name: (before.get(name), now.get(name))
        for name in dict.fromkeys((*before, *now))
        if before.get(name) != now.get(name)
    }


def _shown(value: Any) -> str:
    text = _UNKNOWN if value is None else str(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _named(names: list[str]) -> str:
    rest = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {rest} more" if rest > 0 else "")
