"""Builds the set from pages or a reading set; what `python -m evals.training heldout` does."""

import asyncio
from pathlib import Path

from evals.training.clozes import ClozeMaker, near_words, read_index_terms
from evals.training.examples.reading import read_reading_set
from evals.training.heldout.questions import HeldOutSize, held_out_questions, held_out_reading
from evals.training.heldout.writing import write_held_out
from evals.training.pages import read_pages, word_counts
from evals.training.sources import open_sources
from evals.training.work import Sources
from rostra.answer import scorer_encoder
from rostra.core import Settings


async def build_held_out(
    settings: Settings, sources: Sources, out: Path, answerable: int, unanswerable: int, seed: int
) -> dict[str, int]:
    """Writes the set to a folder; returns how many questions of each kind.

    Args:
        sources: with a reading set, its questions alone are taken.

    Raises:
        SourcesMissing: there are no pages or the reading set cannot be read, or there are no
            questions.
    """
    size = HeldOutSize(answerable, unanswerable)
    if sources.reading is not None:
        reading = await asyncio.to_thread(read_reading_set, sources.reading)
        return write_held_out(out, held_out_reading(reading, size, seed), seed)
    async with open_sources(settings, sources) as runtime:
        pages = await read_pages(runtime, sources)

    def make() -> dict[str, int]:
        maker = ClozeMaker(
            word_counts(pages.passages), len(pages.passages), near_words(scorer_encoder())
        )
        questions = held_out_questions(
            pages.passages,
            read_index_terms(sources.docs),
            maker,
            size,
            seed,
        )
        return write_held_out(out, questions, seed)

    return await asyncio.to_thread(make)
