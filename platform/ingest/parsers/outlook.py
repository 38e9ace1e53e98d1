"""Outlook's messages (.msg) to a `Letter`: an OLE container of MAPI properties.

Names and numbers of properties are those of MS-OXPROPS, their storage that of MS-OXMSG, compressed
Rich Text that of MS-OXRTFCP. A message in a message is a storage of the same form within it.
"""

import io
import struct
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import olefile

from rostra.ingest import media
from rostra.ingest.decode import decode_text
from rostra.ingest.errors import CorruptFile
from rostra.ingest.parsers.letter import (
    MAX_ENCLOSURES,
    Body,
    Choice,
    Enclosure,
    Letter,
    file_name,
    name_of,
)
from rostra.ingest.reasons import words_of

_SUBJECT, _SENDER, _SENDER_SMTP, _SENDER_ADDRESS = "0037", "0C1A", "5D01", "0C1F"
_TO, _CC, _PLAIN, _RTF, _HTML = "0E04", "0E03", "1000", "1009", "1013"
_LONG_NAME, _SHORT_NAME, _DISPLAY_NAME, _DATA = "3707", "3704", "3001", "3701"
_UNICODE, _STRING, _BINARY, _OBJECT = "001F", "001E", "0102", "000D"
_DATES = (0x0039, 0x0E06)
_FILETIME = 0x0040
_PROPERTIES = "__properties_version1.0"
_ATTACHMENT = "__attach_version1.0_"
_EPOCH = datetime(1601, 1, 1, tzinfo=UTC)
# Properties of a message begin after a header, whose length depends on where it stands.
_TOP_HEADER, _INNER_HEADER = 32, 24
_COMPRESSED = b"LZFu"
_STORED = b"MELA"
_MAX_RTF_BYTES = 64 * 1024 * 1024
# What every compressed text begins with, and is not stored.
_DICTIONARY = (
    rb"{\rtf1\ansi\mac\deff0\deftab720{\fonttbl;}{\f0\fnil \froman \fswiss \fmodern \fscript "
    rb"\fdecor MS Sans SerifSymbolArialTimes New RomanCourier{\colortbl\red0\green0\blue0"
    b"\r\n"
    rb"\par \pard\plain\f0\fs20\b\i\u\tab\tx"
)


def read_outlook(data: bytes) -> Letter:
    """Reads a message.

    Raises:
        CorruptFile: if it is no Outlook message or damaged.
    """
    try:
        container = olefile.OleFileIO(io.BytesIO(data))
        if not container.exists(_PROPERTIES):
            raise CorruptFile("the file is no Outlook message")
        letter = _Storage(container, ()).letter()
        if container.parsing_issues and not (letter.subject or _has_forms(letter)):
            raise CorruptFile("the Outlook message is damaged or cut off")
        return letter
    except (OSError, ValueError, IndexError, struct.error, TypeError, AttributeError) as error:
        # What olefile raises for containers that are cut off or damaged.
        raise CorruptFile(f"the Outlook message is damaged: {words_of(error)}") from None


def _has_forms(letter: Letter) -> bool:
    return any(not isinstance(one, Choice) or one.forms for one in letter.bodies)


class _Storage:
    """A folder of an OLE container: a message or something attached to one."""

    def __init__(self, container: olefile.OleFileIO, path: tuple[str, ...]) -> None:
        self._container = container
        self._path = path

    def letter(self) -> Letter:
        """The message that is stored here."""
        sender, address = self._text(_SENDER), self._text(_SENDER_SMTP)
        address = address or self._text(_SENDER_ADDRESS)
        attached = self._attached()
        if "@" in address and address not in sender:
            sender = f"{sender} <{address}>" if sender else address
        return Letter(
            subject=" ".join(self._text(_SUBJECT).split()),
            sender=sender,
            to=self._text(_TO),
            cc=self._text(_CC),
            date=self._date(),
            bodies=[Choice([[body] for body in self._forms()])],
            enclosures=[self._inner(name).enclosure() for name in attached[:MAX_ENCLOSURES]],
            left_out=max(0, len(attached) - MAX_ENCLOSURES),
        )

    def _forms(self) -> Iterator[Body]:
        """The page, the text and the Rich Text, as far as they are there."""
        if (page := self._stream(_HTML, _BINARY) or self._text(_HTML).encode()).strip():
            yield Body(media.HTML, lambda: page)
        if (text := self._text(_PLAIN).encode()).strip():
            yield Body(media.PLAIN, lambda: text, "utf-8")
        if packed := self._stream(_RTF, _BINARY):
            yield Body(media.RTF, lambda: unpacked_rtf(packed))

    def _attached(self) -> list[str]:
        """The names of the storages of what is attached here, in order."""
        depth = len(self._path)
        return sorted(
            {
                entry[depth]
                for entry in self._container.listdir(streams=True, storages=True)
                if tuple(entry[:depth]) == self._path
                and len(entry) > depth
                and entry[depth].startswith(_ATTACHMENT)
            }
        )

    def _inner(self, name: str) -> "_Storage":
        return _Storage(self._container, (*self._path, name))

    def enclosure(self) -> Enclosure:
        """What is attached here."""
        inner = (*self._path, f"__substg1.0_{_DATA}{_OBJECT}")
        name = self._text(_LONG_NAME) or self._text(_SHORT_NAME) or self._text(_DISPLAY_NAME)
        if self._container.exists([*inner, _PROPERTIES]):
            return Enclosure(f"{name_of(name)}.msg", _Storage(self._container, inner).letter)
        return Enclosure(file_name(name, "attachment"), lambda: self._stream(_DATA, _BINARY))

    def _stream(self, number: str, kind: str) -> bytes:
        """A property's bytes; empty if there is none."""
        path = [*self._path, f"__substg1.0_{number}{kind}"]
        if not self._container.exists(path):
            return b""
        data: bytes = self._container.openstream(path).read()
        return data

    def _text(self, number: str) -> str:
        wide = self._stream(number, _UNICODE)
        if wide:
            return wide.decode("utf-16-le", errors="replace").rstrip("\x00")
        return decode_text(self._stream(number, _STRING)).text.rstrip("\x00")

    def _date(self) -> str:
        path = [*self._path, _PROPERTIES]
        data = self._container.openstream(path).read() if self._container.exists(path) else b""
        found: dict[int, int] = {}
        header = _INNER_HEADER if self._path else _TOP_HEADER
        for at in range(header, len(data) - 15, 16):
            kind, number, _, value = struct.unpack_from("<HHIQ", data, at)
            if kind == _FILETIME:
                found[number] = value
        for number in _DATES:
            if number in found:
                try:
                    moment = _EPOCH + timedelta(microseconds=found[number] // 10)
                except OverflowError:
                    continue
                return moment.isoformat(timespec="seconds")
        return ""


def unpacked_rtf(packed: bytes) -> bytes:
    """Rich Text as it was before it was compressed.

    Raises:
        CorruptFile: if it is damaged, or longer than any message.
    """
    if len(packed) < 16:
        raise CorruptFile("the message's Rich Text is cut off")
    _, size, kind, _ = struct.unpack_from("<II4sI", packed)
    if size > _MAX_RTF_BYTES:
        raise CorruptFile("the message's Rich Text is too long")
    if kind == _STORED:
        return packed[16 : 16 + size]
    if kind != _COMPRESSED:
        raise CorruptFile("the message's Rich Text is of an unknown kind")
    window = bytearray(4096)
    window[: len(_DICTIONARY)] = _DICTIONARY
    write = len(_DICTIONARY)
    out = bytearray()
    position = 16
    while position < len(packed) and len(out) < size:
        control = packed[position]
        position += 1
        for bit in range(8):
            if position >= len(packed) or len(out) >= size:
                break
            if control >> bit & 1:
                if position + 1 >= len(packed):
                    raise CorruptFile("the message's Rich Text is cut off")
                reference = packed[position] << 8 | packed[position + 1]
                position += 2
                offset, length = reference >> 4, (reference & 15) + 2
                if offset == write:
                    return bytes(out[:size])
                for step in range(length):
                    byte = window[(offset + step) % 4096]
                    out.append(byte)
                    window[write] = byte
                    write = (write + 1) % 4096
            else:
                byte = packed[position]
                position += 1
                out.append(byte)
                window[write] = byte
                write = (write + 1) % 4096
    return bytes(out[:size])
