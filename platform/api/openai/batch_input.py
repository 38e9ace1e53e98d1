"""The input file of a batch: one request a line.

What always holds: a file is checked whole before its first request runs; nothing of a line is
trusted beyond what was checked here; lines are read one at a time.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec

from rostra.api.openai.body import MAX_BODY_BYTES
from rostra.api.openai.surrogates import find_half

MAX_REQUESTS = 50_000
_MAX_ERRORS = 50


class BatchLine(msgspec.Struct, forbid_unknown_fields=True):
    """A request: its own id, where it goes, and its body."""

    custom_id: str
    method: Literal["POST"]
    url: str
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Checked:
    """What the check of a file found: the number of requests, or what is wrong."""

    total: int
    errors: list[dict[str, Any]]


def check_input(path: Path, endpoint: str) -> Checked:
    """Looks at every line. Blocks."""
    errors: list[dict[str, Any]] = []
    seen: set[str] = set()
    total = 0
    for number, line in _numbered(path):
        total += 1
        problem = _problem(line, endpoint, seen)
        if total > MAX_REQUESTS:
            problem = ("too_many_requests", f"more than {MAX_REQUESTS:,} requests", None)
        if problem is not None:
            code, message, param = problem
            errors.append({"code": code, "message": message, "line": number, "param": param})
        if len(errors) >= _MAX_ERRORS or total > MAX_REQUESTS:
            break
    if not total:
        errors.append(
            {"code": "empty_file", "message": "the file is empty", "line": None, "param": None}
        )
    return Checked(total, errors)


def read_requests(path: Path) -> Iterator[BatchLine]:
    """The requests of a file that was checked. Blocks."""
    for _, line in _numbered(path):
        yield msgspec.json.decode(line, type=BatchLine)


def _numbered(path: Path) -> Iterator[tuple[int, bytes]]:
    """Lines that are not blank, by number from 1; an overlong one is cut, and no JSON then."""
    with path.open("rb") as file:
        number = 0
        while line := file.readline(MAX_BODY_BYTES + 1):
            number += 1
            while len(line) > MAX_BODY_BYTES and not line.endswith(b"\n"):
                rest = file.readline(MAX_BODY_BYTES)
                if not rest or rest.endswith(b"\n"):
                    break
            if line.strip():
                yield number, line


def _problem(line: bytes, endpoint: str, seen: set[str]) -> tuple[str, str, str | None] | None:
    """Code, message and parameter of what is wrong with a line."""
    if len(line) > MAX_BODY_BYTES:
        return "line_too_long", f"the line is longer than {MAX_BODY_BYTES:,} bytes", None
    try:
        request = msgspec.json.decode(line, type=BatchLine)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        if (half := find_half(line)) is not None:
            at = half.path or None
            return "invalid_json_line", f"{at or 'the line'}: {half.message}", at
        return "invalid_json_line", f"the line is no request: {error}"[:500], None
    if request.url != endpoint:
        return "mismatched_url", f"url must be the batch's endpoint {endpoint}", "url"
    if not 1 <= len(request.custom_id) <= 512:
        return "invalid_custom_id", "custom_id must have 1 to 512 characters", "custom_id"
    if request.custom_id in seen:
        return "duplicate_custom_id", f"custom_id {request.custom_id!r} occurs twice", "custom_id"
    seen.add(request.custom_id)
    return None
