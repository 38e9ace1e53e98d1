"""ClapNQ's layout: answerable.jsonl and unanswerable.jsonl.

A line has `input`, `passages` with `title`, `text` and `sentences`, and `output` with `answer` and
`selected_sentences`, one an annotation. Questions of one document, which is a title, are a group.

What always holds: answerable and unanswerable questions take turns, so that the first ones of a set
are a set of the same kind. An answerable question whose annotators chose no sentence has no spans.
"""

from itertools import zip_longest
from pathlib import Path
from typing import Any

from evals.core.dataset import Problems, make_dataset
from evals.core.samples import Sample
from evals.json_lines import id_of, read_json_lines
from evals.rag.documents import Malformed, Pool, passage_source, sentence_places
from evals.rag.samples import SentenceId, Span, rag_data
from evals.rag.sets import ANSWERABLE, UNANSWERABLE, RagSet

_Places = tuple[tuple[int, int], ...]


def read_clapnq(folder: Path) -> RagSet:
    """Reads a set; lines that cannot be read are counted.

    Raises:
        DatasetError: a file is missing, or no question is left.
    """
    problems = Problems()
    pool = Pool(problems)
    sentences: dict[str, _Places] = {}
    read = [
        _samples(folder / name, name == ANSWERABLE, pool, sentences, problems)
        for name in (ANSWERABLE, UNANSWERABLE)
    ]
    mixed = (sample for pair in zip_longest(*read) for sample in pair if sample is not None)
    dataset = make_dataset(folder.resolve().name, mixed, problems.all())
    return RagSet(dataset, pool.sources(), sentences)


def _samples(
    path: Path,
    answerable: bool,
    pool: Pool,
    sentences: dict[str, _Places],
    problems: Problems,
) -> list[Sample]:
    samples = []
    for place, record in read_json_lines(path, problems):
        try:
            sample, passages = _sample(record, place, answerable)
        except Malformed as malformed:
            problems.add(str(malformed), place)
            continue
        for source, places, _ in passages:
            pool.add(source, place)
            sentences.setdefault(source.uri, places)
        samples.append(sample)
    return samples


def _sample(
    record: dict[str, Any], place: str, answerable: bool
) -> tuple[Sample, list[tuple[Any, _Places, list[str]]]]:
    question = record.get("input")
    if not isinstance(question, str) or not question.strip():
        raise Malformed("a question without a text")
    passages = [_passage(given) for given in _objects(record, "passages")]
    if not passages:
        raise Malformed("a question without passages")
    chosen: list[list[SentenceId]] = []
    spans: list[list[Span]] = []
    answers: list[str] = []
    for output in _objects(record, "output"):
        answer, selected = output.get("answer"), output.get("selected_sentences") or []
        if isinstance(answer, str) and answer.strip():
            answers.append(answer)
        found = [
            (source.uri, at, start, end)
            for source, places, texts in passages
            for at, (text, (start, end)) in enumerate(zip(texts, places, strict=True))
            if text in selected
        ]
        if found:
            chosen.append([(uri, at) for uri, at, _, _ in found])
            spans.append([(uri, start, end) for uri, _, start, end in found])
    gold = list(dict.fromkeys(uri for annotation in chosen for uri, _ in annotation))
    first = passages[0][0]
    sample = Sample(
        id=id_of(record, "id") or place,
        input=question,
        targets=list(dict.fromkeys(answers)) if answerable else [],
        group=first.document.title,
        data=rag_data(answerable=answerable, gold=gold, spans=spans, sentences=chosen),
    )
    return sample, passages


def _passage(given: dict[str, Any]) -> tuple[Any, _Places, list[str]]:
    title, text = given.get("title"), given.get("text")
    if not isinstance(title, str) or not isinstance(text, str):
        raise Malformed("a passage without a title and a text")
    source, body = passage_source(title, text)
    places = sentence_places(source, body, given.get("sentences"))
    return source, places, list(given["sentences"])


def _objects(record: dict[str, Any], key: str) -> list[dict[str, Any]]:
    value = record.get(key)
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        raise Malformed(f"a question without {key!r}")
    return value
