"""Plain text, Markdown, tables, JSON and source code."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rostra.core import Settings
from rostra.ingest.document import ParsedDocument, check_document
from rostra.ingest.errors import TooDeep, TooLarge
from rostra.ingest.limits import ParseLimits
from rostra.ingest.parsers import parse_bytes

Parse = Callable[[bytes | str, str], ParsedDocument]
Texts = Callable[[ParsedDocument, str], list[str]]

MARKDOWN = """---
title: "Front matter"
---

# One `code` #

Text that is
wrapped.

Two
---

- item
  - nested
- last

| a | b |
|---|---|
| 1 | 2 |

```python
x = 1

y = 2
```

    indented code
"""


def test_plain_text_keeps_its_paragraphs(parse: Parse, texts: Texts) -> None:
    page = parse("one\r\nline\r\n\r\n  two\n \n\nthree", "notes.txt")
    assert page.text == "one\nline\n\n  two\n \n\nthree"
    assert texts(page, "paragraph") == ["one\nline", "two", "three"]
    assert page.title == "notes.txt"


def test_invalid_utf8_is_read_and_said(parse: Parse) -> None:
    page = parse("Fünf größere Übungen ".encode() + b"\xff", "a.txt")
    assert page.text == "Fünf größere Übungen \ufffd"
    assert page.metadata == {"encoding": "utf-8", "encoding_errors": 1}


def test_markdown_is_its_own_source(parse: Parse, texts: Texts) -> None:
    page = parse(MARKDOWN, "a.md")
    assert page.text == MARKDOWN
    assert page.title == "Front matter"
    headings = [(s.level, page.text[s.start : s.end]) for s in page.spans if s.kind == "heading"]
    assert headings == [(1, "One `code`"), (2, "Two")]
    assert texts(page, "row") == ["| a | b |", "| 1 | 2 |"]
    assert texts(page, "table") == ["| a | b |\n|---|---|\n| 1 | 2 |"]
    assert texts(page, "code") == ["```python\nx = 1\n\ny = 2\n```", "    indented code"]
    assert texts(page, "list_item") == ["- item\n  - nested", "  - nested", "- last"]
    assert "Text that is\nwrapped." in texts(page, "paragraph")


def test_an_underlined_paragraph_is_no_heading(parse: Parse, texts: Texts) -> None:
    formula = " ".join(["a long caption that goes on before a formula"] * 5)
    page = parse(f"## Real\n\nText.\n\n{formula}\n =\n12\n\nA title\nof two lines\n===\n", "a.md")
    assert texts(page, "heading") == ["Real", "A title\nof two lines"]
    assert texts(page, "paragraph") == ["Text.", f"{formula}\n =", "12"]
    assert page.title == "A title of two lines"


def test_markdown_title_is_its_first_highest_heading(parse: Parse) -> None:
    assert parse("## Sub\n\n# The [one](x)\n\ntext", "a.md").title == "The one"
    assert parse("text only", "a.md").title == "a.md"


@given(st.text(alphabet="#-*`|>~= \n\tab1.[]()", max_size=200))
def test_any_markdown_is_a_sound_document(source: str) -> None:
    page = parse_bytes(b"x\n" + source.encode(), "a.md", ParseLimits.of(Settings()))
    check_document(page)
    assert page.text == "x\n" + source


def test_deeply_nested_markdown_is_read(parse: Parse) -> None:
    assert parse("> " * 5000 + "deep", "a.md").text.endswith("deep")


def test_csv_rows_are_table_rows(parse: Parse, texts: Texts) -> None:
    page = parse('name,notes\n"a, b","x|y\nz"\nshort\n,\n', "t.csv")
    assert page.text == "| name | notes |\n| a, b | x\\|y z |\n| short |"
    assert texts(page, "row") == page.text.split("\n")
    assert texts(page, "table") == [page.text]
    assert page.metadata["rows"] == 2


@pytest.mark.parametrize(
    ("data", "name"),
    [
        ("a;b\n1,5;2\n3;4\n", "t.csv"),
        ("a\tb\n1,5\t2\n3\t4\n", "t.tsv"),
        ("a|b\n1,5|2\n3|4\n", "t.csv"),
    ],
)
def test_other_delimiters(parse: Parse, data: str, name: str) -> None:
    assert parse(data, name).text == "| a | b |\n| 1,5 | 2 |\n| 3 | 4 |"


def test_wide_and_long_cells(parse: Parse) -> None:
    wide = ",".join(f"c{n}" for n in range(2000))
    page = parse(f"{wide}\n{wide}\n", "t.csv")
    assert page.text.count("\n") == 1
    huge = "x" * 300_000
    assert huge in parse(f"a,b\n{huge},1\n", "t.csv").text


def test_json_is_readable(parse: Parse) -> None:
    source = {
        "title": "Settings",
        "port": 8321,
        "ratio": 1.50,
        "big": 10**30,
        "on": True,
        "none": None,
        "tags": ["a", "b"],
        "nested": {"deep": {"x": "é"}},
        "text": "line one\nline two",
        "empty": {},
    }
    page = parse(json.dumps(source).replace("1.5", "1.50"), "a.json")
    assert page.title == "Settings"
    assert page.text == (
        "title: Settings\nport: 8321\nratio: 1.50\nbig: 1000000000000000000000000000000\n"
        "on: true\nnone: null\ntags:\n  - a\n  - b\nnested:\n  deep:\n    x: é\n"
        "text:\n  line one\n  line two\nempty: {}"
    )


def test_each_record_is_a_block(parse: Parse, texts: Texts) -> None:
    page = parse('[{"a": 1, "b": "x"}, {"a": 2}]', "a.json")
    assert texts(page, "paragraph") == ["a: 1\nb: x", "a: 2"]
    lines = parse('{"a": 1}\n\nnot json\n{"a": 2}\n', "a.jsonl")
    assert texts(lines, "paragraph") == ["a: 1", "not json", "a: 2"]
    assert lines.metadata["invalid_lines"] == 1
    assert texts(parse('{"a": 1}\n{"a": 2}\n', "a.json"), "paragraph") == ["a: 1", "a: 2"]


def test_broken_json_is_read_as_text(parse: Parse) -> None:
    page = parse('{"a": 1,', "a.json")
    assert page.text == '{"a": 1,'
    assert page.metadata["invalid_json"] is True


@pytest.mark.parametrize("depth", [150, 100_000])
def test_json_nested_beyond_reading(parse: Parse, depth: int) -> None:
    with pytest.raises(TooDeep):
        parse("[" * depth + "]" * depth, "a.json")
    with pytest.raises(TooDeep):
        parse('{"a":' * depth + "1" + "}" * depth, "a.jsonl")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(JSON)
def test_any_json_is_a_sound_document(value: Any) -> None:
    data = json.dumps({"first": "x", "value": value}).encode()
    page = parse_bytes(data, "a.json", ParseLimits.of(Settings()))
    check_document(page)
    assert page.text.startswith("first: x")


def test_source_code_is_verbatim(parse: Parse, texts: Texts) -> None:
    source = "import os\n\n\ndef f():\n\treturn 1\n"
    page = parse(source, "tool.py")
    assert page.text == source
    assert texts(page, "code") == [source]
    assert (page.title, page.media_type) == ("tool.py", "text/x-source-python")


@pytest.mark.parametrize("name", ["a.txt", "a.md", "a.py", "a.csv", "a.json", "a.jsonl"])
def test_text_over_the_limit(settings: Settings, name: str) -> None:
    limits = ParseLimits.of(settings.model_copy(update={"max_text_chars": 100}))
    with pytest.raises(TooLarge) as caught:
        parse_bytes(b'"' + b"word " * 50 + b'"', name, limits)
    assert "100" in caught.value.message
