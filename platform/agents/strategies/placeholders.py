"""Placeholders of plans: `#E1` is what step E1 gave, `#E1.value` a field of it.

A log keeps what a call gave as the text that models read, and no structured content beside it; so
fields are read from that text, where it is JSON or the `name: value; name: value` that structured
results without nesting are written as. What is not wholly of one of these forms has no fields.

What always holds: what is filled in depends on the texts of observations alone, so it is the same
in every execution; a result that says `#E1` itself stays what it says.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from rostra.agents.scope import Observation

# Of a result that goes into an argument.
MOST_CHARS = 2000
_SLOT = re.compile(r"#(E[1-9][0-9]{0,2})(?![0-9])((?:\.[A-Za-z0-9_]+)*)")
_FIELD = re.compile(r"([A-Za-z_][A-Za-z0-9_]{0,63}): ")
_NEXT_FIELD = re.compile(r"; (?=[A-Za-z_][A-Za-z0-9_]{0,63}: )")
# What a result is about where it has other fields too: the first of these that it has.
_MAIN = ("value", "result")
_NAMED = 12


class NoField(Exception):
    """A placeholder names a field that its result does not have; the message is for a model."""


def needed(value: Any) -> list[str]:
    """The ids of the steps that a value's strings name, each once, in their order."""
    return list(dict.fromkeys(_ids(value)))


def filled_in(value: Any, results: Mapping[str, Observation]) -> Any:
    """A value, its strings with what the steps that they name have given.

    Where `#E1` stands within other text, and the result is structured and has one main value, it
    is that value; else it is the result's whole text.

    Raises:
        NoField: a result has no field of that name.
    """
    match value:
        case str():
            whole = _SLOT.fullmatch(value)
            if whole is not None:
                return _given(whole, results, alone=True)
            # In one pass: a result that says `#E1` stays what it says.
            return _SLOT.sub(lambda slot: _given(slot, results, alone=False), value)
        case dict():
            return {key: filled_in(each, results) for key, each in value.items()}
        case list():
            return [filled_in(each, results) for each in value]
    return value


def _ids(value: Any) -> list[str]:
    match value:
        case str():
            return [slot[1] for slot in _SLOT.finditer(value)]
        case dict():
            return [name for each in value.values() for name in _ids(each)]
        case list():
            return [name for each in value for name in _ids(each)]
    return []


def _given(slot: re.Match[str], results: Mapping[str, Observation], *, alone: bool) -> str:
    text = _text(results[slot[1]])
    content = _content(text)
    if path := slot[2].split(".")[1:]:
        return _written(_at(content, path, slot[0]))
    if not alone and isinstance(content, dict):
        main = next((name for name in _MAIN if name in content), None)
        if main is not None and not isinstance(content[main], dict | list):
            return _written(content[main])
    return text[:MOST_CHARS]


def _text(observation: Observation) -> str:
    """What a call gave, without the numbers of its sentences."""
    if observation.sentences:
        return " ".join(sentence.text for sentence in observation.sentences)
    return observation.text


def _content(text: str) -> Any:
    """The structured content that a text is; None where it is none."""
    if text[:1] in ("{", "["):
        try:
            return msgspec.json.decode(text)
        except (msgspec.DecodeError, RecursionError, UnicodeError):
            return None
    fields: dict[str, str] = {}
    for part in _NEXT_FIELD.split(text):
        named = _FIELD.match(part)
        # A name that comes twice stands in somebody's words, too: then nobody knows which is meant.
        if named is None or named[1] in fields:
            return None
        fields[named[1]] = part[named.end() :]
    return fields


def _at(content: Any, path: Sequence[str], slot: str) -> Any:
    found = content
    for name in path:
        if isinstance(found, dict) and name in found:
            found = found[name]
        elif isinstance(found, list) and name.isdecimal() and int(name) < len(found):
            found = found[int(name)]
        else:
            raise NoField(f"{slot[:60]}: {_there(found)}")
    return found


def _there(content: Any) -> str:
    match content:
        case dict():
            return f"there is no such field. Fields: {', '.join(list(content)[:_NAMED])[:300]}."
        case list():
            return f"there is no such field. It is a list of {len(content)}, counted from 0."
    return "the result is text without fields."


def _written(value: Any) -> str:
    written = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return written[:MOST_CHARS]
