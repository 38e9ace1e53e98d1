"""What is a sum that a task states, and what is none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_servers.calculator.arithmetic import evaluate
from rostra.core import InvalidRequest
from rostra.runtime.written_sums import written_sum


def sums(terms: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    signs = st.sampled_from([" + ", " - ", " * ", "*", " / ", " ** ", "^", " plus ", " times "])
    joined = st.tuples(terms, signs, terms).map("".join)
    return joined | joined.map("({})".format)


SUMS = st.recursive(st.integers(0, 999).map(str), sums, max_leaves=8).filter(
    lambda text: not text.isdigit()
)


@pytest.mark.parametrize(
    ("task", "expression"),
    [
        ("17*24", "17 * 24"),
        ("What's 17*24?", "17 * 24"),
        ("What is ((3+4) × 2) ÷ 5?", "((3 + 4) * 2) / 5"),
        ("Please work out 7,665 + 411.5.", "7665 + 411.5"),
        ("-5 + 3", "-5 + 3"),
        ("What is 5 - -3, please?", "5 - -3"),
        ("2^10 =", "2 ** 10"),
        ("3/4 =", "3 / 4"),
        ("What does 5-3 equal?", "5 - 3"),
        ("4015 plus 980 makes what?", "4015 + 980"),
        ("What is 12 Times 3 plus 4?", "12 * 3 + 4"),
        ("What is 1,000,000 divided by 7?", "1000000 / 7"),
        ("What is 7 multiplied by (3 minus 1)?", "7 * (3 - 1)"),
        ("12 x 12", "12 * 12"),
        ("How much is 12.5% of 80?", "12.5 / 100 * 80"),
        ("What is 10 percent of 50?", "10 / 100 * 50"),
    ],
)
def test_a_sum_and_words_that_ask_for_it(task: str, expression: str) -> None:
    written = written_sum(task)
    assert written is not None
    assert (written.expression, written.is_sure) == (expression, True)


@pytest.mark.parametrize(
    ("task", "expression"),
    [
        ("What is 9/11?", "9 / 11"),
        ("24-7", "24 - 7"),
        ("What is 5-3?", "5 - 3"),
    ],
)
def test_what_may_be_a_name_too(task: str, expression: str) -> None:
    written = written_sum(task)
    assert written is not None
    assert (written.expression, written.is_sure) == (expression, False)


@pytest.mark.parametrize(
    "task",
    [
        *("What does SELECT 3 / 2 return?", "What is the type of 4.5 * 2?", "24/7 support hours"),
        *("How many minutes are 3 + 4 days?", "What is in section 5 - 7?", "Сколько будет 3 + 4?"),
        *("How do I set shared_buffers to 25% of 4 GB?", "rows 10 - 20", "a 3 x 3 matrix"),
        *("What is it?", "What is 7?", "", "-5", "What is six times seven?"),
        *("Add up:\n- 3\n- 4\n- 5", "Years from 1990-2004", "pages 10-12", "12/25/2024"),
        *("2024-01-15", "What is 2024-1-15?", "phone 555-0123", "007 + 3", "0,125 + 1"),
        *("minus 5 + 3", "negative 5 + 3", "- 8 + 3", "−8 + 3", "√16 + 9", "∛(3 + 5)"),
        *("sqrt(16) + 9", "sqrt(16 + 9)", "mean of 3 + 4 + 5", "half of 12 + 8", "5 * 3 squared"),
        *("50 + 10 percent", "50 + 10 %", "A hundred minus 3 * 4", "5 * 3 - x", "4 + 3!"),
        *("what (is 3 + 4)?", "is 3) + (4 a sum", "RFC-10 + 3", "2(3+4)", "(3+4)(5+6)"),
        *(
            "1234,567 + 1",
            "⌊7 / 2⌋",
            "[3+4]*2",
            "|3 - 5|",
            "$5 + $3",
            "1 + 2٣",
            "8 // 3",
            "1e3 + 2",
        ),
        *("What is 2.1 of 3 + 4?", "3 + 4 of 5", "3 +\n4", "1" + " + 1" * 40),
    ],
)
def test_what_states_no_sum(task: str) -> None:
    assert written_sum(task) is None


@given(SUMS, st.sampled_from(["{}", "What is {}?", "Compute {}.", "{} = ?"]))
def test_the_expression_has_the_value_of_what_is_written(written: str, frame: str) -> None:
    found = written_sum(frame.format(written))
    if found is None:
        assert len(written) > 100
        return
    signs = written.replace(" plus ", " + ").replace(" times ", " * ")
    assert value(found.expression) == value(signs)


def value(expression: str) -> object:
    try:
        return evaluate(expression)
    except InvalidRequest as error:
        return error.message


@pytest.mark.parametrize(
    "part",
    [
        *("(", ")", "1", "1,", "111,", "1 + ", "(1 ", "1+(", "1+((", "-", "1 )", "+ 1", "1 x "),
        *("1 percent of ", "1  plus ", "1-1 ", "1/1", "work out "),
    ],
)
def test_a_long_task_is_read_once(part: str) -> None:
    # Were it read again from each place, this would take many minutes.
    written_sum("1+" + part * (10**6 // len(part)))
