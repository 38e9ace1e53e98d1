"""Stop strings against a reference that looks at the whole text after every character."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rostra.serving.text.stops import StopStrings

# Few letters, so that stop strings overlap, nest and repeat.
STOPS = st.lists(st.text("ab", min_size=1, max_size=5), max_size=5)
PIECES = st.lists(st.text("abc", max_size=4), max_size=12)


def naive(text: str, stops: list[str]) -> tuple[str, str | None]:
    """All that is to be shown of a text, and what ended it."""
    for end in range(len(text) + 1):
        ending = [stop for stop in stops if text[:end].endswith(stop)]
        if ending:
            stop = max(ending, key=len)
            return text[: end - len(stop)], stop
    return text, None


@given(stops=STOPS, pieces=PIECES)
@settings(max_examples=500)
def test_any_cuts_give_the_naive_result(stops: list[str], pieces: list[str]) -> None:
    watch = StopStrings(stops)
    shown = ""
    text = ""
    for piece in pieces:
        text += piece
        shown += watch.push(piece)
        expected, stop = naive(text, stops)
        assert watch.matched == stop
        if stop is None:
            # Shown is all but what may still become a stop string.
            held = max(
                (n for s in stops for n in range(1, len(s)) if text.endswith(s[:n])), default=0
            )
            assert shown == text[: len(text) - held]
        else:
            assert shown == expected
    assert shown + watch.flush() == naive(text, stops)[0]
    assert watch.flush() == ""


@given(stops=STOPS, early=st.text("abc", max_size=8), pieces=PIECES)
def test_unarmed_text_takes_no_part(stops: list[str], early: str, pieces: list[str]) -> None:
    watch = StopStrings(stops)
    assert watch.push(early, armed=False) == early
    shown = "".join(map(watch.push, pieces)) + watch.flush()
    assert (shown, watch.matched) == naive("".join(pieces), stops)


def test_disarming_lets_go_of_what_was_held() -> None:
    watch = StopStrings(["abc"])
    assert watch.push("xab") == "x"
    assert watch.push("c", armed=False) == "abc"
    assert watch.matched is None


def test_a_stop_string_over_many_pieces() -> None:
    watch = StopStrings(["\n\nUser:"])
    assert [watch.push(piece) for piece in ("Hi.", "\n", "\n", "Us", "er", ":", " more")] == [
        "Hi.", "", "", "", "", "", "",
    ]  # fmt: skip
    assert watch.matched == "\n\nUser:"
    assert watch.flush() == ""


def test_a_false_start_is_shown_after_all() -> None:
    watch = StopStrings(["</end>"])
    assert watch.push("a </e") == "a "
    assert watch.push("m> b") == "</em> b"
    assert watch.push("<") == ""
    assert watch.flush() == "<"
    assert watch.matched is None


@pytest.mark.parametrize(("stops", "text", "expected"), [
    (["abcd", "bc"], "xabcd", ("xa", "bc")),  # the first complete
    (["bc", "abc"], "xabc", ("x", "abc")),  # the longest of two complete
    (["aab"], "aaab", ("a", "aab")),
    (["é🎉"], "né🎉!", ("n", "é🎉")),
])  # fmt: skip
def test_overlaps(stops: list[str], text: str, expected: tuple[str, str]) -> None:
    watch = StopStrings(stops)
    assert (watch.push(text), watch.matched) == expected
    assert watch.push("more") == ""


def test_without_stop_strings_all_is_shown_at_once() -> None:
    watch = StopStrings([])
    assert watch.push("abc") == "abc"
    assert watch.flush() == ""


def test_each_character_costs_constant_time() -> None:
    """Counted in steps along the automaton: at most two a character, one down and one back up."""
    steps = 0

    class Counted(list[int]):
        def __getitem__(self, index):  # type: ignore[no-untyped-def]
            nonlocal steps
            steps += 1
            return super().__getitem__(index)

    watch = StopStrings(["a" * n + "b" for n in range(1, 65)])
    watch._suffix = Counted(watch._suffix)
    text = ("a" * 70 + "c") * 50
    watch.push(text)
    assert steps <= len(text)
