"""What the reader searches for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rostra.runtime.reader import searched


@pytest.mark.parametrize(
    ("task", "query"),
    [
        ("What does  a vacuum\nremove?", "What does a vacuum remove?"),
        ('What is a "page" in \\dt?', "What is a page in dt?"),
        ("word " * 50, ("word " * 40).strip()),
        ("x" * 300, "x" * 200),
        ("Что делает вакуум?", "Что делает вакуум?"),
        ('" "', None),
    ],
)
def test_it_is_the_task_on_one_line(task: str, query: str | None) -> None:
    assert searched(task) == query


@given(st.text())
def test_it_is_never_too_long_and_has_no_end_of_a_string(task: str) -> None:
    query = searched(task) or ""
    assert len(query.encode()) <= 200
    assert not {'"', "\\", "\n"} & set(query)
