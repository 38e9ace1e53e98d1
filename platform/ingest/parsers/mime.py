"""E-mail as MIME (.eml) to a `Letter`, with the standard library's parser.

Headers are cut before they are decoded: some of their syntax takes quadratic time. Parts are not
followed into enclosed messages, which are documents of their own. Source: RFC 5322, 2045 to 2047.
"""

import contextlib
import email
import email.policy
from collections.abc import Iterator
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.message import Message
from email.utils import parsedate_to_datetime

from rostra.core import collapse_whitespace, normalize_text
from rostra.ingest import media
from rostra.ingest.errors import CorruptFile, TooDeep
from rostra.ingest.parsers.letter import Body, Enclosure, Letter, file_name, name_of

_MAX_HEADER_CHARS = 4_000
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
        TooDeep: if its parts are nested deeper than Python follows.
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
    alternatives: list[Body] = []
    for part, parent, alternative in _parts(message):
        kind = part.get_content_type()
        name = part.get_filename()
        attached = part.get_content_disposition() == "attachment" or bool(name)
        if kind == "message/rfc822":
            letter.enclosures.append(_enclosed_message(part))
        elif kind in _BODIES and not attached:
            body = Body(_BODIES[kind], _payload(part), part.get_content_charset())
            if alternative:
                alternatives.append(body)
            else:
                letter.bodies.append(body)
        elif parent == "multipart/related" and part.get_content_maintype() == "image":
            # A picture in the page, most often a logo.
            continue
        elif attached or kind in _ENDINGS:
            default = f"attachment{_ENDINGS.get(kind, '')}"
            letter.enclosures.append(_enclosed_file(part, _words(name or "")[:300], default))
    letter.bodies[:0] = [best] if (best := _best(alternatives)) else []
    return letter


def _parts(message: Message) -> Iterator[tuple[Message, str, bool]]:
    """The parts that are no containers, in order, each with its container's type.

    True with those that are one of several forms of the same text.
    """
    stack = [iter([(message, "", False)])]
    while stack:
        item = next(stack[-1], None)
        if item is None:
            stack.pop()
            continue
        part, parent, alternative = item
        kind = part.get_content_type()
        payload = part.get_payload()
        if part.get_content_maintype() == "multipart" and isinstance(payload, list):
            forms = alternative or kind == "multipart/alternative"
            children = [child for child in payload if isinstance(child, Message)]
            stack.append(iter([(child, kind, forms) for child in children]))
        else:
            yield part, parent, alternative


def _best(alternatives: list[Body]) -> Body | None:
    """The page if there is one: it has the structure; else the text."""
    pages = [body for body in alternatives if body.media_type == media.HTML and body.data.strip()]
    texts = [body for body in alternatives if body.data.strip()]
    return next(iter(pages or texts), None)


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
