"""`rostra worker`: does jobs in a process of its own, without the web page and the API.

What always holds: Ctrl-C and SIGTERM end it with status 0 and give its job back at once; on SQLite
one process at a time does jobs, and a second one is refused by name of the first.
"""

import asyncio
import signal
import sys

import click

from mcp_servers import SandboxRunner
from rostra.api import Pace, Uploads, Worker
from rostra.cli.output import settings_of_process
from rostra.core import Settings
from rostra.runtime import open_runtime
from rostra.store import one_worker

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@click.command("worker")
@click.option(
    "--poll",
    default=5.0,
    show_default=True,
    type=click.FloatRange(0.05, 3600),
    help="Seconds between looks at the queue; on PostgreSQL jobs are told of at once.",
)
@click.option(
    "--lease",
    default=60.0,
    show_default=True,
    type=click.FloatRange(1, 3600),
    help="Seconds after which a job whose worker died is taken over.",
)
def command(poll: float, lease: float) -> None:
    """Do jobs until Ctrl-C: uploads, pages and sitemaps are read, watched folders followed.

    `rostra serve` does jobs too. On PostgreSQL any number of workers can run beside it, on one
    machine or with a shared data directory, where uploads lie; on SQLite there is one.
    """
    asyncio.run(
        _work(settings_of_process(), Pace(lease=lease, beat=min(2.0, lease / 5), poll=poll))
    )


async def _work(settings: Settings, pace: Pace) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in _SIGNALS:
        loop.add_signal_handler(number, stop.set)
    with one_worker(settings):
        async with open_runtime(settings, code=SandboxRunner()) as runtime:
            worker = Worker(runtime, Uploads(settings), pace)
            working = asyncio.create_task(worker.run(), name="job worker")
            stopping = asyncio.create_task(stop.wait())
            click.echo("Working; Ctrl-C ends")
            sys.stdout.flush()
            await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
            stopping.cancel()
            if working.done():
                await working  # it ended by itself: say why
            working.cancel()
            await asyncio.wait({working})
