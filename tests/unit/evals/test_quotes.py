"""Sentence F1 by hand, and annotated sets read right."""

import json
from pathlib import Path
from typing import Any

import pytest

from evals import DatasetError
from evals.quotes import read_annotated, sentence_f1

RECORD: dict[str, Any] = {
    "input": "what does the pump move",
    "passages": [
        {
            "title": "Pump",
            "text": "The pump moves water . It is old .",
            "sentences": ["The pump moves water .", "It is old ."],
        }
    ],
    "output": [{"selected_sentences": ["The pump moves water ."]}],
}


def write(folder: Path, answerable: list[dict[str, Any]]) -> Path:
    (folder / "answerable.jsonl").write_text("\n".join(map(json.dumps, answerable)))
    nothing = RECORD | {"output": [{"selected_sentences": []}]}
    (folder / "unanswerable.jsonl").write_text(json.dumps(nothing))
    return folder


def test_f1_by_hand() -> None:
    a, b, c = ("p", 0), ("p", 1), ("p", 2)
    assert sentence_f1({a, b}, (frozenset({a}),)) == pytest.approx(2 / 3)
    assert sentence_f1({a}, (frozenset({b}), frozenset({a, b, c}))) == pytest.approx(0.5)
    assert sentence_f1(set(), (frozenset({a}),)) == 0
    assert sentence_f1({a}, (frozenset({a}),)) == 1


def test_sentences_are_located_in_the_document(tmp_path: Path) -> None:
    passages, questions = read_annotated(write(tmp_path, [RECORD]))
    (passage,) = passages.values()
    texts = [passage.document.text[start:end] for start, end in passage.sentences]
    assert texts == RECORD["passages"][0]["sentences"]
    assert questions[0].answers == (frozenset({(passage.uri, 0)}),)
    assert (questions[1].is_answerable, questions[1].answers) == (False, ())


def test_a_sentence_that_is_not_there_is_refused(tmp_path: Path) -> None:
    broken = json.loads(json.dumps(RECORD))
    broken["passages"][0]["sentences"].append("Nobody wrote this.")
    with pytest.raises(DatasetError, match="line 1"):
        read_annotated(write(tmp_path, [broken]))


def test_a_missing_field_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="line 1"):
        read_annotated(write(tmp_path, [{"input": "what"}]))
