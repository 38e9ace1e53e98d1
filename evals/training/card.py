"""A model's card and scores: what it is, of what data, how it was trained, how well it does.

What always holds: a score stands beside the command that measures it.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evals.training.atomic import write_whole
from evals.training.loop import Checkpoint
from evals.training.work import Work

CARD = "card.md"
_SCORES = "scores.json"
# Of the sources that a card may name, by what its name begins with.
_LICENCES = {
    "postgresql-doc": "PostgreSQL licence",
    "python3.11": "PSF licence",
    "xquad": "CC BY-SA 4.0",
    "covid-qa": "Apache-2.0",
}
_ENCODER = "all-MiniLM-L6-v2 (Apache-2.0)"


@dataclass(frozen=True, slots=True)
class Card:
    """See this module.

    Attributes:
        what: it is, in a sentence or two.
        sources: of the examples' manifest.
        counts: of examples, by part and kind; kinds in the order in which they are shown.
        scores: on what was held out, by name.
        limits: a sentence each.
        kinds: what sets the kinds of examples apart, if their names do not say it.
    """

    name: str
    what: str
    sources: Mapping[str, Any]
    counts: Mapping[str, Mapping[str, int]]
    scores: Mapping[str, float]
    limits: tuple[str, ...]
    kinds: str = ""


def write_card(work: Work, found: Checkpoint, card: Card) -> Path:
    """Writes a card beside the exported files of a model; returns its path.

    Args:
        found: the training that the model is of.
    """
    config = work.config
    lines = [
        f"# {card.name}",
        "",
        card.what,
        "",
        "## Data",
        "",
        f"Begun from {_ENCODER}.",
        "",
        *_data(card.sources),
        "",
        f"| {', '.join(filter(None, ('examples', card.kinds)))} | {' | '.join(_kinds(card))} |",
        "|---|" + "---|" * len(_kinds(card)),
        *(
            f"| {file.removesuffix('.jsonl')} | "
            + " | ".join(str(of.get(kind, 0)) for kind in _kinds(card))
            + " |"
            for file, of in card.counts.items()
        ),
        "",
        "One page of ten, by a hash of its name, and one passage of ten of the reading set are "
        "held out: in no example that is trained on.",
        "",
        "## Training",
        "",
        f"`python -m evals.training train {card.name} --recipe {config.recipe}`: seed "
        f"{config.seed}, {found.step:,} steps in {found.seconds / 60:.0f} minutes.",
        "",
        "## Scores",
        "",
        f"On what was held out, by `python -m evals.training measure {card.name}`:",
        "",
        "| measure | score |",
        "|---|---|",
        *(f"| {name} | {value:.4f} |" for name, value in card.scores.items()),
        "",
        "## Limits",
        "",
        *(f"- {limit}" for limit in card.limits),
        "",
    ]
    path = work.exported / CARD
    write_whole(path, "\n".join(lines))
    return path


def write_scores(
    work: Work, name: str, found: Checkpoint, scores: Mapping[str, float]
) -> Mapping[str, Any]:
    """Writes a model's scores into its folder; returns what stands there.

    Args:
        found: the training that they are of.
    """
    told = {
        "model": name,
        "steps": found.step,
        "minutes": round(found.seconds / 60, 1),
        "scores": {measure: round(value, 4) for measure, value in scores.items()},
    }
    write_whole(work.folder / _SCORES, json.dumps(told, indent=2) + "\n")
    return told


def with_licences(names: Iterable[str]) -> str:
    """Sources by name, each with its licence where that is known."""
    return ", ".join(f"{one}{_licence(one)}" for one in names)


def _kinds(card: Card) -> list[str]:
    return list(dict.fromkeys(kind for of in card.counts.values() for kind in of))


def _data(sources: Mapping[str, Any]) -> list[str]:
    found = []
    if "pages" in sources:
        packages = with_licences(sources.get("packages", []))
        named = packages or sources.get("collection", "documents")
        found.append(
            f"- {sources['pages']:,} pages, {sources.get('passages', 0):,} passages, of {named}; "
            f"sha256 of their texts {sources.get('texts', '')}"
        )
    if "reading" in sources:
        named = with_licences(sources["reading"])
        found.append(f"- Reading questions of {named}; sha256 {sources.get('reading_sha256', '')}")
    return found or ["- Not recorded."]


def _licence(name: str) -> str:
    known = next((of for begins, of in _LICENCES.items() if name.startswith(begins)), None)
    return f" ({known})" if known else ""
