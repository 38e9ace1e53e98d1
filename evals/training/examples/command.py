"""Builds a model's examples and writes them; what `python -m evals.training build` does."""

from evals.training.examples.building import Building, build_examples
from evals.training.examples.storing import write_examples
from evals.training.sources import open_sources
from evals.training.work import Work


async def build_for(work: Work) -> None:
    """Builds by the configuration's table `build`.

    Raises:
        RecipeInvalid: the table is wrong.
        SourcesMissing: there are no pages, or the reading set cannot be read.
        OSError: the disk is full or not writable.
    """
    building = work.config.section("build", Building)
    async with open_sources(work.settings, work.sources) as runtime:
        examples, told = await build_examples(
            runtime, work.sources, building, work.config.seed, work.tell
        )
    manifest = write_examples(work.examples, examples, work.config.digest("build"), told)
    for name, counts in manifest.counts.items():
        work.tell(f"{name}: " + ", ".join(f"{kind} {count}" for kind, count in counts.items()))
