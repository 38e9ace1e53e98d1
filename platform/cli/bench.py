"""`rostra bench`: how fast this machine decodes and searches, beside peers and part by part."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.progress import TaskID

from evals import (
    SEARCH_PEERS,
    SIZES,
    Ablation,
    DecodeReport,
    measure_decode,
    measure_search,
    peer_names,
    run_ablations,
    write_random_checkpoint,
)
from rostra.cli.bars import bar, show
from rostra.cli.output import json_option, print_json, print_table, settings_of_process
from rostra.serving import EngineConfig, engine_config, resolve_checkpoint

model_option = click.option(
    "--model", help="Checkpoint: a folder or a hub id; by default one with 335M random weights."
)

_RANDOM_CONTEXT = 4096


class _Names(click.ParamType[tuple[Any, ...]]):
    """Values between commas, each checked."""

    def __init__(self, name: str, read: Callable[[str], Any]) -> None:
        self.name = name
        self._read = read

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[Any, ...]:
        if not isinstance(value, str):
            return tuple(value)
        try:
            return tuple(self._read(part.strip()) for part in value.split(",") if part.strip())
        except ValueError as error:
            self.fail(str(error), param, ctx)


def _batch(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= 1024:
        raise ValueError(f"{text!r} is no batch size from 1 to 1024")
    return int(text)


def _peer(text: str) -> str:
    if text not in peer_names():
        raise ValueError(f"{text!r} is none of {', '.join(peer_names())}")
    return text


def _search_peer(text: str) -> str:
    if text not in SEARCH_PEERS:
        raise ValueError(f"{text!r} is none of {', '.join(SEARCH_PEERS)}")
    return text


@click.group("bench")
def command() -> None:
    """Measure the decoder and search on this machine."""


@command.command("decode")
@model_option
@click.option("--batch", "batches", type=_Names("sizes", _batch), default="1,16", show_default=True)
@click.option("--prompt-tokens", type=click.IntRange(1, 100_000), default=256, show_default=True)
@click.option("--new-tokens", type=click.IntRange(2, 100_000), default=64, show_default=True)
@click.option("--rounds", type=click.IntRange(1, 100), default=3, show_default=True)
@click.option("--compare", type=_Names("peers", _peer), default=(), help="Peers, by commas.")
@click.option("--weights", type=click.Choice(["none", "int8", "int4"]), help="ROSTRA_WEIGHTS.")
@json_option
def decode(
    model: str | None,
    batches: tuple[int, ...],
    prompt_tokens: int,
    new_tokens: int,
    rounds: int,
    compare: tuple[str, ...],
    weights: str | None,
    as_json: bool,
) -> None:
    """Prefill and decode speed at given batch sizes, beside peers in the same run."""
    config = _config(weights)
    with _checkpoint(model, prompt_tokens + new_tokens) as folder:
        report = measure_decode(
            folder,
            batches=batches,
            prompt_tokens=prompt_tokens,
            new_tokens=new_tokens,
            config=config,
            compare=compare,
            rounds=rounds,
            progress=_tell,
        )
    if as_json:
        print_json(report.to_dict())
    else:
        _print_decode(report)


@command.command("ablations")
@model_option
@click.option("--size", type=click.Choice(sorted(SIZES)), default="full", show_default=True)
@click.option("--only", help="Run the mechanisms whose name contains this.")
@json_option
def ablations(model: str | None, size: str, only: str | None, as_json: bool) -> None:
    """What each mechanism of the engine buys: the same work with and without it."""
    with _checkpoint(model) as folder:
        rows = run_ablations(folder, _config(None), SIZES[size], _tell, only=only)
    if as_json:
        print_json({"results": [row.to_dict() for row in rows]})
    else:
        print_table(("mechanism", "measure", "without", "with", "ratio"), map(_cells, rows))


@command.command("search")
@click.option("--chunks", type=click.IntRange(100, 100_000_000), default=100_000, show_default=True)
@click.option("--dimensions", type=click.IntRange(8, 4096), default=384, show_default=True)
@click.option("--queries", type=click.IntRange(10, 10_000), default=200, show_default=True)
@click.option(
    "--compare",
    type=_Names("peers", _search_peer),
    default=",".join(SEARCH_PEERS),
    show_default=True,
    help="Peers, by commas; empty for none.",
)
@click.option(
    "--keep",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder that keeps rows and indexes; used again when the numbers are the same. "
    "Without it they lie in TMPDIR and are removed.",
)
@json_option
def search(
    chunks: int,
    dimensions: int,
    queries: int,
    compare: tuple[str, ...],
    keep: Path | None,
    as_json: bool,
) -> None:
    """Search over many chunks: latency, adding one, starting, memory and recall, beside peers.

    Texts follow Zipf's law, vectors are real passages' with noise. A million chunks take about ten
    minutes and 10 GB of disk.
    """
    with bar() as shown:
        phases: dict[str, TaskID] = {}

        def tell(phase: str, done: int, total: int) -> None:
            if phase not in phases:
                for earlier in phases.values():
                    shown.update(earlier, visible=False)
                phases[phase] = shown.add_task(phase, total=None)
            show(shown, phases[phase], done, total)

        found = measure_search(
            chunks,
            dimensions=dimensions,
            questions=queries,
            compare=compare,
            keep=keep,
            tell=tell,
        )
    if as_json:
        print_json(found.to_dict())
    else:
        print_table(("measure", "value"), found.rows())
        click.echo(f"{found.figures['device']}; --json says what each is", err=True)


def _cells(row: Ablation) -> tuple[str, ...]:
    figures = (row.without, row.with_it, row.ratio)
    return (row.mechanism, row.measure, *(f"{value:,.2f}" for value in figures))


def _print_decode(report: DecodeReport) -> None:
    peers = [
        (name, row["batch"], row["prefill_tok_s"], row["decode_tok_s"], row["ttft_ms"],
         row["tpot_ms"], "", row["prefill_ratio"], row["decode_ratio"])
        for name, rows in report.peers.items()
        for row in rows
    ]  # fmt: skip
    ours = [
        ("rostra", row.batch, row.prefill_tok_s, row.decode_tok_s, row.ttft_ms, row.tpot_ms,
         row.roofline_fraction, "", "")
        for row in report.results
    ]  # fmt: skip
    headings = ("engine", "batch", "prefill tok/s", "decode tok/s", "TTFT ms", "TPOT ms",
                "of roofline", "rostra/it, prefill", "rostra/it, decode")  # fmt: skip
    rows = sorted([*ours, *peers], key=lambda row: int(row[1]))
    print_table(headings, rows)
    click.echo(
        f"{report.device}, {report.dtype}; memory reads {report.bandwidth_gb_s} GB/s", err=True
    )


def _config(weights: str | None) -> EngineConfig:
    config = engine_config(settings_of_process())
    return msgspec.structs.replace(config, weights=weights) if weights else config


@contextmanager
def _checkpoint(model: str | None, context: int = 0) -> Iterator[Path]:
    """The model named, or one of random weights whose context holds at least so many tokens."""
    if model is not None:
        yield resolve_checkpoint(model)
        return
    with tempfile.TemporaryDirectory(prefix="rostra-bench-") as folder:
        _tell("writing 335M random weights")
        yield write_random_checkpoint(Path(folder), max_context=max(_RANDOM_CONTEXT, context))


def _tell(text: str) -> None:
    click.echo(f"  {text}", err=True)
