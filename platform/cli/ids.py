"""Ids as users type them: what is no id at all is told apart from one that nothing has."""

from uuid import UUID

from rostra.core import ChatNotFound, DocumentNotFound, JobNotFound, NotFound, parse_id
from rostra.store import RunNotFound


def document_id(given: str) -> UUID:
    """Reads a document's id.

    Raises:
        DocumentNotFound: it is no id.
    """
    return _read(given, DocumentNotFound, "document", "rostra document list")


def chat_id(given: str) -> UUID:
    """Reads a conversation's id.

    Raises:
        ChatNotFound: it is no id.
    """
    return _read(given, ChatNotFound, "chat", "rostra chats list")


def job_id(given: str) -> UUID:
    """Reads a job's id.

    Raises:
        JobNotFound: it is no id.
    """
    return _read(given, JobNotFound, "job", "rostra jobs list")


def run_id(given: str) -> UUID:
    """Reads a run's id.

    Raises:
        RunNotFound: it is no id.
    """
    return _read(given, RunNotFound, "run", "rostra agent list")


def _read(given: str, missing: type[NotFound], kind: str, lister: str) -> UUID:
    found = parse_id(given)
    if found is None:
        raise missing(f"{given[:64]!r} is no {kind} id", hint=f"`{lister}` shows them.")
    return found
