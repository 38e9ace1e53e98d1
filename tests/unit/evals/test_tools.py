"""The scorer of tool calls: what it reads, what it takes for the same, what it never takes."""

import contextlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.core import Problem, read_run, report_of
from evals.errors import DatasetError, EvalRunConflict
from evals.tool_mutants import MUTATIONS, ScorerReport, as_json, as_python, try_scorer
from evals.tools import (
    Call,
    GoldCall,
    ToolCallAccuracy,
    ToolTask,
    Unparseable,
    judge_calls,
    judge_output,
    read_calls,
    read_tool_set,
    read_tool_tasks,
    score_outputs,
)
from evals.tools.scored import rows_of
from rostra.cli.main import run as run_cli
from rostra.core import Settings
from tests.eval_agents import into

BFCL = Path(__file__).parents[4] / "shared/data/tools/bfcl"


def schema(required: list[str] | None = None, **types: Any) -> dict[str, Any]:
    properties = {
        name: kind if isinstance(kind, dict) else {"type": kind} for name, kind in types.items()
    }
    return {"type": "dict", "properties": properties, "required": required or []}


def task(
    *gold: tuple[str, Mapping[str, Sequence[Any]]], **functions: Mapping[str, Any]
) -> ToolTask:
    return ToolTask(
        "t",
        "simple",
        (("user", "do it"),),
        functions,
        dict.fromkeys(functions, ""),
        tuple(GoldCall(name, options) for name, options in gold),
    )


@pytest.mark.parametrize(
    ("text", "calls"),
    [
        ("[f(a=1, b='x')]", [Call("f", {"a": 1, "b": "x"})]),
        ("f(a=-1.5)", [Call("f", {"a": -1.5})]),
        ("[a.b(x=[1, (2, 3)], y={'k': 0})]", [Call("a.b", {"x": [1, (2, 3)], "y": {"k": 0}})]),
        ("```python\n[f(a=3 / 4)]\n```", [Call("f", {"a": 0.75})]),
        ("f(a=rows['x'], b=True)", [Call("f", {"a": "rows['x']", "b": True})]),
        ("f(**{'class': 1}, a=2)", [Call("f", {"class": 1, "a": 2})]),
        ("f(), g()", [Call("f", {}), Call("g", {})]),
        ('[{"f": {"a": [1.0, true]}}]', [Call("f", {"a": [1.0, True]})]),
        ('{"name": "f", "arguments": "{\\"a\\": 1}"}', [Call("f", {"a": 1})]),
        ('[{"function": {"name": "f", "arguments": {"a": 1}}}]', [Call("f", {"a": 1})]),
        ("[]", []),
        (" [ ] ", []),
    ],
)  # fmt: skip
def test_reads_both_forms(text: str, calls: list[Call]) -> None:
    assert list(read_calls(text)) == calls


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no function fits",
        "None",
        "null",
        "{}",
        "[1]",
        "[f]",
        "[f(1)]",
        "f(a=1, a=2)",
        "f(a=1, **{'a': 2})",
        "f(**a)",
        "f(a={1: 2})",
        "f()(a=1)",
        "f(a=1",
        '{"f": {"a": 1, "a": 2}}',
        '{"f": {"a": NaN}}',
        '{"name": "f", "arguments": "a=1"}',
        "(" * 5000,
        "[" * 100_000,
        "f(a=" + "-" * 50_000 + "1)",
        "\0",
        "f(a='\ud800')\x00",
    ],
)
def test_anything_else_is_unparseable_and_never_an_abstention(text: str) -> None:
    with pytest.raises(Unparseable):
        read_calls(text)
    assert judge_output(task(), text) == "unparseable"


@given(st.text(max_size=200))
def test_no_text_crashes_the_reader(text: str) -> None:
    with contextlib.suppress(Unparseable):
        read_calls(text)


def test_arithmetic_is_bounded() -> None:
    assert read_calls("f(a=2 ** 10)")[0].arguments == {"a": 1024}
    huge = read_calls("f(a=9 ** 9 ** 9, b=1 / 0)")[0].arguments
    assert huge["b"] == "1 / 0"
    assert isinstance(huge["a"], str)


@pytest.mark.parametrize(
    ("kind", "right", "text", "verdict"),
    [
        ("float", [5.0], "f(a=5)", None),
        ("float", [5], "f(a=5.0)", None),
        ("integer", [5], "f(a=5.0)", "wrong_type"),
        ("integer", [1], "f(a=True)", "wrong_type"),
        ("boolean", [True], "f(a=1)", "wrong_type"),
        ("boolean", [True], "f(a=False)", "wrong_value"),
        ("integer", [5], "f(a='5')", "wrong_type"),
        ("string", ["New York, NY"], "f(a='new-york ny')", None),
        ("string", ["it's"], "f(a='it\"s')", None),
        ("string", ["units"], "f(a=units)", "wrong_type"),
        ("array", ["rows['x']"], "f(a=rows['x'])", None),
        ("string", ["x", "y"], "f(a='y')", None),
        ("string", ["x"], "f(a='z')", "wrong_value"),
        ("string", ["-"], "f(a='')", "wrong_value"),
        ("tuple", [[1, 2]], "f(a=(1, 2))", None),
        ("tuple", [[1, 2]], "f(a=[1, 2])", None),
        ("array", [[1, 2]], "f(a=[2, 1])", "wrong_value"),
        ("array", [[1, 2]], "f(a=[1])", "wrong_value"),
        ("array", [["a"]], "f(a='a')", "wrong_type"),
        ("dict", [{"lo": [1], "hi": [2, 3]}], "f(a={'lo': 1, 'hi': 3})", None),
        ("dict", [{"lo": [1], "hi": [2, ""]}], "f(a={'lo': 1})", None),
        ("dict", [{"lo": [1], "hi": [2]}], "f(a={'lo': 1})", "wrong_value"),
        ("dict", [{"lo": [1]}], "f(a={'lo': 1, 'up': 2})", "wrong_value"),
        ("dict", [{"lo": [1]}], "f(a={'lo': '1'})", "wrong_type"),
        ("array", [[{"k": ["v"]}]], "f(a=[{'k': 'V'}])", None),
        ("array", [[{"k": ["v"]}]], "f(a=[{'k': 'w'}])", "wrong_value"),
        ("array", [[[1, 2], [3]]], "f(a=[[1, 2], [3]])", None),
        ("float", ["", None], "f(a=None)", None),
        ("float", ["", None], "f()", None),
        ("float", ["", 1.0], "f(b=1)", "unexpected"),
        ("float", [1.0], "f()", "missing"),
        ("float", [1.0], "g(a=1.0)", "wrong_name"),
        ("float", [1.0], "[f(a=1.0), f(a=1.0)]", "extra_call"),
        ("float", [1.0], "[]", "missing_call"),
    ],
)  # fmt: skip
def test_what_counts_as_the_same(
    kind: str, right: list[Any], text: str, verdict: str | None
) -> None:
    assert judge_output(task(("f", {"a": right}), f=schema(a=kind)), text) == verdict


def test_what_the_schema_requires_may_not_be_left_out() -> None:
    assert judge_output(task(("f", {"a": ["", 1]}), f=schema(["a"], a="integer")), "f()")


def test_items_of_arrays_have_types_too() -> None:
    floats = {"type": "array", "items": {"type": "float"}}
    whole = {"type": "array", "items": {"type": "integer"}}
    of_floats = task(("f", {"a": [[1.0, 2.5]]}), f=schema(a=floats))
    of_whole = task(("f", {"a": [[1, 2]]}), f=schema(a=whole))
    assert judge_output(of_floats, "f(a=[1, 2.5])") is None
    assert judge_output(of_whole, "f(a=[1.0, 2])") == "wrong_type"


def test_parallel_calls_in_any_order_with_the_one_matching_that_fits() -> None:
    # The first call fits both, the second only the first: greedy matching would fail.
    gold = (("f", {"a": [1, 2]}), ("f", {"a": [1]}))
    both = task(*gold, f=schema(a="integer"))
    for order in ([1, 2], [2, 1]):
        assert judge_calls(both, [Call("f", {"a": value}) for value in order]) is None
    assert judge_calls(both, [Call("f", {"a": 2}), Call("f", {"a": 2})]) == "wrong_value"


def write(folder: Path) -> None:
    (folder / "possible_answer").mkdir()
    functions = [
        {
            "name": "maths.area",
            "description": "Area.",
            "parameters": schema(
                ["base", "class"],
                **{"base": "float", "class": "string", "exact": "boolean", "sides": "tuple"},
            ),
        },
        {"name": "noop", "parameters": schema()},
    ]
    question = [[{"role": "user", "content": "The area?"}]]
    row = {"id": "p_0", "question": question, "function": functions}
    first = {"base": [2.0], "class": ["a b", "ab"], "exact": ["", True], "sides": [[1, 2], ""]}
    second = {"base": [3], "class": ["c"], "exact": ["", False], "sides": [""]}
    gold: list[Any] = [{"maths.area": first}, {"maths.area": second}, {"noop": {}}]
    (folder / "BFCL_v4_parallel.json").write_text(json.dumps(row))
    (folder / "possible_answer/BFCL_v4_parallel.json").write_text(
        json.dumps({"id": "p_0", "ground_truth": gold})
    )
    idle = {"id": "i_0", "question": question, "function": functions}
    (folder / "BFCL_v4_irrelevance.json").write_text(json.dumps(idle))


async def test_gold_is_right_and_mutants_are_wrong(tmp_path: Path) -> None:
    write(tmp_path)
    tasks = read_tool_tasks(tmp_path)
    assert [(each.id, len(each.gold)) for each in tasks] == [("i_0", 0), ("p_0", 3)]
    report = await try_scorer(tasks)
    assert report.gold == report.gold_right
    assert all(report.mutants[each] > 0 for each in MUTATIONS)
    assert report.accepted.total() == 0
    assert report.wrong == []


async def test_a_scorer_that_errs_is_found_out(tmp_path: Path) -> None:
    write(tmp_path)
    tasks = read_tool_tasks(tmp_path)
    # A task whose gold names another function than it offers: a mutant is now as good as gold.
    one = tasks[1].gold[0]
    lax = GoldCall(one.name, {**one.options, "base": [2.0, "2.0"], "surplus_argument": ["", 1]})
    report = await try_scorer([task(("maths.area", lax.options), **tasks[1].functions)])
    assert report.accepted["extra"] == 2
    assert report.wrong == ["t"]


async def test_outputs_are_scored_by_category(tmp_path: Path) -> None:
    write(tmp_path)
    tasks = read_tool_tasks(tmp_path)
    right = "[noop(), maths.area(base=3, **{'class': 'C'}), maths.area(base=2, **{'class': 'ab'})]"
    rows = await score_outputs(tasks, {"p_0": right, "i_0": "No function fits."})
    assert [(row.category, row.accuracy, dict(row.reasons)) for row in rows] == [
        ("irrelevance", 0.0, {"unparseable": 1}),
        ("parallel", 1.0, {}),
    ]
    assert (await score_outputs(tasks, {"i_0": ()}))[0].accuracy == 1.0
    assert (await score_outputs(tasks, {"i_0": "[]"}))[1].reasons == {"no_output": 1}


async def test_what_is_told_of_an_output_follows_from_the_log_alone(tmp_path: Path) -> None:
    write(tmp_path)
    tasks = read_tool_tasks(tmp_path)
    path = tmp_path / "run.jsonl"
    outputs: dict[str, Any] = {"p_0": [Call("noop", {})], "i_0": "[]"}
    rows = await score_outputs(tasks, outputs, execute=into(path))
    record = read_run(path)
    assert [row.to_dict() for row in rows_of(record)] == [row.to_dict() for row in rows]
    report = {task.header.name: task for task in report_of(record).tasks}
    assert list(report) == ["irrelevance/recorded", "parallel/recorded"]
    for name, right in (("irrelevance/recorded", 1.0), ("parallel/recorded", 0.0)):
        measured = report[name].measure("tool call accuracy")
        assert measured is not None
        assert measured.estimate is not None
        assert measured.estimate.mean == right
    for outcome in record.outcomes:
        again = await ToolCallAccuracy()(outcome.state, 0)
        assert again == outcome.scores
    # Other outputs are another run.
    with pytest.raises(EvalRunConflict):
        await score_outputs(tasks, {"p_0": "[]"}, execute=into(path))


async def test_the_judges_mistakes_are_in_the_run_too(tmp_path: Path) -> None:
    write(tmp_path)
    path = tmp_path / "run.jsonl"
    report = await try_scorer(read_tool_tasks(tmp_path), execute=into(path))
    record = read_run(path)
    assert ScorerReport.of(record).to_dict() == report.to_dict()
    for task in report_of(record).tasks:
        for one in task.measures:
            if one.estimate is not None:
                assert one.estimate.mean == (1.0 if one.measure.name == "gold accepted" else 0.0)


def test_broken_sets_say_where(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no BFCL"):
        read_tool_tasks(tmp_path)
    (tmp_path / "BFCL_v4_simple_python.json").write_text('{"id": "x"}')
    with pytest.raises(DatasetError, match=r"1: a task without a question .*simple_python.*line 1"):
        read_tool_tasks(tmp_path)
    (tmp_path / "BFCL_v4_simple_python.json").write_text("{")
    with pytest.raises(DatasetError, match=r"1: a line that is no JSON .*simple_python.*line 1"):
        read_tool_tasks(tmp_path)


async def test_a_bad_line_costs_its_own_task_alone(tmp_path: Path) -> None:
    write(tmp_path)
    question, answer = "BFCL_v4_parallel.json", "possible_answer/BFCL_v4_parallel.json"
    row, gold = (json.loads((tmp_path / name).read_text()) for name in (question, answer))
    rows = [
        json.dumps(row),
        "{torn",
        "[]",
        json.dumps({**row, "id": "p_1"}),
        json.dumps({**row, "id": "p_2", "question": "The area?"}),
        json.dumps({**row, "id": "p_3", "function": [{"name": "no parameters"}]}),
        json.dumps({**row, "id": "p_4"}),
        json.dumps({key: value for key, value in row.items() if key != "id"}),
        json.dumps({**row, "id": "p_5"}),
        json.dumps(row),
    ]
    (tmp_path / question).write_text("\n".join(rows))
    golds = [
        json.dumps(gold),
        "{torn",
        json.dumps({"ground_truth": []}),
        json.dumps({"id": "p_4", "ground_truth": ["f(a=1)"]}),
        json.dumps({**gold, "id": "p_5"}),
    ]
    (tmp_path / answer).write_text("\n".join(golds))
    (tmp_path / "BFCL_v4_lost.json").write_text("nothing")
    found = read_tool_set(tmp_path)
    assert [task.id for task in found.tasks] == ["i_0", "p_0", "p_5", "p_0"]
    told = {(one.reason, tuple(one.examples)) for one in found.problems["parallel"]}
    assert told == {
        ("a line that is no JSON", (f"{answer}, line 2", f"{question}, line 2")),
        ("a line that is no JSON object", (f"{question}, line 3",)),
        ("a task without a possible answer", (f"{question}, line 4",)),
        ("a task without a question", (f"{question}, line 5",)),
        ("a task whose functions have no names or parameters", (f"{question}, line 6",)),
        ("a task whose possible answer is no list of calls", (f"{question}, line 7",)),
        ("a task without an id", (f"{question}, line 8",)),
        ("a possible answer without an id", (f"{answer}, line 3",)),
    }
    # What has no task to stand with is told all the same.
    assert found.problems["irrelevance"] == [
        Problem("a line that is no JSON", 1, ["BFCL_v4_lost.json, line 1"])
    ]
    path = tmp_path / "run.jsonl"
    rows_ = await score_outputs(
        found.tasks, {"p_5": "[]"}, problems=found.problems, execute=into(path)
    )
    assert [(one.category, one.tasks) for one in rows_] == [("irrelevance", 1), ("parallel", 2)]
    header = read_run(path).header.tasks[1]
    assert sum(one.count for one in header.problems) == 10
    assert "an id that another sample has" in {one.reason for one in header.problems}


def test_the_command_scores_the_others(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "set"
    data.mkdir()
    write(data)
    with (data / "BFCL_v4_parallel.json").open("a") as file:
        file.write("\n{torn")
    for more in ((), ("--outputs", str(tmp_path / "outputs.jsonl"))):
        (tmp_path / "outputs.jsonl").write_text('{"id": "i_0", "output": "[]"}\n{"id": "i_0"}')
        assert run_cli(["eval", "run", "tools", "--data", str(data), *more]) == 0
        said = capsys.readouterr().out
        assert "left out: 1: a line that is no JSON (BFCL_v4_parallel.json, line 2)" in said
        assert "Error(" not in said


texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"))
numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
json_values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.from_regex(r"[a-z_]{1,8}", fullmatch=True), json_values, max_size=4))
def test_both_forms_give_back_what_was_written(arguments: dict[str, Any]) -> None:
    call = Call("a.b", arguments)
    assert read_calls(as_python([call])) == (call,)
    assert read_calls(as_json([call])) == (call,)


@pytest.mark.slow
@pytest.mark.skipif(not BFCL.is_dir(), reason="the BFCL set is not here")
async def test_the_whole_set() -> None:
    report = await try_scorer(read_tool_tasks(BFCL))
    assert report.wrong == []
    assert report.gold == report.gold_right
    assert sum(report.tasks.values()) == 1240
    assert report.accepted.total() == 0
    assert all(report.mutants[each] > 1000 for each in MUTATIONS)
