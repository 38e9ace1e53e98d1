"""Judged retrieval sets in the BEIR layout: corpus.jsonl, queries.jsonl, qrels.tsv.

What always holds for a `JudgedSet`: every judged query is there with its text, and relevance is a
positive integer.
"""

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evals.errors import DatasetError

_CORPUS = "corpus.jsonl"


@dataclass(frozen=True, slots=True)
class JudgedSet:
    """Queries with the documents that answer them.

    Attributes:
        name: the folder's.
        folder: where corpus.jsonl is.
        queries: text by query id, those with a relevant document only.
        relevant: relevance by document id by query id.
    """

    name: str
    folder: Path
    queries: dict[str, str]
    relevant: dict[str, dict[str, int]]


def find_sets(folder: Path) -> list[Path]:
    """The judged sets at or right below a folder.

    Raises:
        DatasetError: there is none.
    """
    if (folder / _CORPUS).is_file():
        return [folder]
    below = sorted(path.parent for path in folder.glob(f"*/{_CORPUS}"))
    if not below:
        raise DatasetError(
            f"no judged set at {folder}",
            hint="A set is a folder with corpus.jsonl, queries.jsonl and qrels.tsv.",
        )
    return below


def read_judged_set(folder: Path) -> JudgedSet:
    """Reads queries and judgements; the corpus is left to ingest.

    Raises:
        DatasetError: a file is missing or a line is wrong; the message gives its number.
    """
    texts = {
        _text(record, "_id", place): _text(record, "text", place)
        for place, record in read_jsonl(folder / "queries.jsonl")
    }
    relevant = _judgements(_qrels_file(folder))
    unknown = sorted(set(relevant) - set(texts))
    if unknown:
        raise DatasetError(
            f"{folder.name}: {len(unknown)} judged queries have no text, such as {unknown[0]!r}"
        )
    queries = {query: texts[query] for query in texts if query in relevant}
    if not queries:
        raise DatasetError(f"{folder.name}: no query has a relevant document")
    return JudgedSet(folder.resolve().name, folder, queries, relevant)


def read_jsonl(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields (place, record) for each line that is not blank.

    Raises:
        DatasetError: the file is missing or a line is no JSON object.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        raise DatasetError(f"{path}: {error.strerror}") from None
    with file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            place = f"{path.name}, line {number}"
            try:
                # Bytes, so that a line that is no UTF-8 is told by its number.
                record = json.loads(line.decode())
            except ValueError as error:
                raise DatasetError(f"{place}: {error}") from None
            if not isinstance(record, dict):
                raise DatasetError(f"{place}: not a JSON object")
            yield place, record


def _qrels_file(folder: Path) -> Path:
    candidates = [folder / "qrels.tsv", folder / "qrels" / "test.tsv", folder / "qrels" / "dev.tsv"]
    for path in candidates:
        if path.is_file():
            return path
    raise DatasetError(f"{folder / 'qrels.tsv'}: no such file")


def _judgements(path: Path) -> dict[str, dict[str, int]]:
    relevant: dict[str, dict[str, int]] = {}
    with path.open(encoding="utf-8", errors="replace", newline="") as file:
        for number, row in enumerate(csv.reader(file, delimiter="\t"), 1):
            if not row or (number == 1 and row[0] == "query-id"):
                continue
            try:
                query, document, score = row
                grade = int(score)
            except ValueError:
                raise DatasetError(
                    f"{path.name}, line {number}: not query-id, corpus-id, score"
                ) from None
            if grade > 0:
                relevant.setdefault(query, {})[document] = grade
    return relevant


def _text(record: dict[str, Any], key: str, place: str) -> str:
    value = record.get(key)
    if isinstance(value, int) and key == "_id":
        return str(value)
    if not isinstance(value, str) or not value:
        raise DatasetError(f"{place}: no {key!r}")
    return value
