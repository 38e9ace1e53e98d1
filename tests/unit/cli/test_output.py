"""What is printed: nothing that a document says steers the terminal, our own colours stay."""

import io
import json
import sys

import pytest
from rich.markup import escape

from rostra.cli.main import report
from rostra.cli.output import console, print_json, print_table, printable
from rostra.core import PathNotFound

HOSTILE = "a\x1b[31m\x9b2J\x07\x00\r\u202eb \udcff\u2066 \u200cc\u00a0d"
STEERING = ("\x1b", "\x9b", "\x07", "\x00", "\r", "\u202e", "\u2066", "\udcff")


def is_clean(text: str) -> bool:
    return not any(one in text for one in STEERING)


def test_what_steers_is_left_out_and_the_rest_stays() -> None:
    assert printable(HOSTILE) == "a[31m2Jb  \u200cc\u00a0d"
    assert printable("many\n\tlines \U0001f6e2\ufe0f") == "many\n\tlines \U0001f6e2\ufe0f"


def test_cells_and_lines_cannot_steer(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("id", "title"), [(1, HOSTILE), (2, "plain")])
    console().print(f"[bold]{escape(HOSTILE)}[/] [dim]x[/]")
    out = capsys.readouterr().out
    assert is_clean(out)
    assert out.count("a[31m2Jb") == 2


def test_json_says_the_same_and_cannot_steer(capsys: pytest.CaptureFixture[str]) -> None:
    value = {"text": HOSTILE.replace("\udcff", "") + "\x7f\u2028\\ é\n", "n": [1, None]}
    print_json(value)
    out = capsys.readouterr().out
    assert is_clean(out)
    assert not any(ord(one) == 0x7F or one == "\u2028" for one in out)
    assert "é" in out and out.count("\n") == 1
    assert json.loads(out) == value


def test_a_terminal_keeps_our_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr(sys, "stdout", Terminal())
    console().print(f"[bold]{escape(HOSTILE)}[/]")
    assert isinstance(sys.stdout, Terminal)
    told = sys.stdout.getvalue()
    assert told.startswith("\x1b[1ma[31m2Jb")
    assert is_clean(told.replace("\x1b[1m", "").replace("\x1b[0m", ""))


def test_an_errors_words_cannot_steer(capsys: pytest.CaptureFixture[str]) -> None:
    assert report(PathNotFound(f"no {HOSTILE}", hint=HOSTILE), as_json=False) == 2
    assert is_clean(capsys.readouterr().err)
