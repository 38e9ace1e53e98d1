"""The prompts of agents, as a library of named, versioned texts.

A prompt is a file: a front matter with `name` and `version`, then the text. `{{word}}` stands for a
value; everything else is taken as it is, and values are never read as templates. What does not
change from question to question stands first, so that a prefix cache can keep it.

What always holds: a prompt's version names its text: two texts never go by one version, since the
version that a run records ends with a digest of the text.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any

_FILE = re.compile(r"---\n(?P<head>.*?)\n---\n(?P<text>.*)", re.DOTALL)
_SLOT = re.compile(r"\{\{([a-z_]+)\}\}")


class BrokenPrompt(Exception):
    """A prompt is missing, is not written as this module says, or lacks a value: our mistake."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """A text of the library.

    Attributes:
        version: as in its file, `.`, and eight digits of the text's sha256.
    """

    name: str
    version: str
    text: str

    @property
    def slots(self) -> tuple[str, ...]:
        """Names of the values that it takes, in the order of their first use."""
        return tuple(dict.fromkeys(_SLOT.findall(self.text)))

    def render(self, values: Mapping[str, Any]) -> str:
        """The text with its values.

        Raises:
            BrokenPrompt: a value is missing or is for nothing.
        """
        if set(values) != set(self.slots):
            wanted, given = ", ".join(self.slots), ", ".join(sorted(values))
            raise BrokenPrompt(f"prompt {self.name!r} takes ({wanted}), not ({given})")
        # In one pass: what a value brings is never looked at again.
        return _SLOT.sub(lambda slot: str(values[slot[1]]), self.text)


def parse_prompt(source: str) -> Prompt:
    """The prompt that a file's text is.

    Raises:
        BrokenPrompt: it is none.
    """
    found = _FILE.fullmatch(source)
    if found is None:
        raise BrokenPrompt("a prompt begins with a front matter between lines of ---")
    head: dict[str, str] = {}
    for line in found["head"].splitlines():
        key, colon, value = line.partition(":")
        if not colon or key.strip() in head:
            raise BrokenPrompt(f"{line!r} is no line of a front matter")
        head[key.strip()] = value.strip()
    if set(head) != {"name", "version"} or not head["version"].isdecimal():
        raise BrokenPrompt("a front matter has a name and a version, which is a number")
    text = found["text"].strip("\n")
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    return Prompt(head["name"], f"{head['version']}.{digest}", text)


@lru_cache(maxsize=1)
def library() -> Mapping[str, Prompt]:
    """All prompts by name."""
    folder = files(__package__).joinpath("texts")
    paths = sorted(
        (each for each in folder.iterdir() if each.name.endswith(".md")), key=lambda each: each.name
    )
    found: dict[str, Prompt] = {}
    for path in paths:
        prompt = parse_prompt(path.read_text(encoding="utf-8"))
        if path.name != f"{prompt.name}.md":
            raise BrokenPrompt(f"{path.name} names itself {prompt.name!r}")
        found[prompt.name] = prompt
    return found


def versions() -> dict[str, str]:
    """The version of each prompt by name, as runs record them."""
    return {name: prompt.version for name, prompt in library().items()}


def render(name: str, values: Mapping[str, Any]) -> str:
    """A prompt with its values.

    Raises:
        BrokenPrompt: there is none of this name, or the values are not those that it takes.
    """
    if name not in library():
        raise BrokenPrompt(f"there is no prompt {name!r}")
    return library()[name].render(values)
