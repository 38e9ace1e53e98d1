"""Finds out in which layout a set of questions is, and reads it.

A folder with answerable.jsonl is ClapNQ's layout (`evals.rag.clapnq`). A `.csv` file has the fields
of `evals.sets.records`. A `.jsonl` file, or a folder with questions.jsonl or with one such file
alone beside a corpus, is the plain one (`evals.rag.plain`).
"""

from pathlib import Path

from evals.errors import DatasetError
from evals.rag.clapnq import read_clapnq
from evals.rag.plain import read_plain
from evals.rag.sets import ANSWERABLE, RagSet
from evals.sets.files import read_csv_set
from rostra.core import Settings

_QUESTIONS, _CORPUS = "questions.jsonl", "corpus.jsonl"


def read_rag_set(path: Path, settings: Settings, *, needs_documents: bool = True) -> RagSet:
    """Reads a set.

    Args:
        path: a folder or a file.
        settings: limits of documents.
        needs_documents: the set is to bring them.

    Raises:
        DatasetError: there is no set, no question in it can be used, or it lacks documents.
    """
    if path.is_dir() and (path / ANSWERABLE).is_file():
        found = read_clapnq(path)
    elif path.suffix.lower() == ".csv" and path.is_file():
        # Rows have no room for documents, so these are questions about a collection.
        found = RagSet(read_csv_set(path), ())
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
