"""The prompt library: versions, values, and prefixes that stay."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rostra.agents.prompts import BrokenPrompt, library, parse_prompt, render, versions


def test_every_prompt_has_a_version_that_names_its_text() -> None:
    assert versions().keys() == library().keys()
    assert {"react", "react_native", "plan", "verify", "synthesis", "rewoo_plan"} <= set(versions())
    for name, prompt in library().items():
        assert prompt.name == name
        number, _, digest = prompt.version.partition(".")
        assert number.isdecimal()
        assert len(digest) == 8
    one = parse_prompt("---\nname: a\nversion: 1\n---\nSay this.")
    other = parse_prompt("---\nname: a\nversion: 1\n---\nSay that.")
    assert one.version != other.version


def test_what_changes_stands_at_the_end_of_long_prompts() -> None:
    for prompt in library().values():
        if len(prompt.text) > 400:
            assert prompt.text.find("{{") in range(len(prompt.text) * 2 // 3, len(prompt.text)) or (
                not prompt.slots
            )


@given(st.text())
def test_values_are_never_read_as_templates(value: str) -> None:
    prompt = parse_prompt("---\nname: a\nversion: 1\n---\n<{{one}}|{{two}}|{{one}}> {0} {x} %s")
    for hostile in (value, "{{two}}", "{one}", "%(x)s", "\\1", "{{one}}"):
        made = prompt.render({"one": hostile, "two": value})
        assert made == f"<{hostile}|{value}|{hostile}> {{0}} {{x}} %s"


def test_values_that_do_not_fit_are_our_mistake() -> None:
    with pytest.raises(BrokenPrompt, match="takes"):
        render("react", {"surplus": 1})
    with pytest.raises(BrokenPrompt, match="takes"):
        render("choose", {})
    with pytest.raises(BrokenPrompt, match="no prompt"):
        render("../react", {})


@pytest.mark.parametrize(
    "source",
    [
        "no front matter",
        "---\nname: a\n---\ntext",
        "---\nname: a\nversion: new\n---\ntext",
        "---\nname: a\nversion: 1\nname: b\n---\ntext",
        "---\nname: a\nversion: 1\nmore: b\n---\ntext",
        "---\nname a\nversion: 1\n---\ntext",
    ],
)
def test_a_broken_file_is_said(source: str) -> None:
    with pytest.raises(BrokenPrompt):
        parse_prompt(source)
