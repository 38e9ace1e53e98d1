"""`rostra eval set`: sets of questions, made of chats or of documents, and looked through."""

from datetime import datetime
from pathlib import Path
from typing import Any

import click

from evals import (
    ChatSet,
    SetCheck,
    SynthesisOptions,
    SynthesisReport,
    check_sets,
    synthesize,
    write_chat_set,
)
from rostra.cli.bars import bar, show
from rostra.cli.eval.text import plain
from rostra.cli.output import (
    json_option,
    print_json,
    print_table,
    settings_of_process,
    with_runtime,
)
from rostra.runtime import Runtime
from rostra.store import RatingValue

_out_option = click.option(
    "--out", required=True, type=click.Path(path_type=Path, dir_okay=False), help="File to write."
)
_replace_option = click.option("--replace", is_flag=True, help="Write over a file that is there.")


@click.group("set")
def sets() -> None:
    """Make and check sets of questions."""


@sets.command("check")
@click.argument("path", type=click.Path(path_type=Path))
@json_option
@click.pass_context
def check(context: click.Context, path: Path, as_json: bool) -> None:
    """Say what a set, or a folder of sets, holds and what is wrong with it.

    Exits with 1 if a record or a whole set cannot be used.
    """
    found = check_sets(path, settings_of_process())
    if as_json:
        print_json({"sets": [one.to_dict() for one in found]})
    else:
        print_table(("set", "", ""), (row for one in found for row in _rows(one)), header=False)
    if not all(one.is_sound for one in found):
        context.exit(1)


@sets.command("from-chats")
@_out_option
@click.option(
    "--rated",
    type=click.Choice([value.value for value in RatingValue]),
    help="Only questions whose answer somebody rated so.",
)
@click.option(
    "--since",
    type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"]),
    help="Only questions answered then or later, local time.",
)
@click.option("-c", "--collection", help="Only questions of chats about this collection.")
@click.option("--limit", default=1000, show_default=True, type=click.IntRange(1, 10_000))
@_replace_option
@json_option
def from_chats(
    out: Path,
    rated: str | None,
    since: datetime | None,
    collection: str | None,
    limit: int,
    replace: bool,
    as_json: bool,
) -> None:
    """Write the questions that users asked to FILE, with answers, ratings and notes.

    An answer rated up becomes the reference; every other one is kept beside the question. The
    file holds what people wrote, personal data included: look through it before you share it.
    """

    async def work(runtime: Runtime) -> ChatSet:
        return await write_chat_set(
            runtime.database,
            out,
            rated=RatingValue(rated) if rated else None,
            since=since.astimezone() if since else None,
            collection=collection,
            limit=limit,
            replace=replace,
        )

    made = with_runtime(work)
    if as_json:
        print_json(made.to_dict())
    else:
        print_table(
            ("file", "questions", "chats", "rated up", "rated down", "notes"),
            [(made.path, made.questions, made.chats, made.up, made.down, made.notes)],
        )
    click.echo(
        "The file holds what people wrote, word for word; only its owner can read it. Whether it "
        "may be kept or shared is for you to say.",
        err=True,
    )


@sets.command("synthesize")
@click.option("-c", "--collection", required=True, help="Whose documents are asked about.")
@click.option(
    "--n", "questions", default=50, show_default=True, type=click.IntRange(1, 10_000),
    help="How many questions there are to be.",
)  # fmt: skip
@_out_option
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0, 2**31 - 1))
@click.option(
    "--unanswerable", default=0.2, show_default=True, type=click.FloatRange(0, 1),
    help="Share of questions that the documents do not answer.",
)  # fmt: skip
@click.option(
    "--two-passages", "two", default=0.2, show_default=True, type=click.FloatRange(0, 1),
    help="Share of questions that need two passages.",
)  # fmt: skip
@click.option(
    "--paraphrase", default=0.25, show_default=True, type=click.FloatRange(0, 1),
    help="Share of questions in other words than the document's.",
)  # fmt: skip
@click.option(
    "--k", default=10, show_default=True, type=click.IntRange(1, 100),
    help="Hits among which a question's source is looked for.",
)  # fmt: skip
@click.option("--verify", is_flag=True, help="Ask the model too whether the quotes alone answer.")
@click.option("--temperature", default=0.7, show_default=True, type=click.FloatRange(0, 10))
@click.option(
    "--attempts", default=4, show_default=True, type=click.IntRange(1, 100),
    help="Most attempts for each question.",
)  # fmt: skip
@click.option("--parallel", default=4, show_default=True, type=click.IntRange(1, 256))
@_replace_option
@json_option
def make(out: Path, replace: bool, as_json: bool, **given: Any) -> None:
    """Have a model make questions of stored documents, with answers and quotes; checks each.

    Run again, it goes on where it was broken off (FILE.log has every attempt), or adds to a set
    when --n is higher. Needs a model: set ROSTRA_MODEL, or ROSTRA_CHAT_URL and ROSTRA_CHAT_MODEL.
    """
    options = SynthesisOptions(**given)

    async def work(runtime: Runtime) -> SynthesisReport:
        with bar() as shown:
            task = shown.add_task("questions", total=None)
            return await synthesize(
                runtime,
                out,
                options,
                replace=replace,
                on_question=lambda done, total: show(shown, task, done, total),
            )

    made = with_runtime(work)
    if as_json:
        print_json(made.to_dict())
        return
    rows: list[tuple[str, object]] = [
        ("file", made.path),
        ("questions", f"{made.questions} of {made.wanted}, {made.before} made before"),
        *((f"  {kind}", count) for kind, count in made.kinds.items()),
        (
            "not found by search",
            f"{made.missed} of those with an answer, among the top {options.k}",
        ),
        ("attempts", made.attempts),
        *((f"  dropped: {plain(why)}", count) for why, count in made.dropped.items()),
        ("tokens", f"{made.usage.prompt_tokens:,} read, {made.usage.completion_tokens:,} written"),
    ]
    if made.usage.cost:
        rows.append(("cost", f"{made.usage.cost:.4f}"))
    print_table(("", ""), rows, header=False)
    if made.short:
        click.echo(f"fewer than asked for: {made.short}", err=True)


def _rows(found: SetCheck) -> list[tuple[object, object, object]]:
    """A set's lines: what there is, what is counted, what is wrong."""
    rows: list[tuple[object, object, object]] = [(found.path, found.format, "")]
    if found.error:
        return [*rows, ("", "cannot be used", plain(found.error))]
    rows += [("", name, count) for name, count in found.facts.items()]
    for name, counts in found.values.items():
        rows += [("", f"{name}: {plain(value)}", count) for value, count in counts.items()]
    for problem in found.problems:
        where = ", ".join(problem.examples)
        rows.append(("", "left out", plain(f"{problem.count}: {problem.reason} ({where})")))
    rows += [("", "note", plain(warning)) for warning in found.warnings]
    return rows
