"""Finds the verb, and turns errors into messages.

What always holds: an error a user can cause is one line on stderr and, with `--json`, one object
`{"error": ...}` on stdout, never a traceback; exit status is 0 for success, 1 for a failure, 2 for
a request that cannot work as given, 130 after Ctrl-C. stdout carries results only.
"""

import importlib
import logging
import os
import sys
from typing import Any

import click

from rostra.core import RostraError

_VERBS = {
    "agent": "Give an agent a task; list, show, resume, replay, fork and cancel runs.",
    "ask": "Ask a question; the answer cites your documents.",
    "bench": "Measure the decoder and search on this machine.",
    "chats": "List, show and delete conversations.",
    "collection": "List and delete collections.",
    "db": "Look after the database's schema.",
    "doctor": "Say what is installed, which models load, and what is missing.",
    "document": "List, print and delete documents.",
    "embed": "Fit rotations and embed collections anew.",
    "eval": "Measure retrieval, answers, agents, judges and serving.",
    "graph": "Build, show and drop the graph of entities of a collection.",
    "ingest": "Read files, folders, pages and sitemaps into a collection.",
    "jobs": "List, show, cancel, pause, resume, retry and drop what is being read.",
    "mcp": "List, call and approve tools of MCP servers; read prompts and resources.",
    "plan": "Say what of a decoder fits this machine.",
    "search": "Find passages.",
    "serve": "Serve the web page and the API.",
    "tune": "Tune how hits are ranked on judged queries, cross-validated.",
    "worker": "Do jobs in a process of its own.",
}


class _Verbs(click.Group):
    """Imports a verb's module only when it is called, so that `--help` is quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(_VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _VERBS:
            return None
        command = importlib.import_module(f"rostra.cli.{cmd_name}").command
        return command if isinstance(command, click.Command) else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(sorted(_VERBS.items()))


@click.group(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="rostra", message="%(prog)s %(version)s")
def cli() -> None:
    """Ask questions of your own documents, on your own machine.

    Settings come from ROSTRA_* variables and rostra.toml; `rostra doctor --settings` lists them.
    """


def main() -> None:
    """Runs the command line of this process and exits."""
    status = run(sys.argv[1:])
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):  # its reader has gone, the disk is full, or it was closed
            status = status or 1
    # Everything that matters is closed. The interpreter would still wait for threads that compute
    # what nobody wants any more, and then spend seconds on taking torch apart.
    os._exit(status)


def run(arguments: list[str]) -> int:
    """Runs one command line; returns the exit status."""
    try:
        result: Any = cli.main(arguments, prog_name="rostra", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except click.exceptions.Abort:
        click.echo("stopped", err=True)
        return 130
    except KeyboardInterrupt:
        click.echo("stopped", err=True)
        return 130
    except click.ClickException as error:
        if "--json" in arguments:
            from rostra.cli.output import print_json

            usage = {"code": "usage", "message": error.format_message(), "status": 400}
            print_json({"error": usage})
        error.show()
        return 2
    except BrokenPipeError:
        # The reader of our output has gone; there is nobody left to tell.
        sys.stderr.close()
        return 1
    except RostraError as error:
        return report(error, as_json="--json" in arguments)
    except Exception as error:  # the last stop: our own mistake, told without a page of trace
        if os.environ.get("ROSTRA_LOG_LEVEL") == "DEBUG":
            raise
        fault = RostraError(
            f"internal error: {type(error).__name__}: {error}",
            hint="This is a bug. ROSTRA_LOG_LEVEL=DEBUG shows where it happened.",
        )
        return report(fault, as_json="--json" in arguments)


def report(error: RostraError, *, as_json: bool) -> int:
    """Prints an error; returns the exit status it means."""
    from rostra.cli.output import print_json, printable

    if as_json:
        print_json({"error": error.to_dict() | {"status": error.status}})
    click.echo(f"error: {printable(error.message)}", err=True)
    if error.hint:
        click.echo(f"  {printable(error.hint)}", err=True)
    return 2 if 400 <= error.status < 500 else 1
