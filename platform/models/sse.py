"""Server-sent events out of bytes (WHATWG HTML, 9.2.6), as far as model endpoints use them.

What always holds: the events depend on the bytes alone, never on how they were cut into pieces; a
line ends with CR, LF or both and with nothing else, so that line separators within JSON stay text;
an event without its blank line is not given; memory is bounded by `MAX_EVENT_BYTES`.
"""

import re

MAX_EVENT_BYTES = 8 * 1024 * 1024

_LINE_END = re.compile(rb"\r\n|\n|\r")
_BOM = b"\xef\xbb\xbf"


class EventTooLong(ValueError):
    """A line or an event is longer than anyone would need."""


class EventDecoder:
    """Gives the data of each event; names, ids and comments are left out."""

    def __init__(self) -> None:
        self._line: list[bytes] = []  # pieces of a line that has not ended
        self._data: list[bytes] = []
        self._size = 0
        self._after_cr = False
        self._begun = False

    def feed(self, piece: bytes) -> list[bytes]:
        """The data of all events that a further piece completes.

        Raises:
            EventTooLong: an event is larger than `MAX_EVENT_BYTES`.
        """
        if not piece:
            return []
        if self._after_cr:
            piece = piece.removeprefix(b"\n")
        self._after_cr = piece.endswith(b"\r")
        found: list[bytes] = []
        start = 0
        for end in _LINE_END.finditer(piece):
            self._keep(piece[start : end.start()])
            start = end.end()
            line = b"".join(self._line)
            self._line.clear()
            if (data := self._take(line)) is not None:
                found.append(data)
        self._keep(piece[start:])
        return found

    def _keep(self, part: bytes) -> None:
        self._size += len(part)
        if self._size > MAX_EVENT_BYTES:
            raise EventTooLong(f"an event has more than {MAX_EVENT_BYTES:,} bytes")
        if part:
            self._line.append(part)

    def _take(self, line: bytes) -> bytes | None:
        """Takes a line; gives the data of the event that it ends, if it ends one with data."""
        if not self._begun:
            self._begun = True
            line = line.removeprefix(_BOM)
        if not line:
            data, self._data, self._size = self._data, [], 0
            return b"\n".join(data) if data else None
        name, _, value = line.partition(b":")
        if name == b"data":
            self._data.append(value.removeprefix(b" "))
        elif not self._data:
            self._size = 0  # comments alone may go on for ever
        return None
