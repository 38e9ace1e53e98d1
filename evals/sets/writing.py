"""Files of sets, written whole or not at all, and readable for their owner only."""

import json
import os
import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from evals.errors import DatasetError


def write_privately(path: Path, records: Iterable[dict[str, Any]]) -> None:
    """Writes JSON lines in place of what a file has.

    Raises:
        DatasetError: the file cannot be written.
    """
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.writelines(map(line_of, records))
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise DatasetError(f"{path}: {error.strerror}") from None


def line_of(record: dict[str, Any]) -> str:
    """A record as it stands in a file."""
    return json.dumps(record, ensure_ascii=False) + "\n"
