"""Files that verbs write: whole, or not at all."""

import secrets
from pathlib import Path

from rostra.core import InvalidRequest


def write_text(path: Path, text: str) -> None:
    """Writes a file, in place of one that is there; readers see the old one or the new one.

    Raises:
        InvalidRequest: it cannot be written there.
    """
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            fresh.write_text(text, encoding="utf-8")
            fresh.replace(path)
        finally:
            fresh.unlink(missing_ok=True)
    except OSError as error:
        raise InvalidRequest(f"{path} cannot be written: {error.strerror}") from None
