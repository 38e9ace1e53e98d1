"""What two runs were begun with, held against each other."""

from datetime import UTC, datetime
from typing import Any

from evals.circumstances import compare_circumstances
from evals.core import Header, TaskHeader


def header(*tasks: TaskHeader, **more: Any) -> Header:
    told = {"versions": {"rostra": "1.0", "torch": "2"}, "device": "a CPU"} | more
    return Header(id="r", kind="test", begun=datetime.now(UTC), seed=0, tasks=list(tasks), **told)


def task(dataset: str = "set", solver: str = "ask", digest: str = "d", **config: Any) -> TaskHeader:
    return TaskHeader(
        dataset=dataset, solver=solver, digest=digest, samples=3, solver_config=config
    )


def test_runs_that_were_done_alike_differ_in_nothing() -> None:
    one, other = (header(task(model="m", k=3), task("other")) for _ in range(2))
    found = compare_circumstances(one, other)
    assert found.told == ""
    assert found.to_dict() == {"versions": {}, "datasets": {}, "systems": {}}


def test_each_difference_is_told_on_one_line() -> None:
    old = header(task(model="small", k=3), task("other", digest="x"))
    new = header(
        task(model="large", k=3),
        task("other", digest="y"),
        versions={"rostra": "1.1", "faiss": "3"},
        device="a GPU",
    )
    found = compare_circumstances(old, new)
    assert found.told == (
        "rostra 1.0, then 1.1; torch 2, then none; device a CPU, then a GPU; "
        "faiss none, then 3; other samples in other; model small, then large in set/ask"
    )
    assert found.to_dict()["datasets"] == {"other": ["x", "y"]}
    assert found.to_dict()["systems"] == {"set/ask": {"model": ["small", "large"]}}


def test_what_differs_in_the_same_way_everywhere_is_told_once() -> None:
    old = header(*(task(f"set {n}", model="small") for n in range(9)))
    new = header(*(task(f"set {n}", model="large", digest="e") for n in range(9)))
    told = compare_circumstances(old, new).told
    assert told.count("model small, then large") == 1
    assert told.count("set ") == 5
    assert "and 4 more" in told


def test_only_tasks_of_both_are_held_against_each_other() -> None:
    found = compare_circumstances(header(task(model="m")), header(task(solver="b", model="n")))
    assert found.told == ""


def test_long_values_are_cut() -> None:
    found = compare_circumstances(header(task(prompt="x" * 500)), header(task(prompt="y" * 500)))
    assert len(found.told) < 250
