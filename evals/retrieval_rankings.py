"""Rankings that other systems made: TREC run files, or JSON lines, as systems to compare with.

A line of a TREC run is `query Q0 document rank score tag`. Of JSON lines, one is a query's ranking,
`{"query": "1", "documents": ["a", "b"]}`, best first, or one place of it,
`{"query": "1", "document": "a", "score": 3.2}`.

What always holds: places follow the scores, and equal scores the documents' ids, the greatest
first, as trec_eval has it; a document counts once for a query; what cannot be read, is there twice
or names a query that the set does not have is counted; queries that a ranking leaves out find
nothing and count as such.
"""

import hashlib
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from evals.core.dataset import Dataset, Problems, make_dataset
from evals.core.states import Passage, State
from evals.errors import DatasetError
from evals.json_lines import id_of, in_words, read_json_lines


@dataclass(frozen=True, slots=True)
class Rankings:
    """What a system found.

    Attributes:
        name: of the system: the tag of a TREC run, otherwise the file's.
        digest: of the file.
        documents: with their scores, best first, by query.
        problems: lines that are not among them.
    """

    name: str
    digest: str
    documents: dict[str, list[tuple[str, float]]]
    problems: Problems


class RankedSolver:
    """Looks up what a system found.

    Args:
        k: documents that are kept.
    """

    def __init__(self, rankings: Rankings, k: int = 100) -> None:
        self._rankings = rankings
        self._k = k

    @property
    def name(self) -> str:
        """Of the system."""
        return self._rankings.name

    def config(self) -> dict[str, Any]:
        """See `Solver.config`."""
        return {"file": self._rankings.digest, "k": self._k}

    async def __call__(self, state: State, seed: int) -> State:
        """See `Solver`."""
        found = self._rankings.documents.get(state.sample.id, [])[: self._k]
        passages = [Passage(document, score=score) for document, score in found]
        return msgspec.structs.replace(state, passages=passages)


def read_rankings(path: Path) -> Rankings:
    """Reads a system's rankings; a file `.jsonl` is JSON lines, any other one a TREC run.

    Raises:
        DatasetError: the file cannot be read, or has no ranking.
    """
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()[:32]
    except OSError as error:
        raise DatasetError(f"{path}: {error.strerror}") from None
    problems = Problems()
    found: dict[str, dict[str, float]] = {}
    name = path.stem
    if path.suffix == ".jsonl":
        _read_jsonl(path, found, problems)
    else:
        name = _read_trec(path, found, problems) or name
    if not found:
        why = in_words(problems)
        raise DatasetError(f"{path.name} has no ranking" + (why and f" ({why})"))
    ordered = {
        query: sorted(documents.items(), key=lambda one: (one[1], one[0]), reverse=True)
        for query, documents in found.items()
    }
    return Rankings(name, digest, ordered, problems)


def with_rankings(dataset: Dataset, rankings: Rankings) -> Dataset:
    """The set with what a system's rankings lack, or have too much, among its problems."""
    problems = Problems()
    known = {sample.id for sample in dataset.samples}
    for query in rankings.documents:
        if query not in known:
            problems.add("a ranking of a query that is not asked", f"query {query}")
    for sample in dataset.samples:
        if sample.id not in rankings.documents:
            problems.add("a query without a ranking: it finds nothing", f"query {sample.id}")
    told = [*dataset.problems, *rankings.problems.all(), *problems.all()]
    return make_dataset(dataset.name, dataset.samples, told)


def _read_trec(path: Path, found: dict[str, dict[str, float]], problems: Problems) -> str:
    tag = ""
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        for number, line in enumerate(file, 1):
            place = f"{path.name}, line {number}"
            fields = line.split()
            if not fields:
                continue
            try:
                query, _, document, _, score, tag = fields
                _put(found, problems, query, document, float(score), place)
            except ValueError:
                problems.add("a line that is not query, Q0, document, rank, score, tag", place)
    return tag


def _read_jsonl(path: Path, found: dict[str, dict[str, float]], problems: Problems) -> None:
    for place, record in read_json_lines(path, problems):
        query, documents = id_of(record, "query"), record.get("documents")
        document, score = id_of(record, "document"), record.get("score")
        if query is not None and isinstance(documents, list):
            found.setdefault(query, {})
            for at, one in enumerate(documents):
                if (named := id_of({"id": one}, "id")) is None:
                    problems.add("a place of a ranking that is no id", place)
                else:
                    _put(found, problems, query, named, -float(at), place)
        elif query is not None and document is not None and isinstance(score, int | float):
            _put(found, problems, query, document, float(score), place)
        else:
            problems.add("a line without query and documents, or document and score", place)


def _put(
    found: dict[str, dict[str, float]],
    problems: Problems,
    query: str,
    document: str,
    score: float,
    place: str,
) -> None:
    ranked = found.setdefault(query, {})
    if not math.isfinite(score):
        problems.add("a score that is no number", place)
    elif document in ranked:
        problems.add("a document ranked again for its query: the first one counts", place)
    else:
        ranked[document] = score
