"""Files of sets: JSON lines and tables, as people and programs write them, and broken ones."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.core.samples import Problem, Sample
from evals.errors import DatasetError
from evals.sets.files import read_csv_set, read_jsonl_set, read_set


def test_json_lines_cost_themselves_alone(tmp_path: Path) -> None:
    path = tmp_path / "asked.jsonl"
    path.write_bytes(
        b'\xef\xbb\xbf{"question": "One?"}\n'
        b"\n"
        b'{"question": "Two?", "id": "b"}\n'
        b"{broken\n"
        b'["no object"]\n'
        b'{"question": "\xff"}\n'
        b'{"question": ""}\n'
        b'{"question": "Twice?", "id": "b"}\n'
        b'{"question": "Last?"}'
    )
    found = read_jsonl_set(path)
    assert found.name == "asked"
    assert [(sample.id, sample.input) for sample in found.samples] == [
        ("asked.jsonl, line 1", "One?"),
        ("b", "Two?"),
        ("asked.jsonl, line 9", "Last?"),
    ]
    assert list(found.problems) == [
        Problem("a line that is no JSON", 2, ["asked.jsonl, line 4", "asked.jsonl, line 6"]),
        Problem("a line that is no JSON object", 1, ["asked.jsonl, line 5"]),
        Problem("a record without a question", 1, ["asked.jsonl, line 7"]),
        Problem("an id that another sample has", 1, ["b"]),
    ]


TABLE = [
    ["id", "Question", "answers", "unanswerable", "group", "topic"],
    ["1", 'Who said "yes; no, maybe"?', '["Ann", "Bob"]', "", "g", "café"],
    ["2", "Two\nlines?", "[brackets] are text", "FALSE", "", ""],
    ["3", "Nobody?", "", "yes", "", ""],
]


@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_tables_of_every_kind(tmp_path: Path, mark: str, encoding: str) -> None:
    rows = [["1", "Who?", '["Ann", "Bob"]', "", "g", "café"], ["3", "No\nbody?", "", "yes", "", ""]]
    quoted = [mark.join('"' + cell.replace('"', '""') + '"' for cell in row) for row in rows]
    text = "\r\n".join([mark.join(TABLE[0]), *quoted]) + "\r\n"
    path = tmp_path / "table.csv"
    path.write_bytes(text.encode(encoding))
    found = read_csv_set(path)
    assert found.problems == ()
    assert found.samples == (
        Sample(
            id="1",
            input="Who?",
            targets=["Ann", "Bob"],
            group="g",
            data={"answerable": True, "metadata": {"topic": "café"}},
        ),
        Sample(id="3", input="No\nbody?", data={"answerable": False}),
    )


def test_rows_of_a_table_cost_themselves_alone(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text(
        "question,answers,spans,unanswerable\n"
        "One?,[not json],,\n"
        "Two?\n"
        ",,,\n"
        "Three?,a,,,too many\n"
        "Four?,a,,perhaps\n"
        '"Five,\nsix?",a,{},\n'
        "\n"
        f"{'x' * 140_000}?,a,,\n"
        "Seven?,b,,no\n"
    )
    found = read_csv_set(path)
    assert [sample.input for sample in found.samples] == ["Two?", "Seven?"]
    assert {problem.reason: problem.examples for problem in found.problems} == {
        "a cell of `answers` that is no JSON": ["table.csv, line 2"],
        "a row with more cells than the header": ["table.csv, line 5"],
        "`unanswerable` is not true or false": ["table.csv, line 6"],
        "`spans` is no list of objects": ["table.csv, line 7"],
        "a row that cannot be read": ["table.csv, line 10"],
    }


def test_a_japanese_table_is_read_in_its_own_encoding(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    questions = [
        "東京の人口は何人ですか?",
        "日本で一番高い山は何ですか?",
        "京都はどこにありますか?",
    ]
    path.write_bytes(("question\n" + "\n".join(questions) + "\n").encode("shift_jis"))
    assert [sample.input for sample in read_csv_set(path).samples] == questions


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.jsonl", b"", "no sample that can be used"),
        ("a.jsonl", b"\n \n", "no sample that can be used"),
        ("a.jsonl", b"{}\n3\n", "1: a line that is no JSON object; 1: a record without"),
        ("a.csv", b"", "no sample that can be used"),
        ("a.csv", b"question\n", "no sample that can be used"),
        ("a.csv", b"query,answer\nx,y\n", "no column is called `question`"),
        ("a.csv", b"question,question\nx,y\n", "two columns"),
        ("a.csv", b"\x00\xff\xfe\x01\x02", "no column is called"),
        ("a.txt", b"question", "not a kind of file"),
        ("a", b"question", "not a kind of file"),
    ],
)
def test_files_without_a_set_are_refused(
    tmp_path: Path, name: str, content: bytes, reason: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DatasetError, match=reason):
        read_set(path)


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv"])
def test_files_that_are_not_there_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(DatasetError, match="No such file"):
        read_set(tmp_path / name)
    (tmp_path / name).mkdir()
    with pytest.raises(DatasetError, match="directory"):
        read_set(tmp_path / name)


QUESTIONS = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\r\x00"), min_size=1
)


@given(st.lists(QUESTIONS.filter(str.strip), min_size=1, max_size=5))
def test_both_kinds_give_the_same_questions(
    tmp_path_factory: pytest.TempPathFactory, questions: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("both")
    lines, table = folder / "a.jsonl", folder / "a.csv"
    lines.write_text("".join(json.dumps({"question": one}) + "\n" for one in questions))
    cells = ['"' + one.replace('"', '""') + '"' for one in questions]
    table.write_text("question\n" + "\n".join(cells) + "\n", encoding="utf-8", newline="")
    assert [s.input for s in read_set(lines).samples] == questions
    assert [s.input for s in read_set(table).samples] == questions
