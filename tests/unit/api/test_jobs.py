"""Jobs over the API: listed and changed; pages, sitemaps and watched folders as jobs."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from litestar import Litestar
from litestar.testing import AsyncTestClient

from rostra.api import Pace, create_app
from rostra.core import Settings
from tests.fakes import FakeEmbedder
from tests.web_server import ADDRESS, Reply, Request, Site, site_in_a_thread

Client = AsyncTestClient[Litestar]
Wait = Callable[[str], Awaitable[dict[str, Any]]]
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.fixture
def watched(tmp_path: Path) -> Path:
    folder = tmp_path / "watched"
    folder.mkdir()
    return folder


@pytest.fixture
def settings(settings: Settings, watched: Path) -> Settings:
    given = {"fetch_networks": (ADDRESS,), "fetch_seconds": 600, "watch_folders": (watched,)}
    return Settings(**(settings.model_dump() | given))


@pytest.fixture
def app(settings: Settings, embedder: FakeEmbedder, static: Path) -> Litestar:
    return create_app(settings, pace=Pace(poll=0.05, beat=0.02), static=static)


@pytest.fixture
def web() -> Iterator[Site]:
    with site_in_a_thread() as running:
        yield running


async def post(client: Client, path: str, body: Any = None) -> dict[str, Any]:
    response = await client.post(path, json=body)
    assert response.status_code in (200, 202), response.text
    found: dict[str, Any] = response.json()
    return found


async def add(client: Client, **body: Any) -> dict[str, Any]:
    return await post(client, "/api/collections/docs/sources", body)


async def reaches(client: Client, job_id: str, *statuses: str) -> dict[str, Any]:
    """The job once it has one of these statuses; the test's own timeout is the limit."""
    while True:
        job: dict[str, Any] = (await client.get(f"/api/jobs/{job_id}")).json()
        if job["status"] in statuses:
            return job


async def uris(client: Client) -> list[str]:
    response = await client.get("/api/collections/docs/documents")
    if response.status_code == 404:
        return []
    return [item["uri"] for item in response.json()["items"]]


async def until(client: Client, wanted: list[str]) -> None:
    """Waits until these are stored; the test's own timeout is the limit."""
    while await uris(client) != wanted:
        pass


async def test_pages_are_read_as_a_job(client: Client, finish: Wait, web: Site) -> None:
    web.pages |= {"/a": Reply("<p>alpha"), "/b": Reply("<p>beta")}
    job = await add(client, urls=[f"{web.url}/a", f"{web.url}/b", f"{web.url}/gone"])
    assert (job["status"], job["collection"], job["source"]) == ("queued", "docs", "3 pages")
    done = await finish(job["id"])
    assert done["result"]["documents"] == 2
    assert [failure["code"] for failure in done["result"]["failed"]] == ["page_unreachable"]
    assert await uris(client) == [f"{web.url}/a", f"{web.url}/b"]


async def test_a_job_whose_pages_are_all_refused_has_failed(client: Client, finish: Wait) -> None:
    job = await add(client, urls=["http://127.0.0.1/x"])
    failed = await finish(job["id"])
    assert (failed["status"], failed["error_code"]) == ("failed", "nothing_read")
    assert "http://127.0.0.1/x" in failed["error"]
    assert [one["code"] for one in failed["result"]["failed"]] == ["page_refused"]
    listed = (await client.get("/api/jobs?status=failed")).json()
    assert [one["id"] for one in listed["items"]] == [job["id"]]


async def test_a_sitemap_is_read_as_a_job(client: Client, finish: Wait, web: Site) -> None:
    listed = f"<urlset><url><loc>{web.url}/a</loc></url><url><loc>http://o.x/</loc></url></urlset>"
    web.pages |= {"/sitemap.xml": Reply(listed, "text/xml"), "/a": Reply("<p>alpha")}
    job = await add(client, sitemap=f"{web.url}/sitemap.xml")
    done = await finish(job["id"])
    assert (done["status"], done["stage"], done["result"]["documents"]) == (
        "succeeded",
        "reading",
        1,
    )
    assert await uris(client) == [f"{web.url}/a"]


async def test_a_sitemaps_job_deletes_what_is_gone_when_asked_to(
    client: Client, finish: Wait, web: Site
) -> None:
    web.pages |= {"/a": Reply("<p>alpha"), "/b": Reply("<p>beta")}
    for listed, wanted in (("ab", ["a", "b"]), ("b", ["b"])):
        lines = "\n".join(f"{web.url}/{name}" for name in listed)
        web.pages["/sitemap.xml"] = Reply(lines, "text/plain")
        job = await add(client, sitemap=f"{web.url}/sitemap.xml", delete_missing=True)
        assert (await finish(job["id"]))["status"] == "succeeded"
        assert await uris(client) == [f"{web.url}/{name}" for name in wanted]


@pytest.fixture
def pruning(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers that look for old jobs all the time; what is cancelled was so long ago."""
    monkeypatch.setattr("rostra.api.worker._PRUNE_SECONDS", 0.01)
    monkeypatch.setattr("rostra.api.worker._PRUNED_AT_ONCE", 2)
    monkeypatch.setattr("rostra.store.job_control.utc_now", lambda: LONG_AGO)


async def test_jobs_that_ended_long_ago_go(
    pruning: None, client: Client, settings: Settings, web: Site
) -> None:
    web.pages["/a"] = Reply("<p>alpha")
    kept = await add(client, urls=[f"{web.url}/a"])
    await reaches(client, kept["id"], "succeeded")
    for _ in range(5):
        job = await add(client, watch=str(settings.watch_folders[0]))
        await post(client, f"/api/jobs/{job['id']}/cancel")
    while (page := (await client.get("/api/jobs")).json())["total"] > 1:
        pass
    assert [item["id"] for item in page["items"]] == [kept["id"]]


async def test_a_sitemap_that_is_out_of_reach_is_tried_again_later(
    client: Client, web: Site
) -> None:
    web.pages["/sitemap.xml"] = Reply(status="503 Busy")
    job = await add(client, sitemap=f"{web.url}/sitemap.xml")
    while (waiting := await reaches(client, job["id"], "queued", "failed"))["not_before"] is None:
        pass
    assert (waiting["status"], waiting["error_code"]) == ("queued", "unreachable")
    # Nobody has to wait for it.
    web.pages["/sitemap.xml"] = Reply("<html></html>")
    await post(client, f"/api/jobs/{job['id']}/pause")
    await post(client, f"/api/jobs/{job['id']}/resume")
    failed = await reaches(client, job["id"], "failed")
    assert "no sitemap" in failed["error"]
    web.pages["/sitemap.xml"] = Reply(f"{web.url}/a", "text/plain")
    web.pages["/a"] = Reply("<p>alpha")
    assert (await post(client, f"/api/jobs/{job['id']}/retry"))["error"] is None
    assert (await reaches(client, job["id"], "succeeded"))["result"]["documents"] == 1


async def test_pages_that_are_long_in_coming_hold_up_neither_folders_nor_uploads(
    client: Client, watched: Path, finish: Wait, web: Site
) -> None:
    # Its own thread is held up, so no page comes until the test lets them.
    go = threading.Event()

    def slow(_: Request) -> Reply:
        go.wait()
        return Reply("<p>late")

    web.pages |= {
        "/sitemap.xml": Reply(f"{web.url}/a\n{web.url}/b", "text/plain"),
        "/a": slow,
        "/b": slow,
    }
    try:
        pages = await add(client, sitemap=f"{web.url}/sitemap.xml")
        while (running := await reaches(client, pages["id"], "running"))["progress"] == {}:
            pass
        while running["progress"]["total"] != 2:
            running = await reaches(client, pages["id"], "running")
        assert running["progress"]["done"] == 0
        (watched / "kudu.txt").write_text("kudu")
        await add(client, watch=str(watched))
        await until(client, [(watched / "kudu.txt").as_uri()])
        upload = await client.post(
            "/api/collections/docs/documents", files=[("files", ("x.txt", b"text"))]
        )
        assert (await finish(upload.json()["id"]))["status"] == "succeeded"
        assert (await client.get(f"/api/jobs/{pages['id']}")).json()["progress"]["done"] == 0
    finally:
        go.set()
    assert (await finish(pages["id"]))["result"]["documents"] == 2


async def test_a_folder_that_is_away_is_waited_for_and_nothing_is_deleted(
    client: Client, watched: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rostra.api.work._AWAY_SECONDS", 0.01)
    (watched / "a.md").write_text("alpha")
    job = await add(client, watch=str(watched))
    while (await client.get(f"/api/jobs/{job['id']}")).json()["stage"] != "watching":
        pass
    await post(client, f"/api/jobs/{job['id']}/pause")
    away = watched.rename(watched.with_name("away"))
    await post(client, f"/api/jobs/{job['id']}/resume")
    await reaches(client, job["id"], "running", "failed")
    (away / "b.md").write_text("beta")
    assert await uris(client) == [(watched / "a.md").as_uri()]
    away.rename(watched)
    await until(client, [(watched / name).as_uri() for name in ("a.md", "b.md")])


async def test_a_folder_is_followed_until_its_job_is_paused(
    client: Client, watched: Path, finish: Wait
) -> None:
    (watched / "a.md").write_text("alpha")
    first = [(watched / "a.md").as_uri()]
    job = await add(client, watch=str(watched))
    assert job["source"] == str(watched)
    await until(client, first)
    (watched / "b.md").write_text("beta")
    both = [*first, (watched / "b.md").as_uri()]
    await until(client, both)
    # Other jobs go on beside it.
    upload = await client.post(
        "/api/collections/other/documents", files=[("files", ("x.txt", b"text"))]
    )
    assert (await finish(upload.json()["id"]))["status"] == "succeeded"
    assert (await client.get(f"/api/jobs/{job['id']}")).json()["status"] == "running"
    await post(client, f"/api/jobs/{job['id']}/pause")
    (watched / "a.md").unlink()
    (watched / "c.md").write_text("gamma")
    await post(client, f"/api/jobs/{job['id']}/resume")
    await until(client, [(watched / name).as_uri() for name in ("b.md", "c.md")])
    await post(client, f"/api/jobs/{job['id']}/cancel")
    assert (await client.delete(f"/api/jobs/{job['id']}")).status_code == 204
    assert (await client.get(f"/api/jobs/{job['id']}")).status_code == 404


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400),
        ({"urls": []}, 400),
        ({"urls": ["http://x.example"] * 1001}, 400),
        ({"urls": ["ftp://x.example"]}, 400),
        ({"urls": ["http://x.example"], "sitemap": "http://x.example"}, 400),
        ({"urls": ["http://x.example"], "hosts": ["y"]}, 400),
        ({"sitemap": "nothing"}, 400),
        ({"watch": "/etc"}, 403),
        ({"watch": "/no/such/folder"}, 403),
        ({"watch": "bad\0path"}, 400),
        ({"other": 1}, 400),
    ],
)
async def test_bad_sources(client: Client, body: dict[str, Any], status: int) -> None:
    response = await client.post("/api/collections/docs/sources", json=body)
    assert response.status_code == status, response.text
    assert (await client.get("/api/jobs")).json() == {"items": [], "total": 0}


async def test_folders_below_allowed_ones_may_be_watched_and_links_out_of_them_not(
    client: Client, watched: Path, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (watched / "link").symlink_to(outside)
    (watched / "below").mkdir()
    for path, status in (("below", 202), ("link", 403), ("../outside", 403), ("nowhere", 404)):
        response = await client.post(
            "/api/collections/docs/sources", json={"watch": str(watched / path)}
        )
        assert response.status_code == status, response.text


async def test_jobs_by_page_and_status(client: Client, upload: Any) -> None:
    for number in range(3):
        await upload((f"{number}.txt", b"text %d" % number))
    page = (await client.get("/api/jobs", params={"limit": 2})).json()
    assert (len(page["items"]), page["total"]) == (2, 3)
    assert [job["source"] for job in page["items"]] == ["2.txt", "1.txt"]
    assert page["items"][0]["progress"] == {"done": 1, "total": 1, "chunks": 1}
    rest = (await client.get("/api/jobs", params={"limit": 2, "offset": 2})).json()
    assert [job["source"] for job in rest["items"]] == ["0.txt"]
    params = {"status": ["running", "queued"]}
    assert (await client.get("/api/jobs", params=params)).json()["total"] == 0
    assert (await client.get("/api/jobs", params={"status": "odd"})).status_code == 400
    assert (await client.get("/api/jobs", params={"limit": 201})).status_code == 400


async def test_what_does_not_apply_is_refused(client: Client, upload: Any) -> None:
    job = await upload(("a.txt", b"text"))
    for act in ("cancel", "pause", "resume", "retry"):
        response = await client.post(f"/api/jobs/{job['id']}/{act}")
        assert response.status_code == 409, response.text
        assert response.json()["code"] == "wrong_job_status"
    assert (await client.post(f"/api/jobs/{job['id'][:-1]}/cancel")).status_code == 404


async def test_an_upload_that_was_cancelled_while_it_is_read_stops(
    client: Client, embedder: FakeEmbedder, settings: Settings
) -> None:
    import threading

    reached, go_on = threading.Event(), threading.Event()

    def wait(_: Any) -> None:
        reached.set()
        go_on.wait()

    embedder.before_batch = wait
    response = await client.post(
        "/api/collections/docs/documents", files=[("files", ("a.txt", b"text"))]
    )
    job_id = response.json()["id"]
    await asyncio.to_thread(reached.wait)
    cancelled = await post(client, f"/api/jobs/{job_id}/cancel")
    assert cancelled["status"] == "cancelled"
    folder = settings.home / "uploads" / job_id
    while await asyncio.to_thread(folder.exists):
        pass
    go_on.set()
    embedder.before_batch = lambda _: None
    assert await uris(client) == []
