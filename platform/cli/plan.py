"""`rostra plan`: what of a decoder fits this machine, before anything is loaded."""

import dataclasses

import click

from rostra.cli.output import json_option, print_json, print_table, settings_of_process
from rostra.core import InvalidRequest
from rostra.serving import Plan, engine_config, locate_config, make_plan, missing_files

_MIB = 1024**2
_GIB = 1024**3
_MOST_NAMES = 5


@click.command("plan")
@click.argument("model", required=False)
@click.option(
    "--context",
    type=click.IntRange(16),
    default=None,
    help="Tokens of prompt and output together.  [default: all that the model takes]",
)
@click.option(
    "--dtype",
    type=click.Choice(["auto", "float32", "bfloat16", "float16"]),
    default=None,
    help="Of activations and of weights that are not quantized.",
)
@click.option(
    "--weights",
    type=click.Choice(["none", "int8", "int4"]),
    default=None,
    help="Weight-only quantization.",
)
@click.option("--device", default=None, help="Device to plan for: auto, cpu, cuda, cuda:1.")
@json_option
def command(
    model: str | None,
    context: int | None,
    dtype: str | None,
    weights: str | None,
    device: str | None,
    as_json: bool,
) -> int:
    """Say what MODEL takes and how much of it fits this machine.

    MODEL is a folder or a hub id; without it the one set by ROSTRA_MODEL is meant. Only its
    config.json is read; of a folder it is also said which files are missing. Exit status 1 says
    that it does not fit, or that files are missing.
    """
    settings = settings_of_process(
        model=model, max_context=context, dtype=dtype, weights=weights, device=device
    )
    if not settings.model:
        raise InvalidRequest("no model to plan for", hint="Name one, or set ROSTRA_MODEL.")
    found = make_plan(locate_config(settings.model), engine_config(settings))
    missing = missing_files(settings.model)
    if as_json:
        told = {"model": settings.model, "fits": found.fits, "missing": missing}
        print_json(told | dataclasses.asdict(found))
    else:
        rows = _rows(settings.model, found)
        if missing:
            rows.append(("missing", _listed(missing)))
        print_table(("what", "size"), rows, header=False)
    return 0 if found.fits and not missing else 1


def _listed(names: list[str]) -> str:
    """Names of files, the first of them where there are many."""
    shown = ", ".join(names[:_MOST_NAMES])
    more = len(names) - _MOST_NAMES
    return f"{shown} and {more} more" if more > 0 else shown


def _rows(model: str, found: Plan) -> list[tuple[str, str]]:
    format_ = found.dtype if found.weights == "none" else f"{found.weights}, {found.dtype}"
    rows = [
        ("model", f"{model} ({found.architecture})"),
        ("device", f"{found.device} ({found.device_name}), {_size(found.total_bytes)}"),
        ("free now", _size(found.free_bytes)),
        ("weights", f"{_size(found.weight_bytes)} ({format_})"),
        ("activations", f"up to {_size(found.activation_bytes)} in the largest step"),
        ("keys and values", f"{_size(found.kv_bytes_per_token)} a token"),
        (
            "a sequence",
            f"{_size(found.kv_bytes_per_sequence)} at {found.max_context:,} tokens of context",
        ),
    ]
    if found.problem is not None:
        return [*rows, ("does not fit", found.problem)]
    return [
        *rows,
        (
            "fits",
            f"{found.kv_tokens:,} tokens in {found.blocks:,} blocks, {_size(found.kv_bytes)}: "
            f"{found.sequences:,} sequences at {found.max_context:,} tokens",
        ),
    ]


def _size(count: int) -> str:
    if count >= _GIB:
        return f"{count / _GIB:.2f} GiB"
    if count >= _MIB:
        return f"{count / _MIB:.1f} MiB"
    return f"{count / 1024:.1f} KiB"
