"""Questions over documents as JSON lines, or as the rows of a table.

A line, or row, has `question`, and may have

- `id`; by default its place,
- `answers`, a list of right ones, or `answer`,
- `documents` or `passages`, a list of texts or of objects with `id`, `title` and `text`; or
  `passage`, one text. They may also stand in corpus.jsonl beside the file, in BEIR's layout,
- `gold`, ids of the documents with the answer; by default those of the spans, else the line's only
  document,
- `spans`, a list of `{"document", "start", "end"}` in code points of the document's `text`, or of
  `{"document", "quote"}`; a line's only document need not be named. Where the set brings no
  documents, as one about a collection, start and end are taken as they stand,
- `unanswerable`, true where the documents do not answer,
- `group`, what alike questions share; by default the first gold document,
- `history`, what was said before, a list of `{"role": "user" or "assistant", "text"}`; also within
  `metadata`, where sets from chats have it.

In a table the first row names the fields; lists and objects stand in its cells as JSON.

What always holds: a line that cannot be read costs itself alone and is counted.
"""

from pathlib import Path
from typing import Any

from evals.core.dataset import Problems, make_dataset
from evals.core.samples import Sample
from evals.json_lines import id_of, read_json_lines, text_of
from evals.rag.documents import Malformed, Pool, passage_source
from evals.rag.samples import Span, gold_documents, rag_data, read_history
from evals.rag.sets import QUESTIONS, RagSet
from evals.sets.files import TABLES, read_rows
from rostra.core import Settings, normalize_text
from rostra.ingest import ReadySource, read_beir

_ALIASES = {"input": "question", "targets": "answers", "target": "answer", "_id": "id"}
_Documents = list[tuple[ReadySource, int]]


def read_plain(file: Path, corpus: Path | None, settings: Settings) -> RagSet:
    """Reads a set.

    Args:
        corpus: documents in BEIR's layout.

    Raises:
        DatasetError: the file cannot be opened, or no question is left.
    """
    problems = Problems()
    pool = Pool(problems)
    if corpus is not None:
        for source in read_beir(corpus.parent, settings):
            if isinstance(source, ReadySource):
                pool.add(source, source.uri)
            else:
                problems.add(f"a document that cannot be read: {source.error.code}", source.uri)
    known = pool if corpus is not None else None
    samples = []
    is_table = file.suffix.lower() in TABLES
    read = read_rows(file, problems) if is_table else read_json_lines(file, problems)
    for place, record in read:
        for alias, field in _ALIASES.items():
            if alias in record:
                record.setdefault(field, record[alias])
        try:
            sample, documents = _sample(record, place, known)
        except Malformed as malformed:
            problems.add(str(malformed), place)
            continue
        for source, _ in documents:
            pool.add(source, place)
        samples.append(sample)
    sources = pool.sources()
    if sources:
        for sample in samples:
            for document in gold_documents(sample):
                if document not in pool:
                    problems.add(
                        "a gold document that the set does not have: it stays, as missed",
                        f"question {sample.id}, document {document}",
                    )
    name = file.resolve()
    named = name.parent.name if corpus is not None or file.stem == QUESTIONS else name.stem
    return RagSet(make_dataset(named, samples, problems.all()), sources)


def _sample(record: dict[str, Any], place: str, corpus: Pool | None) -> tuple[Sample, _Documents]:
    question = text_of(record, "question")
    if question is None:
        raise Malformed("a line without a question")
    documents = _documents(record)
    answers = _texts(record.get("answers", record.get("answer", [])), "answers")
    unanswerable = record.get("unanswerable", False)
    if not isinstance(unanswerable, bool):
        raise Malformed("`unanswerable` is not true or false")
    if unanswerable and answers:
        raise Malformed("an unanswerable question with answers")
    spans = _spans(record.get("spans", []), documents, corpus)
    gold = _texts(record.get("gold", []), "gold") or _gold(spans, documents, unanswerable)
    try:
        history = read_history(record)
    except ValueError as error:
        raise Malformed(str(error)) from None
    group = record.get("group", gold[0] if gold else (documents[0][0].uri if documents else ""))
    if not isinstance(group, str):
        raise Malformed("`group` is no text")
    sample = Sample(
        id=id_of(record, "id") or place,
        input=question,
        targets=answers,
        group=group,
        data=rag_data(
            answerable=not unanswerable,
            gold=gold,
            spans=[spans] if spans else None,
            history=history,
        ),
    )
    return sample, documents


def _documents(record: dict[str, Any]) -> _Documents:
    given = record.get("documents", record.get("passages", []))
    if not isinstance(given, list):
        raise Malformed("`documents` is no list")
    if "passage" in record:
        given = [*given, record["passage"]]
    found = []
    for one in given:
        if isinstance(one, str):
            one = {"text": one}
        if not isinstance(one, dict) or not isinstance(one.get("text"), str):
            raise Malformed("a document without a text")
        title = one.get("title") or ""
        if not isinstance(title, str):
            raise Malformed("a document whose title is no text")
        found.append(passage_source(title, one["text"], id_of(one, "id")))
    return found


def _spans(given: Any, documents: _Documents, corpus: Pool | None) -> list[Span]:
    if not isinstance(given, list) or not all(isinstance(one, dict) for one in given):
        raise Malformed("`spans` is no list of objects")
    return [_span(one, documents, corpus) for one in given]


def _span(given: dict[str, Any], documents: _Documents, corpus: Pool | None) -> Span:
    own = {source.uri: (source, body) for source, body in documents}
    uri = id_of(given, "document") or (documents[0][0].uri if len(own) == 1 else None)
    if not documents and corpus is None and uri is not None:
        start, end = given.get("start"), given.get("end")
        if not isinstance(start, int) or not isinstance(end, int) or not 0 <= start < end:
            raise Malformed("a span without start and end")
        return uri, start, end
    if uri in own:
        source, body = own[uri]
    elif uri is not None and corpus is not None and (found := corpus.get(uri)) is not None:
        # A title stands before the text that offsets count in.
        source, body = found, found.document.spans[0].end + 2 if _has_title(found) else 0
    else:
        raise Malformed("a span of a document that is not there")
    text, uri = source.document.text, source.uri
    quote = given.get("quote")
    if isinstance(quote, str) and quote:
        at = text.find(normalize_text(quote), body)
        if at < 0:
            raise Malformed("a span whose quote is not in its document")
        return uri, at, at + len(normalize_text(quote))
    start, end = given.get("start"), given.get("end")
    if not isinstance(start, int) or not isinstance(end, int):
        raise Malformed("a span without start and end, or a quote")
    if not 0 <= start < end <= len(text) - body:
        raise Malformed("a span outside of its document")
    return uri, body + start, body + end


def _gold(spans: list[Span], documents: _Documents, unanswerable: bool) -> list[str]:
    if unanswerable:
        return []
    if spans:
        return list(dict.fromkeys(uri for uri, _, _ in spans))
    return [documents[0][0].uri] if len(documents) == 1 else []


def _texts(given: Any, key: str) -> list[str]:
    values = given if isinstance(given, list) else [given]
    if not all(isinstance(one, str) for one in values):
        raise Malformed(f"`{key}` are no texts")
    return [one for one in values if one.strip()]


def _has_title(source: ReadySource) -> bool:
    spans = source.document.spans
    return bool(spans) and spans[0].start == 0 and spans[0].kind == "heading"
