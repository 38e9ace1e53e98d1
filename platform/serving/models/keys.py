"""Reads JSON files of a checkpoint key by key, so that an error names the file and the key.

What always holds: a value that is returned has the type asked for; anything else raises
`BrokenCheckpoint`. A key that is absent takes the default given for its family, null is null.
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rostra.serving.errors import BrokenCheckpoint

_LARGEST = 2**31 - 1
_MAX_FILE_BYTES = 64 * 2**20


def read_json(file: Path) -> dict[str, Any]:
    """The JSON object in a file.

    Raises:
        BrokenCheckpoint: the file is missing, or is something else.
    """
    try:
        if file.stat().st_size > _MAX_FILE_BYTES:
            raise BrokenCheckpoint(f"{file} is too large to be a model's description")
        value = json.loads(file.read_bytes())
    except FileNotFoundError:
        raise BrokenCheckpoint(
            f"there is no {file.name} in {file.parent}",
            hint="A checkpoint folder has config.json, *.safetensors and tokenizer.json.",
        ) from None
    except OSError as error:
        raise BrokenCheckpoint(f"{file} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise BrokenCheckpoint(f"{file} is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise BrokenCheckpoint(f"{file} holds no JSON object")
    return value


class Keys:
    """A JSON object of a file, read with types.

    Args:
        values: the object.
        file: named in errors.
        defaults: for keys that are absent.
        path: of this object within the file, as in `rope_scaling.`.
    """

    def __init__(
        self,
        values: Mapping[str, Any],
        file: Path,
        defaults: Mapping[str, Any] | None = None,
        path: str = "",
    ) -> None:
        self._values = values
        self._defaults = defaults or {}
        self._path = path
        self.file = file

    def __contains__(self, name: str) -> bool:
        return self.value(name) is not None

    def value(self, name: str) -> Any:
        """Whatever is there; None when the key is absent or null."""
        return self._values[name] if name in self._values else self._defaults.get(name)

    def broken(self, name: str, wanted: str) -> BrokenCheckpoint:
        """The error for a key whose value is not what is `wanted`."""
        shown = repr(self.value(name))
        shown = shown if len(shown) < 80 else shown[:77] + "..."
        return BrokenCheckpoint(f"{self.file}: {self._path}{name} must be {wanted}, not {shown}")

    def integer(self, name: str, at_least: int = 1, at_most: int = _LARGEST) -> int:
        """A whole number in this range."""
        value = self.value(name)
        whole = isinstance(value, int) and not isinstance(value, bool)
        if not whole or not at_least <= value <= at_most:
            raise self.broken(name, f"a whole number from {at_least} to {at_most}")
        return int(value)

    def number(self, name: str) -> float:
        """A finite number above zero."""
        return _positive(self.value(name), self.broken(name, "a number above zero"))

    def numbers(self, name: str) -> tuple[float, ...]:
        """A list of finite numbers above zero."""
        wanted = self.broken(name, "a list of numbers above zero")
        value = self.value(name)
        if not isinstance(value, list):
            raise wanted
        return tuple(_positive(item, wanted) for item in value)

    def flag(self, name: str) -> bool:
        """true or false; absent and null are false."""
        value = self.value(name)
        if value is not None and not isinstance(value, bool):
            raise self.broken(name, "true or false")
        return bool(value)

    def text(self, name: str) -> str:
        value = self.value(name)
        if not isinstance(value, str):
            raise self.broken(name, "a text")
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        value = self.value(name)
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self.broken(name, "a list of texts")
        return tuple(value)

    def token_ids(self, name: str) -> tuple[int, ...]:
        """One id or a list of ids; () when absent or null."""
        value = self.value(name)
        ids = value if isinstance(value, list) else [] if value is None else [value]
        if any(not isinstance(i, int) or isinstance(i, bool) or i < 0 for i in ids):
            raise self.broken(name, "a token id or a list of them")
        return tuple(dict.fromkeys(ids))

    def section(self, name: str, defaults: Mapping[str, Any] | None = None) -> "Keys":
        """The object under a key."""
        value = self.value(name)
        if not isinstance(value, dict):
            raise self.broken(name, "an object")
        return Keys(value, self.file, defaults, f"{self._path}{name}.")


def _positive(value: Any, wanted: BrokenCheckpoint) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise wanted
    try:
        number = float(value)
    except OverflowError:
        raise wanted from None
    if not math.isfinite(number) or number <= 0:
        raise wanted
    return number
