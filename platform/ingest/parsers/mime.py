"""E-mail as MIME (.eml) to a `Letter`, with the standard library's parser.

Headers are cut before they are decoded: some of their syntax takes quadratic time. Parts are not
followed into enclosed messages, which are documents of their own. Source: RFC 5322, 2045 to 2047.
"""

import contextlib
import email
import email.policy
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.message import Message
from email.utils import parsedate_to_datetime
from functools import partial

from rostra.core import collapse_whitespace, normalize_text
from rostra.ingest import media
from rostra.ingest.errors import CorruptFile, TooDeep
from rostra.ingest.parsers.letter import Body, Choice, Enclosure, Letter, file_name, name_of

_MAX_HEADER_CHARS = 4_000
_MAX_DEPTH = 100
_BODIES = {"text/plain": media.PLAIN, "text/html": media.HTML}
_ENDINGS = {
    "application/pdf": ".pdf",
    "text/html": ".html",
    "text/plain": ".txt",
    "text/csv": ".csv",
    "image/png": ".png",
    "image/jpeg": ".jpg",
    "image/tiff": ".tiff",
}


def read_mime(data: bytes) -> Letter:
    """Reads a message.

    Raises:
        TooDeep: if its parts are nested too deeply.
    """
    try:
        message = email.message_from_bytes(data, policy=email.policy.compat32)
        return _letter(message)
    except RecursionError:
        raise TooDeep("the message's parts are nested too deeply") from None


def _letter(message: Message) -> Letter:
    headers = _headers(message)
    letter = Letter(
        subject=headers.get("subject", ""),
        sender=headers.get("from", ""),
        to=headers.get("to", ""),
        cc=headers.get("cc", ""),
        date=_date(headers.get("date", "")),
    )
    _collect(message, "", letter, letter.bodies, 0)
    return letter


def _collect(
    part: Message, parent: str, letter: Letter, bodies: list[Body | Choice], depth: int
) -> None:
    """Takes up a part and those in it, in order.

    Args:
        part: of the message.
        parent: the type of the container that it is in.
        letter: gets what is enclosed.
        bodies: gets what is text: the letter's, or those of one form of a text.
        depth: of containers in containers.

    Raises:
        TooDeep: if they are nested too deeply.
    """
    kind = part.get_content_type()
    payload = part.get_payload()
    if part.get_content_maintype() != "multipart" or not isinstance(payload, list):
        _take(part, parent, letter, bodies)
        return
    if depth >= _MAX_DEPTH:
        raise TooDeep("the message's parts are nested too deeply")
    forms: list[list[Body | Choice]] = []
    for child in payload:
        if isinstance(child, Message):
            form: list[Body | Choice] = []
            chosen = kind == "multipart/alternative"
            _collect(child, kind, letter, form if chosen else bodies, depth + 1)
            if form:
                forms.append(form)
    if forms:
        bodies.append(Choice(sorted(forms, key=lambda form: not _has_page(form))))


def _take(part: Message, parent: str, letter: Letter, bodies: list[Body | Choice]) -> None:
    """Takes up a part that holds no others, or a message."""
    kind = part.get_content_type()
    name = part.get_filename()
    attached = part.get_content_disposition() == "attachment" or bool(name)
    if kind in _BODIES and not attached:
        bodies.append(Body(_BODIES[kind], partial(_payload, part), part.get_content_charset()))
    elif parent == "multipart/related" and part.get_content_maintype() == "image":
        # A picture in the page, most often a logo.
        return
    elif attached or kind in _ENDINGS or kind == "message/rfc822":
        if letter.is_full:
            letter.left_out += 1
        elif kind == "message/rfc822":
            letter.enclosures.append(_enclosed_message(part))
        else:
            default = f"attachment{_ENDINGS.get(kind, '')}"
            letter.enclosures.append(_enclosed_file(part, _words(name or "")[:300], default))


def _has_page(form: list[Body | Choice]) -> bool:
    """Whether a form has the structure that a page gives."""
    return any(
        one.media_type == media.HTML if isinstance(one, Body) else any(map(_has_page, one.forms))
        for one in form
    )


def _enclosed_message(part: Message) -> Enclosure:
    payload = part.get_payload()
    inner = payload[0] if isinstance(payload, list) and payload else None
    subject = _headers(inner).get("subject", "") if isinstance(inner, Message) else ""

    def read() -> Letter:
        if not isinstance(inner, Message):
            raise CorruptFile("the enclosed message is empty")
        return _letter(inner)

    return Enclosure(f"{name_of(subject)}.eml", read)


def _enclosed_file(part: Message, name: str, default: str) -> Enclosure:
    return Enclosure(file_name(name, default), lambda: _payload(part))


def _payload(part: Message) -> bytes:
    payload = part.get_payload(decode=True)
    return payload if isinstance(payload, bytes) else b""


def _headers(message: Message) -> dict[str, str]:
    """The first of each header by its name in small letters, decoded."""
    found: dict[str, str] = {}
    for name, value in message.raw_items():
        lowered = name.lower()
        if lowered in {"subject", "from", "to", "cc", "date"} and lowered not in found:
            found[lowered] = _words(str(value)[:_MAX_HEADER_CHARS])
    return found


def _words(raw: str) -> str:
    """A header's text: encoded words decoded, raw bytes taken for UTF-8."""
    text = raw.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    if "=?" in text:
        # With an unknown encoding or a damaged word it stays as written.
        with contextlib.suppress(HeaderParseError, LookupError, ValueError):
            text = str(make_header(decode_header(text)))
    return collapse_whitespace(normalize_text(text))


def _date(written: str) -> str:
    try:
        return parsedate_to_datetime(written).isoformat()
    except (ValueError, TypeError, OverflowError):
        return written
