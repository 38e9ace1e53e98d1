"""`rostra tune`: how hits are ranked, tuned on judged queries and cross-validated."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import click
import msgspec

from evals import (
    LEAST_QUERIES,
    JudgedQuery,
    JudgedSet,
    Together,
    TuningReport,
    calibrated_together,
    find_sets,
    ingest_set,
    judged_queries,
    open_workspace,
    read_judged_set,
    read_judgements,
    tune,
    with_documents,
)
from rostra.cli.bars import advance, bar
from rostra.cli.eval.text import plain
from rostra.cli.output import print_json, print_table, settings_of_process
from rostra.core import InvalidRequest, Settings
from rostra.ingest import Progress
from rostra.runtime import Runtime, open_runtime, store_collection_tokens
from rostra.store import document_versions, get_collection, set_tuning

_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.command("tune")
@click.option(
    "--data", type=click.Path(path_type=Path), help="Folder of a judged set, or of several."
)
@click.option("-c", "--collection", help="Collection of yours to tune.")
@click.option("--queries", type=_FILE, help="Its queries: JSON lines of _id and text.")
@click.option("--qrels", type=_FILE, help="Judgements, TSV: query-id, the document's uri, score.")
@click.option("--late/--no-late", default=None, help="Try late interaction.  [default: if stored]")
@click.option("--folds", type=click.IntRange(2, 100), default=5, show_default=True)
@click.option("--rounds", type=click.IntRange(1, 100), default=3, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--dry-run", is_flag=True, help="Say what would be kept, and keep nothing.")
@click.option("--clear", is_flag=True, help="Forget what was tuned for the collection.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    data: Path | None,
    collection: str | None,
    queries: Path | None,
    qrels: Path | None,
    late: bool | None,
    folds: int,
    rounds: int,
    seed: int,
    dry_run: bool,
    clear: bool,
    as_json: bool,
) -> None:
    """Tune fusion and reranking on judged queries.

    With --data each set is ingested apart from your documents and only reported on. With
    --collection, --queries and --qrels what is found is kept for that collection, and its searches
    are ranked by it from then on; it takes 20 queries for anything to be kept. Tuned figures are
    cross-validated: no query is scored with weights that it helped to choose.
    """
    settings = settings_of_process()
    if clear:
        if collection is None:
            raise InvalidRequest("--clear needs --collection")
        asyncio.run(_clear(settings, collection))
        click.echo(f"{collection} is ranked as the settings say")
        return

    together = None

    def tuned(name: str, found: Any) -> TuningReport:
        return tune(name, found, settings, folds=folds, rounds=rounds, seed=seed)

    if data is not None and collection is None:
        reports, gathered = asyncio.run(_sets(settings, data, bool(late), tuned))
        kept = False
        together = calibrated_together(gathered) if len(gathered) > 1 else None
    elif data is None and collection is not None and queries is not None and qrels is not None:
        judged = read_judgements(collection, queries, qrels)
        report = asyncio.run(_collection(settings, judged, late, dry_run, tuned))
        reports = [report]
        kept = report.enough and not dry_run
    else:
        raise InvalidRequest(
            "tune what?", hint="Give --data DIR, or --collection NAME --queries FILE --qrels FILE."
        )
    if as_json:
        body = {"kept": kept, "results": [report.to_dict() for report in reports]}
        if together is not None:
            body["together"] = together.to_dict()
        print_json(body)
        return
    _print(reports, kept, for_collection=collection is not None)
    if together is not None:
        _print_together(together)


async def _clear(settings: Settings, collection: str) -> None:
    async with open_runtime(settings) as runtime, runtime.database.write() as session:
        found = await get_collection(session, collection)
        await set_tuning(session, found.id, None)


async def _sets(
    settings: Settings, data: Path, late: bool, tuned: Callable[[str, Any], TuningReport]
) -> tuple[list[TuningReport], dict[str, list[JudgedQuery]]]:
    reports = []
    gathered: dict[str, list[JudgedQuery]] = {}
    sets = [read_judged_set(folder) for folder in find_sets(data)]
    async with open_workspace(settings) as runtime:
        for judged in sets:
            with bar() as shown:
                ingest = shown.add_task(f"{judged.name}: ingest", total=None)

                def on_ingest(progress: Progress, shown: Any = shown, task: Any = ingest) -> None:
                    advance(shown, task, progress)

                collection = (await ingest_set(runtime, judged, on_ingest=on_ingest)).collection
            async with runtime.database.read() as session:
                target = await get_collection(session, collection)
            there = await _there(runtime, target.id, judged)
            if late:
                await _store(runtime, collection, judged.name)
            found = await _gather(runtime, collection, there, late)
            report = await asyncio.to_thread(tuned, judged.name, found)
            reports.append(replace(report, problems=there.problems))
            gathered[judged.name] = found
    return reports, gathered


async def _collection(
    settings: Settings,
    judged: JudgedSet,
    late: bool | None,
    dry_run: bool,
    tuned: Callable[[str, Any], TuningReport],
) -> TuningReport:
    async with open_runtime(settings) as runtime:
        async with runtime.database.read() as session:
            collection = await get_collection(session, judged.name)
        judged = await _there(runtime, collection.id, judged)
        if late is None:
            late = await asyncio.to_thread(runtime.late.is_stored, collection.id, collection.space)
        found = await _gather(runtime, judged.name, judged, late)
        report = await asyncio.to_thread(tuned, judged.name, found)
        report = replace(report, problems=judged.problems)
        if report.enough and not dry_run:
            kept = msgspec.to_builtins(report.tuning(collection.space.fingerprint))
            async with runtime.database.write() as session:
                await set_tuning(session, collection.id, kept)
    return report


async def _there(runtime: Runtime, collection_id: UUID, judged: JudgedSet) -> JudgedSet:
    """What is judged of the documents that the collection has."""
    async with runtime.database.read() as session:
        documents = await document_versions(session, collection_id)
    return with_documents(judged, documents.keys())


async def _store(runtime: Runtime, collection: str, name: str) -> None:
    with bar() as shown:
        task = shown.add_task(f"{name}: token vectors", total=None)
        await store_collection_tokens(
            runtime,
            collection,
            lambda done, total: shown.update(task, total=total, advance=done),
        )


async def _gather(
    runtime: Runtime, collection: str, judged: JudgedSet, late: bool
) -> list[JudgedQuery]:
    with bar() as shown:
        task = shown.add_task(f"{judged.name}: search", total=len(judged.queries))
        return await judged_queries(
            runtime,
            collection,
            judged.queries,
            judged.relevant,
            late=late,
            on_query=lambda done: shown.update(task, advance=done),
        )


def _print(reports: list[TuningReport], kept: bool, *, for_collection: bool) -> None:
    rows = []
    for report in reports:
        for one in report.to_dict()["measures"]:
            p = one["p"]
            low, high = one["interval"] or (None, None)
            between = "" if low is None else f" ({low:+.3f} to {high:+.3f})"
            rows.append(
                (
                    report.name,
                    one["measure"],
                    _mean(one["untuned"]),
                    _mean(one["tuned_cross_validated"]),
                    f"{one['difference']:+.4f}{between}",
                    "-" if p is None else f"{p:.4f}",
                    "better" if p is not None and p < 0.05 and one["difference"] > 0
                    else "worse" if p is not None and p < 0.05 else "no difference shown",
                )
            )  # fmt: skip
    print_table(
        ("set", "measure", "untuned", "tuned, cross-validated", "difference", "p", "verdict"), rows
    )
    for report in reports:
        click.echo(f"{report.name}: {report.queries} queries, {report.folds} folds, "
                   f"{report.rounds} rounds; best on all: {_choice(report.found)}")  # fmt: skip
        for problem in report.problems:
            told = f"  {problem.count}: {problem.reason} ({', '.join(problem.examples)})"
            click.echo(plain(told))
        if not report.enough and for_collection:
            click.echo(f"  nothing of it is kept: that takes {LEAST_QUERIES} queries at least")
        elif report.kept != report.found:
            click.echo("  it does not gain on queries it was not tuned on, so the settings stand: "
                       + _choice(report.kept))  # fmt: skip
        if report.quality is not None:
            click.echo(
                f"  probabilities: Brier score {report.quality.brier:.4f}, "
                f"{report.quality.base:.4f} without scores (lower is better)"
            )
    if kept:
        click.echo("kept; `rostra tune --collection NAME --clear` forgets it")


def _print_together(together: Together) -> None:
    curve = together.calibration
    click.echo(
        f"one curve for all sets: {curve.intercept:g}, {curve.dense:g} a cosine, "
        f"{curve.lexical:g} a lexical share"
    )
    for one in together.held_out:
        click.echo(
            f"  {one.name}, by the curve of the others: Brier score {one.brier:.4f}, "
            f"{one.base:.4f} without scores"
        )


def _choice(choice: Any) -> str:
    rerank = f", late interaction {choice.rerank_weight:g}" if choice.rerank_weight else ""
    return f"{choice.fusion}, dense weight {choice.dense_weight:g}{rerank}"


def _mean(told: Mapping[str, Any]) -> str:
    low, high = told["interval"] or (None, None)
    around = "" if low is None else f" ({low:.3f} to {high:.3f})"
    return f"{told['mean']:.4f}{around}"
