"""Records: every field, every alias, and each way to contradict oneself."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.core.samples import Sample
from evals.rag.samples import gold_documents, gold_spans, is_answerable
from evals.sets.records import METADATA, PASSAGES, QUOTES, Malformed, sample_of


def test_a_whole_record() -> None:
    record = {
        "id": 7,
        "question": "Who boards?",
        "answers": ["The pilot", " ", "a pilot"],
        "group": "harbour",
        "passages": [{"id": "p", "title": "Ships", "text": "The pilot boards."}, "Other"],
        "gold": ["p"],
        "spans": [{"document": "p", "start": 4, "end": 9, "quote": "pilot"}],
        "unanswerable": False,
        "metadata": {"source": "us"},
        "difficulty": "easy",
    }
    assert sample_of(record, "line 1") == Sample(
        id="7",
        input="Who boards?",
        targets=["The pilot", "a pilot"],
        group="harbour",
        data={
            "answerable": True,
            "gold": ["p"],
            "spans": [[("p", 4, 9)]],
            QUOTES: ["pilot"],
            PASSAGES: [
                {"id": "p", "title": "Ships", "text": "The pilot boards."},
                {"text": "Other"},
            ],
            METADATA: {"difficulty": "easy", "source": "us"},
        },
    )


def test_what_is_left_out_is_filled_from_what_is_there() -> None:
    bare = sample_of({"input": "Why?"}, "f.jsonl, line 3")
    assert bare == Sample(id="f.jsonl, line 3", input="Why?")
    assert is_answerable(bare)
    spans = [{"document": "b", "start": 0, "end": 2}, {"document": "a", "start": 1, "end": 2}]
    found = sample_of({"question": "Why?", "target": "x", "spans": spans}, "")
    assert (found.targets, gold_documents(found), found.group) == (["x"], ["b", "a"], "b")
    assert gold_spans(found) == [[("b", 0, 2), ("a", 1, 2)]]
    assert QUOTES not in found.data
    none = sample_of({"question": "Why?", "unanswerable": True}, "")
    assert not is_answerable(none)
    only = {"id": "p", "text": "abc"}
    sole = sample_of({"question": "W?", "passage": only, "spans": [{"start": 1, "end": 3}]}, "")
    assert (gold_spans(sole), sole.data[QUOTES]) == ([[("p", 1, 3)]], ["bc"])
    quoted = sample_of({"question": "W?", "passage": only, "spans": [{"quote": "bc"}]}, "")
    assert quoted.data == sole.data


BAD: list[tuple[dict[str, Any], str]] = [
    ({}, "without a question"),
    ({"question": " \n"}, "without a question"),
    ({"question": 3}, "without a question"),
    ({"question": "a", "input": "b"}, "two fields for `question`"),
    ({"question": "a", "answers": 3}, "`answers` are no texts"),
    ({"question": "a", "answers": ["x"] * 1001}, "more than 1000 `answers`"),
    ({"question": "a", "unanswerable": "yes"}, "not true or false"),
    ({"question": "a", "unanswerable": True, "answers": ["x"]}, "with answers"),
    ({"question": "a", "unanswerable": True, "spans": [{"document": "d", "start": 0, "end": 1}]},
     "with spans"),
    ({"question": "a", "id": 1.5}, "an id that"),
    ({"question": "a", "id": ""}, "an id that"),
    ({"question": "a", "group": ["x"]}, "`group` is no text"),
    ({"question": "a", "metadata": []}, "`metadata` is no object"),
    ({"question": "a", "passages": [{"title": "x"}]}, "a passage without a text"),
    ({"question": "a", "passages": [{"title": 3, "text": "x"}]}, "title is no text"),
    ({"question": "a", "gold": [3]}, "`gold` are no texts"),
    ({"question": "a", "spans": {}}, "no list of objects"),
    ({"question": "a", "spans": [{"start": 0, "end": 1}]}, "without a document"),
    ({"question": "a", "spans": [{"document": "d", "quote": "x"}]}, "without start and end"),
    ({"question": "a", "spans": [{"document": "d", "start": 1, "end": 1}]}, "without start"),
    ({"question": "a", "spans": [{"document": "d", "start": True, "end": 2}]}, "without start"),
    ({"question": "a", "spans": [{"document": "d", "start": 0, "end": 2, "quote": "x"}]},
     "not as long as"),
    ({"question": "a", "passages": [{"id": "d", "text": "abc"}], "spans": [{"quote": "x"}]},
     "not in its passage"),
    ({"question": "a", "passages": [{"id": "d", "text": "abc"}],
      "spans": [{"document": "d", "start": 1, "end": 4}]}, "outside of its passage"),
    ({"question": "a", "passages": [{"id": "d", "text": "abc"}],
      "spans": [{"document": "d", "start": 1, "end": 2, "quote": "x"}]}, "not in its place"),
    ({"question": "a \ud800"}, "cannot be written down"),
    ({"question": "a", "more": {"x": "\udfff"}}, "cannot be written down"),
]  # fmt: skip


@pytest.mark.parametrize(("record", "reason"), BAD)
def test_what_contradicts_itself_is_malformed(record: dict[str, Any], reason: str) -> None:
    with pytest.raises(Malformed, match=reason):
        sample_of(record, "line 1")


NAMES = ("id", "question", "input", "answers", "unanswerable", "group", "passages", "gold",
         "spans", "metadata", "other")  # fmt: skip
SPAN = ("document", "start", "end", "quote", "text", "id")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(SPAN), inner)
    ),
    max_leaves=8,
)  # fmt: skip


@given(st.dictionaries(st.sampled_from(NAMES), JSON))
def test_any_record_is_a_sample_or_malformed(record: dict[str, Any]) -> None:
    try:
        sample = sample_of(record, "line 1")
    except Malformed:
        return
    assert sample.input.strip()
    assert sample.id
    for document, start, end in (span for spans in gold_spans(sample) for span in spans):
        assert document
        assert 0 <= start < end
