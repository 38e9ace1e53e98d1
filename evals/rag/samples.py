"""What samples of questions over documents know beside their answers, in `Sample.data`.

- `answerable`: whether the documents answer the question.
- `gold`: documents with the answer.
- `spans`: annotations, each a list of `[document, start, end]` in code points of its text, that
  answer the question; several annotations are alternatives.
- `sentences`: the same as `[document, place among its sentences]`, where documents come as such.
"""

from typing import Any

from evals.core.samples import Sample

Span = tuple[str, int, int]
SentenceId = tuple[str, int]


def rag_data(
    *,
    answerable: bool,
    gold: list[str] | None = None,
    spans: list[list[Span]] | None = None,
    sentences: list[list[SentenceId]] | None = None,
) -> dict[str, Any]:
    """A sample's data; what is empty is left out."""
    data: dict[str, Any] = {"answerable": answerable}
    for name, value in (("gold", gold), ("spans", spans), ("sentences", sentences)):
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
