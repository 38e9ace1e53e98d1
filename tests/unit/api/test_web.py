"""The page: its files and nothing else, cached as they may be, and the page for its own paths."""

from pathlib import Path

import pytest
from litestar import Litestar
from litestar.testing import AsyncTestClient

from rostra.api import create_app
from rostra.core import Settings
from tests.fakes import FakeEmbedder

Client = AsyncTestClient[Litestar]
HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


async def test_the_page_is_asked_for_again_each_time(client: Client) -> None:
    page = await client.get("/")
    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["cache-control"] == "no-cache"
    again = await client.get("/", headers={"If-None-Match": page.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


async def test_hashed_files_are_cached_for_good(client: Client) -> None:
    script = await client.get("/assets/index-abc123.js")
    assert script.status_code == 200
    assert script.headers["content-type"].startswith("text/javascript")
    assert "immutable" in script.headers["cache-control"]
    assert (await client.get("/favicon.svg")).headers["cache-control"] == "no-cache"


@pytest.mark.parametrize("path", ["/chats/123", "/documents", "/a/b/c"])
async def test_the_pages_own_paths_give_the_page(client: Client, path: str) -> None:
    assert "<title>page" in (await client.get(path, headers=HTML)).text
    other = await client.get(path, headers={"Accept": "application/json"})
    assert other.status_code == 404
    assert other.json()["code"] == "not_found"


@pytest.mark.parametrize(
    "path", ["/api/nothing", "/api/", "/health/x", "/schema/x", "/assets/missing-1.js"]
)
async def test_other_paths_never_give_the_page(client: Client, path: str) -> None:
    response = await client.get(path, headers=HTML)
    assert response.status_code == 404
    assert response.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    "path",
    [
        "/../secret.txt", "/..%2fsecret.txt", "/%2e%2e/secret.txt", "/assets/../../secret.txt",
        "/assets/..%2f..%2fsecret.txt", "/%2fetc%2fpasswd", "//etc/passwd", "/a%00b",
        "/" + "a" * 5000, "/assets",
    ],
)  # fmt: skip
async def test_nothing_outside_the_folder_is_served(client: Client, path: str) -> None:
    response = await client.get(path)
    assert response.status_code == 404
    assert "secret" not in response.text.replace("secret.txt", "")


async def test_a_link_out_of_the_folder_is_not_followed(client: Client, static: Path) -> None:
    (static / "link.txt").symlink_to(static.parent / "secret.txt")
    assert (await client.get("/link.txt")).status_code == 404


async def test_without_a_build_the_page_says_how_to_build_it(
    settings: Settings, embedder: FakeEmbedder, tmp_path: Path
) -> None:
    app = create_app(settings, static=tmp_path / "nothing")
    async with AsyncTestClient(app, base_url="http://127.0.0.1") as client:
        page = await client.get("/", headers=HTML)
        assert page.status_code == 503
        assert "make web" in page.text
        assert (await client.get("/health/live")).status_code == 200
