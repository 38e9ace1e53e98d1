"""What sets hold and what is wrong with them, told before an evaluation is run on them."""

import statistics
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from evals.beir import judged_samples, not_taken_in, read_judged_set
from evals.core.dataset import Dataset
from evals.core.samples import Problem, Sample
from evals.errors import DatasetError
from evals.rag.read import read_rag_set
from evals.rag.samples import gold_documents, gold_spans
from evals.rag.sets import ANSWERABLE
from evals.sets.files import JSON_LINES, TABLES, read_set
from evals.sets.records import METADATA, PASSAGES
from rostra.core import PathNotFound, Settings, UnreadableFile, collapse_whitespace
from rostra.ingest import ReadySource, read_beir

_CORPUS, _QUERIES, _QUESTIONS = "corpus.jsonl", "queries.jsonl", "questions.jsonl"
_MOST_FILES = 1000
_COUNTED = ("difficulty", "retrieved", "rating")  # fields of metadata whose values are counted
_MOST_VALUES = 20


@dataclass(frozen=True, slots=True)
class SetCheck:
    """What is in a set.

    Attributes:
        format: `jsonl`, `csv`, `beir`, or `qa`: questions with documents.
        facts: counts by name, those of zero left out.
        values: how often each value of some fields of the metadata is there.
        problems: records that cannot be used.
        warnings: what can be used, and is likely not meant so.
        error: why there is no set here; empty if there is one.
    """

    path: Path
    format: str
    facts: dict[str, int | float] = field(default_factory=dict)
    values: dict[str, dict[str, int]] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    warnings: tuple[str, ...] = ()
    digest: str = ""
    error: str = ""

    @property
    def is_sound(self) -> bool:
        """Whether every record can be used."""
        return not self.error and not self.problems

    def to_dict(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return {
            "path": str(self.path),
            "format": self.format,
            **self.facts,
            **{name: counts for name, counts in self.values.items() if counts},
            "digest": self.digest,
            "problems": [
                {"reason": one.reason, "count": one.count, "examples": one.examples}
                for one in self.problems
            ],
            "warnings": list(self.warnings),
            "error": self.error,
        }


def check_sets(path: Path, settings: Settings) -> list[SetCheck]:
    """Looks at a set, or at all those right below a folder.

    Args:
        settings: limits of documents.

    Raises:
        DatasetError: there is nothing here that could be one.
    """
    if path.is_file():
        return [_file(path)]
    if not path.is_dir():
        raise DatasetError(f"{path}: no such file or folder")
    if _is_folder_set(path):
        return [_folder(path, settings)]
    below = sorted(path.iterdir())[:_MOST_FILES]
    found = [
        _folder(one, settings) if one.is_dir() else _file(one) for one in below if _is_set(one)
    ]
    if not found:
        raise DatasetError(
            f"no set at {path}",
            hint="A set is a .jsonl or .csv file, or a folder with corpus.jsonl and queries.jsonl "
            "or questions.jsonl, or with answerable.jsonl and unanswerable.jsonl.",
        )
    return found


def _is_set(path: Path) -> bool:
    if path.is_dir():
        return _is_folder_set(path)
    return path.suffix.lower() in JSON_LINES | TABLES and path.is_file()


def _is_folder_set(path: Path) -> bool:
    """Whether the files of a folder are a set together."""
    if (path / ANSWERABLE).is_file():
        return True
    asked = (path / _QUERIES).is_file() or (path / _QUESTIONS).is_file()
    return asked and (path / _CORPUS).is_file()


def _file(path: Path) -> SetCheck:
    kind = "csv" if path.suffix.lower() in TABLES else "jsonl"
    try:
        dataset = read_set(path)
    except DatasetError as error:
        return SetCheck(path, kind, error=error.message)
    return _counted(path, kind, dataset)


def _folder(folder: Path, settings: Settings) -> SetCheck:
    if (folder / _QUERIES).is_file():
        return _judged(folder, settings)
    try:
        found = read_rag_set(folder, settings, needs_documents=False)
    except DatasetError as error:
        return SetCheck(folder, "qa", error=error.message)
    checked = _counted(folder, "qa", found.dataset)
    return replace(checked, facts=checked.facts | {"documents": len(found.sources)})


def _counted(path: Path, kind: str, dataset: Dataset) -> SetCheck:
    return SetCheck(
        path,
        kind,
        _facts(dataset),
        {name: _values(dataset, name) for name in _COUNTED},
        dataset.problems,
        tuple(_warnings(dataset)),
        dataset.digest,
    )


def _judged(folder: Path, settings: Settings) -> SetCheck:
    """What a run would tell of the set: its documents are read as ingest reads them."""
    corpus: list[str] = []
    failures: list[tuple[str, str]] = []
    try:
        judged = read_judged_set(folder)
        for source in read_beir(folder, settings):
            if isinstance(source, ReadySource):
                corpus.append(source.uri)
            else:
                failures.append((source.error.code, source.uri))
        dataset = judged_samples(judged, corpus, not_taken_in(failures))
    except (DatasetError, PathNotFound, UnreadableFile) as error:
        return SetCheck(folder, "beir", error=error.message)
    facts: dict[str, int | float] = {
        "questions": len(judged.queries),
        "judgements": sum(len(documents) for documents in judged.relevant.values()),
        "documents": len(corpus),
    }
    return SetCheck(folder, "beir", facts, problems=dataset.problems, digest=dataset.digest)


def _facts(dataset: Dataset) -> dict[str, int | float]:
    samples = dataset.samples
    groups = Counter(sample.group for sample in samples if sample.group)
    facts: dict[str, int | float] = {
        "questions": len(samples),
        "with answers": sum(1 for sample in samples if sample.targets),
        "unanswerable": sum(1 for sample in samples if sample.data.get("answerable") is False),
        "with gold documents": sum(1 for sample in samples if gold_documents(sample)),
        "with spans": sum(1 for sample in samples if gold_spans(sample)),
        "with passages": sum(1 for sample in samples if sample.data.get(PASSAGES)),
        "groups": len(groups),
        "largest group": max(groups.values(), default=0),
        "median length of a question": statistics.median(len(s.input) for s in samples),
    }
    return {name: count for name, count in facts.items() if count}


def _values(dataset: Dataset, name: str) -> dict[str, int]:
    values = (sample.data.get(METADATA, {}).get(name) for sample in dataset.samples)
    counts = Counter(value for value in values if isinstance(value, str) and value)
    return dict(counts.most_common(_MOST_VALUES))


def _warnings(dataset: Dataset) -> Iterator[str]:
    again = _repeated(dataset.samples)
    if again:
        yield f"{again} questions ask the same as an earlier one"
    told = [s for s in dataset.samples if "answerable" in s.data]
    bare = [s for s in told if s.data["answerable"] and not s.targets and not gold_spans(s)]
    silent = len(dataset.samples) - len(told)
    if silent:
        yield f"of {silent} questions nothing is known that an answer could be compared with"
    if bare:
        yield f"{len(bare)} questions have gold documents and no answer"
    if told and not any(sample.data["answerable"] is False for sample in told):
        yield "no question is unanswerable: abstaining is not measured"


def _repeated(samples: tuple[Sample, ...]) -> int:
    distinct = {collapse_whitespace(sample.input).casefold() for sample in samples}
    return len(samples) - len(distinct)
