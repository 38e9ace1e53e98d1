"""Placeholders of plans: `#E1` is what step E1 gave, `#E1.value` a field of it.

A placeholder can stand where a schema wants no text at all; there it becomes the number or the like
that it names.

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
_ANYTHING: Mapping[str, Any] = {}
# Keywords of text that is not free, and the length below which it is not.
_OF_A_FORM = frozenset({"const", "enum", "format", "pattern"})
_SHORT = 40


class NoField(Exception):
    """A placeholder names a field that its result does not have; the message is for a model."""


def needed(value: Any) -> list[str]:
    """The ids of the steps that a value's strings name, each once, in their order."""
    return list(dict.fromkeys(_ids(value)))


def filled_in(
    value: Any, results: Mapping[str, Observation], schema: Mapping[str, Any] = _ANYTHING
) -> Any:
    """A value, its strings with what the steps that they name have given.

    Where `#E1` stands within other text or for something of a form of its own, and the result is
    structured and has one main value, it is that value; else it is the result's whole text.

    Args:
        schema: of the value, as `fitted` makes it.

    Raises:
        NoField: a result has no field of that name.
    """
    match value:
        case str():
            whole = _SLOT.fullmatch(value)
            if whole is not None:
                given = _given(whole, results, alone=_is_free_text(schema))
                return given if _takes_text(schema) else _decoded(given)
            # In one pass: a result that says `#E1` stays what it says.
            return _SLOT.sub(lambda slot: _given(slot, results, alone=False), value)
        case dict():
            return {
                key: filled_in(each, results, _part(schema, key)) for key, each in value.items()
            }
        case list():
            return [filled_in(each, results, _part(schema, None)) for each in value]
    return value


def admitting(schema: Mapping[str, Any], slot: Mapping[str, Any]) -> dict[str, Any]:
    """A schema that takes a placeholder too where it wants a number, a truth value or text of a
    form of its own; the same schema where it wants none of these.

    Args:
        schema: fit for a grammar, as `fitted` makes it.
        slot: the schema of a placeholder, such as a reference to `slot_of`.
    """
    made = dict(schema)
    if isinstance(found := schema.get("properties"), Mapping):
        made["properties"] = {name: admitting(each, slot) for name, each in found.items()}
    if isinstance(schema.get("items"), Mapping):
        made["items"] = admitting(schema["items"], slot)
    if isinstance(schema.get("anyOf"), list):
        made["anyOf"] = [admitting(each, slot) for each in schema["anyOf"]]
    formed = schema.get("type") == "string" and not _is_free_text(schema)
    if formed or schema.get("type") in ("integer", "number", "boolean"):
        return {"anyOf": [made, dict(slot)]}
    return made


def slot_of(ids: Sequence[str]) -> dict[str, Any]:
    """The schema of a placeholder of one of these steps, at least one."""
    return {"type": "string", "pattern": rf"^#({'|'.join(ids)})(\.[A-Za-z0-9_]+)*$"}


def _part(schema: Mapping[str, Any], name: str | None) -> Mapping[str, Any]:
    """The schema of a property, or of an item where there is no name."""
    if isinstance(branches := schema.get("anyOf"), list):
        return {"anyOf": [_part(each, name) for each in branches]}
    if name is None:
        found = schema.get("items")
    else:
        found = schema.get("properties", {}).get(name, schema.get("additionalProperties"))
    return found if isinstance(found, Mapping) else _ANYTHING


def _is_free_text(schema: Mapping[str, Any]) -> bool:
    """Whether any text will do."""
    if isinstance(branches := schema.get("anyOf"), list):
        return any(map(_is_free_text, branches))
    most = schema.get("maxLength", _SHORT)
    return _takes_text(schema) and _OF_A_FORM.isdisjoint(schema) and most >= _SHORT


def _takes_text(schema: Mapping[str, Any]) -> bool:
    if isinstance(branches := schema.get("anyOf"), list):
        return any(map(_takes_text, branches))
    if "const" in schema or "enum" in schema:
        return any(isinstance(one, str) for one in schema.get("enum", [schema.get("const")]))
    kinds = schema.get("type", "string")
    return "string" in (kinds if isinstance(kinds, list) else [kinds])


def _decoded(text: str) -> Any:
    """The value that a text is as JSON; the text where it is none, which a schema then refuses."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        return text


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
