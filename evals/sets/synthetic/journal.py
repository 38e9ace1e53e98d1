"""The journal of making a set: what it is made with, and every attempt with what came of it.

What always holds: it is written as a `LineFile`, and a torn last line is dropped. The set is the
records of the attempts that have one.
"""

from pathlib import Path
from typing import Any

import msgspec

from evals.core.lines import LineFile, Locked
from evals.core.states import Usage
from evals.sets.errors import SetBroken, SetConflict


class Header(msgspec.Struct, frozen=True, kw_only=True, tag="set"):
    """What questions are made with, all of which must be the same to go on.

    Attributes:
        generation: of the collection: another one has other documents.
        prompt: version of the prompts.
        options: whatever else decides about questions.
    """

    collection: str
    collection_id: str
    generation: int
    model: str
    prompt: str
    seed: int
    options: dict[str, Any]


class Attempt(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="attempt"):
    """One question that was tried.

    Attributes:
        turn: of the passages; see `Sampler`.
        kind: how difficult it was meant to be.
        record: as the set has it; None if it was dropped.
        dropped: why it was.
        detail: what the model said, or what its failure was, cut.
        failed: whether the model gave no answer at all.
    """

    number: int
    turn: int
    kind: str
    record: dict[str, Any] | None = None
    dropped: str = ""
    detail: str = ""
    failed: bool = False
    usage: Usage = Usage()


_LINE = Header | Attempt


class Journal(LineFile):
    """See this module.

    Args:
        path: of its file; made if it is not there.

    Attributes:
        attempts: all so far, in order.

    Raises:
        SetConflict: another process writes it, or it was begun with another header.
        SetBroken: the file is no journal.
        OSError: it cannot be opened.
    """

    def __init__(self, path: Path, header: Header) -> None:
        try:
            super().__init__(path, 0o600)
        except Locked:
            raise SetConflict(f"{path} is being written by another process") from None
        self.attempts: list[Attempt] = []
        try:
            self._begin(header)
        except BaseException:
            self.close()
            raise

    @property
    def records(self) -> list[dict[str, Any]]:
        """Of the questions that were taken."""
        return [attempt.record for attempt in self.attempts if attempt.record is not None]

    def append(self, attempt: Attempt) -> None:
        """Writes an attempt; it survives this process's death when this returns."""
        self.write(attempt)
        self.attempts.append(attempt)

    def _begin(self, header: Header) -> None:
        data = self.path.read_bytes()
        whole, newline, torn = data.rpartition(b"\n")
        if not newline and not _is_begun(data):
            raise SetBroken(f"{self.path} is no journal of a set")
        if torn:
            self.drop(len(torn))
        if not newline:
            self.write(header)
            return
        decoder = msgspec.json.Decoder(_LINE)
        for number, line in enumerate(whole.split(b"\n"), 1):
            try:
                read = decoder.decode(line)
            except (msgspec.DecodeError, ValueError, RecursionError) as error:
                raise SetBroken(f"{self.path}, line {number}: {error}") from None
            if isinstance(read, Header) != (number == 1):
                raise SetBroken(f"{self.path}, line {number}: not in its place")
            if isinstance(read, Attempt):
                self.attempts.append(read)
            elif (name := _difference(read, header)) is not None:
                raise SetConflict(
                    f"{self.path} was begun with another {name}",
                    hint="Go on with what it was begun with, name another file, or say --replace.",
                )


def _is_begun(data: bytes) -> bool:
    """Whether a file without any whole line is empty, or a header that was broken off."""
    return b'{"type":"set"'.startswith(data[:13])


def _difference(there: Header, now: Header) -> str | None:
    for name in Header.__struct_fields__:
        if getattr(there, name) != getattr(now, name):
            return "state of the collection" if name == "generation" else name
    return None
