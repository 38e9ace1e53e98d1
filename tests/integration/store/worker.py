"""One process of a test with several: says `ready`, waits for a line, does its part, prints."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from random import Random
from uuid import UUID

from rostra.store import (
    Claim,
    Database,
    LostLease,
    NewTurn,
    RunLog,
    append_turns,
    checkpoint,
    claim,
    claim_run,
    current,
    list_jobs,
    open_database,
    succeed,
)
from rostra.store.collections import next_generation
from rostra.store.tables import utc_now


async def migrate(url: str) -> None:
    """Opens the database, which migrates it."""
    async with await open_database(url) as database:
        print(await current(database.reader))


async def increment(url: str, collection: str, times: str) -> None:
    """Raises a collection's generation, one transaction a time."""
    async with await open_database(url) as database:
        for _ in range(int(times)):
            async with database.write() as session:
                print(await next_generation(session, UUID(collection)))


async def append(url: str, chat: str, times: str, name: str) -> None:
    """Appends turns to a chat, two in each transaction."""
    async with await open_database(url) as database:
        for at in range(int(times)):
            turns = [NewTurn("user", f"{name} {at} q"), NewTurn("assistant", f"{name} {at} a")]
            async with database.write() as session:
                await append_turns(session, UUID(chat), turns)


async def work(url: str, name: str) -> None:
    """Claims jobs until there is none; prints each id."""
    async with await open_database(url) as database:
        while True:
            async with database.write() as session:
                held = await claim(session, name, timedelta(minutes=1))
            if held is None:
                return
            async with database.write() as session:
                await succeed(session, held, {"by": name})
            print(held.job.id)


def toil(url: str, name: str, effects: str, count: str) -> None:
    """Lives, again and again, until all jobs are done; prints how often it died.

    A life is a fork, which takes no time to start; there is no loop and no thread yet.
    """
    died = 0
    while True:
        child = os.fork()
        if child == 0:
            try:
                asyncio.run(live(url, f"{name}-{died}", effects, count))
                os._exit(0)
            finally:
                os._exit(1)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if status != -signal.SIGKILL:
            print(died)
            sys.exit(status)
        died += 1


async def live(url: str, name: str, effects: str, count: str) -> None:
    """Does jobs until so many have succeeded, by anybody; dies at every tenth turn or so.

    Each step of a job goes to a file; steps before the job's checkpoint are not done again.
    """
    random = Random(name)

    def mortal() -> None:
        if random.random() < 0.1:
            os.kill(os.getpid(), signal.SIGKILL)

    async with await open_database(url) as database:
        while True:
            async with database.write() as session:
                held = await claim(session, name, timedelta(seconds=0.5))
                mortal()
            if held is None:
                async with database.read() as session:
                    if (await list_jobs(session, ["succeeded"]))[1] == int(count):
                        return
                await asyncio.sleep(0.01)
                continue
            with contextlib.suppress(LostLease):
                await do_steps(database, held, effects, mortal)


async def do_steps(
    database: Database, held: Claim, effects: str, mortal: Callable[[], None]
) -> None:
    """Three steps, each kept by a checkpoint."""
    for step in range(held.job.checkpoint.get("step", 0), 3):
        async with database.write() as session:
            await checkpoint(
                session, held, f"step {step}", {"step": step + 1}, timedelta(seconds=0.5)
            )
            mortal()
        note(effects, f"{held.job.id} {step}")
        mortal()
    async with database.write() as session:
        await succeed(session, held, {"token": held.fencing_token})
        mortal()
    note(effects, f"{held.job.id} done")


def note(effects: str, line: str) -> None:
    """Adds a line to the file of effects, at once."""
    with Path(effects).open("a") as file:
        file.write(line + "\n")


async def execute(url: str, run: str, times: str, name: str) -> None:
    """Takes a run again and again, from whoever has it, and appends; prints what was taken."""
    async with await open_database(url) as database, RunLog(database) as log:
        taken = 0
        while taken < int(times):
            async with database.write() as session:
                held = await claim_run(session, name, timedelta(seconds=-1), UUID(run))
            if held is None:
                continue
            seq = held.run.last_seq
            try:
                for _ in range(3):
                    event = (utc_now(), "Noted", f"{name} {taken}".encode())
                    await log.append(UUID(run), seq, [event], token=held.fencing_token)
                    print(f"{name} {taken}")
                    seq, taken = seq + 1, taken + 1
            except LostLease:
                continue


async def append_until_killed(url: str, run: str) -> None:
    """Appends without end; prints the number of each event once it is on disk."""
    async with await open_database(url) as database, RunLog(database) as log:
        async with database.write() as session:
            held = await claim_run(session, "mortal", timedelta(seconds=-1), UUID(run))
        if held is None:
            raise RuntimeError("the run is held")
        seq = held.run.last_seq
        while True:
            events = [(utc_now(), "Noted", b"x" * (seq % 5000))] * (1 + seq % 3)
            await log.append(UUID(run), seq, events, token=held.fencing_token)
            seq += len(events)
            print(seq, flush=True)


if __name__ == "__main__":
    verb, *arguments = sys.argv[1:]
    print("ready", flush=True)
    sys.stdin.readline()
    if verb == "toil":
        toil(*arguments)
    verbs = {
        "migrate": migrate,
        "increment": increment,
        "append": append,
        "work": work,
        "execute": execute,
        "append_until_killed": append_until_killed,
    }
    asyncio.run(verbs[verb](*arguments))
