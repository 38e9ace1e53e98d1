"""What is a sum in signs."""

import pytest

from rostra.runtime.written_sums import written_sum


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        ("17*24", True),
        ("What's 17*24?", True),
        ("What is ((3+4) × 2) ÷ 5?", True),
        ("Please work out 7,665 + 411.", True),
        ("3/4 =", True),
        ("What does SELECT 3 / 2 return?", False),
        ("What is the type of 4.5 * 2?", False),
        ("Сколько будет 3 + 4?", False),
        ("How many minutes are 3 + 4 days?", False),
        ("What is half of 3 + 4?", False),
        ("What is 3 plus 4?", False),
        ("What is 7?", False),
        ("What is 3-4?", False),
        ("What is 2.1 of 3 + 4?", False),
        ("What is it?", False),
    ],
)
def test_what_is_nothing_but_a_sum(task: str, expected: bool) -> None:
    written = written_sum(task)
    assert (written is not None and written.is_all) == expected


@pytest.mark.parametrize(
    "part", ["(", ")", "1", "1,", "111,", "1 + ", "(1 ", "1+(", "1+((", "-", "1 )", "+ 1"]
)
def test_a_long_task_is_read_once(part: str) -> None:
    # Were it read again from each place, this would take many minutes.
    written_sum("1+" + part * (10**6 // len(part)))
