"""What every verb prints with: JSON for programs, rich text for people."""

import asyncio
import sys
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import click
import msgspec
from rich.console import Console

from rostra.core import Settings, configure_logging, load_settings
from rostra.runtime import Runtime, open_runtime

T = TypeVar("T")

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
collection_option = click.option(
    "-c", "--collection", default="default", show_default=True, help="Collection to use."
)


def console() -> Console:
    """For results, on stdout."""
    return Console(highlight=False, soft_wrap=not sys.stdout.isatty())


def print_json(value: Any) -> None:
    """One JSON value on stdout; UUIDs and times as strings."""
    sys.stdout.write(msgspec.json.encode(value).decode() + "\n")
    sys.stdout.flush()


def settings_of_process(**overrides: Any) -> Settings:
    """This process's settings, with logging set up by them.

    Raises:
        ConfigError: a setting is wrong.
    """
    settings = load_settings(**overrides)
    configure_logging(settings.log_level, settings.log_format)
    return settings


def with_runtime(
    work: Callable[[Runtime], Coroutine[Any, Any, T]], settings: Settings | None = None
) -> T:
    """Runs asynchronous work over an open platform; by default with the process's settings.

    Raises:
        RostraError: whatever the work raises.
    """
    chosen = settings or settings_of_process()

    async def run() -> T:
        async with open_runtime(chosen) as runtime:
            return await work(runtime)

    return asyncio.run(run())
