"""What a model writes, told apart; however it is cut, the result is the same."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rostra.serving.parsers import (
    ContentDelta,
    OutputParser,
    ReasoningDelta,
    ToolCallDelta,
    ToolFormat,
    opens_reasoning,
    reasons,
    tool_format_of,
)
from rostra.serving.parsers.tool_calls import MARKERS, new_call_id

FORMATS: tuple[ToolFormat, ...] = get_args(ToolFormat)
NAMES = ("look", "add")


@dataclass
class Told:
    """A whole text, told apart."""

    content: str = ""
    reasoning: str = ""
    calls: list[list[Any]] = field(default_factory=list)


def tell(pieces: Sequence[str], **options: Any) -> Told:
    numbers = count()
    parser = OutputParser(new_id=lambda: f"id{next(numbers)}", **options)
    told = Told()
    for delta in [one for piece in pieces for one in parser.feed(piece)] + parser.finish():
        match delta:
            case ContentDelta(text):
                assert text
                told.content += text
            case ReasoningDelta(text):
                assert text
                told.reasoning += text
            case ToolCallDelta(index, arguments, id_, name):
                if index == len(told.calls):
                    assert id_ is not None
                    told.calls.append([id_, name, ""])
                else:
                    assert index == len(told.calls) - 1
                    assert id_ is None and name is None
                told.calls[index][2] += arguments
    assert parser.calls == len(told.calls)
    return told


def cut(text: str, places: Sequence[int]) -> list[str]:
    ends = sorted({place % (len(text) + 1) for place in places} | {len(text)})
    return [text[a:b] for a, b in zip([0, *ends[:-1]], ends, strict=True)]


CASES: list[tuple[ToolFormat, str, str, list[tuple[str, str]]]] = [
    (
        "hermes",
        'I look.\n<tool_call>\n{"name": "look", "arguments": {"at": [1, {"b": "}<"}]}}'
        "\n</tool_call>",
        "I look.",
        [("look", '{"at": [1, {"b": "}<"}]}')],
    ),
    (
        "hermes",
        '<tool_call>{"name":"look","arguments":{}}</tool_call>\n'
        '<tool_call>{"arguments":{"a":1.5e3},"name":"add"}</tool_call>\n',
        "",
        [("look", "{}"), ("add", '{"a":1.5e3}')],
    ),
    ("hermes", '<tool_call>{"name": "look"}</tool_call>', "", [("look", "{}")]),
    ("hermes", '<tool_call>{"name": "look"}</tool_', "", [("look", "{}")]),
    (
        "hermes",
        '<tool_call>{"name": "look", "arguments": {"q": "\\u00e9\\n\\""}}</tool_call>',
        "",
        [("look", '{"q": "\\u00e9\\n\\""}')],
    ),
    ("llama3", '{"name": "look", "parameters": {"at": 1}}', "", [("look", '{"at": 1}')]),
    (
        "llama3",
        ' {"type": "function", "name": "look", "parameters": {}}; '
        '{"name": "add", "parameters": {}}',
        "",
        [("look", "{}"), ("add", "{}")],
    ),
    (
        "llama3",
        'So: <|python_tag|>{"name": "look", "parameters": {"at": null}}',
        "So:",
        [("look", '{"at": null}')],
    ),
    (
        "mistral",
        '[TOOL_CALLS] [{"name": "look", "arguments": {"at": 1}}, {"name": "add", "arguments": {}}]',
        "",
        [("look", '{"at": 1}'), ("add", "{}")],
    ),
    (
        "mistral",
        'Well [TOOL_CALLS]look[ARGS]{"at": true}[TOOL_CALLS]add[CALL_ID]abc123456[ARGS]{}',
        "Well",
        [("look", '{"at": true}'), ("add", "{}")],
    ),
    ("mistral", '[TOOL_CALLS]look{"at": 1}', "", [("look", '{"at": 1}')]),
]

# Looks like a call and is none.
MALFORMED: list[tuple[ToolFormat, str]] = [
    ("hermes", "a <tool_call>nonsense</tool_call> b"),
    ("hermes", '<tool_call>{"name": "unknown", "arguments": {}}</tool_call>'),
    ("hermes", '<tool_call>{"name": "look", "arguments": [1]}</tool_call>'),
    ("hermes", '<tool_call>{"name": "look", "arguments": {"a": 01}}</tool_call>'),
    ("hermes", '<tool_call>{"name": "look", "arguments": {"a": "cut'),
    ("hermes", '<tool_call>{"name": "look", "arguments": {}} more</tool_call>'),
    ("hermes", '<tool_call>{"name": "look", "name": "add"}</tool_call>'),
    ("hermes", '<tool_call>{"arguments": {}}</tool_call>'),
    ("hermes", "  <tool_ca"),
    ("llama3", ' {"answer": [1, 2, {"x": "y"}]} '),
    ("llama3", '{"name": "look", "parameters": {"a": tru}}'),
    ("llama3", "<|python_tag|>look.call(query='x')"),
    ("llama3", "{"),
    ("mistral", "[TOOL_CALLS]"),
    ("mistral", '[TOOL_CALLS]unknown[ARGS]{"a": 1}'),
    ("mistral", '[TOOL_CALLS][{"name": "look", "arguments": {"a": 1}'),
    ("mistral", "[TOOL_CALLS]look[ARGS]"),
]


@pytest.mark.parametrize("hold", [True, False])
@pytest.mark.parametrize(("format", "text", "content", "calls"), CASES)
def test_calls(
    format: ToolFormat, text: str, content: str, calls: list[tuple[str, str]], hold: bool
) -> None:
    for size in (1, 2, 3, 5, len(text)):
        pieces = [text[at : at + size] for at in range(0, len(text), size)]
        told = tell(pieces, tools=format, names=NAMES, hold=hold)
        assert told.content == content
        assert [(name, arguments) for _, name, arguments in told.calls] == calls
        for _, _, arguments in told.calls:
            json.loads(arguments)


@pytest.mark.parametrize(("format", "text"), MALFORMED)
def test_what_is_no_call_is_content_to_the_character(format: ToolFormat, text: str) -> None:
    assert tell([text], tools=format, names=NAMES) == Told(content=text)


def test_calls_after_a_malformed_one_are_read() -> None:
    text = 'x <tool_call>oh <tool_call>{"name": "look"}</tool_call>'
    told = tell([text], tools="hermes", names=NAMES)
    assert told.content == "x <tool_call>oh"
    assert [name for _, name, _ in told.calls] == ["look"]


def test_a_call_held_by_a_grammar_is_shown_as_it_comes() -> None:
    parser = OutputParser(tools="hermes", names=NAMES, hold=False)
    shown = [delta for piece in ('<tool_call>{"name": "look", "arguments": {"at', '": 1')
             for delta in parser.feed(piece)]  # fmt: skip
    calls = [delta for delta in shown if isinstance(delta, ToolCallDelta)]
    assert [call.arguments for call in calls] == ['{"at', '": 1']
    assert calls[0].name == "look"


def test_a_call_that_breaks_off_in_the_open_keeps_what_was_shown() -> None:
    text = '<tool_call>{"name": "look", "arguments": {"at": "Ro'
    told = tell([text], tools="hermes", names=NAMES, hold=False)
    assert told.content == ""
    assert told.calls == [["id0", "look", '{"at": "Ro']]


@pytest.mark.parametrize("format", FORMATS)
def test_no_part_of_a_marker_is_shown_while_more_may_come(format: ToolFormat) -> None:
    for marker in MARKERS[: len(FORMATS)]:
        parser = OutputParser(tools=format, names=NAMES)
        text = f"a {marker}"
        shown = "".join(
            delta.text
            for char in text
            for delta in parser.feed(char)
            if isinstance(delta, ContentDelta)
        )
        assert text.startswith(shown)
        own = (
            (marker.startswith("<|") and format == "llama3")
            or (marker == "<tool_call>" and format == "hermes")
            or (marker == "[TOOL_CALLS]" and format == "mistral")
        )
        assert shown == ("a" if own else text)


REASONED = [
    ("<think>\nhm </thin </think>\n\nyes <think>x</think>", "hm </thin", "yes <think>x</think>"),
    ("no <think>a</think>", "", "no <think>a</think>"),
    (" <thi", "", " <thi"),
    ("<think>only ", "only", ""),
    ("<think> a < b <</think>c", "a < b <", "c"),
    ("<think>\n\n</think>\n\nx", "", "x"),
    ("plain", "", "plain"),
]


@pytest.mark.parametrize(("text", "thought", "content"), REASONED)
def test_reasoning(text: str, thought: str, content: str) -> None:
    for size in (1, 2, 7, len(text)):
        pieces = [text[at : at + size] for at in range(0, len(text), size)]
        assert tell(pieces, reasoning=True) == Told(content, thought)


def test_reasoning_that_the_prompt_opened() -> None:
    assert tell(["hm</thi", "nk>\nyes"], inside_reasoning=True) == Told("yes", "hm")


def test_calls_are_read_after_reasoning_only() -> None:
    call = '<tool_call>{"name": "look"}</tool_call>'
    told = tell([f"<think>{call}</think>{call}"], tools="hermes", names=NAMES, reasoning=True)
    assert told.reasoning == call
    assert len(told.calls) == 1


def test_without_tools_and_reasoning_all_is_content() -> None:
    text = " <think>a</think><tool_call>{}</tool_call> \n"
    assert tell(list(text)) == Told(content=text)


json_values = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
arguments = st.dictionaries(st.text(), json_values, max_size=3)


def written(format: ToolFormat, calls: Sequence[tuple[str, str]]) -> str:
    """Calls as a model of this format writes them."""
    key = "parameters" if format == "llama3" else "arguments"
    objects = [f'{{"name": "{name}", "{key}": {text}}}' for name, text in calls]
    match format:
        case "llama3":
            return "; ".join(objects)
        case "hermes":
            return "\n".join(f"<tool_call>\n{one}\n</tool_call>" for one in objects)
        case "mistral":
            return f"[TOOL_CALLS][{', '.join(objects)}]"


@given(
    format=st.sampled_from(FORMATS),
    made=st.lists(st.tuples(st.sampled_from(NAMES), arguments), min_size=1, max_size=3),
    ascii=st.booleans(),
    places=st.lists(st.integers(0, 10_000), max_size=12),
    hold=st.booleans(),
)
def test_whatever_is_called_is_read(
    format: ToolFormat,
    made: list[tuple[str, dict[str, Any]]],
    ascii: bool,
    places: list[int],
    hold: bool,
) -> None:
    calls = [(name, json.dumps(given, ensure_ascii=ascii)) for name, given in made]
    told = tell(cut(written(format, calls), places), tools=format, names=NAMES, hold=hold)
    assert told.content == ""
    assert [(name, text) for _, name, text in told.calls] == calls


fragments = st.sampled_from(
    [*MARKERS, "<think>", "</think>", "<", "{", "}", "[", "]", '"', '"name": "look"', ": ", ", ",
     '{"name": "look", "arguments": {}}', '"arguments": {"a": 1}', "look", " ", "\n", ";", "\\",
     "1", "-", "e", "true", "text"]
)  # fmt: skip


@given(
    format=st.sampled_from(FORMATS),
    parts=st.lists(fragments | st.text(max_size=3), max_size=14),
    places=st.lists(st.integers(0, 10_000), max_size=12),
    hold=st.booleans(),
    reasoning=st.booleans(),
)
def test_the_cut_changes_nothing(
    format: ToolFormat, parts: list[str], places: list[int], hold: bool, reasoning: bool
) -> None:
    text = "".join(parts)
    options = {"tools": format, "names": NAMES, "hold": hold, "reasoning": reasoning}
    whole = tell([text], **options)
    assert tell(cut(text, places), **options) == whole
    assert tell(list(text), **options) == whole
    if hold:
        for _, _, given_arguments in whole.calls:
            assert isinstance(json.loads(given_arguments), dict)
    if not whole.calls and not reasoning:
        assert whole.content == text


@pytest.mark.parametrize(
    ("template", "tokens", "format"),
    [
        ("... <tool_call> ...", (), "hermes"),
        ("... [TOOL_CALLS] ...", (), "mistral"),
        ("", ("[TOOL_CALLS]",), "mistral"),
        ("", ("<|python_tag|>",), "llama3"),
        ("... <tool_call> ...", ("<|python_tag|>",), "hermes"),
        ("", (), "hermes"),
    ],
)
def test_the_format_is_the_templates(
    template: str, tokens: tuple[str, ...], format: ToolFormat
) -> None:
    assert tool_format_of(template, lambda token: token in tokens) == format


def test_who_reasons() -> None:
    assert reasons("{{ '<think>' }}", lambda _: False)
    assert reasons("", lambda token: token == "<think>")
    assert not reasons("", lambda _: False)
    assert opens_reasoning("<|assistant|>\n<think>\n")
    assert not opens_reasoning("<think>\n\n</think>\n\n")


def test_ids_are_what_mistrals_templates_take() -> None:
    ids = {new_call_id() for _ in range(200)}
    assert len(ids) == 200
    assert all(len(one) == 9 and one.isalnum() and one.isascii() for one in ids)
