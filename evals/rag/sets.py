"""Sets of questions over documents, in the layouts that there are.

A folder with answerable.jsonl and unanswerable.jsonl is ClapNQ's layout (`evals.rag.clapnq`); a
`.jsonl` file, or a folder with questions.jsonl or with one such file alone, is the plain one
(`evals.rag.plain`).

What always holds: a set has a question and, unless it is asked of a collection that is there
already, a document; all its documents are pooled, and each question is asked of all of them.
"""

from dataclasses import dataclass, field
from pathlib import Path

from evals.core.dataset import Dataset
from evals.errors import DatasetError
from rostra.core import Settings
from rostra.ingest import ReadySource

ANSWERABLE, UNANSWERABLE = "answerable.jsonl", "unanswerable.jsonl"
_QUESTIONS, _CORPUS = "questions.jsonl", "corpus.jsonl"


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


def read_rag_set(path: Path, settings: Settings, *, needs_documents: bool = True) -> RagSet:
    """Reads a set.

    Args:
        path: a folder or a file.
        settings: limits of documents.
        needs_documents: the set is to bring them.

    Raises:
        DatasetError: there is no set, no question in it can be used, or it lacks documents.
    """
    # Here, as the readers make what this module defines.
    from evals.rag.clapnq import read_clapnq
    from evals.rag.plain import read_plain

    if path.is_dir() and (path / ANSWERABLE).is_file():
        found = read_clapnq(path)
    else:
        file, corpus = _plain_files(path)
        found = read_plain(file, corpus, settings)
    if needs_documents and not found.sources:
        raise DatasetError(
            f"{path} has questions and no documents",
            hint="Give each line a `passage` or `documents`, put corpus.jsonl beside it, or name "
            "a collection.",
        )
    return found


def _plain_files(path: Path) -> tuple[Path, Path | None]:
    """The file of questions, and the corpus beside it."""
    if path.is_file():
        return path, None
    corpus = path / _CORPUS
    files = sorted(one for one in path.glob("*.jsonl") if one != corpus)
    if (path / _QUESTIONS).is_file():
        files = [path / _QUESTIONS]
    if len(files) != 1:
        raise DatasetError(
            f"no set of questions at {path}",
            hint="A set is a folder with answerable.jsonl and unanswerable.jsonl, one with "
            "questions.jsonl, or a .jsonl file.",
        )
    return files[0], corpus if corpus.is_file() else None
