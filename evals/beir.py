"""Judged retrieval sets in the BEIR layout: corpus.jsonl, queries.jsonl, qrels.tsv.

What always holds for a `JudgedSet`: there is at least one query, each has its text and a relevant
document, relevance is a positive integer, and whatever was left out is counted in `problems`.

A line that cannot be read costs itself alone: the others are still judged, and the report counts
what is missing, so that nobody takes the figures for those of the whole set. A set is refused only
where there is nothing left to measure, or a file is not there.
"""

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from evals.core.dataset import Dataset, Problems, make_dataset
from evals.core.samples import Problem, Sample
from evals.errors import DatasetError
from evals.json_lines import id_of, in_words, read_json_lines, text_of

RELEVANT = "relevant"  # relevance by document id, in the data of a sample

_CORPUS = "corpus.jsonl"
_HEADING = "query-id"


@dataclass(frozen=True, slots=True)
class JudgedSet:
    """Queries with the documents that answer them.

    Attributes:
        name: the folder's.
        folder: where corpus.jsonl is.
        queries: text by query id, those with a relevant document only.
        relevant: relevance by document id by query id.
        problems: lines that are not among them.
    """

    name: str
    folder: Path
    queries: dict[str, str]
    relevant: dict[str, dict[str, int]]
    problems: tuple[Problem, ...] = ()


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
        DatasetError: a file is missing, or no query is left; the message gives lines.
    """
    name = folder.resolve().name
    return read_judgements(name, folder / "queries.jsonl", _qrels_file(folder), folder)


def read_judgements(
    name: str, queries_file: Path, qrels_file: Path, folder: Path | None = None
) -> JudgedSet:
    """Reads queries and judgements of documents that are somewhere already.

    Args:
        name: of the set.
        folder: where a corpus is; by default that of the queries.

    Raises:
        DatasetError: a file is missing, or no query is left; the message gives lines.
    """
    problems = Problems()
    texts = _queries(queries_file, problems)
    relevant = _judgements(qrels_file, problems)
    for query in relevant:
        if query not in texts:
            problems.add("a judged query without a text", query)
    for query in texts:
        if query not in relevant:
            problems.add("a query without a relevant document", query)
    queries = {query: texts[query] for query in texts if query in relevant}
    if not queries:
        why = in_words(problems)
        raise DatasetError(
            f"{name}: no query has a text and a relevant document" + (why and f" ({why})")
        )
    judged = {query: relevant[query] for query in queries}
    home = queries_file.parent if folder is None else folder
    return JudgedSet(name, home, queries, judged, tuple(problems.all()))


def judged_samples(judged: JudgedSet, corpus: Iterable[str], more: Iterable[Problem]) -> Dataset:
    """A set's queries as samples, each a group of its own.

    Judgements of documents that the corpus does not have are counted and stay, as trec_eval keeps
    them: such a document cannot be found, and recall is measured against it all the same.

    Args:
        corpus: ids of its documents.
        more: what was wrong with the corpus.

    Raises:
        DatasetError: the corpus has no document.
    """
    there = frozenset(corpus)
    if not there:
        raise DatasetError(f"{judged.name}: {_CORPUS} has no document that can be read")
    problems = Problems()
    for query, documents in judged.relevant.items():
        for document in documents:
            if document not in there:
                problems.add(
                    "a judgement of a document that is not in the corpus: it stays, as missed",
                    f"query {query}, document {document}",
                )
    samples = (
        Sample(id=query, input=text, data={RELEVANT: judged.relevant[query]})
        for query, text in judged.queries.items()
    )
    return make_dataset(judged.name, samples, [*judged.problems, *more, *problems.all()])


def not_taken_in(failures: Iterable[tuple[str, str]]) -> list[Problem]:
    """Documents that a run has to do without.

    Args:
        failures: what stands in the way, by an error's code, and where the document is.
    """
    problems = Problems()
    for code, place in failures:
        problems.add(f"a document that was not taken in: {code}", place)
    return problems.all()


def _queries(path: Path, problems: Problems) -> dict[str, str]:
    texts: dict[str, str] = {}
    for place, record in read_json_lines(path, problems):
        query, text = id_of(record, "_id"), text_of(record, "text")
        if query is None:
            problems.add("a query without an _id", place)
        elif text is None:
            problems.add("a query without a text", place)
        elif query in texts:
            problems.add("a query with the _id of an earlier one", place)
        else:
            texts[query] = text
    return texts


def _qrels_file(folder: Path) -> Path:
    candidates = [folder / "qrels.tsv", folder / "qrels" / "test.tsv", folder / "qrels" / "dev.tsv"]
    for path in candidates:
        if path.is_file():
            return path
    raise DatasetError(f"{folder / 'qrels.tsv'}: no such file")


def _judgements(path: Path, problems: Problems) -> dict[str, dict[str, int]]:
    relevant: dict[str, dict[str, int]] = {}
    judged: set[tuple[str, str]] = set()
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        # Without quoting: an id may begin with a quotation mark, and lines are records.
        rows = csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        for number, row in enumerate(rows, 1):
            if not row or (number == 1 and row[0] == _HEADING):
                continue
            place = f"{path.name}, line {number}"
            try:
                query, document, score = row
                grade = int(score)
            except ValueError:
                problems.add("a line that is not query-id, corpus-id, score", place)
                continue
            if (query, document) in judged:
                problems.add("a document judged again for its query: the first one counts", place)
                continue
            judged.add((query, document))
            if grade > 0:
                relevant.setdefault(query, {})[document] = grade
    return relevant
