"""What samples of questions over documents know beside their answers, in `Sample.data`.

- `answerable`: whether the documents answer the question.
- `gold`: documents with the answer.
- `spans`: annotations, each a list of `[document, start, end]` in code points of its text, that
  answer the question; several annotations are alternatives.
- `sentences`: the same as `[document, place among its sentences]`, where documents come as such.
- `history`: what was said before the question, as `[role, text]`, oldest first; `role` is `user` or
  `assistant`.
"""

from collections.abc import Mapping
from typing import Any

from evals.core.samples import Sample

Span = tuple[str, int, int]
SentenceId = tuple[str, int]
Said = tuple[str, str]  # role and text
HISTORY = "history"
_ROLES = ("user", "assistant")
_MOST_SAID = 1000


def rag_data(
    *,
    answerable: bool,
    gold: list[str] | None = None,
    spans: list[list[Span]] | None = None,
    sentences: list[list[SentenceId]] | None = None,
    history: list[Said] | None = None,
) -> dict[str, Any]:
    """A sample's data; what is empty is left out."""
    data: dict[str, Any] = {"answerable": answerable}
    named = (("gold", gold), ("spans", spans), ("sentences", sentences), (HISTORY, history))
    for name, value in named:
        if value:
            data[name] = value
    return data


def is_answerable(sample: Sample) -> bool:
    """Whether the documents answer the question; true where nothing is said about it."""
    return bool(sample.data.get("answerable", True))


def gold_documents(sample: Sample) -> list[str]:
    """Documents with the answer; none where they are not known."""
    return [str(document) for document in sample.data.get("gold", ())]


def gold_spans(sample: Sample) -> list[list[Span]]:
    """Annotations of the answer, alternatives of each other."""
    return [
        [(str(document), int(start), int(end)) for document, start, end in annotation]
        for annotation in sample.data.get("spans", ())
    ]


def gold_sentences(sample: Sample) -> list[frozenset[SentenceId]]:
    """The same as sentences."""
    return [
        frozenset((str(document), int(at)) for document, at in annotation)
        for annotation in sample.data.get("sentences", ())
    ]


def said_before(sample: Sample) -> list[Said]:
    """The conversation before the question, oldest first; none as a rule."""
    return [(str(role), str(text)) for role, text in sample.data.get(HISTORY, ())]


def read_history(record: Mapping[str, Any]) -> list[Said]:
    """A record's `history`, objects with `role` and `text`; it may stand among its metadata.

    Raises:
        ValueError: it is something else; the message says so.
    """
    metadata = record.get("metadata")
    given = record.get(HISTORY)
    if given is None and isinstance(metadata, dict):
        given = metadata.get(HISTORY)
    if given is None:
        return []
    found: list[Said] = []
    for one in given if isinstance(given, list) else [given]:
        role, text = (one.get("role"), one.get("text")) if isinstance(one, dict) else (None, None)
        if role not in _ROLES or not isinstance(text, str):
            raise ValueError("`history` is no list of objects with `role` and `text`")
        found.append((role, text))
    if len(found) > _MOST_SAID:
        raise ValueError(f"more than {_MOST_SAID} turns in `history`")
    return found
