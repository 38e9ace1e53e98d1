"""Uploads: hostile names, limits, archives, and forms that are not what they should be."""

import errno
import unicodedata
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from litestar import Litestar
from litestar.testing import AsyncTestClient

from rostra.api import create_app, uploads
from rostra.api.uploads import UploadedFile, clean_name
from rostra.core import Settings
from tests.fakes import FakeEmbedder

Client = AsyncTestClient[Litestar]
Upload = Callable[..., Awaitable[dict[str, Any]]]
FORM = "/api/collections/docs/documents"


@pytest.mark.parametrize(
    ("raw", "kept"),
    [
        ("plan.md", "plan.md"),
        ("notes/2024/plan.md", "notes/2024/plan.md"),
        ("notes//./plan.md", "notes/plan.md"),
        ("../../etc/passwd", "passwd"),
        ("a/../../b.txt", "b.txt"),
        ("/etc/passwd", "passwd"),
        ("C:\\Users\\me\\plan.docx", "plan.docx"),
        ("..\\..\\plan.md", "plan.md"),
        ("pl\x00an\x1b[31m\u202e.md", "pl\ufffdan[31m.md"),
        ("two\r\nlines.txt", "two lines.txt"),
        ("Cafe\u0301.md", "Caf\u00e9.md"),
        ("..", ""),
        ("/", ""),
        ("\x01", ""),
    ],
)
def test_only_the_harmless_part_of_a_name_is_kept(raw: str, kept: str) -> None:
    assert clean_name(raw) == kept


@given(st.text(st.characters() | st.sampled_from("./\\:\x00\u202e"), max_size=700))
def test_no_name_leads_anywhere(raw: str) -> None:
    name = clean_name(raw)
    parts = name.split("/")
    assert ".." not in parts
    assert "\\" not in name
    assert not name.startswith("/")
    assert not any(unicodedata.category(c) in ("Cc", "Cs") for c in name)
    assert all(len(part.encode()) <= 255 for part in parts)
    assert clean_name(name) == name
    uri = UploadedFile(name, "0001", 0).uri
    assert len(uri) < 2000
    assert unquote(uri.removeprefix("upload:///")) == name


def test_a_long_name_keeps_its_ending() -> None:
    name = clean_name("ä" * 400 + ".docx")
    assert name.endswith(".docx")
    assert len(name.encode()) <= 255


async def test_hostile_names_stay_below_the_home(
    client: Client, upload: Upload, settings: Settings, tmp_path: Path
) -> None:
    job = await upload(
        ("../../../escaped.md", b"# One\n\nalpha beta gamma delta"),
        ("/abs/olute.txt", b"alpha beta"),
        ("C:\\x\\y.txt", b"gamma"),
        ("a.txt", b"first"),
        ("a.txt", b"second"),
    )
    assert job["result"]["failed"] == []
    page = (await client.get(FORM)).json()
    assert [item["uri"] for item in page["items"]] == [
        "upload:///a%20%282%29.txt",
        "upload:///a.txt",
        "upload:///escaped.md",
        "upload:///olute.txt",
        "upload:///y.txt",
    ]
    assert not list(tmp_path.rglob("*escaped*"))
    # A job's files go right after it has ended.
    while list((Path(settings.home) / "uploads").iterdir()):
        await client.get("/health/live")


async def test_an_archives_members_have_addresses_within_it(
    client: Client, upload: Upload, zipped: Callable[[dict[str, bytes]], bytes]
) -> None:
    data = zipped({"in/one.md": b"# One\n\nalpha", "two.txt": b"beta", "../out.txt": b"x"})
    job = await upload(("my docs.zip", data))
    assert job["result"]["documents"] == 2
    (failure,) = job["result"]["failed"]
    assert failure["uri"] == "upload:///my%20docs.zip!/../out.txt"
    page = (await client.get(FORM)).json()
    assert [item["uri"] for item in page["items"]] == [
        "upload:///my%20docs.zip!/in/one.md",
        "upload:///my%20docs.zip!/two.txt",
    ]


async def test_a_broken_archive_is_reported_by_its_own_name(upload: Upload) -> None:
    job = await upload(("broken.zip", b"no archive"), ("fine.txt", b"alpha"))
    assert job["status"] == "succeeded"
    assert job["result"]["documents"] == 1
    (failure,) = job["result"]["failed"]
    assert failure["uri"] == "upload:///broken.zip"
    assert "broken.zip" in failure["error"]
    assert "0001" not in failure["error"]


async def test_an_empty_file_is_reported_and_stops_nothing(upload: Upload) -> None:
    job = await upload(("empty.pdf", b""), ("fine.txt", b"alpha"))
    assert job["result"]["documents"] == 1
    assert [failure["uri"] for failure in job["result"]["failed"]] == ["upload:///empty.pdf"]


async def test_the_same_file_again_changes_nothing(upload: Upload) -> None:
    assert (await upload(("a.txt", b"alpha")))["result"]["documents"] == 1
    assert (await upload(("a.txt", b"alpha")))["result"]["unchanged"] == 1
    assert (await upload(("a.txt", b"beta")))["result"]["documents"] == 1


async def test_a_body_over_the_limit_is_refused_and_leaves_nothing(
    settings: Settings, embedder: FakeEmbedder
) -> None:
    app = create_app(settings.model_copy(update={"max_upload_bytes": 1000}))

    async with AsyncTestClient(app, base_url="http://127.0.0.1") as client:
        response = await client.post(FORM, files=[("files", ("a.txt", b"x" * 1000))])
        assert response.status_code == 413
        assert response.json()["code"] == "payload_too_large"
        assert "1,000 bytes" in response.json()["detail"]
        assert (await client.get("/api/collections")).json()["total"] == 0
    assert not list((Path(settings.home) / "uploads").glob("*"))


@pytest.mark.parametrize(
    ("number", "status", "code"),
    [
        (errno.ENOSPC, 507, "storage_full"),
        (errno.EDQUOT, 507, "storage_full"),
        (errno.EFBIG, 507, "storage_full"),
        (errno.EIO, 500, "internal_error"),
        (errno.EACCES, 500, "internal_error"),
    ],
)
async def test_only_a_full_disk_is_called_so(
    client: Client,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    status: int,
    code: str,
) -> None:
    def broken(_: int) -> None:
        raise OSError(number, "the disk says no")

    monkeypatch.setattr("rostra.api.uploads.os.fsync", broken)
    response = await client.post(FORM, files=[("files", ("a.txt", b"alpha"))])
    assert (response.status_code, response.json()["code"]) == (status, code)
    assert not list((Path(settings.home) / "uploads").glob("*"))


@pytest.mark.parametrize("error", [TimeoutError(), ConnectionError(), OSError(errno.ENOSPC, "db")])
async def test_a_failure_after_the_upload_is_no_full_disk(
    client: Client, settings: Settings, monkeypatch: pytest.MonkeyPatch, error: OSError
) -> None:
    async def broken(*_: Any) -> None:
        raise error

    monkeypatch.setattr("rostra.api.documents.enqueue", broken)
    response = await client.post(FORM, files=[("files", ("a.txt", b"alpha"))])
    assert (response.status_code, response.json()["code"]) == (500, "internal_error")
    assert not list((Path(settings.home) / "uploads").glob("*"))


async def test_a_failed_file_says_what_to_do(upload: Upload) -> None:
    old_office = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(2000)
    job = await upload(("old.doc", old_office), ("empty.txt", b""))
    failed = {failure["uri"]: failure for failure in job["result"]["failed"]}
    assert all(set(failure) == {"uri", "error", "code", "hint"} for failure in failed.values())
    assert "DOCX" in failed["upload:///old.doc"]["hint"]
    assert failed["upload:///empty.txt"]["hint"] is None


async def test_too_many_files_are_refused(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "MAX_FILES", 3)
    files = [("files", (f"{n}.txt", b"x")) for n in range(4)]
    response = await client.post(FORM, files=files)
    assert response.status_code == 413
    assert "more than 3 files" in response.json()["detail"]
    assert (await client.post(FORM, files=files[:3])).status_code == 202


PART = b'--b\r\nContent-Disposition: form-data; name="files"; filename="a.txt"\r\n\r\nalpha'


@pytest.mark.parametrize(
    ("kind", "body", "status"),
    [
        ("application/json", b"{}", 415),
        ("text/plain", PART + b"\r\n--b--\r\n", 415),
        ("multipart/form-data", b"", 400),
        ("multipart/form-data; boundary=b", b"", 400),
        ("multipart/form-data; boundary=b", b"--b--\r\n", 400),
        ("multipart/form-data; boundary=b", b"nonsense", 400),
        ("multipart/form-data; boundary=b", PART, 400),
        ("multipart/form-data; boundary=b", PART[:30], 400),
        ("multipart/form-data; boundary=b", PART.replace(b"files", b"other") + b"\r\n--b--", 400),
        ("multipart/form-data; boundary=b", PART.replace(b'"a.txt"', b'""') + b"\r\n--b--", 400),
        (
            "multipart/form-data; boundary=b",
            PART.replace(b"a.txt", b"\xff\xfe" * 9) + b"\r\n--b--",
            400,
        ),
        ("multipart/form-data; boundary=b", PART.replace(b"a.txt", b"a" * 9000), 400),
    ],
)
async def test_malformed_forms_are_refused(
    client: Client, kind: str, body: bytes, status: int, settings: Settings
) -> None:
    response = await client.post(FORM, content=body, headers={"Content-Type": kind})
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert not list((Path(settings.home) / "uploads").glob("*"))


async def test_a_malformed_collection_name_is_refused(client: Client, settings: Settings) -> None:
    response = await client.post(
        "/api/collections/no%20name/documents", files=[("files", ("a.txt", b"x"))]
    )
    assert response.status_code == 400
    assert not list((Path(settings.home) / "uploads").glob("*"))
