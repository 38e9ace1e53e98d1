"""Checks of a state, as data: `{"path": PATH, OPERATOR: VALUE}`.

`is` (the same JSON), `one_of` (one of several), `has` (a text that it contains, a part of a list, a
key of an object), `at_least` and `at_most` (numbers), `exists` (true or false). A path that is not
there fails every check but `exists: false`.
"""

from typing import Any

import msgspec

from evals.agents.matching import same
from evals.agents.own.world import Missing, keys_of, value_at

_NOT_SAID: Any = msgspec.UNSET


class Check(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One check, with exactly one operator; see this module."""

    path: str
    equal: Any = msgspec.field(default=_NOT_SAID, name="is")
    one_of: list[Any] | msgspec.UnsetType = msgspec.UNSET
    has: Any = _NOT_SAID
    at_least: float | msgspec.UnsetType = msgspec.UNSET
    at_most: float | msgspec.UnsetType = msgspec.UNSET
    exists: bool | msgspec.UnsetType = msgspec.UNSET

    def __post_init__(self) -> None:
        operators = (
            self.equal,
            self.one_of,
            self.has,
            self.at_least,
            self.at_most,
            self.exists,
        )
        said = sum(operator is not msgspec.UNSET for operator in operators)
        if said != 1:
            raise ValueError(f"a check has one operator, not {said}")


def holds(check: Check, state: Any) -> bool:
    """Whether a check holds of a state."""
    try:
        found = value_at(state, keys_of(check.path))
    except Missing:
        return check.exists is False
    if not isinstance(check.exists, msgspec.UnsetType):
        return check.exists
    if not isinstance(check.one_of, msgspec.UnsetType):
        return any(same(found, value) for value in check.one_of)
    if not isinstance(check.at_least, msgspec.UnsetType):
        return _is_number(found) and bool(found >= check.at_least)
    if not isinstance(check.at_most, msgspec.UnsetType):
        return _is_number(found) and bool(found <= check.at_most)
    if check.has is not msgspec.UNSET:
        return _has(found, check.has)
    return same(found, check.equal)


def _has(found: Any, part: Any) -> bool:
    if isinstance(found, list):
        return any(same(each, part) for each in found)
    return isinstance(part, str) and isinstance(found, str | dict) and part in found


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
