"""Ratings over HTTP: given, replaced, shown with the chat, taken back; and what is refused."""

from typing import Any
from uuid import uuid4

import pytest
from litestar import Litestar
from litestar.testing import AsyncTestClient

Client = AsyncTestClient[Litestar]


@pytest.fixture
async def asked(client: Client) -> dict[str, Any]:
    """An answer of a chat of its own."""
    await client.post("/api/collections", json={"name": "docs"})
    asked = {"question": "Why?", "collection": "docs"}
    answer: dict[str, Any] = (await client.post("/api/ask", json=asked)).json()
    return answer


def path(asked: dict[str, Any]) -> str:
    return f"/api/chats/{asked['chat_id']}/messages/{asked['message_id']}/rating"


async def ratings(client: Client, asked: dict[str, Any]) -> list[Any]:
    """Of the chat's turns."""
    chat = (await client.get(f"/api/chats/{asked['chat_id']}")).json()
    return [turn["rating"] for turn in chat["turns"]]


async def test_an_answer_is_rated_again_and_not_any_more(
    client: Client, asked: dict[str, Any]
) -> None:
    assert await ratings(client, asked) == [None, None]
    up = await client.put(path(asked), json={"value": "up"})
    assert up.status_code == 200
    assert (up.json()["value"], up.json()["note"]) == ("up", "")
    down = await client.put(path(asked), json={"value": "down", "note": " wrong\x00\r\nplace "})
    assert (down.json()["value"], down.json()["note"]) == ("down", "wrong\ufffd\nplace")
    assert await ratings(client, asked) == [None, down.json()]
    for _ in range(2):
        assert (await client.delete(path(asked))).status_code == 204
    assert await ratings(client, asked) == [None, None]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "value"),
        ({"value": "sideways"}, "value"),
        ({"value": None}, "value"),
        ({"value": "up", "note": "x" * 2001}, "note"),
        ({"value": "up", "note": 3}, "note"),
        ({"value": "up", "stars": 5}, "stars"),
        ([], "body"),
    ],
)
async def test_bad_ratings_are_refused(
    client: Client, asked: dict[str, Any], body: Any, field: str
) -> None:
    response = await client.put(path(asked), json=body)
    assert response.status_code == 400
    assert response.json()["code"] == "invalid_request"
    assert [error["field"] for error in response.json()["errors"]] == [field]
    assert await ratings(client, asked) == [None, None]


async def test_what_cannot_be_rated_is_named(client: Client, asked: dict[str, Any]) -> None:
    chat = (await client.get(f"/api/chats/{asked['chat_id']}")).json()
    question = asked | {"message_id": chat["turns"][0]["id"]}
    other = (await client.post("/api/ask", json={"question": "Who?", "collection": "docs"})).json()
    cases = [
        (question, 400, "not_an_answer"),
        (asked | {"message_id": str(uuid4())}, 404, "message_not_found"),
        (asked | {"message_id": other["message_id"]}, 404, "message_not_found"),
        (asked | {"message_id": "nonsense"}, 404, "message_not_found"),
        (asked | {"chat_id": str(uuid4())}, 404, "chat_not_found"),
        (asked | {"chat_id": "nonsense"}, 404, "chat_not_found"),
    ]
    for target, status, code in cases:
        for response in (
            await client.put(path(target), json={"value": "up"}),
            await client.delete(path(target)),
        ):
            assert (response.status_code, response.json()["code"]) == (status, code)
