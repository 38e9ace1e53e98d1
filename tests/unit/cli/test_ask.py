"""An answer on a terminal: its end says who made it."""

import pytest

from rostra.answer import Answer, AnswerMode, Done
from rostra.cli.ask import _Printer


@pytest.mark.parametrize(
    ("mode", "picked_by", "told"),
    [
        (AnswerMode.GENERATE, "rostra-reader", "quoted by rostra-reader, 1.5 s"),
        (AnswerMode.GENERATE, "[red]a", "quoted by [red]a, 1.5 s"),
        (AnswerMode.GENERATE, None, "generate mode, 1.5 s"),
        (AnswerMode.QUOTE, "similarity", "quote mode, 1.5 s"),
    ],
)
def test_who_only_quotes_does_not_generate(
    capsys: pytest.CaptureFixture[str], mode: AnswerMode, picked_by: str | None, told: str
) -> None:
    answer = Answer("It does.", mode, True, [], {"total": 1500.0}, picked_by=picked_by)
    _Printer(quiet=False).show(Done(answer))
    assert capsys.readouterr().out.split("\n")[-2] == told
