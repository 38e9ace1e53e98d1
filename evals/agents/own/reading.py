"""Reads tasks of one's own; see `evals.agents.own`.

What always holds: every line is a sample or counted among the problems, with the reason.
"""

from collections.abc import Collection, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import msgspec

from evals.agents.own.checks import Check
from evals.agents.own.world import MadeTool, made_tool
from evals.core.dataset import Dataset, Problems, make_dataset
from evals.core.samples import Sample
from evals.json_lines import id_of, read_json_lines, text_of
from rostra.agents import Budget

_EXPECTED = ("calls", "answer", "state", "abstains")
_KEYS = frozenset({"id", "task", "group", "state", "tools", "approve", "budget", "expect"})
_LONGEST_TASK = 20_000


class _Bad(Exception):
    """A line that is no task; the message is the reason, the same for the same trouble."""


class _Call(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """An expected call; see `evals.agents.matching`."""

    tool: str
    args: dict[str, Any] | None = None
    options: dict[str, list[Any]] | None = None

    def __post_init__(self) -> None:
        if self.args is not None and self.options is not None:
            raise ValueError("args and options both say which arguments are right")


def read_agent_tasks(path: Path, known: Collection[str] | None = None) -> Dataset:
    """The tasks of a file.

    Args:
        known: names of the platform's tools; None checks no names against them.

    Raises:
        DatasetError: the file cannot be read, or has no task that can be used.
    """
    problems = Problems()
    samples: list[Sample] = []
    for place, row in read_json_lines(path, problems):
        try:
            samples.append(_sample(row, known))
        except _Bad as bad:
            problems.add(str(bad), place)
    return make_dataset(path.stem, samples, problems.all())


def asks_platform(path: Path) -> bool:
    """Whether any task of a file has tools of the platform.

    Raises:
        DatasetError: the file cannot be read.
    """
    return any(
        isinstance(tool, str)
        for _, row in read_json_lines(path, Problems())
        if isinstance(tools := row.get("tools"), list)
        for tool in tools
    )


def fits_pattern(pattern: str, name: str) -> bool:
    """Whether a tool goes by a pattern: its name, its server, or either with wildcards."""
    return fnmatchcase(name, pattern) or fnmatchcase(name.split("__")[0], pattern)


def _sample(row: Mapping[str, Any], known: Collection[str] | None) -> Sample:
    if (name := id_of(dict(row), "id")) is None:
        raise _Bad("no id")
    task = text_of(dict(row), "task")
    if task is None:
        raise _Bad("no task")
    if len(task) > _LONGEST_TASK:
        raise _Bad(f"a task of more than {_LONGEST_TASK:,} characters")
    if unknown := sorted(row.keys() - _KEYS):
        raise _Bad(f"a key that nobody reads: {unknown[0][:40]!r}")
    state = _of(row, "state", dict, {})
    patterns, made = _tools(_of(row, "tools", list, []), known)
    approve = _of(row, "approve", list, [])
    if not all(isinstance(each, str) for each in approve):
        raise _Bad("approve is no list of names")
    budget = _of(row, "budget", dict, {})
    try:
        msgspec.convert(budget, Budget)
    except msgspec.ValidationError:
        raise _Bad("a budget that cannot be read") from None
    if not budget.keys() <= set(Budget.__struct_fields__):
        raise _Bad("a budget that cannot be read")
    data: dict[str, Any] = {
        "state": state,
        "patterns": patterns,
        "tools": [msgspec.to_builtins(tool) for tool in made],
        "approve": approve,
        "budget": budget,
    }
    data |= _expected(_of(row, "expect", dict, {}))
    _check_names(data, {tool.name for tool in made}, patterns, known)
    group = row.get("group", "")
    return Sample(id=name, input=task, group=str(group), data=data)


def _of(row: Mapping[str, Any], key: str, kind: type, absent: Any) -> Any:
    value = row.get(key, absent)
    if not isinstance(value, kind):
        raise _Bad(f"{key} is no {'list' if kind is list else 'object'}")
    return value


def _tools(rows: list[Any], known: Collection[str] | None) -> tuple[list[str], list[MadeTool]]:
    patterns = [row for row in rows if isinstance(row, str)]
    try:
        made = [made_tool(row) for row in rows if not isinstance(row, str)]
    except ValueError:  # msgspec's error is one too.
        raise _Bad("a tool that cannot be read") from None
    names = [tool.name for tool in made]
    if len(set(names)) < len(names):
        raise _Bad("two tools of one name")
    if known is not None:
        if patterns and set(names) & set(known):
            # Never so that a call that was meant for the task's own is made in the world.
            raise _Bad("a tool with the name of one of the platform's")
        for pattern in patterns:
            if not any(fits_pattern(pattern, name) for name in known):
                raise _Bad(f"an unknown tool: {pattern[:64]!r}")
    return patterns, made


def _expected(expect: Mapping[str, Any]) -> dict[str, Any]:
    if unknown := sorted(expect.keys() - set(_EXPECTED)):
        raise _Bad(f"an expectation that nobody reads: {unknown[0][:40]!r}")
    if not expect:
        raise _Bad("nothing is expected")
    data: dict[str, Any] = {}
    try:
        if "calls" in expect:
            calls = msgspec.convert(expect["calls"], list[_Call])
            data["calls"] = [msgspec.to_builtins(call) for call in calls]
        if "answer" in expect:
            facts = msgspec.convert(expect["answer"], list[str | list[str]])
            data["facts"] = [[fact] if isinstance(fact, str) else fact for fact in facts]
            if not facts or not all(
                all(each.strip() for each in one) and one for one in data["facts"]
            ):
                raise ValueError("an empty fact")
        if "state" in expect and isinstance(expect["state"], dict):
            data["whole"] = expect["state"]
        elif "state" in expect:
            checks = msgspec.convert(expect["state"], list[Check])
            data["checks"] = [msgspec.to_builtins(check) for check in checks]
        if "abstains" in expect:
            data["abstains"] = msgspec.convert(expect["abstains"], bool)
    except ValueError:
        raise _Bad("an expectation that cannot be read") from None
    return data


def _check_names(
    data: Mapping[str, Any],
    made: set[str],
    patterns: list[str],
    known: Collection[str] | None,
) -> None:
    """Names in expectations and approvals have to be tools of the task."""

    def there(name: str) -> bool:
        if name in made:
            return True
        given = any(fits_pattern(pattern, name) for pattern in patterns)
        return given and (known is None or name in known)

    if not all(there(call["tool"]) for call in data.get("calls", ())):
        raise _Bad("an expected call of an unknown tool")
    if not all(there(name) for name in data["approve"]):
        raise _Bad("an approval of an unknown tool")
