"""Files of JSON lines, read so that a bad line costs itself alone.

What always holds: every line that is not blank is yielded or counted among the problems.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from evals.core.dataset import Problems
from evals.errors import DatasetError


def read_json_lines(
    path: Path, problems: Problems, *, name: str = ""
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields (place, object) for each line that is a JSON object.

    Args:
        problems: where the others are counted.
        name: of the file in places; by default its own.

    Raises:
        DatasetError: the file cannot be opened.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        raise DatasetError(f"{path}: {error.strerror}") from None
    with file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            place = f"{name or path.name}, line {number}"
            try:
                # Bytes, so that a line that is no UTF-8 is told by its number.
                record = json.loads(line.decode("utf-8-sig" if number == 1 else "utf-8"))
            except (ValueError, RecursionError):
                problems.add("a line that is no JSON", place)
                continue
            if b"\\ud" in line.lower() and _is_torn(record):
                problems.add("a line with half a character (a lone surrogate)", place)
            elif isinstance(record, dict):
                yield place, record
            else:
                problems.add("a line that is no JSON object", place)


def _is_torn(record: Any) -> bool:
    """Whether a text in it can be written in no encoding."""
    try:
        json.dumps(record, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return True
    return False


def text_of(record: dict[str, Any], key: str) -> str | None:
    """A field that is a text with a character to be seen; None if it is not."""
    value = record.get(key)
    return value if isinstance(value, str) and value.strip() else None


def id_of(record: dict[str, Any], key: str) -> str | None:
    """A field that names a record: a text or a whole number; None if it is neither."""
    value = record.get(key)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) and value else None


def in_words(problems: Problems) -> str:
    """All problems in one line, each with a place."""
    return "; ".join(
        f"{one.count}: {one.reason} ({', '.join(one.examples[:1])})" for one in problems.all()
    )
