"""Tool calls judged by their syntax tree: is a model's text the calls that a task asks for?

Sets are in the layout of the Berkeley Function Calling Leaderboard (Patil et al., 2025): questions
with function schemas in `BFCL_v4_*.json`, and for each parameter the values that count as right in
`possible_answer/`; an empty string among these says that the parameter may be left out.

What always holds: text is read, never executed. The types are strict: a whole number stands for a
float, a list for a tuple, nothing else for another thing. Calls of one answer may come in any
order. Text that cannot be read is wrong everywhere, also where no call is the right answer: only
an empty list of calls is an abstention.
"""

import ast
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from evals.errors import DatasetError

_MAX_CHARACTERS = 100_000
_MAX_DIGITS = 4_000  # of a number that arithmetic makes
_PREFIX = "BFCL_v4_"
# What makes no difference between two strings, beside upper and lower case.
_IGNORED = re.compile(r"[ ,./\-_*^]")


class Unparseable(ValueError):
    """A text is no list of calls; the message says why."""


class Source(str):
    """Python code that stands where a value should: a variable, an index, a call."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Call:
    """A call as a model wrote it."""

    name: str
    arguments: Mapping[str, Any]


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


@dataclass(slots=True)
class ToolScores:
    """How many outputs of a category are right, and what was wrong with the others."""

    category: str
    tasks: int = 0
    right: int = 0
    reasons: Counter[str] = field(default_factory=Counter)

    @property
    def accuracy(self) -> float:
        return self.right / self.tasks if self.tasks else 0.0

    def add(self, reason: str | None) -> None:
        """Counts a verdict of `judge_output`."""
        self.tasks += 1
        if reason is None:
            self.right += 1
        else:
            self.reasons[reason] += 1

    def to_dict(self) -> dict[str, Any]:
        return {
            "category": self.category,
            "tasks": self.tasks,
            "right": self.right,
            "accuracy": round(self.accuracy, 4),
            "wrong_for": dict(self.reasons.most_common()),
        }


# --- The set ---


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


# --- Reading ---


def read_calls(text: str) -> tuple[Call, ...]:
    """The calls that a text consists of; a code fence around it is ignored.

    Python: `[first(a=1), other.name(b='x')]` or one call. JSON: a list of `{"name": {arguments}}`
    or of `{"name": ..., "arguments": {...} or its text}`, or one of these. `[]` is no call.

    Raises:
        Unparseable: it is anything else.
    """
    if len(text) > _MAX_CHARACTERS:
        raise Unparseable(f"more than {_MAX_CHARACTERS} characters")
    bare = text.strip()
    if fenced := re.fullmatch(r"```\w*\s*\n(.*?)\n?\s*```", bare, re.DOTALL):
        bare = fenced[1].strip()
    try:
        value = json.loads(bare, object_pairs_hook=_unique, parse_constant=_no_constant)
    except json.JSONDecodeError:
        return _python_calls(bare)
    except RecursionError as error:
        raise Unparseable("nested too deeply") from error
    return tuple(_json_call(each) for each in (value if isinstance(value, list) else [value]))


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key for key, _ in pairs}) < len(pairs):
        raise Unparseable("a key is there twice")
    return dict(pairs)


def _no_constant(name: str) -> NoReturn:
    raise Unparseable(f"{name} is no JSON")


def _json_call(value: Any) -> Call:
    match value:
        case {"function": {"name": _, "arguments": _} as inner}:
            return _json_call(inner)
        case {"name": str(name), "arguments": str(text)}:
            try:
                inner = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
            except (json.JSONDecodeError, RecursionError) as error:
                raise Unparseable("the arguments are no JSON") from error
            if isinstance(inner, dict):
                return Call(name, inner)
        case {"name": str(name), "arguments": dict(arguments)}:
            return Call(name, arguments)
        case dict() if len(value) == 1:
            name, arguments = next(iter(value.items()))
            if isinstance(arguments, dict):
                return Call(name, arguments)
    raise Unparseable("JSON that is no call")


def _python_calls(text: str) -> tuple[Call, ...]:
    try:
        body = ast.parse(text, mode="eval").body
        nodes = body.elts if isinstance(body, ast.List | ast.Tuple) else [body]
        return tuple(_python_call(node) for node in nodes)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        # `ast.parse` gives any of these for text that is no Python.
        raise error if isinstance(error, Unparseable) else Unparseable(str(error)) from error


def _python_call(node: ast.expr) -> Call:
    if not isinstance(node, ast.Call):
        raise Unparseable(f"{type(node).__name__} where a call should be")
    if not all(isinstance(part, ast.Name | ast.Attribute) for part in _chain(node.func)):
        raise Unparseable("the function has no plain name")
    if node.args:
        raise Unparseable("an argument without a name")
    arguments: dict[str, Any] = {}
    for keyword in node.keywords:
        value = _literal(keyword.value)
        if keyword.arg is not None:
            named = {keyword.arg: value}
        elif isinstance(value, dict):
            named = value  # `**{'class': 1}`, for names that Python keeps for itself
        else:
            raise Unparseable("** of something that is no dict")
        if named.keys() & arguments.keys():
            raise Unparseable("an argument is there twice")
        arguments |= named
    return Call(ast.unparse(node.func), arguments)


def _chain(node: ast.expr) -> Iterator[ast.expr]:
    yield node
    while isinstance(node, ast.Attribute):
        node = node.value
        yield node


def _literal(node: ast.expr) -> Any:
    """A node's value as far as it is one; code otherwise."""
    match node:
        case ast.Constant(value=value) if not isinstance(value, bytes | complex) and (
            value is not Ellipsis
        ):
            return value
        case ast.List(elts=elements) | ast.Set(elts=elements):
            return [_literal(each) for each in elements]
        case ast.Tuple(elts=elements):
            return tuple(_literal(each) for each in elements)
        case ast.Dict(keys=keys, values=values):
            names = [_literal(key) if key is not None else None for key in keys]
            if not all(isinstance(name, str) for name in names) or len({*names}) < len(names):
                raise Unparseable("a dict whose keys are no distinct strings")
            return dict(zip(names, map(_literal, values), strict=True))
        case ast.UnaryOp(op=ast.USub() | ast.UAdd() as sign, operand=operand):
            value = _literal(operand)
            if _is_number(value):
                return -value if isinstance(sign, ast.USub) else value
        case ast.BinOp(left=left, op=operator, right=right):
            value = _arithmetic(_literal(left), operator, _literal(right))
            if value is not None:
                return value
    return Source(ast.unparse(node))


def _arithmetic(left: Any, operator: ast.operator, right: Any) -> int | float | None:
    """Of two numbers, such as `3 / 4`; None where it is no number of bounded size."""
    if not (_is_number(left) and _is_number(right)):
        return None
    try:
        match operator:
            case ast.Add():
                value = left + right
            case ast.Sub():
                value = left - right
            case ast.Mult():
                value = left * right
            case ast.Div():
                value = left / right
            case ast.Pow() if abs(right) <= 64 and abs(left) <= 1e6:
                value = left**right
            case _:
                return None
    except (ArithmeticError, ValueError):
        return None
    if isinstance(value, complex) or (isinstance(value, int) and value.bit_length() > _MAX_DIGITS):
        return None
    return value  # type: ignore[no-any-return] # two numbers give a number


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


# --- Judging ---


def judge_output(task: ToolTask, text: str) -> str | None:
    """None if a text answers a task, otherwise why not; see `judge_calls`, or `unparseable`."""
    try:
        calls = read_calls(text)
    except Unparseable:
        return "unparseable"
    return judge_calls(task, calls)


def judge_calls(task: ToolTask, calls: Sequence[Call]) -> str | None:
    """None if calls answer a task, otherwise why not.

    Returns:
        `missing_call`, `extra_call`, `wrong_name`, `missing`, `unexpected`, `wrong_type` or
        `wrong_value`.
    """
    if len(calls) != len(task.gold):
        return "missing_call" if len(calls) < len(task.gold) else "extra_call"
    verdicts = [
        [_judge_call(call, gold, task.functions.get(gold.name, {})) for call in calls]
        for gold in task.gold
    ]
    # Each gold call takes a call that fits it, and makes another give way where it must.
    taken: dict[int, int] = {}
    for row in range(len(verdicts)):
        if not _place(row, verdicts, taken, set()):
            free = [verdicts[row][at] for at in range(len(calls)) if at not in taken]
            return min((each for each in free if each), key=_severity, default="wrong_value")
    return None


def _place(
    row: int, verdicts: Sequence[Sequence[str | None]], taken: dict[int, int], tried: set[int]
) -> bool:
    for at, verdict in enumerate(verdicts[row]):
        if verdict is None and at not in tried:
            tried.add(at)
            if at not in taken or _place(taken[at], verdicts, taken, tried):
                taken[at] = row
                return True
    return False


def _severity(reason: str) -> int:
    order = ("wrong_value", "wrong_type", "unexpected", "missing", "wrong_name")
    return order.index(reason)


def _judge_call(call: Call, gold: GoldCall, schema: Mapping[str, Any]) -> str | None:
    if call.name != gold.name:
        return "wrong_name"
    required = schema.get("required") or []
    return _judge_arguments(call.arguments, gold.options, schema.get("properties") or {}, required)


def _judge_arguments(
    values: Mapping[str, Any],
    options: Mapping[str, Sequence[Any]],
    properties: Mapping[str, Mapping[str, Any]],
    required: Sequence[str] = (),
) -> str | None:
    for name, right in options.items():
        if name not in values and (name in required or "" not in right):
            return "missing"
    for name, value in values.items():
        if name not in options:
            return "unexpected"
        verdicts = [_judge_value(value, each, properties.get(name, {})) for each in options[name]]
        if None not in verdicts:
            return "wrong_value" if "wrong_value" in verdicts else "wrong_type"
    return None


def _judge_value(value: Any, right: Any, schema: Mapping[str, Any]) -> str | None:
    """None if a value is what is right; lists and dicts are compared part by part."""
    declared = schema.get("type")
    match right:
        case bool() | None:
            same = type(value) is type(right)
            return "wrong_type" if not same else None if value == right else "wrong_value"
        case int() | float():
            floats = isinstance(right, float) or declared in ("float", "number", "any", None)
            if not _is_number(value) or (
                isinstance(value, float) and (not floats or declared == "integer")
            ):
                return "wrong_type"
            return None if value == right else "wrong_value"
        case str():
            if not isinstance(value, str) or (isinstance(value, Source) and declared == "string"):
                return "wrong_type"
            return None if _same_text(value, right) else "wrong_value"
        case list() | tuple():
            if not isinstance(value, list | tuple):
                return "wrong_type"
            if len(value) != len(right):
                return "wrong_value"
            items = schema.get("items") or {}
            return _first(_judge_value(a, b, items) for a, b in zip(value, right, strict=True))
        case dict():
            if not isinstance(value, dict):
                return "wrong_type"
            listed = {
                key: each if isinstance(each, list) else [each] for key, each in right.items()
            }
            verdict = _judge_arguments(value, listed, schema.get("properties") or {})
            return "wrong_value" if verdict in ("missing", "unexpected") else verdict
    return "wrong_value"


def _first(verdicts: Iterator[str | None]) -> str | None:
    return next((verdict for verdict in verdicts if verdict), None)


def _same_text(one: str, other: str) -> bool:
    if not one or not other:
        return one == other
    return _bare(one) == _bare(other)


def _bare(text: str) -> str:
    return _IGNORED.sub("", text).lower().replace("'", '"')


def score_outputs(
    tasks: Sequence[ToolTask], outputs: Mapping[str, str | Sequence[Call]]
) -> list[ToolScores]:
    """Scores a model's outputs, one row a category; a task without an output is wrong.

    Args:
        outputs: by task, text or, of a model that calls natively, its calls.
    """
    rows: dict[str, ToolScores] = {}
    for task in tasks:
        output = outputs.get(task.id)
        if output is None:
            reason: str | None = "no_output"
        elif isinstance(output, str):
            reason = judge_output(task, output)
        else:
            reason = judge_calls(task, output)
        rows.setdefault(task.category, ToolScores(task.category)).add(reason)
    return list(rows.values())
