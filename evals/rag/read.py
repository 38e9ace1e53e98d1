"""Finds out in which layout a set of questions is, and reads it.

A folder with answerable.jsonl is ClapNQ's layout (`evals.rag.clapnq`). A .jsonl, .ndjson, .csv or
.tsv file is the plain one (`evals.rag.plain`); so is a folder with questions.jsonl, or with a file
of that name and another of these endings, or with one such file alone beside a corpus.
"""

from pathlib import Path

from evals.errors import DatasetError
from evals.rag.clapnq import read_clapnq
from evals.rag.plain import read_plain
from evals.rag.sets import ANSWERABLE, QUESTIONS, RagSet
from evals.sets.files import JSON_LINES, TABLES
from rostra.core import Settings

_CORPUS = "corpus.jsonl"
_OTHERS = frozenset({_CORPUS, "qrels.tsv"})  # of a folder that is a judged set as well
_LAYOUTS = (
    "A set is a folder with answerable.jsonl and unanswerable.jsonl, one with questions.jsonl (or "
    ".ndjson, .csv, .tsv), one with a single file of these kinds, or such a file."
)


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
    else:
        file = _file_of(path)
        corpus = file.parent / _CORPUS
        # Beside a file alone a corpus is only of use where documents are.
        is_used = corpus.is_file() and corpus != file and (needs_documents or path.is_dir())
        found = read_plain(file, corpus if is_used else None, settings)
    if needs_documents and not found.sources:
        raise DatasetError(
            f"{path} has questions and no documents",
            hint="Give each line a `passage` or `documents`, put corpus.jsonl beside it, or name "
            "a collection.",
        )
    return found


def _file_of(path: Path) -> Path:
    """The file of questions."""
    if path.is_file():
        return path
    if not path.is_dir():
        raise DatasetError(f"no set of questions at {path}: no such file or folder", hint=_LAYOUTS)
    files = sorted(
        one
        for one in path.iterdir()
        if one.is_file() and one.suffix.lower() in JSON_LINES | TABLES and one.name not in _OTHERS
    )
    files = [one for one in files if one.stem == QUESTIONS] or files
    if not files:
        raise DatasetError(f"no set of questions at {path}", hint=_LAYOUTS)
    if len(files) > 1:
        names = ", ".join(one.name for one in files[:8])
        more = f" and {len(files) - 8} more" if len(files) > 8 else ""
        raise DatasetError(
            f"{path} has several files that may be the set: {names}{more}",
            hint=f"Name one of them, or call it {QUESTIONS}.jsonl.",
        )
    return files[0]
