"""Every error becomes a problem document of its own status that tells nothing of our insides."""

import json

import pytest
from litestar.exceptions import MethodNotAllowedException, ValidationException
from structlog.testing import capture_logs

from rostra.api.errors import PROBLEM_JSON, problem_of, respond
from rostra.core import CollectionNotFound, InvalidRequest, PathNotFound, RostraError


def all_errors() -> list[type[RostraError]]:
    found: list[type[RostraError]] = []
    waiting = [RostraError]
    while waiting:
        found.append(waiting.pop())
        waiting += found[-1].__subclasses__()
    return found


@pytest.mark.parametrize("kind", all_errors(), ids=lambda kind: kind.__name__)
def test_our_errors_keep_status_code_and_hint(kind: type[RostraError]) -> None:
    problem = problem_of(kind("what happened", hint="what to do"))
    assert problem["status"] == kind.status
    assert problem["code"] == kind.code
    assert problem["detail"] == "what happened"
    assert problem["hint"] == "what to do"
    assert problem["type"] == "about:blank"
    json.dumps(problem)


def test_the_title_is_the_statuss_phrase() -> None:
    assert problem_of(CollectionNotFound("there is none"))["title"] == "Not Found"


def test_a_field_named_by_an_error_is_listed() -> None:
    problem = problem_of(InvalidRequest("k is 0", field="k"))
    assert problem["errors"] == [{"field": "k", "message": "k is 0"}]
    assert "field" not in problem


def test_details_never_replace_a_standard_member() -> None:
    problem = problem_of(PathNotFound("gone", path="/a", status=1, detail="x"))
    assert (problem["status"], problem["detail"], problem["path"]) == (404, "gone", "/a")


def test_unforeseen_errors_are_logged_and_hidden() -> None:
    error = ZeroDivisionError("/secret/path")
    with capture_logs() as logs:
        problem = problem_of(error)
    assert (problem["status"], problem["code"]) == (500, "internal_error")
    assert "secret" not in json.dumps(problem)
    assert [entry["exc_info"] for entry in logs] == [error]


@pytest.mark.parametrize(
    ("item", "field"),
    [
        ({"key": "k", "message": "Expected `int` >= 1"}, "k"),
        ({"key": "data", "message": "Object contains unknown field `x`"}, "x"),
        ({"key": "data", "message": "Object missing required field `query`"}, "query"),
        ({"key": "a", "message": "Object contains unknown field `x`"}, "a.x"),
        ({"message": "Expected `object`, got `array`"}, "body"),
    ],
)
def test_validation_errors_name_the_field(item: dict[str, str], field: str) -> None:
    problem = problem_of(ValidationException("no", extra=[item]))
    assert problem["status"] == 400
    assert [error["field"] for error in problem["errors"]] == [field]


def test_a_response_is_of_the_problems_status_and_type() -> None:
    response = respond(problem_of(MethodNotAllowedException()))
    assert response.status_code == 405
    assert response.media_type == PROBLEM_JSON
