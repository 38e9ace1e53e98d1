"""Runs a scripted agent in children that are killed at a given moment, and executes it again.

`python -m tests.integration.agents.killing DATABASE_URL FOLDER STRIDE` prints a JSON line for each
STRIDE-th moment: what was done to the world, how the run stands, and what it spent. A call whose
outcome nobody knows then is made again at a person's word, and that process is killed as well.
Moments are all times at which the log is about to be written, has been written, or a tool is about
to act or has acted.
"""

import asyncio
import gc
import json
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from uuid import UUID

from rostra.agents import (
    Agents,
    ApprovalDecided,
    Budget,
    Paused,
    Record,
    RunEnded,
    RunRequest,
    ToolStarted,
    prompts,
    read_log,
    waiting,
)
from rostra.store import RunLog, get_run, open_database
from tests.agent_parts import Bench, StepModel, World, action, final

SCRIPT = [
    action(("read", "a")),
    action(("write", "b"), ("read", "c")),
    action(("idempotent", "d")),
    action(("write", "e")),
    final("It is done.", 1),
]
REQUEST = RunRequest(task="Change it.", budget=Budget(steps=6, calls=5))
# Short: a run is free again at once when its process has died.
_LEASE = timedelta(seconds=0.1)
NEVER = -1


class Moments:
    """Counts moments and kills this process at one of them."""

    def __init__(self, deadly: int) -> None:
        self._left = deadly

    def __call__(self, *_: object) -> None:
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


def in_child(work: object) -> bool:
    """Runs a coroutine in a forked child; whether it came to its end."""
    child = os.fork()
    if child == 0:
        code = 1
        with suppress(Exception):
            asyncio.run(work)  # type: ignore[arg-type]
            code = 0
        os._exit(code)
    _, status = os.waitpid(child, 0)
    work.close()  # type: ignore[attr-defined]
    if os.WIFEXITED(status) and os.WEXITSTATUS(status):
        raise RuntimeError("the child failed")
    return os.WIFEXITED(status)


def agents_over(database: object, world: World, moments: Moments | None) -> Agents:
    bench = Bench(StepModel(SCRIPT), world, asks=False)
    agents = Agents(database, bench.open, model="steps", prompts=prompts, lease=_LEASE)  # type: ignore[arg-type]
    if moments is not None:
        log: RunLog = agents._log
        write = log.append

        async def append(*arguments: object, **more: object) -> None:
            moments()
            await write(*arguments, **more)  # type: ignore[arg-type]
            moments()

        log.append = append  # type: ignore[method-assign, assignment]
        world.hook = moments
    return agents


async def begin(url: str, world: World, note: Path, deadly: int) -> None:
    """The first execution; writes the run's id as soon as there is one."""
    async with await open_database(url, migrate=False) as database:
        agents = agents_over(database, world, Moments(deadly))
        run_id = await agents.start(REQUEST)
        note.write_text(str(run_id))
        await agents.wait(run_id)
        await agents.close()


async def go_on(url: str, world: World, note: Path, deadly: int) -> None:
    """A server that takes the run over, if it still runs, and dies too."""
    async with await open_database(url, migrate=False) as database:
        agents = agents_over(database, world, Moments(deadly) if deadly else None)
        run_id = UUID(note.read_text())
        while True:
            async with database.read() as session:
                run = await get_run(session, run_id)
            if run.status != "running":
                break
            if await agents.resume(run_id):
                await agents.wait(run_id)
            await asyncio.sleep(_LEASE.total_seconds() / 10)
        await agents.close()


async def retry(url: str, world: World, note: Path, deadly: int) -> None:
    """A person who has each call made again whose outcome nobody knows; the process dies again."""
    async with await open_database(url, migrate=False) as database:
        agents = agents_over(database, world, Moments(deadly))
        run_id = UUID(note.read_text())
        for one in waiting(await read_log(database, run_id)):
            await agents.decide(run_id, one.call.id, "retry")
        await agents.wait(run_id)
        await agents.close()


async def look(url: str, runs: dict[int, Path], out: Path) -> None:
    """How each moment's run stands, a JSON line each."""
    async with await open_database(url, migrate=False) as database:
        agents = agents_over(database, World(out), None)
        with out.open("w") as lines:
            for moment, note in runs.items():
                found = await _standing(agents, UUID(note.read_text()))
                print(json.dumps(found | {"moment": moment}), file=lines)
        await agents.close()


async def _standing(agents: Agents, run_id: UUID) -> dict[str, object]:
    records = await agents._logs.read(run_id)
    last = records[-1].event
    found: dict[str, object] = {"events": len(records), "last": type(last).__name__}
    if isinstance(last, RunEnded):
        found |= {"status": last.status, "steps": last.spent.steps, "calls": last.spent.calls}
    if isinstance(last, Paused):
        found |= {"reason": last.reason}
    found["starts"], found["allowed"] = _attempts(records)
    found["ends"] = sum(isinstance(record.event, RunEnded) for record in records)
    found["replay"] = (await agents.replay(run_id)).difference
    return found


def _attempts(records: Sequence[Record]) -> tuple[dict[str, int], dict[str, int]]:
    """How often each call that changes the world began, and how often it was allowed to."""
    starts: dict[str, int] = {}
    allowed: dict[str, int] = {}
    for record in records:
        match record.event:
            case ToolStarted(call=call, effect=effect) if not effect.repeatable:
                made = f"{call.tool} {call.arguments['value']}"
                starts[made] = starts.get(made, 0) + 1
                allowed[made] = 1 + sum(
                    isinstance(one.event, ApprovalDecided) and one.event.call == call.id
                    for one in records
                )
    return starts, allowed


async def warm_up(url: str, folder: Path) -> None:
    """Migrates, and runs once undisturbed: children then start with all that this loads."""
    await (await open_database(url)).close()
    await begin(url, World(folder / "world.txt"), folder / "run", NEVER)


def main(url: str, folder: Path, stride: int) -> None:
    asyncio.run(warm_up(url, folder))
    gc.freeze()  # children share these pages until they write to them
    deadly = 1 - stride
    survived = False
    worlds: dict[int, World] = {}
    runs: dict[int, Path] = {}
    while not survived:
        deadly += stride
        here = folder / str(deadly)
        here.mkdir()
        world, note = World(here / "world.txt"), here / "run"
        survived = in_child(begin(url, world, note, deadly))
        if not note.exists():
            continue  # killed before anybody was told of the run
        if not survived:
            # The one who takes over is killed as well, a little later each time.
            in_child(go_on(url, world, note, 1 + deadly % 5))
            in_child(go_on(url, world, note, 0))
            in_child(retry(url, world, note, 2 + len(runs) % 6))
            in_child(go_on(url, world, note, 0))
        worlds[deadly], runs[deadly] = world, note
    out = folder / "out"
    in_child(look(url, runs, out))
    for line in out.read_text().splitlines():
        found = json.loads(line)
        print(json.dumps(found | {"done": worlds[found["moment"]].done()}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
