"""One process of a test with several: says `ready`, waits for a line, does its part, prints."""

import asyncio
import sys
from datetime import timedelta
from uuid import UUID

from rostra.store import NewTurn, append_turns, claim, current, open_database, succeed
from rostra.store.collections import next_generation


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


if __name__ == "__main__":
    verb, *arguments = sys.argv[1:]
    print("ready", flush=True)
    sys.stdin.readline()
    verbs = {"migrate": migrate, "increment": increment, "append": append, "work": work}
    asyncio.run(verbs[verb](*arguments))
