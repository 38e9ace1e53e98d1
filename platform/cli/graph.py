"""`rostra graph`: the graph of a collection, built, shown and dropped."""

import sys
import time
from collections.abc import Callable
from typing import Any

import click

from rostra.cli.output import (
    collection_option,
    console,
    json_option,
    print_json,
    print_table,
    with_runtime,
)
from rostra.core import InvalidRequest, ModelUnavailable
from rostra.ingest import GraphBuilder, GraphProgress, GraphReport
from rostra.retrieval import NameReader
from rostra.runtime import Runtime
from rostra.store import (
    best_entities,
    community_texts,
    entities_by_id,
    entities_by_key,
    get_collection,
    graph_state,
    relations_from,
)

_LINE_EVERY_SECONDS = 10.0
_MOST_SHOWN = 200
_SUMMARY_CHARS = 300
_STAGES = {"read": "chunks read", "ask": "chunks told by the model", "make": "making the graph"}


@click.group("graph")
def command() -> None:
    """Build, show and drop the graph of entities of a collection.

    Search uses it with `rostra search --graph`.
    """


@command.command("build")
@click.option(
    "--ask-model",
    "budget",
    type=click.IntRange(1, 1_000_000),
    metavar="CHUNKS",
    help="Let the generator that is set read so many chunks too; the next build goes on with "
    "others.",
)
@collection_option
@json_option
def build(budget: int | None, collection: str, as_json: bool) -> None:
    """Bring a collection's graph up to date, or make it.

    Only chunks that are new are read. Broken off, run it again: it does what is left to do.
    """

    async def work(runtime: Runtime) -> GraphReport:
        if budget is not None and runtime.generator is None:
            raise ModelUnavailable(
                "--ask-model needs a generator, and none is set",
                hint="Set ROSTRA_MODEL, or ROSTRA_CHAT_URL and ROSTRA_CHAT_MODEL.",
            )
        builder = GraphBuilder(runtime.database, runtime.generator, budget or 0)
        return await builder.build(collection, _progress())

    report = with_runtime(work)
    if as_json:
        print_json(report.to_dict())
        return
    told = f", {report.asked} by the model" if report.asked else ""
    console().print(
        f"{report.read} chunks read{told}; {report.entities} entities, {report.relations} "
        f"relations, {report.communities} communities in {report.chunks} chunks"
    )
    if report.not_told:
        console().print(f"the model told nothing of {report.not_told} chunks")


@command.command("show")
@click.argument("name", required=False)
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, _MOST_SHOWN))
@click.option("--communities", is_flag=True, help="Show communities in place of entities.")
@collection_option
@json_option
def show(name: str | None, limit: int, communities: bool, collection: str, as_json: bool) -> None:
    """Say what is in a graph: its size and best-known entities, or what NAME is close to."""
    if name is not None and communities:
        raise InvalidRequest("NAME and --communities go one at a time")

    async def work(runtime: Runtime) -> dict[str, Any]:
        async with runtime.database.read() as session:
            target = await get_collection(session, collection)
            state = await graph_state(session, target.id)
            if state is None:
                return {"collection": collection, "graph": None}
            body: dict[str, Any] = {"collection": collection, "graph": state}
            body["behind"] = target.generation - state.generation
            if communities:
                found = await community_texts(session, target.id, most=limit)
                return body | {"communities": found}
            if name is None:
                return body | {"entities": await best_entities(session, target.id, limit)}
            keys = [key] if (key := NameReader().key(name)) else []
            entities = await entities_by_key(session, target.id, keys, 1)
            near = await relations_from(session, [one.id for one in entities], limit)
            others = await entities_by_id(session, [row[1] for row in near])
            return body | {
                "entities": entities,
                "close_to": [
                    {"name": others[row[1]].name, "weight": row[2]}
                    for row in near
                    if row[1] in others
                ],
            }

    body = with_runtime(work)
    if as_json:
        print_json(body)
        return
    _print(body)


@command.command("drop")
@collection_option
@json_option
def drop(collection: str, as_json: bool) -> None:
    """Remove a collection's graph; its documents stay."""

    async def work(runtime: Runtime) -> bool:
        return await GraphBuilder(runtime.database).drop(collection)

    dropped = with_runtime(work)
    if as_json:
        print_json({"dropped": dropped})
    else:
        console().print("dropped" if dropped else "there was no graph")


def _print(body: dict[str, Any]) -> None:
    state = body["graph"]
    if state is None:
        console().print(f"no graph; `rostra graph build -c {body['collection']}` makes one")
        return
    console().print(
        f"{state.entities} entities, {state.relations} relations, {state.communities} communities "
        f"in {state.chunks} chunks; built {state.built_at:%Y-%m-%d %H:%M} UTC"
    )
    if body["behind"]:
        console().print(
            "documents have changed since; `rostra graph build` brings it up to date", style="dim"
        )
    if "communities" in body:
        print_table(
            ("members", "level", "names", "summary"),
            (
                (one.size, one.level, ", ".join(one.names), one.summary[:_SUMMARY_CHARS])
                for one in body["communities"]
            ),
        )
        return
    print_table(
        ("entity", "kind", "chunks"),
        ((one.name, one.kind, one.df) for one in body["entities"]),
    )
    if body.get("close_to"):
        print_table(
            ("close to", "weight"), ((one["name"], one["weight"]) for one in body["close_to"])
        )


def _progress() -> Callable[[GraphProgress], None]:
    """Says how far a build is: on a terminal whenever it gets on, else a line now and then."""
    last = time.monotonic()
    live = sys.stderr.isatty()

    def told(progress: GraphProgress) -> None:
        nonlocal last
        now = time.monotonic()
        if not live and now - last < _LINE_EVERY_SECONDS:
            return
        last = now
        line = _STAGES[progress.stage]
        if progress.total:
            line = f"{progress.done:,} of {progress.total:,} {line}"
        click.echo(f"\r\x1b[K{line}" if live else line, err=True, nl=not live)
        if live and progress.stage == "make":
            click.echo(err=True)

    return told
