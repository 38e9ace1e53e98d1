"""E-mails: the headers that people read, the body, and the names of what is enclosed.

What is enclosed are documents of their own: `enclosed` follows a path of steps into a message, and
gives the bytes or the message there. Quoted replies are part of the text, as they were sent.
"""

from rostra.core import normalize_text
from rostra.ingest import media
from rostra.ingest.builder import DocumentBuilder
from rostra.ingest.decode import decode_text
from rostra.ingest.document import MAX_TITLE_CHARS, JsonScalar, ParsedDocument, SpanKind
from rostra.ingest.errors import CorruptFile, NoText, TooDeep
from rostra.ingest.limits import ParseLimits
from rostra.ingest.parsers.boilerplate import prune_hidden
from rostra.ingest.parsers.html import PageReader, page_source, page_tree
from rostra.ingest.parsers.letter import NAMES, Body, Choice, Letter
from rostra.ingest.parsers.mime import read_mime
from rostra.ingest.parsers.outlook import read_outlook
from rostra.ingest.parsers.plain import paragraphs
from rostra.ingest.parsers.rtf import RtfReader
from rostra.ingest.reasons import words_of


def parse(data: bytes, name: str, media_type: str, limits: ParseLimits) -> ParsedDocument:
    """Reads a message.

    Raises:
        CorruptFile: if it is no message or damaged.
        TooDeep: if its parts are nested too deeply.
        TooLarge: if the text is over its limit.
    """
    return letter_document(read_letter(data, media_type), name, media_type, limits)


def read_letter(data: bytes, media_type: str) -> Letter:
    """Reads a message of either format.

    Raises:
        UnreadableFile: of the class that says why it cannot be read.
    """
    return read_outlook(data) if media_type == media.MSG else read_mime(data)


def enclosed(letter: Letter, number: int) -> tuple[str, bytes | Letter]:
    """Something enclosed in a message, by its number from 1.

    Raises:
        CorruptFile: if it is not there or damaged.
    """
    if not 1 <= number <= len(letter.enclosures):
        raise CorruptFile(f"the message has no attachment {number}")
    enclosure = letter.enclosures[number - 1]
    try:
        return enclosure.name, enclosure.open()
    except (OSError, ValueError, LookupError) as error:
        raise CorruptFile(
            f"the attachment {enclosure.name} is damaged: {words_of(error)}"
        ) from None


def letter_document(
    letter: Letter, name: str, media_type: str, limits: ParseLimits
) -> ParsedDocument:
    """The document of a message."""
    builder = DocumentBuilder(limits.max_text_chars)
    headers = {"from": letter.sender, "to": letter.to, "cc": letter.cc, "date": letter.date}
    headers = {key: " ".join(normalize_text(value).split()) for key, value in headers.items()}
    if subject := " ".join(letter.subject.split()):
        # A longer one is text: as a heading it would stand above every part of the message.
        if len(subject) <= MAX_TITLE_CHARS:
            builder.block(subject, SpanKind.HEADING, 1)
        else:
            builder.block(subject, SpanKind.PARAGRAPH)
    lines = [f"{key.capitalize()}: {value}" for key, value in headers.items() if value]
    if lines:
        builder.block("\n".join(lines), SpanKind.PARAGRAPH)
    for body in letter.bodies:
        _add(builder, body)
    facts: dict[str, JsonScalar] = {key: value for key, value in headers.items() if value}
    if names := [enclosure.name for enclosure in letter.enclosures]:
        facts["attachments"] = NAMES.join(names)
        more = f" and {letter.left_out:,} more, which are not read" if letter.left_out else ""
        builder.block(f"Attachments: {', '.join(names)}{more}", SpanKind.PARAGRAPH)
    if letter.left_out:
        facts["attachments_not_read"] = letter.left_out
    if builder.length == 0:
        raise NoText("the message is empty")
    return builder.build(subject or name, media_type, facts)


def _add(builder: DocumentBuilder, body: Body | Choice) -> None:
    """Writes a text in the first of its forms that shows something.

    Raises:
        CorruptFile: if none does, and one of them is damaged.
    """
    if isinstance(body, Body):
        _add_body(builder, body)
        return
    before = builder.length
    damage: CorruptFile | None = None
    for form in body.forms:
        try:
            for one in form:
                _add(builder, one)
        except CorruptFile as error:
            damage = error
        if builder.length > before:
            return
    if damage is not None:
        raise damage


def _add_body(builder: DocumentBuilder, body: Body) -> None:
    data = body.open()
    if body.media_type == media.HTML:
        if body.charset:
            text = decode_text(data, body.charset).text.replace("\x00", "\ufffd")
            source = text.encode("utf-8", errors="replace")
        else:
            source, _ = page_source(data)
        try:
            root = page_tree(source)
        except (NoText, TooDeep):
            # The page of a message is one part of it; its headers and the rest still count.
            return
        prune_hidden(root)
        PageReader(builder).read(root)
    elif body.media_type == media.RTF:
        RtfReader(builder).read(data.decode("latin-1"))
    else:
        text = normalize_text(decode_text(data, body.charset).text).strip()
        if text:
            start, _ = builder.add(text)
            for span in paragraphs(text):
                builder.mark(span.kind, start + span.start, start + span.end)
