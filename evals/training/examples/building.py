"""Examples put together: questions of every kind, each with its hard negatives.

What always holds: what is drawn depends on the sources and the seed alone; an example is one of
validation exactly if its passages are held out.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from evals.training.clozes import ClozeMaker, near_words, read_index_terms
from evals.training.examples.drafts import (
    Draft,
    cloze_drafts,
    heading_drafts,
    prose_of,
    term_drafts,
)
from evals.training.examples.negatives import Found, choose_negatives, search_pages, search_texts
from evals.training.examples.reading import ReadingSet, read_reading_set
from evals.training.examples.records import Example, ExampleSet
from evals.training.examples.storing import texts_digest
from evals.training.pages import Passage, read_pages, word_counts
from evals.training.work import Sources
from rostra.answer import scorer_encoder
from rostra.runtime import Runtime

_MOST_PACKAGES = 20  # that are named


class Building(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How many examples of each kind: the table `build` of a configuration.

    Attributes:
        clozes: questions of sentences of the pages.
        reading_clozes: the same of the passages of the reading set.
        headings: at most; so are `terms`.
        negatives: passages beside the answering one, at most.
        depth: passages that either side of the search looks at for them.
        validation: examples of each kind that validation keeps.
    """

    clozes: int = 60_000
    reading_clozes: int = 20_000
    headings: int = 5_000
    terms: int = 5_000
    negatives: int = 4
    depth: int = 12
    validation: int = 400


async def build_examples(
    runtime: Runtime,
    sources: Sources,
    building: Building,
    seed: int,
    tell: Callable[[str], None] = lambda _: None,
) -> tuple[ExampleSet, dict[str, Any]]:
    """Builds examples; returns them and what they were made of.

    Args:
        runtime: over the collection, or over a workspace; see `read_pages`.

    Raises:
        SourcesMissing: there are no pages, or the reading set cannot be read.
    """
    pages = await read_pages(runtime, sources)
    tell(f"{len(pages.passages)} passages of the pages")
    reading = None
    if sources.reading is not None:
        reading = await asyncio.to_thread(read_reading_set, sources.reading)
        tell(f"{len(reading.questions)} questions of the reading set")
    counts = await asyncio.to_thread(word_counts, pages.passages)
    encoder = scorer_encoder()
    substitutes = await asyncio.to_thread(near_words, encoder)
    maker = ClozeMaker(counts, len(pages.passages), substitutes)
    drafts = await asyncio.to_thread(
        _page_drafts, pages.passages, maker, sources.docs, building, seed
    )
    found = await search_pages(
        runtime, pages, [one.question for one in drafts], building.depth, tell
    )
    examples = _with_negatives(pages.passages, drafts, found, building, f"{seed}-pages", 0)
    passages = list(pages.passages)
    told: dict[str, Any] = {
        "collection": pages.collection,
        "packages": sorted({one.page.split("/")[0] for one in passages})[:_MOST_PACKAGES],
        "pages": len({one.page for one in passages}),
        "passages": len(passages),
        "texts": texts_digest([one.text for one in passages]),
    }
    if reading is not None:
        drafts = await asyncio.to_thread(_reading_drafts, reading, maker, building, seed)
        embedder = await asyncio.to_thread(runtime.embedder)
        questions = [one.question for one in drafts]
        found = await asyncio.to_thread(
            search_texts, embedder, reading.passages, questions, building.depth
        )
        examples += _with_negatives(
            reading.passages, drafts, found, building, f"{seed}-reading", len(passages)
        )
        passages += reading.passages
        told |= {"reading": reading.names, "reading_sha256": reading.digest}
    split = _split(passages, examples, building.validation, random.Random(f"{seed}-order"))
    return split, told


def _page_drafts(
    passages: Sequence[Passage],
    maker: ClozeMaker,
    docs: Sequence[Path],
    building: Building,
    seed: int,
) -> list[Draft]:
    prose = prose_of(passages)
    terms = read_index_terms(docs) if building.terms else []
    return [
        *cloze_drafts(
            passages, prose, maker, "cloze", building.clozes, random.Random(f"{seed}-cloze")
        ),
        *heading_drafts(passages, prose, building.headings, random.Random(f"{seed}-heading")),
        *term_drafts(passages, prose, terms, building.terms, random.Random(f"{seed}-term")),
    ]


def _reading_drafts(
    reading: ReadingSet, maker: ClozeMaker, building: Building, seed: int
) -> list[Draft]:
    asked = [Draft("reading", *one) for one in reading.questions]
    return asked + cloze_drafts(
        reading.passages,
        prose_of(reading.passages),
        maker,
        "reading-cloze",
        building.reading_clozes,
        random.Random(f"{seed}-reading-cloze"),
    )


def _with_negatives(
    passages: Sequence[Passage],
    drafts: Sequence[Draft],
    found: Found,
    building: Building,
    seed: str,
    shift: int,
) -> list[Example]:
    """Examples of drafts; `shift` is where these passages begin among all."""
    rng = random.Random(seed)
    examples = []
    for draft, places in zip(drafts, found, strict=True):
        negatives = choose_negatives(
            passages, draft.place, draft.gold, places, building.negatives, rng
        )
        taken = [shift + at for at in (draft.place, *negatives)]
        examples.append(Example(draft.kind, draft.question, taken, draft.gold))
    return examples


def _split(
    passages: list[Passage], examples: Sequence[Example], most: int, rng: random.Random
) -> ExampleSet:
    train, validation = [], []
    kept: Counter[str] = Counter()
    for example in rng.sample(examples, len(examples)):
        if not passages[example.passages[0]].is_held_out:
            train.append(example)
        elif kept[example.kind] < most:
            kept[example.kind] += 1
            validation.append(example)
    return ExampleSet(passages, train, validation)
