"""Sets of questions: both layouts, where their spans lie, and what is counted as wrong."""

import json
from pathlib import Path
from typing import Any

import pytest

from evals.core import Sample
from evals.errors import DatasetError
from evals.rag.read import read_rag_set
from evals.rag.samples import gold_documents, gold_sentences, gold_spans, is_answerable
from evals.rag.sets import RagSet
from rostra.core import Settings

PASSAGE: dict[str, Any] = {
    "title": "Pump",
    "text": "The pump moves water . It is old .",
    "sentences": ["The pump moves water .", "It is old ."],
}
RECORD: dict[str, Any] = {
    "id": "one",
    "input": "what does the pump move",
    "passages": [PASSAGE],
    "output": [{"answer": "Water.", "selected_sentences": ["The pump moves water ."]}],
}
NOTHING: dict[str, Any] = RECORD | {
    "id": "none",
    "output": [{"answer": "", "selected_sentences": []}],
}


def clapnq(folder: Path, answerable: list[Any], unanswerable: list[Any] | None = None) -> Path:
    other = [NOTHING] if unanswerable is None else unanswerable
    for name, records in (("answerable", answerable), ("unanswerable", other)):
        lines = [one if isinstance(one, str) else json.dumps(one) for one in records]
        (folder / f"{name}.jsonl").write_text("\n".join(lines))
    return folder


def plain(
    folder: Path, *records: dict[str, Any], corpus: list[dict[str, Any]] | None = None
) -> Path:
    (folder / "questions.jsonl").write_text("\n".join(map(json.dumps, records)))
    if corpus is not None:
        (folder / "corpus.jsonl").write_text("\n".join(map(json.dumps, corpus)))
    return folder


def cut(questions: RagSet, sample: Sample) -> list[list[str]]:
    texts = {source.uri: source.document.text for source in questions.sources}
    return [[texts[uri][start:end] for uri, start, end in one] for one in gold_spans(sample)]


def problems(questions: RagSet) -> dict[str, int]:
    return {one.reason: one.count for one in questions.dataset.problems}


def test_clapnq_sentences_are_located_in_the_document(tmp_path: Path, settings: Settings) -> None:
    found = read_rag_set(clapnq(tmp_path, [RECORD]), settings)
    (source,) = found.sources  # both questions have the same passage
    text = source.document.text
    assert text == "Pump\n\nThe pump moves water . It is old ."
    assert [text[start:end] for start, end in found.sentences[source.uri]] == PASSAGE["sentences"]
    one, none = found.dataset.samples
    assert (one.id, one.targets, one.group) == ("one", ["Water."], "Pump")
    assert cut(found, one) == [["The pump moves water ."]]
    assert gold_sentences(one) == [frozenset({(source.uri, 0)})]
    assert gold_documents(one) == [source.uri]
    assert is_answerable(one)
    assert (none.targets, gold_documents(none), gold_spans(none)) == ([], [], [])
    assert not is_answerable(none)
    assert none.group == "Pump"


def test_clapnq_answerable_and_unanswerable_take_turns(tmp_path: Path, settings: Settings) -> None:
    yes = [RECORD | {"id": f"y{number}"} for number in range(3)]
    no = [NOTHING | {"id": f"n{number}"} for number in range(2)]
    samples = read_rag_set(clapnq(tmp_path, yes, no), settings).dataset.samples
    assert [sample.id for sample in samples] == ["y0", "n0", "y1", "n1", "y2"]


def test_clapnq_lines_that_cannot_be_used_are_counted(tmp_path: Path, settings: Settings) -> None:
    elsewhere = RECORD | {
        "id": "x",
        "passages": [PASSAGE | {"text": "Other.", "sentences": ["Nobody wrote this."]}],
    }
    bad = ["{broken", {"input": "what"}, {"input": ""}, RECORD | {"passages": []}, elsewhere]
    found = read_rag_set(clapnq(tmp_path, [RECORD, *bad, RECORD]), settings)
    assert [sample.id for sample in found.dataset.samples] == ["one", "none"]
    assert len(found.sources) == 1  # nothing of a bad line is taken in
    assert problems(found) == {
        "a line that is no JSON": 1,
        "a question without 'passages'": 1,
        "a question without a text": 1,
        "a question without passages": 1,
        "a sentence that is not in its passage": 1,
        "an id that another sample has": 1,
    }


def test_a_set_of_which_nothing_is_left_is_refused(tmp_path: Path, settings: Settings) -> None:
    with pytest.raises(DatasetError, match=r"no sample.*1: a question without 'passages'"):
        read_rag_set(clapnq(tmp_path, [{"input": "what"}], []), settings)
    with pytest.raises(DatasetError, match="no sample"):
        read_rag_set(clapnq(tmp_path, [], []), settings)
    (tmp_path / "unanswerable.jsonl").unlink()
    with pytest.raises(DatasetError, match="unanswerable"):
        read_rag_set(tmp_path, settings)
    with pytest.raises(DatasetError, match="no set of questions"):
        read_rag_set(tmp_path / "nowhere", settings)


def test_reading_comprehension_is_the_plain_layout(tmp_path: Path, settings: Settings) -> None:
    line = {"question": "How old?", "passage": "It is 40.", "answers": ["40", ""], "source": "x"}
    path = tmp_path / "reading.jsonl"
    path.write_text(json.dumps(line) + "\n" + json.dumps(line | {"question": "What is it?"}))
    found = read_rag_set(path, settings)
    assert found.name == "reading"
    (source,) = found.sources
    first, second = found.dataset.samples
    assert (first.id, second.id) == ("reading.jsonl, line 1", "reading.jsonl, line 2")
    assert first.targets == ["40"]
    assert gold_documents(first) == [source.uri]
    assert first.group == second.group == source.uri


def test_plain_spans_are_offsets_or_quotes_in_the_text(tmp_path: Path, settings: Settings) -> None:
    documents = [{"id": "a", "title": "Pump", "text": "It is old. It leaks."}, {"text": "Else."}]
    spans = [{"document": "a", "start": 11, "end": 20}, {"document": "a", "quote": "old"}]
    record = {"id": 7, "question": "Leaks?", "answer": "yes", "documents": documents}
    found = read_rag_set(plain(tmp_path, record | {"spans": spans}), settings)
    (sample,) = found.dataset.samples
    assert (sample.id, sample.targets, sample.group) == ("7", ["yes"], "a")
    assert cut(found, sample) == [["It leaks.", "old"]]
    assert gold_documents(sample) == ["a"]


def test_plain_documents_may_stand_in_a_corpus(tmp_path: Path, settings: Settings) -> None:
    corpus = [
        {"_id": "a", "title": "Pump", "text": "It is old."},
        {"_id": "b", "text": "Else."},
        {"_id": "c"},
    ]
    found = read_rag_set(
        plain(
            tmp_path,
            {"question": "Old?", "spans": [{"document": "a", "quote": "old"}]},
            {"question": "Young?", "unanswerable": True},
            {"question": "Else?", "gold": ["b", "gone"]},
            corpus=corpus,
        ),
        settings,
    )
    old, young, other = found.dataset.samples
    assert cut(found, old) == [["old"]]
    assert (is_answerable(young), gold_documents(young), young.group) == (False, [], "")
    assert gold_documents(other) == ["b", "gone"]
    assert problems(found) == {
        "a document that cannot be read: bad_record": 1,
        "a gold document that the set does not have: it stays, as missed": 1,
    }


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({"passage": "x"}, "a line without a question"),
        ({"question": "x", "answers": [3]}, "`answers` are no texts"),
        ({"question": "x", "unanswerable": "no"}, "`unanswerable` is not true or false"),
        (
            {"question": "x", "unanswerable": True, "answer": "y"},
            "an unanswerable question with answers",
        ),
        ({"question": "x", "documents": "d"}, "`documents` is no list"),
        ({"question": "x", "documents": [{"id": "d"}]}, "a document without a text"),
        ({"question": "x", "passage": " "}, "a passage without a text"),
        (
            {"question": "x", "passage": "yz", "spans": [{"start": 1, "end": 3}]},
            "a span outside of its document",
        ),
        (
            {"question": "x", "passage": "yz", "spans": [{"quote": "no"}]},
            "a span whose quote is not in its document",
        ),
        (
            {"question": "x", "passage": "yz", "spans": [{"document": "e", "quote": "y"}]},
            "a span of a document that is not there",
        ),
        (
            {"question": "x", "passage": "yz", "spans": [{}]},
            "a span without start and end, or a quote",
        ),
    ],
)
def test_plain_lines_that_cannot_be_used_are_counted(
    tmp_path: Path, settings: Settings, record: dict[str, Any], reason: str
) -> None:
    good = {"question": "good?", "passage": "Good."}
    found = read_rag_set(plain(tmp_path, record, good), settings)
    assert [sample.input for sample in found.dataset.samples] == ["good?"]
    assert problems(found) == {reason: 1}


def test_two_documents_of_one_id_are_counted(tmp_path: Path, settings: Settings) -> None:
    records = [{"question": t, "documents": [{"id": "a", "text": t}]} for t in ("x", "y")]
    found = read_rag_set(plain(tmp_path, *records), settings)
    assert [source.document.text for source in found.sources] == ["x"]
    assert problems(found) == {"a document with the id of an earlier one and another text": 1}


def test_questions_alone_need_a_collection(tmp_path: Path, settings: Settings) -> None:
    folder = plain(tmp_path, {"question": "Old?"})
    with pytest.raises(DatasetError, match="no documents"):
        read_rag_set(folder, settings)
    assert read_rag_set(folder, settings, needs_documents=False).sources == ()


def test_spans_of_a_collection_are_taken_as_they_stand(tmp_path: Path, settings: Settings) -> None:
    span = {"document": "doc-1", "start": 3, "end": 9, "quote": "a pump"}
    file = plain(tmp_path, {"question": "x", "answers": ["a pump"], "spans": [span]})
    found = read_rag_set(file / "questions.jsonl", settings, needs_documents=False)
    (sample,) = found.dataset.samples
    assert gold_spans(sample) == [[("doc-1", 3, 9)]]
    assert gold_documents(sample) == ["doc-1"]
    assert not found.dataset.problems


def test_rows_are_questions_about_a_collection(tmp_path: Path, settings: Settings) -> None:
    file = tmp_path / "asked.csv"
    file.write_text("question,answer\nwhat moves?,water\n,nothing\n")
    found = read_rag_set(file, settings, needs_documents=False)
    assert [sample.targets for sample in found.dataset.samples] == [["water"]]
    assert sum(problems(found).values()) == 1
    with pytest.raises(DatasetError, match="no documents"):
        read_rag_set(file, settings)


CORPUS = json.dumps({"_id": "pump", "text": "The pump moves water."})


@pytest.mark.parametrize("name", ["questions.csv", "questions.tsv", "asked.csv", "asked.jsonl"])
def test_a_folder_with_one_file_of_any_kind_is_a_set(
    tmp_path: Path, settings: Settings, name: str
) -> None:
    folder = tmp_path / "house"
    folder.mkdir()
    (folder / "corpus.jsonl").write_text(CORPUS)
    (folder / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\n")
    (folder / "README.md").write_text("about")
    mark = "," if name.endswith("csv") else "\t"
    rows = [["question", "targets", "gold"], ["what moves?", "water", "pump"]]
    table = "\n".join(mark.join(row) for row in rows)
    line = json.dumps(dict(zip(*rows, strict=True)))
    (folder / name).write_text(line if name.endswith("jsonl") else table)
    for path in (folder, folder / name):
        found = read_rag_set(path, settings)
        assert found.name == "house"
        assert [source.uri for source in found.sources] == ["pump"]
        (sample,) = found.dataset.samples
        assert (sample.input, sample.targets) == ("what moves?", ["water"])
        assert gold_documents(sample) == ["pump"]
        assert problems(found) == {}


def test_passages_stand_in_cells_as_json(tmp_path: Path, settings: Settings) -> None:
    file = tmp_path / "asked.csv"
    file.write_text('question,passage,spans\nwhat?,"It moves water.","[{""quote"": ""water""}]"\n')
    found = read_rag_set(file, settings)
    (sample,) = found.dataset.samples
    assert [source.document.text for source in found.sources] == ["It moves water."]
    assert gold_spans(sample)[0][0][1:] == (9, 14)


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ([], "no set of questions"),
        (["corpus.jsonl", "notes.txt"], "no set of questions"),
        (["a.jsonl", "b.csv"], r"several files .*: a.jsonl, b.csv"),
        (["questions.csv", "questions.jsonl", "a.jsonl"], r": questions.csv, questions.jsonl$"),
    ],
)
def test_a_folder_that_is_no_set_says_what_was_looked_for(
    tmp_path: Path, settings: Settings, names: list[str], words: str
) -> None:
    for name in names:
        (tmp_path / name).write_text(CORPUS)
    with pytest.raises(DatasetError, match=words) as told:
        read_rag_set(tmp_path, settings)
    assert "questions.jsonl" in (told.value.hint or "")
    with pytest.raises(DatasetError, match="no such file"):
        read_rag_set(tmp_path / "nothing", settings)


def test_half_a_character_costs_its_line_alone(tmp_path: Path, settings: Settings) -> None:
    file = tmp_path / "asked.jsonl"
    file.write_text('{"question": "a \\ud800 b"}\n{"question": "a \\ud83d\\ude00 b"}\n')
    found = read_rag_set(file, settings, needs_documents=False)
    assert [sample.input for sample in found.dataset.samples] == ["a \N{GRINNING FACE} b"]
    assert problems(found) == {"a line with half a character (a lone surrogate)": 1}


def test_the_published_set_reads_without_a_loss(settings: Settings) -> None:
    folder = Path(__file__).parents[5] / "shared/data/qa/clapnq-dev"
    if not folder.is_dir():
        pytest.skip("ClapNQ's development set is not here")
    found = read_rag_set(folder, settings)
    assert len(found.dataset.samples) == 600
    assert sum(map(is_answerable, found.dataset.samples)) == 300
    assert found.dataset.problems == ()
    for sample in found.dataset.samples[:50]:
        for annotation, spans in zip(gold_sentences(sample), gold_spans(sample), strict=True):
            places = {found.sentences[uri][at] for uri, at in annotation}
            assert places == {(start, end) for _, start, end in spans}
