"""What users asked as a set: only a person's yes makes a reference, and nothing else is lost."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from evals.errors import DatasetError
from evals.rag.samples import gold_documents, is_answerable
from evals.sets.chats import write_chat_set
from evals.sets.checking import check_sets
from evals.sets.errors import SetExists
from evals.sets.files import read_jsonl_set
from rostra.core import EmbeddingSpace, Settings
from rostra.store import (
    Database,
    NewTurn,
    RatingValue,
    append_turns,
    create_chat,
    create_collection,
    put_rating,
)

CITATION = {"document_id": "d", "uri": "a.md", "start": 0, "end": 3, "quote": "Ivo"}


@pytest.fixture
async def chats(database: Database) -> list[UUID]:
    """Two chats; the answers' ids: right, wrong, rightly not found, unrated."""
    space = EmbeddingSpace(model="test/four", revision="0" * 64, dimensions=4)
    async with database.write() as session:
        collection = await create_collection(session, "docs", space)
        first = await create_chat(session, collection.id)
        second = await create_chat(session, collection.id)
        asked: list[tuple[UUID, str, NewTurn]] = [
            (first, "Who keeps it?", NewTurn("assistant", "Ivo", "quote", True, [CITATION] * 2)),
            (
                first,
                "And since\u2028when? \U0001f600",
                NewTurn("assistant", "1911", "generate", True),
            ),
            (second, "Who was first?", NewTurn("assistant", "Not found.", "quote", False)),
            (second, "Why?", NewTurn("assistant", "Because.", "quote", True, [CITATION])),
        ]
        ids = []
        for chat, question, answer in asked:
            ids.append((await append_turns(session, chat, [NewTurn("user", question), answer]))[1])
        await put_rating(session, first, ids[0], RatingValue.UP)
        await put_rating(session, first, ids[1], RatingValue.DOWN, "It was 1912, says Ann")
        await put_rating(session, second, ids[2], RatingValue.UP, "right")
    return ids


async def test_every_question_is_written_with_all_that_is_known(
    settings: Settings, database: Database, chats: list[UUID], tmp_path: Path
) -> None:
    path = tmp_path / "asked.jsonl"
    made = await write_chat_set(database, path)
    assert (made.questions, made.chats, made.up, made.down, made.notes) == (4, 2, 2, 1, 2)
    assert path.stat().st_mode & 0o077 == 0
    assert [one.name for one in tmp_path.glob(".*")] == []
    dataset = read_jsonl_set(path)
    assert dataset.problems == ()
    right, wrong, none, unrated = dataset.samples
    assert [sample.id for sample in dataset.samples] == [str(one) for one in chats]
    assert right.group == wrong.group != none.group == unrated.group
    assert (right.targets, gold_documents(right)) == (["Ivo"], ["a.md"])
    assert (none.targets, is_answerable(none)) == ([], False)
    for sample in (wrong, unrated):
        assert (sample.targets, "answerable" in sample.data) == ([], False)
    metadata: dict[str, Any] = wrong.data["metadata"]
    assert wrong.input == "And since\u2028when? \U0001f600"
    assert (metadata["answer"], metadata["rating"]) == ("1911", "down")
    assert metadata["note"] == "It was 1912, says Ann"
    assert metadata["history"] == [
        {"role": "user", "text": "Who keeps it?"},
        {"role": "assistant", "text": "Ivo"},
    ]
    assert unrated.data["metadata"]["citations"] == [CITATION]
    assert "rating" not in unrated.data["metadata"]
    [checked] = check_sets(path, settings)
    assert checked.values["rating"] == {"up": 2, "down": 1}


async def test_questions_are_chosen(database: Database, chats: list[UUID], tmp_path: Path) -> None:
    async def written(**how: Any) -> list[str]:
        path = tmp_path / "asked.jsonl"
        await write_chat_set(database, path, replace=True, **how)
        return [json.loads(line)["question"] for line in path.read_text().split("\n") if line]

    assert await written(rated=RatingValue.DOWN) == ["And since\u2028when? \U0001f600"]
    assert await written(limit=1) == ["Why?"]
    assert len(await written(since=datetime.now(UTC) - timedelta(hours=1))) == 4
    assert len(await written(collection="docs")) == 4
    for how in ({"since": datetime.now(UTC) + timedelta(hours=1)}, {"collection": "others"}):
        with pytest.raises(DatasetError, match="no chat has such a question"):
            await written(**how)


async def test_a_file_that_is_there_stays(
    database: Database, chats: list[UUID], tmp_path: Path
) -> None:
    path = tmp_path / "asked.jsonl"
    path.write_text("mine")
    with pytest.raises(SetExists):
        await write_chat_set(database, path)
    assert path.read_text() == "mine"
    await write_chat_set(database, path, replace=True)
    assert len(read_jsonl_set(path).samples) == 4
    with pytest.raises(DatasetError, match="No such file"):
        await write_chat_set(database, tmp_path / "no" / "folder.jsonl")
    (tmp_path / "folder").mkdir()
    with pytest.raises(DatasetError, match="directory"):
        await write_chat_set(database, tmp_path / "folder", replace=True)
    assert [one.name for one in tmp_path.glob(".*")] == []
