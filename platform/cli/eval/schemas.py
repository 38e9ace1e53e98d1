"""`rostra eval run schemas`: JSON schemas as grammars."""

from pathlib import Path

import click

from evals import evaluate_schemas
from rostra.cli.bars import bar, show
from rostra.cli.output import json_option, print_json, print_table


@click.command("schemas")
@click.option(
    "--data",
    required=True,
    type=click.Path(path_type=Path),
    help="Folder of the set, or of several.",
)
@json_option
def schemas(data: Path, as_json: bool) -> None:
    """How many JSON schemas grammars hold, and whether they tell valid from invalid instances.

    A folder of MaskBench or JSON-Schema-Test-Suite files, or of folders of them.
    """
    with bar() as shown:
        compile_ = shown.add_task("schemas", total=None)
        report = evaluate_schemas(
            data, on_case=lambda done, total: show(shown, compile_, done, total)
        )
    scores = report.to_dict()
    if as_json:
        print_json(scores)
        return
    print_table(
        ("measure", "value"),
        (
            ("schemas accepted", f"{scores['accepted']} of {scores['schemas']}"),
            ("schemas refused", scores["refused"]),
            ("valid accepted", f"{scores['valid_accepted']} of {scores['valid']}"),
            ("invalid rejected", f"{scores['invalid_rejected']} of {scores['invalid']}"),
            *((f"  refused for {why}", count) for why, count in report.reasons.most_common(12)),
        ),
    )
