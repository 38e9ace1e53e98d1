"""CSV and TSV: every record becomes one row of a Markdown table."""

import csv
import io

from rostra.core import normalize_text
from rostra.ingest import media
from rostra.ingest.builder import DocumentBuilder, markdown_row, text_too_large, too_many_columns
from rostra.ingest.decode import decode_text
from rostra.ingest.document import ParsedDocument
from rostra.ingest.errors import CorruptFile
from rostra.ingest.limits import ParseLimits
from rostra.ingest.reasons import words_of

_DELIMITERS = ",;\t|"
_SAMPLE_CHARS = 8 * 1024


def parse(data: bytes, name: str, media_type: str, limits: ParseLimits) -> ParsedDocument:
    """Reads a table; the first record is its header.

    Raises:
        TooLarge: if the text is over its limit, or a record has too many cells.
        CorruptFile: if the file is no table at all.
    """
    decoded = decode_text(data)
    if len(decoded.text) > limits.max_text_chars:
        raise text_too_large(limits.max_text_chars)
    text = normalize_text(decoded.text)
    csv.field_size_limit(max(csv.field_size_limit(), len(text) + 1))
    reader = csv.reader(io.StringIO(text, newline=""), _dialect(text, media_type))
    builder = DocumentBuilder(limits.max_text_chars)
    rows = []
    try:
        for cells in reader:
            if len(cells) > limits.max_columns:
                raise too_many_columns(limits.max_columns)
            if any(cell.strip() for cell in cells):
                rows.append(markdown_row(cells))
    except csv.Error as error:
        raise CorruptFile(f"the table cannot be read: {words_of(error)}") from None
    builder.table(rows)
    facts = {"rows": max(0, len(rows) - 1), **decoded.metadata}
    return builder.build(name, media_type, facts)


def _dialect(text: str, media_type: str) -> type[csv.Dialect]:
    """The delimiter and quoting that the beginning shows, else those the ending promises."""
    usual = csv.excel_tab if media_type == media.TSV else csv.excel
    sample = text[:_SAMPLE_CHARS]
    if len(text) > len(sample) and "\n" in sample:
        sample = sample[: sample.rindex("\n") + 1]
    try:
        found = csv.Sniffer().sniff(sample, _DELIMITERS)
    except csv.Error:
        return usual
    if found.quotechar != '"' or sample.count(found.delimiter) < sample.count(usual.delimiter):
        return usual
    # What it says about doubled quotes and blanks after delimiters is a guess from few rows.
    found.doublequote = True
    return found
