"""The rotation that ships for the packaged encoder; see `rostra.retrieval.Rotation`.

Made of texts of several kinds, so that it serves collections that nobody knows yet: pages of the
documentation, passages and questions of the reading set, and single words of the encoder's own
vocabulary, which are about anything. First the directions in which these vary most, each kind
counting as the configuration says, however many texts it has; from there a rotation is learned
(`evals.training.matryoshka`). What it keeps is measured on questions that were held out.

What always holds: no held-out page or passage is fitted on, nor are questions of held-out passages;
equal sources give an equal rotation.
"""

import asyncio
import json
import random
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np

from evals.training.atomic import replacing, write_whole
from evals.training.card import with_licences
from evals.training.errors import ExamplesMissing, SourcesMissing, TrainingNotDone
from evals.training.examples.drafts import heading_drafts, prose_of
from evals.training.examples.reading import read_reading_set
from evals.training.matryoshka import Learning, learn_rotation
from evals.training.pages import Passage, read_pages
from evals.training.sources import open_sources
from evals.training.work import Work
from rostra.core import FloatMatrix, FloatVector
from rostra.retrieval import (
    SHIPPED_ROTATION,
    Rotation,
    SentenceEmbedder,
    load_embedder,
    load_rotation,
    shipped_rotation,
    truncate,
)
from rostra.store import get_collection

_VECTORS = "vectors.npz"
_MANIFEST = "manifest.json"
_DIMENSIONS = (32, 64, 128, 192, 256)
_DEPTH = 10
_SHORTEST_WORD = 4
_COMMAND = "python -m evals.training"


class Building(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The table `build`: words to fit on, and questions of held-out pages to measure by."""

    words: int = 4000
    questions: int = 1000


# What is asked of what while learning.
_ASKED = {
    "reading": ("fit-questions", "fit-passages"),
    "passages": ("fit-passages", "fit-passages"),
    "pages": ("fit-pages", "fit-pages"),
    "words": ("fit-words", "fit-words"),
}
_Kind = Literal["reading", "passages", "pages", "words"]


class Turns(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The table `turns`: kinds of questions in the order in which steps of learning take them."""

    kinds: list[_Kind]


class Shares(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The table `fit`: how much each kind of text counts."""

    pages: float
    passages: float
    questions: float
    words: float


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Questions, each with the row of the passage that answers it.

    Attributes:
        questions: float32 [questions, width].
        passages: what is searched, those that were fitted on among them; float32 [n, width].
        gold: int64 [questions].
    """

    questions: FloatMatrix
    passages: FloatMatrix
    gold: Any


class RotationModel:
    """See this module."""

    config = Path(__file__).with_name("rotation.toml")

    def build(self, work: Work) -> None:
        """See `TrainableModel`."""
        arrays, told = asyncio.run(_embedded(work))
        with replacing(work.examples / _VECTORS) as draft, draft.open("wb") as file:
            np.savez(file, **arrays)
        told["digest"] = work.config.digest("build")
        write_whole(work.examples / _MANIFEST, json.dumps(told, indent=2) + "\n")
        work.tell(", ".join(f"{len(array)} {name}" for name, array in arrays.items()))

    def train(self, work: Work, minutes: float | None) -> None:
        """See `TrainableModel`; in one piece, it takes a minute or two."""
        arrays, told = _built(work)
        shares = msgspec.structs.asdict(work.config.section("fit", Shares))
        kinds = {name: arrays[f"fit-{name}"] for name in shares}
        rotation = fit_mixed(kinds, shares, told["revision"])
        turns = work.config.section("turns", Turns).kinds
        asked = [(arrays[one], arrays[other]) for one, other in (_ASKED[kind] for kind in turns)]
        learning = work.config.section("learn", Learning)
        if learning.steps:
            weight = learn_rotation(asked, rotation.weight, learning, work.config.seed, work.tell)
            rotation = Rotation(weight, told["revision"])
        rotation.save(work.run / SHIPPED_ROTATION)
        work.tell(f"rotation {rotation.sha256[:12]}")

    def export(self, work: Work) -> None:
        """See `TrainableModel`."""
        rotation = _trained(work)
        rotation.save(work.exported / SHIPPED_ROTATION)
        (work.exported / SHIPPED_ROTATION).chmod(0o644)  # safetensors writes it for its owner alone
        write_whole(work.exported / "card.md", _card(work, rotation))
        work.tell(f"exported to {work.exported}")

    def measure(self, work: Work) -> Mapping[str, Any]:
        """See `TrainableModel`."""
        arrays, _ = _built(work)
        rotation = _trained(work)
        told: dict[str, Any] = {"rotation": rotation.sha256}
        for name in ("pages", "reading"):
            held = HeldOut(*(arrays[f"{name}-{part}"] for part in ("asked", "searched", "gold")))
            told[name] = measured(held, rotation)
        return told


MODEL = RotationModel()


def fit_mixed(
    kinds: Mapping[str, FloatMatrix], shares: Mapping[str, float], revision: str
) -> Rotation:
    """The directions in which a mixture of texts varies, those in which it varies most first.

    Args:
        kinds: unit vectors by kind, float32 [n, width].
        shares: how much each kind counts; they need not add up to 1.
        revision: of the encoder.
    """
    total = sum(shares[name] for name in kinds)
    weights = {name: shares[name] / total for name in kinds}
    mean = sum(weights[name] * of.mean(axis=0, dtype=np.float64) for name, of in kinds.items())
    width = next(iter(kinds.values())).shape[1]
    covariance = np.zeros((width, width))
    for name, vectors in kinds.items():
        centred = vectors.astype(np.float64) - mean
        covariance += weights[name] / len(vectors) * (centred.T @ centred)
    return Rotation.of_covariance(covariance, revision)


def measured(held: HeldOut, rotation: Rotation) -> dict[str, Any]:
    """nDCG@10 at full width, and by dimension what truncated vectors keep of it."""
    full = _ndcg(held, held.questions.shape[1], None)
    kept = {
        str(dimensions): {
            "plain": round(_ndcg(held, dimensions, None) / full, 4),
            "rotated": round(_ndcg(held, dimensions, rotation) / full, 4),
        }
        for dimensions in _DIMENSIONS
    }
    return {"questions": len(held.gold), "ndcg@10": round(full, 4), "kept": kept}


def _ndcg(held: HeldOut, dimensions: int, rotation: Rotation | None) -> float:
    """Of one relevant passage a question: 1 / log2(rank + 1) within the first ten."""
    asked, searched = held.questions, held.passages
    if rotation is not None:
        asked, searched = rotation.apply(asked), rotation.apply(searched)
    scores = truncate(asked, dimensions) @ truncate(searched, dimensions).T
    own = scores[np.arange(len(scores)), held.gold]
    before = (scores > own[:, None]).sum(axis=1)
    gains: FloatVector = np.where(before < _DEPTH, 1 / np.log2(before + 2.0), 0.0)
    return float(gains.mean())


async def _embedded(work: Work) -> tuple[dict[str, Any], dict[str, Any]]:
    """Plain vectors of all texts, and what they were made of."""
    building = work.config.section("build", Building)
    if work.sources.reading is None:
        raise SourcesMissing("the rotation needs a reading set", hint="Name one with --reading.")
    reading = await asyncio.to_thread(read_reading_set, work.sources.reading)
    async with open_sources(work.settings, work.sources) as runtime:
        pages = await read_pages(runtime, work.sources)
        async with runtime.database.read() as session:
            space = (await get_collection(session, pages.collection)).space
    plain = work.settings.model_copy(
        update={"embedding_rotation": "off", "embedding_dimensions": None}
    )
    embedder = await asyncio.to_thread(load_embedder, plain)
    rows = pages.vectors
    if space.rotation:
        shipped = shipped_rotation(space.revision)
        if shipped is None or shipped.sha256 != space.rotation:
            raise SourcesMissing("the collection's vectors have a rotation that does not ship")
        rows = shipped.undo(rows)
    if space.revision != embedder.space.revision or rows.shape[1] != embedder.space.dimensions:
        raise SourcesMissing("the collection's vectors are not the encoder's, at full width")
    work.tell(f"{len(rows)} passages of the pages")

    drafts = _heading_questions(pages.passages, building.questions, work.config.seed)
    trained_on = np.array([not one.is_held_out for one in pages.passages])
    texts = await asyncio.to_thread(embedder.embed_documents, [p.text for p in reading.passages])
    questions = [text for text, _, _ in reading.questions]
    places = np.array([place for _, place, _ in reading.questions])
    asked = await asyncio.to_thread(embedder.embed_documents, questions)
    own = np.array([not one.is_held_out for one in reading.passages])
    words = await asyncio.to_thread(
        embedder.embed_documents, _words(embedder, building.words, work.config.seed)
    )
    headings = await asyncio.to_thread(embedder.embed_documents, [text for text, _ in drafts])
    arrays = {
        "fit-pages": rows[trained_on],
        "fit-passages": texts[own],
        "fit-questions": asked[own[places]],
        "fit-words": words,
        "pages-asked": headings,
        "pages-searched": rows,
        "pages-gold": np.array([place for _, place in drafts], np.int64),
        "reading-asked": asked[~own[places]],
        "reading-searched": texts,
        "reading-gold": places[~own[places]],
    }
    told = {
        "revision": embedder.space.revision,
        "packages": sorted({one.page.split("/")[0] for one in pages.passages})[:20],
        "pages": len({one.page for one in pages.passages}),
        "reading": reading.names,
        "reading_sha256": reading.digest,
        "counts": {name: len(array) for name, array in arrays.items()},
    }
    return arrays, told


def _heading_questions(passages: list[Passage], count: int, seed: int) -> list[tuple[str, int]]:
    """Headings of held-out pages as questions, each with the place of its section's beginning."""
    prose = prose_of(passages)
    held = [
        numbers if one.is_held_out else [] for one, numbers in zip(passages, prose, strict=True)
    ]
    drafts = heading_drafts(passages, held, count, random.Random(f"{seed}-headings"))
    return [(one.question, one.place) for one in drafts]


def _words(embedder: SentenceEmbedder, count: int, seed: int) -> list[str]:
    """Whole words of the encoder's vocabulary."""
    known = embedder.model.tokenizer.get_vocab()
    whole = sorted(
        word for word in known if word.isascii() and word.isalpha() and len(word) >= _SHORTEST_WORD
    )
    return random.Random(f"{seed}-words").sample(whole, min(count, len(whole)))


def _built(work: Work) -> tuple[dict[str, Any], dict[str, Any]]:
    try:
        told = json.loads((work.examples / _MANIFEST).read_text("utf-8"))
        with np.load(work.examples / _VECTORS, allow_pickle=False) as arrays:
            found = dict(arrays)
    except (OSError, ValueError) as error:
        raise ExamplesMissing(
            f"there are no whole vectors in {work.examples}: {error}",
            hint=f"Run `{_COMMAND} build rotation`.",
        ) from None
    if told.get("digest") != work.config.digest("build"):
        raise ExamplesMissing(
            f"the vectors in {work.examples} are of another configuration",
            hint=f"Run `{_COMMAND} build rotation`.",
        )
    return found, told


def _trained(work: Work) -> Rotation:
    path = work.run / SHIPPED_ROTATION
    if not path.is_file():
        raise TrainingNotDone("no rotation is fitted", hint=f"Run `{_COMMAND} train rotation`.")
    return load_rotation(path)


def _learned(work: Work) -> str:
    learning, turns = work.config.section("learn", Learning), work.config.section("turns", Turns)
    if not learning.steps:
        return "Nothing was learned beyond the components."
    kinds = ", ".join(turns.kinds)
    return (
        f"{learning.steps:,} steps of learning, questions of {kinds} in turn, take\n"
        "half a minute of one core; embedding the texts takes longer. What is learned: that the\n"
        "cosines of truncated vectors to a pool of passages are distributed as those at full width."
    )


def _card(work: Work, rotation: Rotation) -> str:
    _, told = _built(work)
    scores = MODEL.measure(work)
    counts, shares = told["counts"], work.config.section("fit", Shares)
    rows = []
    for name, title in (("pages", "headings of held-out pages"), ("reading", "held-out questions")):
        of = scores[name]
        for dimensions, kept in of["kept"].items():
            rows.append(
                f"| {title} ({of['questions']}, nDCG@10 {of['ndcg@10']:.4f} at full width) "
                f"| {dimensions} | {kept['plain']:.1%} | {kept['rotated']:.1%} |"
            )
    return f"""# rotation

An orthogonal matrix of 384 by 384 for the vectors of all-MiniLM-L6-v2 (weights
{told["revision"][:12]}): their first coordinates then tell the most, so that they can be cut.
Cosines at full width stay what they were. sha256 of the matrix: {rotation.sha256}.

## Data

No text is in the file, only directions: begun as the principal components of a weighted
covariance, the shares of which are below, then learned.

| texts | number | share |
|---|---|---|
| passages of pages of {with_licences(told["packages"])} \
| {counts["fit-pages"]:,} | {shares.pages:g} |
| passages of {with_licences(told["reading"])} \
| {counts["fit-passages"]:,} | {shares.passages:g} |
| questions of the same | {counts["fit-questions"]:,} | {shares.questions:g} |
| words of the encoder's vocabulary (Apache-2.0) | {counts["fit-words"]:,} | {shares.words:g} |

One page of ten and one passage of ten, by a hash of name or text, are held out, with their
questions. sha256 of the reading set: {told["reading_sha256"]}.

## Training

`{_COMMAND} build rotation --reading FILE`, then `train`, `export` and `seal`; seed
{work.config.seed}. {_learned(work)}

## Scores

What truncated vectors keep of nDCG@10, by `{_COMMAND} measure rotation`:

| questions | dimensions | plain | rotated |
|---|---|---|---|
{chr(10).join(rows)}

On judged sets, with confidence intervals: `rostra eval run dimensions --data DIR`;
docs/performance.md has the table.

## Limits

- English, and the packaged encoder alone; another encoder has its own `rostra embed fit`.
- Of judged sets it helps some and not all: on Cranfield (aeronautics) truncated vectors keep
  0.3 points more with it at 64 dimensions, and 0.4 to 2.6 less at all others.
- A rotation fitted on a collection itself keeps more at few dimensions; it takes 768 passages.
"""
