"""Failures under /v1 in OpenAI's shape: `{"error": {"message", "type", "param", "code"}}`.

What always holds: whatever is raised while a path of this surface is answered, by us, by Litestar
or by its routing, has this shape and the status it has elsewhere; a bug of ours tells nothing of
our insides.
"""

from http import HTTPStatus
from typing import Any

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException

from rostra.api.errors import handle_error, problem_of
from rostra.core import InvalidRequest, ModelUnavailable, NotFound, RostraError

PREFIX = "/v1"

_TYPES = {
    HTTPStatus.UNAUTHORIZED: "authentication_error",
    HTTPStatus.FORBIDDEN: "permission_error",
    HTTPStatus.TOO_MANY_REQUESTS: "rate_limit_error",
}
_RETRY = {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}


class ModelNotFound(NotFound):
    """No model of this name is served."""

    code = "model_not_found"


class NoModel(ModelUnavailable):
    """Text is to be generated and no model is set."""

    code = "no_model"


class UnknownParameter(InvalidRequest):
    """The request has parameters that nothing here knows."""

    code = "unknown_parameter"


class UnsupportedParameter(InvalidRequest):
    """A parameter of OpenAI's, or a value of one, that this server does not offer."""

    code = "unsupported_parameter"


class InvalidBody(InvalidRequest):
    """A body that is no JSON, or whose values are of wrong types."""

    code = "invalid_body"


class ClientGone(RostraError):
    """The client closed the connection before its answer; nobody reads this."""

    status = 408
    code = "client_closed_request"


class ErrorDetail(msgspec.Struct, frozen=True):
    """What went wrong; `param` names the parameter at fault."""

    message: str
    type: str
    param: str | None
    code: str | None


class ErrorBody(msgspec.Struct, frozen=True):
    """A failure as OpenAI's clients read it."""

    error: ErrorDetail


def error_of(error: BaseException) -> tuple[int, ErrorBody]:
    """The status and the body of any error; one we did not foresee is logged."""
    problem = problem_of(error)
    status = int(problem["status"])
    fields = [item["field"] for item in problem.get("errors", ())]
    message = str(problem["detail"])
    if hint := problem.get("hint"):
        message = f"{message.removesuffix('.')}. {hint}"
    detail = ErrorDetail(
        message=message,
        type=_type(status),
        param=fields[0] if fields else None,
        code=str(problem["code"]),
    )
    return status, ErrorBody(detail)


def handle_any_error(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    """Litestar's handler for all exceptions: OpenAI's shape here, problem documents elsewhere."""
    path = request.scope["path"]
    if path != PREFIX and not path.startswith(f"{PREFIX}/"):
        return handle_error(request, error)
    status, body = error_of(error)
    headers = dict(error.headers or {}) if isinstance(error, HTTPException) else {}
    if status in _RETRY:
        headers.setdefault("Retry-After", "1")
    return Response(
        msgspec.json.encode(body),
        status_code=status,
        media_type="application/json",
        headers=headers,
    )


def _type(status: int) -> str:
    if status in _TYPES:
        return _TYPES[HTTPStatus(status)]
    return "server_error" if status >= 500 else "invalid_request_error"
