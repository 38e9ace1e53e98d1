"""Sets that are files: JSON lines and tables.

`evals.sets.records` says what a record has. In a table the first row names the fields; a cell of
`answers`, `gold`, `passages`, `spans` or `metadata` that begins with `[` or `{` is read as JSON,
and `unanswerable` is one of true, false, yes, no, 1, 0.

What always holds: a line or row that cannot be read costs itself alone and is counted, with its
place; a set without any sample is a `DatasetError`.
"""

import codecs
import csv
import io
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from evals.core.dataset import Dataset, Problems, make_dataset
from evals.core.samples import Sample
from evals.errors import DatasetError
from evals.json_lines import read_json_lines
from evals.sets.records import Malformed, sample_of

JSON_LINES, TABLES = frozenset({".jsonl", ".ndjson"}), frozenset({".csv", ".tsv"})
MOST_BYTES = 1 << 30
MOST_SAMPLES = 1_000_000

_DELIMITERS = ",;\t|"
_JSON_CELLS = frozenset(
    ("answers", "targets", "gold", "passages", "documents", "spans", "metadata")
)
_TRUTH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # begins with UTF-16's
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_SNIFFED = 64 * 1024


def read_set(path: Path) -> Dataset:
    """Reads a file by its ending: .jsonl or .ndjson, .csv or .tsv.

    Raises:
        DatasetError: it has another one, cannot be read, or has no sample.
    """
    ending = path.suffix.lower()
    if ending in TABLES:
        return read_csv_set(path)
    if ending in JSON_LINES:
        return read_jsonl_set(path)
    raise DatasetError(
        f"{path}: not a kind of file that sets are read from",
        hint="A set is a .jsonl, .ndjson, .csv or .tsv file.",
    )


def read_jsonl_set(path: Path, name: str = "") -> Dataset:
    """Reads a file of JSON lines.

    Args:
        name: of the dataset; by default the file's.

    Raises:
        DatasetError: the file cannot be read, or no sample is left.
    """
    _check_size(path)
    problems = Problems()
    samples = _samples(read_json_lines(path, problems), problems)
    return make_dataset(name or path.stem, samples, problems.all())


def read_csv_set(path: Path, name: str = "") -> Dataset:
    """Reads a table: comma, semicolon, tab or bar between cells, which is found out.

    Without a byte order mark it is read as UTF-8, or else as the encoding that it looks like.

    Args:
        name: of the dataset; by default the file's.

    Raises:
        DatasetError: the file cannot be read, has no header or no column of questions, or no
            sample is left.
    """
    problems = Problems()
    samples = _samples(read_rows(path, problems), problems)
    return make_dataset(name or path.stem, samples, problems.all())


def read_rows(path: Path, problems: Problems) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields (place, record) for each row of a table; see `read_csv_set`.

    Args:
        problems: where rows are counted that are none.

    Raises:
        DatasetError: the file cannot be read, has no header or no column of questions.
    """
    _check_size(path)
    try:
        text = _decoded(path.read_bytes())
    except OSError as error:
        raise DatasetError(f"{path}: {error.strerror}") from None
    yield from _rows(path, text, problems)


def _samples(records: Iterable[tuple[str, dict[str, Any]]], problems: Problems) -> list[Sample]:
    found: list[Sample] = []
    for place, record in records:
        if len(found) == MOST_SAMPLES:
            problems.add(f"more than {MOST_SAMPLES:,} samples: not read", place)
            continue
        try:
            found.append(sample_of(record, place))
        except Malformed as malformed:
            problems.add(str(malformed), place)
    return found


def _check_size(path: Path) -> None:
    try:
        size = path.stat().st_size
    except OSError as error:
        raise DatasetError(f"{path}: {error.strerror}") from None
    if size > MOST_BYTES:
        raise DatasetError(f"{path}: larger than {MOST_BYTES >> 20:,} MiB")


def _rows(path: Path, text: str, problems: Problems) -> Iterator[tuple[str, dict[str, Any]]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(path, text))
    names: list[str] | None = None
    while True:
        place = f"{path.name}, line {reader.line_num + 1}"
        try:
            row = next(reader)
        except StopIteration:
            break
        except csv.Error:
            problems.add("a row that cannot be read", place)
            continue
        if not any(cell.strip() for cell in row):
            continue
        if names is None:
            names = _header(path, row)
        elif len(row) > len(names):
            problems.add("a row with more cells than the header", place)
        else:
            try:
                yield place, _record(names, row)
            except Malformed as malformed:
                problems.add(str(malformed), place)


def _header(path: Path, row: list[str]) -> list[str]:
    names = [cell.strip().lower() for cell in row]
    twice = sorted({name for name in names if name and names.count(name) > 1})
    if twice:
        raise DatasetError(f"{path}: two columns are called {twice[0]!r}")
    if "question" not in names and "input" not in names:
        raise DatasetError(
            f"{path}: no column is called `question`", hint="The first row names the columns."
        )
    return [name or f"column {number}" for number, name in enumerate(names, 1)]


def _record(names: list[str], row: list[str]) -> dict[str, Any]:
    # Spreadsheets leave out empty cells at the end of a row.
    cells = zip(names, row, strict=False)
    return {name: _cell(name, text) for name, text in cells if text.strip()}


def _cell(name: str, text: str) -> Any:
    if name == "unanswerable":
        known = _TRUTH.get(text.strip().lower())
        return text if known is None else known
    if name in _JSON_CELLS and text.lstrip()[:1] in ("[", "{"):
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            raise Malformed(f"a cell of `{name}` that is no JSON") from None
    return text


def _delimiter(path: Path, text: str) -> str:
    """What stands between cells: what the header, outside of quotes, has most of."""
    if path.suffix.lower() == ".tsv":
        return "\t"
    first = next((line for line in text[:_SNIFFED].splitlines() if line.strip()), "")
    bare = "".join(first.split('"')[::2])
    return max(_DELIMITERS, key=lambda mark: (bare.count(mark), mark == ","))


def _decoded(data: bytes) -> str:
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return data[len(mark) :].decode(encoding, "replace")
    try:
        return data.decode()
    except UnicodeDecodeError:
        pass
    import charset_normalizer

    best = charset_normalizer.from_bytes(data[: 4 * _SNIFFED]).best()
    # Short Western texts look like many encodings; this is the one that spreadsheets write.
    if best is None or "cp1252" in (best.encoding, *best.could_be_from_charset):
        return data.decode("cp1252", "replace")
    return data.decode(best.encoding, "replace")
