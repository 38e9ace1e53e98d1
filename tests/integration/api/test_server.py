"""A real server, from the upload to the citation, and what it does with hostile clients."""

import json
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.integration.api.conftest import Served

LOCKS = b"""# Locks

## Building indexes

CREATE INDEX CONCURRENTLY builds an index without taking locks that prevent writes on the table.

## Vacuum

VACUUM reclaims the storage that dead rows occupy.
"""
TEA = (
    "# Tee ☕\n\nGreen tea is brewed at seventy degrees. Black tea needs boiling water.\n".encode()
)
QUESTION = "How do I build an index without preventing writes?"


def events(text: str) -> list[tuple[str, Any]]:
    """Server-sent events out of a whole body; comments are left out."""
    found = []
    for block in text.split("\n\n"):
        fields = dict(
            line.split(": ", 1) for line in block.splitlines() if line and not line.startswith(":")
        )
        if fields:
            found.append((fields["event"], json.loads(fields["data"])))
    return found


def test_from_upload_to_citation_to_deletion(server: Served) -> None:
    job = server.read("flow", ("locks.md", LOCKS), ("tea.md", TEA))
    assert job["status"] == "succeeded"
    assert job["result"]["documents"] == 2

    hits = server.search("index without blocking writes", "flow")
    document_id = hits[0]["document_id"]
    text = server.client.get(f"/api/documents/{document_id}/text").json()["text"]
    assert hits[0]["text"] == text[hits[0]["start"] : hits[0]["end"]]

    asked = {"question": QUESTION, "collection": "flow"}
    answer = server.client.post("/api/ask", json=asked).json()
    assert answer["found"]
    assert "CONCURRENTLY" in answer["answer"]
    for citation in answer["citations"]:
        assert citation["document_id"] == document_id
        assert citation["quote"] == text[citation["start"] : citation["end"]]
        said = answer["answer"][citation["answer_start"] : citation["answer_end"]]
        assert said == citation["quote"]

    assert server.client.delete(f"/api/documents/{document_id}").status_code == 204
    left = server.search("index without blocking writes", "flow")
    assert document_id not in {hit["document_id"] for hit in left}
    assert server.client.get(f"/api/documents/{document_id}").status_code == 404


def test_a_stream_says_what_the_whole_answer_says(server: Served) -> None:
    server.read("stream", ("locks.md", LOCKS))
    asked = {"question": QUESTION, "collection": "stream"}
    response = server.client.post("/api/ask", json=asked, headers={"Accept": "text/event-stream"})
    assert response.headers["content-type"].startswith("text/event-stream")
    found = events(response.text)
    names = [name for name, _ in found]
    assert names[0] == "status"
    assert names[-1] == "done"
    assert names.count("done") == 1
    assert names.index("passages") < names.index("delta")
    done = found[-1][1]
    assert "".join(data["text"] for name, data in found if name == "delta") == done["answer"]
    assert [data for name, data in found if name == "citation"] == done["citations"]
    chat = server.client.get(f"/api/chats/{done['chat_id']}").json()
    assert [turn["id"] for turn in chat["turns"]][-1] == done["message_id"]

    again = server.client.post("/api/ask", json=asked | {"chat_id": done["chat_id"]}).json()
    assert again["chat_id"] == done["chat_id"]
    assert again["found"]
    chat = server.client.get(f"/api/chats/{done['chat_id']}").json()
    assert [turn["role"] for turn in chat["turns"]] == ["user", "assistant"] * 2


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"question": "", "collection": "stream"}, 400, "empty_query"),
        ({"question": "x" * 100_000}, 413, "query_too_long"),
        ({"question": "why?", "collection": "nothing-here"}, 404, "collection_not_found"),
        ({"question": "why?", "k": 0}, 400, "invalid_request"),
        ({"question": "why?", "extra": 1}, 400, "invalid_request"),
    ],
)
def test_a_stream_that_cannot_begin_has_a_status(
    server: Served, body: dict[str, Any], status: int, code: str
) -> None:
    response = server.client.post("/api/ask", json=body, headers={"Accept": "text/event-stream"})
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["code"] == code


def test_two_uploads_at_once_are_both_read(server: Served) -> None:
    with ThreadPoolExecutor(2) as pool:
        jobs = list(
            pool.map(
                lambda number: server.upload("both", (f"{number}.md", LOCKS + b"%d" % number)),
                range(2),
            )
        )
    for job_id in jobs:
        assert server.job(job_id, "succeeded", "failed")["status"] == "succeeded"
    page = server.client.get("/api/collections/both/documents").json()
    assert page["total"] == 2


def test_an_upload_over_the_limit_gets_its_answer(server: Served) -> None:
    with httpx.Client(base_url=server.url, timeout=60) as client:
        response = client.post(
            "/api/collections/large/documents",
            files=[("files", ("large.txt", b"x" * (3 * 2**20)))],
        )
    assert response.status_code == 413
    assert response.json()["code"] == "payload_too_large"


def test_a_streamed_upload_over_the_limit_gets_its_answer(server: Served) -> None:
    def endless() -> Iterator[bytes]:
        yield b'--b\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\n'
        for _ in range(24):
            yield b"x" * 65536
        yield b"\r\n--b--\r\n"

    with httpx.Client(base_url=server.url, timeout=60) as client:
        response = client.post(
            "/api/collections/large/documents",
            content=endless(),
            headers={"Content-Type": "multipart/form-data; boundary=b"},
        )
    assert response.status_code == 413
    assert server.client.get("/api/collections/large").status_code == 404
    assert not list((server.home / "uploads").glob("incoming-*"))


def test_too_many_files_are_refused(server: Served) -> None:
    response = server.client.post(
        "/api/collections/many/documents",
        files=[("files", (f"{number}.txt", b"x")) for number in range(1001)],
    )
    assert response.status_code == 413
    assert "1000 files" in response.json()["detail"]


def test_a_client_that_breaks_off_an_upload_leaves_nothing(server: Served) -> None:
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(
            b"POST /api/collections/broken/documents HTTP/1.1\r\nHost: localhost\r\n"
            b"Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 100000\r\n\r\n"
            b'--b\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\nhalf'
        )
    while list((server.home / "uploads").glob("incoming-*")):
        server.client.get("/health/live")
    assert server.client.get("/api/collections/broken").status_code == 404


def test_hostile_names_are_harmless(server: Served) -> None:
    job = server.read(
        "hostile",
        ("../../../../tmp/rostra-escaped.md", LOCKS),
        ("..\\..\\windows.txt", b"one two three"),
        ("a" * 3000 + ".txt", b"four five six"),
        ("null\x00byte.txt", b"seven eight nine"),
        ("line\r\nX-Evil: 1.txt", b"ten eleven twelve"),
    )
    assert job["result"]["failed"] == []
    page = server.client.get("/api/collections/hostile/documents").json()
    assert page["total"] == 5
    for item in page["items"]:
        assert item["uri"].startswith("upload:///")
        assert ".." not in item["uri"]


def test_a_cross_site_post_changes_nothing(server: Served) -> None:
    for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        response = server.client.post("/api/collections", json={"name": "csrf"}, headers=headers)
        assert response.status_code == 403
    assert server.client.get("/api/collections/csrf").status_code == 404
    own = server.client.post(
        "/api/collections", json={"name": "own"}, headers={"Origin": server.url}
    )
    assert own.status_code == 201


def test_a_rebound_name_reads_nothing(server: Served) -> None:
    response = server.client.get("/api/collections", headers={"Host": "evil.example"})
    assert response.status_code == 403


def test_malformed_requests_do_not_hurt(server: Served) -> None:
    host, port = server.url.removeprefix("http://").split(":")
    for junk in (b"\x00\x01\x02\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"GET " + b"a" * 100_000):
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(junk)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65536):
                pass
    assert server.client.get("/health/ready").status_code == 200
