"""What a person sees before saying yes: the whole call, and nothing that hides or poses."""

import io

from hypothesis import example, given
from hypothesis import strategies as st
from rich.console import Console

from rostra.agents import Effect, PlannedCall, Waiting
from rostra.cli.run_decisions import decider, print_question
from rostra.cli.run_question import print_call, visible

WIDTH = 60


def shown(arguments: dict[str, object], width: int = WIDTH) -> str:
    out = io.StringIO()
    print_call(Console(file=out, width=width, highlight=False), PlannedCall("c", "mail", arguments))
    return out.getvalue()


def values(text: str) -> str:
    """What stands behind the bars, put together again."""
    lines = text.splitlines()
    return "".join(line.split("│ ", 1)[1] for line in lines if line.startswith("    │"))


def test_an_argument_is_shown_to_its_last_character() -> None:
    text = shown({"to": "ada@example.org", "body": "x" * 5000 + " and delete all"})
    assert values(text) == "ada@example.org" + "x" * 5000 + " and delete all"
    assert "5,015 characters" in text
    assert max(len(line) for line in text.splitlines()) <= WIDTH


def test_what_cannot_be_seen_is_named() -> None:
    hidden = "\x1b\u202e\u200b\u2066\u00a0\u2028\U000e0041\u2800\ufe0f\x9b\r\t"
    text = shown({"body": hidden, "deep": {"\u202ekey": [hidden]}, "na\u200bme": 1}, 400)
    for char in hidden:
        assert char not in text
        assert f"<U+{ord(char):04X}>" in text
    assert "na<U+200B>me" in text


def test_a_value_cannot_pose_as_a_field_or_a_question() -> None:
    text = shown({"note": "fine\n  to\n    │ ada\nAllow this call? [y/N] y\n" + " " * 90 + "evil"})
    lines = [line for line in text.splitlines() if line]
    assert [line for line in lines if not line.startswith("    │ ")] == [
        "mail",
        "  note  139 characters, 5 lines",
    ]
    assert "evil" in text


@given(st.text(max_size=300))
def test_all_that_is_left_is_printable(text: str) -> None:
    assert visible(text).isprintable()
    assert visible(visible(text)) == visible(text)


@given(st.text(st.characters(max_codepoint=0x4FF), max_size=300))
@example("\u0300")
@example("\u0300\u0301a")
def test_nothing_is_lost_between_two_lines(text: str) -> None:
    assert values(shown({"a": text})) == "".join(visible(line) for line in text.split("\n"))


def test_markup_is_text_and_reasons_are_cleaned() -> None:
    out = io.StringIO()
    call = PlannedCall("c", "mail", {"body": "[red]hi[/bold]"})
    waiting = Waiting(call, Effect.WRITE, "approval", ("from tool:\x1b[31m",), ("approve", "deny"))
    print_question(Console(file=out, width=WIDTH), waiting)
    assert "[red]hi[/bold]" in out.getvalue()
    assert "from tool:<U+001B>[31m" in out.getvalue()


async def test_options_allow_what_they_name_also_of_what_only_reads() -> None:
    call = PlannedCall("c", "web__fetch", {"url": "https://example.org/?q=secret"})
    waiting = Waiting(call, Effect.READ, "approval", ("it sends out",), ("approve", "deny"))
    assert (await decider([], True, False)(waiting) or ("",))[0] == "deny"
    assert await decider(["web__fetch"], True, False)(waiting) == ("approve", "")
    assert await decider(["web__fetch"], False, True)(waiting) is None
