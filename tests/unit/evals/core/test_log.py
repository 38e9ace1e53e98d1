"""The file of a run: what survives, what is refused, what is dropped."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import msgspec
import pytest

from evals.core import Header, Outcome, RunFile, State, Task, read_run
from evals.errors import EvalRunBroken, EvalRunConflict, EvalRunNotFound
from tests.eval_parts import Echo, Same, header, numbers, run


def task(count: int = 4, **options: object) -> Task:
    return Task(numbers(count), Echo(**options), [Same()])  # type: ignore[arg-type]


async def test_a_run_is_read_as_it_was_written(tmp_path: Path) -> None:
    told = await run(tmp_path / "run.jsonl", [task()])
    record = read_run(tmp_path / "run.jsonl")
    assert record.is_complete
    assert record.outcomes == tuple(sorted(told, key=lambda outcome: outcome.place))
    assert record.header.tasks[0].name == "numbers/echo"


@pytest.mark.parametrize("cut", [1, 7, 60])
async def test_a_torn_last_line_is_dropped_and_done_again(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "run.jsonl"
    await run(path, [task()])
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:4]) + lines[4][:-cut])  # header, three samples and a piece
    record = read_run(path)
    assert not record.is_complete
    assert len(record.outcomes) == 3
    assert record.torn == len(lines[4]) - cut
    solver = Echo()
    await run(path, [Task(numbers(4), solver, [Same()])])
    assert len(solver.asked) == 1
    assert len(read_run(path).outcomes) == 4
    assert read_run(path).torn == 0


async def test_a_damaged_line_in_the_middle_is_told_by_its_number(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    await run(path, [task()])
    lines = path.read_bytes().splitlines(keepends=True)
    lines[2] = b'{"type":"sample","task":\n'
    path.write_bytes(b"".join(lines))
    with pytest.raises(EvalRunBroken, match="line 3"):
        read_run(path)


@pytest.mark.parametrize("harm", ["gone", "cut", "nonsense"])
async def test_a_damaged_header_is_told_with_what_to_do(tmp_path: Path, harm: str) -> None:
    path = tmp_path / "run.jsonl"
    await run(path, [task()])
    first, rest = path.read_bytes().split(b"\n", 1)
    path.write_bytes({"gone": b"", "cut": first[:40] + b"\n", "nonsense": b"{}\n"}[harm] + rest)
    with pytest.raises(
        EvalRunBroken, match=r"run\.jsonl, line 1: the header .* is damaged"
    ) as told:
        read_run(path)
    assert "run again" in (told.value.hint or "")


async def test_a_run_killed_in_its_first_line_is_told_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    await run(path, [task()])
    path.write_bytes(path.read_bytes().split(b"\n", 1)[0][:50])
    with pytest.raises(EvalRunBroken, match="no log of an evaluation") as told:
        RunFile(path, header([task()]))
    assert "cut off, delete it" in (told.value.hint or "")


@pytest.mark.parametrize("content", [b"", b"hello", b"hello\n", b'{"type":"end","at":"x"}\n'])
def test_what_is_no_run_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "run.jsonl"
    path.write_bytes(content)
    with pytest.raises(EvalRunBroken):
        read_run(path)


def test_a_run_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(EvalRunNotFound):
        read_run(tmp_path / "none.jsonl")


def test_an_outcome_of_no_task_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    with RunFile(path, header([task()])) as file:
        file.append(Outcome(task=3, at=0, state=State(sample=numbers(1).samples[0])))
    with pytest.raises(EvalRunBroken, match="line 2"):
        read_run(path)


@pytest.mark.parametrize(
    "other",
    [
        header([task()], kind="another"),
        header([task()], seed=1),
        header([task(5)]),
        header([task(wrong=["s1"])]),
        header([task(name="other")]),
        header([Task(numbers(4), Echo(), [])]),
        header([Task(numbers(4), Echo(), [Same()], repeats=2)]),
    ],
)
async def test_another_run_is_not_gone_on_with(tmp_path: Path, other: object) -> None:
    path = tmp_path / "run.jsonl"
    await run(path, [task()])
    before = path.read_bytes()
    with pytest.raises(EvalRunConflict, match="another"):
        RunFile(path, other)  # type: ignore[arg-type]
    assert path.read_bytes() == before


def test_one_writes_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    with RunFile(path, header([task()])), pytest.raises(EvalRunConflict, match="another process"):
        RunFile(path, header([task()]))
    with RunFile(path, header([task()])):
        pass


def test_a_full_disk_is_told_and_what_was_written_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run.jsonl"
    whole = os.write
    with pytest.raises(OSError, match="No space"), RunFile(path, header([task()])) as file:
        file.append(Outcome(task=0, at=0, state=State(sample=numbers(1).samples[0])))
        monkeypatch.setattr(os, "write", lambda fd, data: whole(fd, data[:10]))
        file.append(Outcome(task=0, at=1, state=State(sample=numbers(2).samples[1])))
    monkeypatch.undo()
    record = read_run(path)
    assert len(record.outcomes) == 1
    assert record.torn == 0  # what was written of the line is taken back


def begun(tasks: list[Task], device: str = "here", **versions: str) -> Header:
    return msgspec.structs.replace(header(tasks), versions=versions, device=device)


def test_other_versions_are_told_once_something_is_done_with_them(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    outcomes = [Outcome(task=0, at=at, state=State(sample=numbers(4).samples[at])) for at in (0, 1)]
    with RunFile(path, begun([task()], torch="2.1", gone="1")) as file:
        assert not file.changed
        file.append(outcomes[0])
    with RunFile(path, begun([task()], torch="2.1", gone="1")) as file:
        assert not file.changed
    before = path.read_bytes()
    with pytest.raises(ZeroDivisionError), RunFile(path, begun([task()], "there", torch="2.2")):
        raise ZeroDivisionError
    assert path.read_bytes() == before  # nothing was done, so nothing is mixed
    assert read_run(path).resumed == ()
    with RunFile(path, begun([task()], "there", torch="2.2")) as file:
        assert file.changed == {
            "torch": ("2.1", "2.2"), "gone": ("1", "none"), "device": ("here", "there"),
        }  # fmt: skip
        file.append(outcomes[1])
    record = read_run(path)
    (resumed,) = record.resumed
    assert (resumed.versions, resumed.device) == ({"torch": "2.2"}, "there")
    assert len(record.outcomes) == 2
    with RunFile(path, begun([task()], "there", torch="2.2")) as file:
        assert not file.changed
    with RunFile(path, begun([task()], torch="2.1", gone="1")) as file:
        assert set(file.changed) == {"torch", "gone", "device"}


async def test_systems_over_one_set_share_their_samples(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    await run(path, [task(name="a"), task(name="b")])
    samples = [one.state.sample for one in read_run(path).outcomes]
    first, second = samples[:4], samples[4:]
    assert all(one is other for one, other in zip(first, second, strict=True))


_KILLED = """
import asyncio, os, signal, sys
sys.path.insert(0, "")
from pathlib import Path
from tests.eval_parts import Echo, Same, numbers, run
from evals.core import Task

class Dies(Echo):
    async def __call__(self, state, seed):
        if len(self.asked) == int(sys.argv[2]):
            os.kill(os.getpid(), signal.SIGKILL)
        return await super().__call__(state, seed)

asyncio.run(run(Path(sys.argv[1]), [Task(numbers(40), Dies(), [Same()])], parallel=3))
"""


@pytest.mark.parametrize("after", [0, 1, 17, 39])
async def test_a_killed_run_goes_on_where_it_was(tmp_path: Path, after: int) -> None:
    path = tmp_path / "run.jsonl"
    died = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _KILLED, str(path), str(after)
    )
    assert await died.wait() == -signal.SIGKILL
    done = len(read_run(path).outcomes)
    assert done <= after
    solver = Echo()
    await run(path, [Task(numbers(40), solver, [Same()])])
    assert len(solver.asked) == 40 - done

    whole = tmp_path / "whole.jsonl"
    await run(whole, [Task(numbers(40), Echo(), [Same()])])
    without_times = [
        [
            msgspec.structs.replace(outcome, seconds=0.0, scoring=0.0)
            for outcome in read_run(file).outcomes
        ]
        for file in (path, whole)
    ]
    assert without_times[0] == without_times[1]
