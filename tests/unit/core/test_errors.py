"""Typed errors: one code and one HTTP status a class, whichever room defines it."""

import importlib
import json
import pkgutil
import re
from collections.abc import Iterator
from http import HTTPStatus

import pytest

import rostra.core
import rostra.store
from rostra.core import EmptyQuery, InvalidRequest, RostraError


def subclasses(of: type[RostraError]) -> Iterator[type[RostraError]]:
    for direct in of.__subclasses__():
        yield direct
        yield from subclasses(direct)


def rooms_errors() -> list[type[RostraError]]:
    for package in (rostra.core, rostra.store):
        for module in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
            importlib.import_module(module.name)
    found = {e for e in subclasses(RostraError) if e.__module__.startswith("rostra.")}
    return sorted(found, key=lambda e: e.__qualname__)


def test_codes_are_unique_and_well_formed() -> None:
    codes = [error.code for error in [RostraError, *rooms_errors()]]
    assert len(codes) > 15
    assert len(codes) == len(set(codes))
    assert [code for code in codes if not re.fullmatch(r"[a-z]+(_[a-z]+)*", code)] == []


def test_statuses_are_of_errors() -> None:
    for error in [RostraError, *rooms_errors()]:
        assert 400 <= HTTPStatus(error.status) <= 599


def test_every_error_of_core_is_on_its_face() -> None:
    missing = [
        error.__name__
        for error in rooms_errors()
        if error.__module__ == "rostra.core.errors" and error.__name__ not in rostra.core.__all__
    ]
    assert missing == []


def test_an_error_prints_as_json_with_its_details() -> None:
    error = EmptyQuery("say something", hint="Type a word.", limit=3)
    assert str(error) == "say something"
    assert json.loads(json.dumps(error.to_dict())) == {
        "code": "empty_query",
        "message": "say something",
        "hint": "Type a word.",
        "limit": 3,
    }
    assert "hint" not in EmptyQuery("say something").to_dict()
    with pytest.raises(InvalidRequest):
        raise error
