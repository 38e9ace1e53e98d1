"""Judged collections: ids as they are, and a reason for each bad line."""

import json
from pathlib import Path
from typing import Any

import pytest

from rostra.core import PathNotFound, Settings
from rostra.ingest.beir import read_beir
from rostra.ingest.document import check_document
from rostra.ingest.items import FailedSource, ReadySource


def corpus(folder: Path, *lines: Any) -> Path:
    text = "".join(line if isinstance(line, str) else json.dumps(line) + "\n" for line in lines)
    (folder / "corpus.jsonl").write_text(text, "utf-8")
    return folder


def test_records(tmp_path: Path, settings: Settings) -> None:
    corpus(
        tmp_path,
        {"_id": "d/1 ü", "title": " A title ", "text": "One.\n\nTwo."},
        "\n",
        {"_id": "2", "text": " only text "},
        {"_id": 3, "title": "only title", "text": ""},
    )
    first, second, third = read_beir(tmp_path, settings)
    assert isinstance(first, ReadySource)
    document = first.document
    check_document(document)
    assert first.uri == "d/1 ü"
    assert document.text == "A title\n\nOne.\n\nTwo."
    assert document.title == "A title"
    assert document.metadata == {"_id": "d/1 ü"}
    spans = [(s.kind.value, document.text[s.start : s.end]) for s in document.spans]
    assert spans == [("heading", "A title"), ("paragraph", "One."), ("paragraph", "Two.")]
    assert isinstance(second, ReadySource)
    assert (second.document.text, second.document.title) == ("only text", "2")
    assert isinstance(third, ReadySource)
    assert (third.uri, third.document.text) == ("3", "only title")


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("{broken\n", "bad_record"),
        ("[1]\n", "bad_record"),
        ({"text": "no id"}, "bad_record"),
        ({"_id": "", "text": "x"}, "bad_record"),
        ({"_id": "x"}, "bad_record"),
        ({"_id": "x", "text": 5}, "bad_record"),
        ({"_id": "x", "text": "y", "title": []}, "bad_record"),
        ({"_id": "x", "text": " ", "title": ""}, "no_text"),
        ({"_id": "1", "text": "again"}, "duplicate_name"),
        ({"_id": "x", "text": "y" * 2000}, "too_large"),
        ("[" * 900 + "\n", "bad_record"),
    ],
)
def test_a_bad_line_is_reported_with_its_number(
    tmp_path: Path, settings: Settings, line: Any, code: str
) -> None:
    good = {"_id": "1", "text": "x"}
    corpus(tmp_path, good, line, {"_id": "9", "text": "last"})
    small = settings.model_copy(update={"max_file_bytes": 1000})
    first, bad, last = read_beir(tmp_path, small)
    assert isinstance(bad, FailedSource)
    assert bad.error.code == code
    assert bad.uri.endswith("/corpus.jsonl#line=2")
    assert (first.uri, last.uri) == ("1", "9")


def test_no_corpus(tmp_path: Path, settings: Settings) -> None:
    for folder in (tmp_path / "nowhere", tmp_path):
        with pytest.raises(PathNotFound):
            read_beir(folder, settings)
    corpus(tmp_path)
    (empty,) = read_beir(tmp_path, settings)
    assert isinstance(empty, FailedSource)
    assert empty.error.code == "empty_file"
