"""Every failure as a problem document (RFC 9457), whatever raised it.

What always holds: the body is `application/problem+json` with `type`, `title`, `status`, `detail`
and `code`; its status is the response's; an error that is our bug is logged with its traceback and
says nothing of our insides. `title` is the status's own phrase, so `type` is `about:blank` and
`code` is what programs tell errors apart by.
"""

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from litestar import Request, Response
from litestar.exceptions import HTTPException, SerializationException, ValidationException

from rostra.core import RostraError, get_logger

log = get_logger(__name__)

PROBLEM_JSON = "application/problem+json"
_MEMBERS = {"type", "title", "status", "detail", "code", "hint", "errors"}
_CODES = {
    400: "invalid_request",
    404: "not_found",
    405: "method_not_allowed",
    413: "payload_too_large",
    415: "unsupported_media_type",
    503: "unavailable",
}
# How msgspec names a field that is unknown or absent.
_NAMED_FIELD = re.compile(r"(?:unknown|missing required) field `([^`]*)`")


def problem_of(error: BaseException) -> dict[str, Any]:
    """The problem document of any error; one we did not foresee is logged here."""
    match error:
        case RostraError():
            return _of_ours(error)
        case ValidationException():
            return _of_validation(error)
        case HTTPException() if error.status_code < 500:
            detail = error.detail
            if isinstance(error.__cause__, SerializationException):
                detail = f"the body is no valid JSON: {detail}"
            return _problem(error.status_code, _CODES.get(error.status_code, "http_error"), detail)
        case _:
            log.error("unforeseen error", exc_info=error)
            return _problem(
                500,
                "internal_error",
                "Something went wrong inside the server.",
                hint="The server's log has the details.",
            )


def respond(problem: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Response[Any]:
    """A problem document as a response."""
    return Response(
        dict(problem),
        status_code=problem["status"],
        media_type=PROBLEM_JSON,
        headers=dict(headers or {}),
    )


def handle_error(_request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    """Litestar's handler for all exceptions."""
    headers = error.headers if isinstance(error, HTTPException) else None
    return respond(problem_of(error), headers)


def _of_ours(error: RostraError) -> dict[str, Any]:
    details = {name: value for name, value in error.details.items() if name not in _MEMBERS}
    errors = None
    if field := details.pop("field", None):
        errors = [{"field": str(field), "message": error.message}]
    return details | _problem(
        error.status, error.code, error.message, hint=error.hint, errors=errors
    )


def _of_validation(error: ValidationException) -> dict[str, Any]:
    found = error.extra if isinstance(error.extra, list) else []
    errors = [_field_error(item) for item in found if isinstance(item, dict)]
    detail = "; ".join(f"{item['field']}: {item['message']}" for item in errors)
    return _problem(
        error.status_code, "invalid_request", detail or error.detail, errors=errors or None
    )


def _field_error(item: dict[str, Any]) -> dict[str, str]:
    message = str(item.get("message", "is not valid"))
    key = str(item.get("key", "")).removeprefix("data.")
    if message == "'data'":  # how Litestar says that there is no body
        message = "a JSON object is required"
    named = _NAMED_FIELD.search(message)
    if named is not None:
        inside = "" if key in ("", "data") else f"{key}."
        key = inside + named[1]
    return {"field": "body" if key in ("", "data") else key, "message": message}


def _problem(
    status: int,
    code: str,
    detail: str,
    *,
    hint: str | None = None,
    errors: list[dict[str, str]] | None = None,
) -> dict[str, Any]:
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "code": code,
    }
    if hint:
        body["hint"] = hint
    if errors:
        body["errors"] = errors
    return body
