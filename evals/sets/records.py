"""A question as a file has it, and as evaluations take it.

A record has `question` (or `input`), and may have

- `id`; by default its place in the file,
- `answers`, right ones, any of them (or `targets`; or `answer` or `target` for a single one),
- `unanswerable`, true where the documents do not answer,
- `group`, what alike questions share, such as a conversation; by default the first gold document,
- `passages`, texts or objects with `id`, `title` and `text` (or `documents`; or `passage`),
- `gold`, ids or uris of the documents with the answer; by default those of the spans,
- `spans`, objects with `document`, `start` and `end`, `[start, end)` in code points of the
  document's text, together the evidence of the answer; `quote` may stand beside, and alone where
  the document is a passage of the record,
- `history`, what was said before, a list of objects with `role`, which is `user` or `assistant`,
  and `text`; also within `metadata`,
- `metadata`, an object with whatever else is known.

What always holds: fields of other names are kept among the metadata, and nothing is guessed: a
record that contradicts itself or cannot be read is `Malformed`, with a reason for counting.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from evals.core.samples import Sample
from evals.json_lines import id_of
from evals.rag.samples import Span, rag_data, read_history

PASSAGES, METADATA, QUOTES = "passages", "metadata", "quotes"  # in `Sample.data`

_ALIASES = {
    "_id": "id",
    "input": "question",
    "targets": "answers",
    "answer": "answers",
    "target": "answers",
    "documents": "passages",
    "passage": "passages",
}
_FIELDS = frozenset(
    ("id", "question", "answers", "unanswerable", "group", "passages", "gold", "spans", "metadata")
)
_MOST_TEXTS = 1000  # answers, passages, gold documents or spans of a record


class Malformed(Exception):
    """A record cannot be used; the message is a reason, the same for the same trouble."""


def sample_of(record: Mapping[str, Any], place: str) -> Sample:
    """A record as a sample; see `evals.rag.samples` for what its data has.

    Args:
        place: where the record stands, such as a line.

    Raises:
        Malformed: see this module.
    """
    fields, more = _named(record)
    question = fields.get("question")
    if not isinstance(question, str) or not question.strip():
        raise Malformed("a record without a question")
    answers = _texts(fields.get("answers"), "answers")
    unanswerable = fields.get("unanswerable")
    if unanswerable is not None and not isinstance(unanswerable, bool):
        raise Malformed("`unanswerable` is not true or false")
    if unanswerable and answers:
        raise Malformed("an unanswerable question with answers")
    passages = _passages(fields.get("passages"))
    spans, quotes = _spans(fields.get("spans"), passages)
    if unanswerable and spans:
        raise Malformed("an unanswerable question with spans")
    gold = _texts(fields.get("gold"), "gold") or list(dict.fromkeys(one[0] for one in spans))
    group = fields.get("group", gold[0] if gold else "")
    if isinstance(group, bool) or not isinstance(group, str | int):
        raise Malformed("`group` is no text")
    metadata = fields.get("metadata", {})
    if not isinstance(metadata, dict):
        raise Malformed("`metadata` is no object")
    try:
        history = read_history(record)
    except ValueError as error:
        raise Malformed(str(error)) from None
    data = rag_data(
        answerable=not unanswerable,
        gold=gold,
        spans=[spans] if spans else None,
        history=history,
    )
    if unanswerable is None and not answers and not gold:
        del data["answerable"]  # nobody said
    for name, value in ((QUOTES, quotes), (PASSAGES, passages), (METADATA, more | metadata)):
        if value:
            data[name] = value
    sample = Sample(
        id=_id(fields, place), input=question, targets=answers, group=str(group), data=data
    )
    try:
        msgspec.json.encode(sample)
    except (UnicodeEncodeError, OverflowError, RecursionError):
        # Half a surrogate pair, a number of no machine: JSON has them, no log of a run can.
        raise Malformed("a record that cannot be written down again") from None
    return sample


def _named(record: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The fields by their own names, and those of no meaning here."""
    fields: dict[str, Any] = {}
    more: dict[str, Any] = {}
    for key, value in record.items():
        name = _ALIASES.get(key, key)
        if name not in _FIELDS:
            more[key] = value
        elif value is None:
            continue
        elif name in fields:
            raise Malformed(f"a record with two fields for `{name}`")
        else:
            fields[name] = value
    return fields, more


def _id(fields: Mapping[str, Any], place: str) -> str:
    if "id" not in fields:
        return place
    found = id_of(dict(fields), "id")
    if found is None:
        raise Malformed("an id that is neither a text nor a whole number")
    return found


def _texts(given: Any, name: str) -> list[str]:
    values = given if isinstance(given, list) else [] if given is None else [given]
    if not all(isinstance(one, str) for one in values):
        raise Malformed(f"`{name}` are no texts")
    if len(values) > _MOST_TEXTS:
        raise Malformed(f"more than {_MOST_TEXTS} `{name}`")
    return [one for one in values if one.strip()]


def _passages(given: Any) -> list[dict[str, str]]:
    values = given if isinstance(given, list) else [] if given is None else [given]
    if len(values) > _MOST_TEXTS:
        raise Malformed(f"more than {_MOST_TEXTS} `passages`")
    found = []
    for one in values:
        passage = {"text": one} if isinstance(one, str) else one
        if not isinstance(passage, dict) or not isinstance(passage.get("text"), str):
            raise Malformed("a passage without a text")
        title = passage.get("title") or ""
        if not isinstance(title, str):
            raise Malformed("a passage whose title is no text")
        named = {"id": id_of(passage, "id") or "", "title": title, "text": passage["text"]}
        found.append({key: value for key, value in named.items() if value})
    return found


def _spans(given: Any, passages: list[dict[str, str]]) -> tuple[list[Span], list[str]]:
    """The spans, and the quotes at those places where all are given."""
    values = [] if given is None else given
    if not isinstance(values, list) or not all(isinstance(one, dict) for one in values):
        raise Malformed("`spans` is no list of objects")
    if len(values) > _MOST_TEXTS:
        raise Malformed(f"more than {_MOST_TEXTS} `spans`")
    texts = {one["id"]: one["text"] for one in passages if "id" in one}
    spans: list[Span] = []
    quotes: list[str] = []
    for one in values:
        document, start, end = id_of(one, "document"), one.get("start"), one.get("end")
        if document is None and len(texts) == 1:
            document = next(iter(texts))
        if document is None:
            raise Malformed("a span without a document")
        quote = one.get("quote")
        if isinstance(quote, str) and quote and start is None and end is None:
            start = texts.get(document, "").find(quote)
            end = start + len(quote)
            if document in texts and start < 0:
                raise Malformed("a span whose quote is not in its passage")
        if not _is_place(start, end):
            raise Malformed("a span without start and end")
        if quote is not None and (not isinstance(quote, str) or len(quote) != end - start):
            raise Malformed("a span whose quote is not as long as its place")
        if document in texts:
            there = texts[document]
            if end > len(there):
                raise Malformed("a span outside of its passage")
            if quote is not None and there[start:end] != quote:
                raise Malformed("a span whose quote is not in its place")
            quote = there[start:end]
        spans.append((document, start, end))
        if quote is not None:
            quotes.append(quote)
    return spans, quotes if len(quotes) == len(spans) else []


def _is_place(start: Any, end: Any) -> bool:
    if isinstance(start, bool) or isinstance(end, bool):
        return False
    return isinstance(start, int) and isinstance(end, int) and 0 <= start < end
