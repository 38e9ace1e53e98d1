"""Reads sets of labelled pairs, in LLMBar's and PandaLM's layouts and one of our own.

- LLMBar (Zeng et al., 2023): a folder with `dataset.json`, a list of `{"input", "output_1",
  "output_2", "label": 1 | 2}`.
- PandaLM (Wang et al., 2023): `testset-v1.json`, a list of `{"instruction", "input", "response1",
  "response2", "cmp_key": "SYSTEM_SYSTEM", "annotator1": 0 | 1 | 2, ...}`; 0 is a tie.
- JSON lines, `*.jsonl`: `{"id", "question", "first", "second", "label": "first" | "second" |
  "tie"}`; `"labels"`, a list with one of them or null for each annotator, in place of `label`;
  `"systems"`, who wrote the first and the second answer, `"reference"`, a right answer, `"group"`
  and `"id"` are optional.

What always holds: a record that cannot be used is counted with its reason; pairs of the same
question are one group, so that intervals are not too narrow. One answer may be empty, as systems do
say nothing; the report counts such pairs. Two empty ones are no pair.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evals.core.dataset import Dataset, Problems, make_dataset
from evals.core.samples import Sample
from evals.errors import DatasetError
from evals.judge.pairs import WINNERS, Pair, Winner, majority, sample_of

_MOST_BYTES = 500_000_000
_MOST_PAIRS = 200_000
_MOST_SETS = 1000
_MOST_ANNOTATORS = 50
_LLMBAR: Mapping[int, Winner] = {1: "first", 2: "second"}
_PANDALM: Mapping[int, Winner] = {0: "tie", 1: "first", 2: "second"}


class _Unusable(Exception):
    """A record cannot be used; the message says why, the same words for the same trouble."""


@dataclass(frozen=True, slots=True)
class PairSet:
    """A set of pairs and where it was found.

    Attributes:
        folder: where recorded verdicts lie beside it, in `evaluators/`.
    """

    dataset: Dataset
    folder: Path


def read_pair_sets(data: Path) -> list[PairSet]:
    """All sets at or below a folder, or the one in a file; in the order of their names.

    Raises:
        DatasetError: there is none, or one of them has no pair that can be used.
    """
    places = sorted(set(_find(data)))
    short = Counter(_short(name) for _, name in places)
    found = [
        PairSet(_read(path, name if short[_short(name)] > 1 else _short(name)), path.parent)
        for path, name in places
    ]
    if not found:
        raise DatasetError(
            f"{data}: no set of labelled pairs",
            hint="Name a file of JSON lines, or a folder with dataset.json (LLMBar) or "
            "testset-v1.json (PandaLM).",
        )
    return found


def _find(data: Path) -> Iterator[tuple[Path, str]]:
    """Files of sets, each with its place below `data`, or its own name where that is none."""
    if data.is_file():
        yield data, data.stem if data.suffix == ".jsonl" else data.resolve().parent.name
        return
    top = data.resolve()
    for number, path in enumerate(_files(top)):
        if number >= _MOST_SETS:
            raise DatasetError(f"{data}: more than {_MOST_SETS} sets")
        parts = path.relative_to(top).parts
        parts = (*parts[:-1], path.stem) if path.suffix == ".jsonl" else parts[:-1]
        yield path, "/".join(parts) or top.name


def _short(name: str) -> str:
    """The last two parts: `LLMBar/Natural`."""
    return "/".join(name.split("/")[-2:])


def _files(top: Path) -> Iterator[Path]:
    for pattern in ("dataset.json", "testset-v1.json", "*.jsonl"):
        for path in top.rglob(pattern):
            # What lies there are verdicts about a set, not sets.
            if "evaluators" not in path.relative_to(top).parts and path.is_file():
                yield path


def _read(path: Path, name: str) -> Dataset:
    problems = Problems()
    reader: Callable[[int, dict[str, Any]], Pair] = {
        "dataset.json": _llmbar,
        "testset-v1.json": _pandalm,
    }.get(path.name, _plain)
    records = _lines(path, problems) if path.suffix == ".jsonl" else _list(path)

    def samples() -> Iterator[Sample]:
        for place, (where, record) in enumerate(records):
            if place >= _MOST_PAIRS:
                raise DatasetError(f"{path}: more than {_MOST_PAIRS} pairs")
            try:
                if not isinstance(record, dict):
                    raise _Unusable("no object")
                yield sample_of(reader(place, record))
            except _Unusable as unusable:
                problems.add(str(unusable), where)

    kept = list(samples())
    return make_dataset(name, kept, problems.all())


def _bytes(path: Path) -> bytes:
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise DatasetError(f"{path}: larger than {_MOST_BYTES:,} bytes")
        return path.read_bytes()
    except OSError as error:
        raise DatasetError(f"{path}: {error.strerror}") from None


def _list(path: Path) -> Iterator[tuple[str, Any]]:
    try:
        records = json.loads(_bytes(path))
    except (ValueError, RecursionError) as error:
        raise DatasetError(f"{path}: {error}") from None
    if not isinstance(records, list):
        raise DatasetError(f"{path}: not a list of pairs")
    for number, record in enumerate(records):
        yield f"record {number}", record


def _lines(path: Path, problems: Problems) -> Iterator[tuple[str, Any]]:
    for number, line in enumerate(_bytes(path).split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            yield f"line {number}", json.loads(line)
        except (ValueError, RecursionError):
            problems.add("no JSON", f"line {number}")


def _llmbar(place: int, record: dict[str, Any]) -> Pair:
    question = _text(record, "input")
    first, second = _text(record, "output_1", full=False), _text(record, "output_2", full=False)
    label = _coded(record.get("label"), _LLMBAR)
    return _pair(str(place), question, first, second, [label])


def _pandalm(place: int, record: dict[str, Any]) -> Pair:
    parts = [_text(record, key, full=False) for key in ("instruction", "input") if key in record]
    question = "\n\n".join(part for part in parts if part.strip())
    if not question:
        raise _Unusable("instruction is empty")
    first, second = _answer(record, "response1"), _answer(record, "response2")
    names = sorted(key for key in record if key.startswith("annotator"))[:_MOST_ANNOTATORS]
    labels: list[Winner | None] = [_coded(record[name], _PANDALM) for name in names]
    compared = record.get("cmp_key")
    systems = compared.split("_") if isinstance(compared, str) else []
    pair_id = str(record.get("idx", place))
    return _pair(pair_id, question, first, second, labels, systems if len(systems) == 2 else [])


def _plain(place: int, record: dict[str, Any]) -> Pair:
    question = _text(record, "question")
    first, second = _text(record, "first", full=False), _text(record, "second", full=False)
    given = record.get("labels", [record["label"]] if "label" in record else [])
    if not isinstance(given, list) or len(given) > _MOST_ANNOTATORS:
        raise _Unusable(f"labels are no list of at most {_MOST_ANNOTATORS}")
    labels: list[Winner | None] = []
    for label in given:
        if label is not None and label not in WINNERS:
            raise _Unusable("a label is not first, second or tie")
        labels.append(label)
    systems = record.get("systems", [])
    if systems and not (
        isinstance(systems, list) and len(systems) == 2 and all(isinstance(s, str) for s in systems)
    ):
        raise _Unusable("systems are not two names")
    reference = _text(record, "reference", full=False) if record.get("reference") else ""
    pair_id, group = record.get("id", str(place)), record.get("group", "")
    if not isinstance(pair_id, str | int) or not isinstance(group, str):
        raise _Unusable("id or group is no text")
    return _pair(str(pair_id), question, first, second, labels, systems, group, reference)


def _pair(
    pair_id: str,
    question: str,
    first: str,
    second: str,
    labels: Sequence[Winner | None],
    systems: Sequence[str] = (),
    group: str = "",
    reference: str = "",
) -> Pair:
    if not any(label is not None for label in labels):
        raise _Unusable("no label")
    if not first.strip() and not second.strip():
        raise _Unusable("both answers are empty")
    return Pair(
        id=pair_id,
        question=question,
        first=first,
        second=second,
        labels=list(labels),
        label=majority(labels),
        systems=list(systems),
        group=group or hashlib.sha256(question.encode("utf-8", "replace")).hexdigest()[:12],
        reference=reference,
    )


def _answer(record: dict[str, Any], key: str) -> str:
    """An answer of PandaLM's, of which six went through a spreadsheet that made `True` a truth."""
    value = record.get(key)
    return str(value) if isinstance(value, bool) else _text(record, key, full=False)


def _text(record: dict[str, Any], key: str, *, full: bool = True) -> str:
    """A text of a record; an answer may be empty, as systems do say nothing."""
    value = record.get(key)
    if not isinstance(value, str):
        raise _Unusable(f"no {key}")
    if full and not value.strip():
        raise _Unusable(f"{key} is empty")
    # A lone surrogate, as JSON may bring, cannot be written to the run's log.
    return value.encode("utf-8", "replace").decode()


def _coded(value: Any, codes: Mapping[int, Winner]) -> Winner:
    """A label that a set writes as a number."""
    if isinstance(value, str) and value.isdecimal():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or value not in codes:
        raise _Unusable(f"a label is not one of {', '.join(map(str, codes))}")
    winner: Winner = codes[value]
    return winner
