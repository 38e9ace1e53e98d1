"""Sets of questions over documents.

What always holds: a set has a question; all its documents are pooled, and each question is asked of
all of them.
"""

from dataclasses import dataclass, field

from evals.core.dataset import Dataset
from rostra.ingest import ReadySource

# Files of ClapNQ's layout.
ANSWERABLE, UNANSWERABLE = "answerable.jsonl", "unanswerable.jsonl"
QUESTIONS = "questions"  # of the plain layout, before its ending


@dataclass(frozen=True, slots=True)
class RagSet:
    """See this module.

    Attributes:
        dataset: the questions; see `evals.rag.samples` for what they know.
        sources: the documents; none for a set that is asked of documents ingested before.
        sentences: `[start, end)` of each sentence of annotated documents, in code points.
    """

    dataset: Dataset
    sources: tuple[ReadySource, ...]
    sentences: dict[str, tuple[tuple[int, int], ...]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The dataset's."""
        return self.dataset.name
