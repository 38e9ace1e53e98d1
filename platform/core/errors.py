"""Typed errors: each says what happened, what to do about it, and which HTTP status it is.

What always holds: every error a user can cause is a `RostraError`; its `code` is stable and machine
readable; its `status` is the one HTTP status of that class. Anything else that escapes is our bug.
"""

from typing import Any, ClassVar


class RostraError(Exception):
    """Base of all errors that users see.

    Args:
        message: one sentence that names the thing at fault.
        hint: what to do about it, when there is something to do.
        details: machine-readable facts, JSON values only.
    """

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal_error"

    def __init__(self, message: str, *, hint: str | None = None, **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.details = details

    def to_dict(self) -> dict[str, Any]:
        """The error as the CLI's `--json` and the API print it."""
        body: dict[str, Any] = {"code": self.code, "message": self.message}
        if self.hint:
            body["hint"] = self.hint
        return body | self.details


class ConfigError(RostraError):
    """A setting has a value that cannot work; raised at start, names the field."""

    status = 500
    code = "invalid_setting"


class InvalidRequest(RostraError):
    """The request's own values are wrong."""

    status = 400
    code = "invalid_request"


class EmptyQuery(InvalidRequest):
    """A search or a question that is nothing but whitespace."""

    code = "empty_query"


class QueryTooLong(InvalidRequest):
    """A search or a question longer than `max_query_chars`."""

    status = 413
    code = "query_too_long"


class InvalidFilter(InvalidRequest):
    """A metadata filter that cannot be understood."""

    code = "invalid_filter"


class NotFound(RostraError):
    """The thing named does not exist."""

    status = 404
    code = "not_found"


class CollectionNotFound(NotFound):
    """No collection has this name."""

    code = "collection_not_found"


class DocumentNotFound(NotFound):
    """No document has this id."""

    code = "document_not_found"


class ChatNotFound(NotFound):
    """No chat has this id."""

    code = "chat_not_found"


class JobNotFound(NotFound):
    """No job has this id."""

    code = "job_not_found"


class PathNotFound(NotFound):
    """A path given to ingest does not exist or cannot be listed."""

    code = "path_not_found"


class Conflict(RostraError):
    """The request contradicts what is stored."""

    status = 409
    code = "conflict"


class CollectionExists(Conflict):
    """A collection of this name is already there."""

    code = "collection_exists"


class SpaceMismatch(Conflict):
    """Vectors of different embedding spaces cannot be compared."""

    code = "embedding_space_mismatch"


class PayloadTooLarge(RostraError):
    """A body or a file over its limit."""

    status = 413
    code = "payload_too_large"


class UnreadableFile(RostraError):
    """A file whose text cannot be had; the message is the reason a user reads.

    One unreadable file never stops the others of the same ingest.
    """

    status = 422
    code = "unreadable_file"


class ModelUnavailable(RostraError):
    """A configured model cannot be loaded or does not answer."""

    status = 503
    code = "model_unavailable"


class Overloaded(RostraError):
    """A generator sheds load; quote mode answers instead where it can."""

    status = 503
    code = "overloaded"


class StoreUnavailable(RostraError):
    """The database cannot be reached, is locked, or is of another schema version."""

    status = 503
    code = "store_unavailable"
