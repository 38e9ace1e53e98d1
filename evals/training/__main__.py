"""`python -m evals.training build|train|export|measure|seal MODEL`, and `... heldout --out DIR`.

Exit codes: 0 done, 2 what was given cannot be used, 1 anything else.
"""

import asyncio
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from evals.training.config import RECIPES, read_config
from evals.training.registry import TrainableModel, trainable_model
from evals.training.shipping import ship
from evals.training.work import DOCS, Sources, Work
from rostra.core import ConfigError, RostraError, configure_logging, load_settings

_COMMON: tuple[Callable[..., Any], ...] = (
    click.argument("model"),
    click.option(
        "--work",
        "folder",
        type=click.Path(path_type=Path),
        help="Where all of it is; training/MODEL below the data directory by default.",
    ),
    click.option("--config", type=click.Path(path_type=Path), help="TOML; the model's by default."),
    click.option("--recipe", type=click.Choice(RECIPES), default="cpu", show_default=True),
    click.option(
        "--docs",
        multiple=True,
        type=click.Path(path_type=Path),
        help="Folders of HTML pages; Debian's postgresql-doc-15 and python3.11-doc by default.",
    ),
    click.option("--collection", help="Of the data directory, in place of --docs."),
    click.option(
        "--reading", type=click.Path(path_type=Path), help="Reading questions, JSON lines."
    ),
)


def _with_common(command: Callable[..., None]) -> Callable[..., None]:
    for option in reversed(_COMMON):
        command = option(command)
    return command


@click.group()
def main() -> None:
    """Train the small models that ship with the product."""
    settings = load_settings()
    configure_logging(settings.log_level, settings.log_format)


@main.command()
@_with_common
def build(**given: Any) -> None:
    """Write the examples."""
    model, work = _opened(**given)
    model.build(work)


@main.command()
@click.option("--minutes", type=float, help="Of this piece; to the recipe's end by default.")
@_with_common
def train(minutes: float | None, **given: Any) -> None:
    """Train on from the checkpoint that is there."""
    model, work = _opened(**given)
    model.train(work, minutes)


@main.command()
@_with_common
def export(**given: Any) -> None:
    """Write the trained model and its card as they would be shipped."""
    model, work = _opened(**given)
    model.export(work)


@main.command()
@_with_common
def measure(**given: Any) -> None:
    """Print scores on what was held out, as JSON."""
    model, work = _opened(**given)
    click.echo(json.dumps(model.measure(work), indent=2))


@main.command(name="seal")
@_with_common
def seal_model(**given: Any) -> None:
    """Put what `export` wrote into the package, and seal it there."""
    _, work = _opened(**given)
    click.echo(f"sealed {ship(given['model'], work.exported)}", err=True)


@main.command()
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder to write.")
@click.option("--answerable", type=click.IntRange(1), default=300, show_default=True)
@click.option("--unanswerable", type=click.IntRange(1), default=300, show_default=True)
@click.option("--seed", type=int, default=11, show_default=True)
@click.option("--docs", multiple=True, type=click.Path(path_type=Path))
@click.option("--collection", help="Of the data directory, in place of --docs.")
@click.option(
    "--reading",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="People's questions with passages as JSON lines, in place of questions over pages.",
)
def heldout(
    out: Path,
    answerable: int,
    unanswerable: int,
    seed: int,
    docs: tuple[Path, ...],
    collection: str | None,
    reading: Path | None,
) -> None:
    """Write questions over texts that were never trained on, for `rostra eval run rag`."""
    from evals.training.heldout.command import build_held_out

    sources = Sources(docs or DOCS, collection, reading)
    told = asyncio.run(
        build_held_out(load_settings(), sources, out, answerable, unanswerable, seed)
    )
    click.echo(json.dumps(told, indent=2))


def _opened(
    model: str,
    folder: Path | None,
    config: Path | None,
    recipe: str,
    docs: tuple[Path, ...],
    collection: str | None,
    reading: Path | None,
) -> tuple[TrainableModel, Work]:
    settings = load_settings()
    found = trainable_model(model)
    work = Work(
        (folder or settings.home / "training" / model).absolute(),
        read_config(config or found.config, recipe),
        settings,
        Sources(docs or DOCS, collection, reading),
        lambda line: click.echo(line, err=True),
    )
    return found, work


def run(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; returns its exit code.

    Args:
        arguments: of the process by default.
    """
    try:
        main(arguments, standalone_mode=False)
    except click.exceptions.Exit as ended:
        return ended.exit_code
    except click.ClickException as error:
        error.show()
        return 2
    except click.Abort:
        return 130
    except RostraError as error:
        click.echo(f"error: {error.message}", err=True)
        if error.hint:
            click.echo(error.hint, err=True)
        return 2 if error.status < 500 or isinstance(error, ConfigError) else 1
    except OSError as error:  # a full disk, a folder that may not be written
        click.echo(f"error: {error}", err=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(run())
