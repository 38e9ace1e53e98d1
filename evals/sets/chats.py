"""What users asked and what they thought of the answers, as a set.

Only a person's yes makes a reference of an answer: one rated up becomes the question's `answers`,
with what it cites as `gold`, or makes it `unanswerable` where it said that nothing was found. In
every other case the answer stands in the metadata alone, beside citations, rating and note.

What always holds: questions of one chat are a group; what was said before a follow-up stands with
it, as it may mean nothing alone. The file has whatever people wrote, personal data included: it is
readable for its owner only, and nothing leaves it by itself.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from evals.errors import DatasetError
from evals.sets.errors import SetExists
from evals.sets.writing import write_privately
from rostra.store import AnsweredQuestion, Database, RatingValue, answered_questions

MOST_QUESTIONS = 10_000


@dataclass(frozen=True, slots=True)
class ChatSet:
    """What was written.

    Attributes:
        notes: how many questions have a person's own words on the answer.
    """

    path: Path
    questions: int
    chats: int
    up: int
    down: int
    notes: int

    def to_dict(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return asdict(self) | {"path": str(self.path)}


async def write_chat_set(
    database: Database,
    path: Path,
    *,
    rated: RatingValue | None = None,
    since: datetime | None = None,
    collection: str | None = None,
    limit: int = 1000,
    replace: bool = False,
) -> ChatSet:
    """Writes the questions asked last to a file of JSON lines, oldest first.

    Args:
        rated: only those whose answer is rated so.
        since: only those answered then or later; aware.
        collection: only those of chats about this one.
        limit: at most so many; not more than `MOST_QUESTIONS`.
        replace: write over a file that is there.

    Raises:
        SetExists: the file is there.
        DatasetError: there is no such question, or the file cannot be written.
    """
    if path.exists() and not replace:
        raise SetExists(f"{path} is there already", hint="Name another file, or say --replace.")
    async with database.read() as session:
        asked = await answered_questions(
            session,
            rated=rated,
            since=since,
            collection=collection,
            limit=min(limit, MOST_QUESTIONS),
        )
    if not asked:
        raise DatasetError(
            "no chat has such a question",
            hint="Ask and rate in the web page's chats, or leave --rated and --since out.",
        )
    write_privately(path, map(record_of, asked))
    ratings = [one.rating for one in asked if one.rating is not None]
    return ChatSet(
        path,
        questions=len(asked),
        chats=len({one.chat_id for one in asked}),
        up=sum(rating.value is RatingValue.UP for rating in ratings),
        down=sum(rating.value is RatingValue.DOWN for rating in ratings),
        notes=sum(bool(rating.note) for rating in ratings),
    )


def record_of(asked: AnsweredQuestion) -> dict[str, Any]:
    """A question as a record; see `evals.sets.records`."""
    record: dict[str, Any] = {
        "id": str(asked.answer_id),
        "question": asked.question,
        "group": str(asked.chat_id),
    }
    is_right = asked.rating is not None and asked.rating.value is RatingValue.UP
    if is_right and asked.found is False:
        record["unanswerable"] = True
    elif is_right:
        record["answers"] = [asked.answer]
        record["gold"] = _cited(asked.citations)
    metadata: dict[str, Any] = {
        "answer": asked.answer,
        "mode": asked.mode,
        "found": asked.found,
        "citations": asked.citations,
        "collection": asked.collection,
        "asked_at": asked.asked_at.isoformat(),
    }
    if asked.rating is not None:
        metadata["rating"] = asked.rating.value.value
        metadata["note"] = asked.rating.note
    if asked.history:
        metadata["history"] = [{"role": role, "text": text} for role, text in asked.history]
    return record | {"metadata": metadata}


def _cited(citations: Sequence[dict[str, Any]]) -> list[str]:
    uris = (citation.get("uri") for citation in citations)
    return list(dict.fromkeys(uri for uri in uris if isinstance(uri, str) and uri))
