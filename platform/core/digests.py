"""What a file's content is known by."""

import hashlib
from pathlib import Path


def file_digest(path: Path) -> str:
    """sha256 of a file, hexadecimal; reads it piece by piece.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
