"""Foreign hosts and cross-site changes reach no handler; every response is protected."""

import pytest
from litestar import Litestar
from litestar.datastructures import Headers
from litestar.testing import AsyncTestClient

from rostra.api import create_app
from rostra.api.security import CrossSite, ForeignHost, Guard, check_site
from rostra.core import Settings
from tests.fakes import FakeEmbedder

Client = AsyncTestClient[Litestar]


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST:8321", "a.localhost:1", "127.0.0.1:8321", "[::1]:8321", "10.1.2.3",
     "desk.lan:80", "desk.lan.", ""],
)  # fmt: skip
def test_own_names_and_addresses_are_answered_for(host: str) -> None:
    Guard("desk.lan").check_host(host)


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8321", "localhost.evil.example", "127.0.0.1.evil.example",
     "notlocalhost", "desk.lan.evil.example", "[evil]"],
)  # fmt: skip
def test_other_names_are_refused(host: str) -> None:
    with pytest.raises(ForeignHost):
        Guard("desk.lan").check_host(host)


@pytest.mark.parametrize("listened", ["0.0.0.0", "::", "[::]"])
def test_listening_everywhere_allows_any_name(listened: str) -> None:
    Guard(listened).check_host("box.example")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"sec-fetch-site": "same-origin", "origin": "https://proxy.example"},
        {"sec-fetch-site": "none"},
        {"origin": "http://localhost:8321", "host": "localhost:8321"},
        {"origin": "http://LOCALHOST:8321", "host": "localhost:8321"},
    ],
)
def test_own_page_and_programs_may_change(headers: dict[str, str]) -> None:
    check_site(Headers(headers))


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "https://evil.example", "host": "localhost:8321"},
        {"origin": "http://localhost:9999", "host": "localhost:8321"},
        {"origin": "null", "host": "localhost:8321"},
        {"origin": "", "host": ""},
    ],
)
def test_other_sites_may_not(headers: dict[str, str]) -> None:
    with pytest.raises(CrossSite):
        check_site(Headers(headers))


async def test_a_foreign_host_gets_a_problem(client: Client) -> None:
    response = await client.get("/api/collections", headers={"Host": "evil.example"})
    assert response.status_code == 403
    assert response.json()["code"] == "host_not_allowed"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/collections"),
        ("DELETE", "/api/collections/docs"),
        ("POST", "/api/collections/docs/documents"),
        ("POST", "/api/ask"),
    ],
)
async def test_a_cross_site_change_gets_a_problem(client: Client, method: str, path: str) -> None:
    response = await client.request(method, path, headers={"Origin": "https://evil.example"})
    assert response.status_code == 403
    assert response.json()["code"] == "cross_site_request"
    assert "access-control-allow-origin" not in response.headers


async def test_a_cross_site_preflight_is_not_allowed_anything(client: Client) -> None:
    response = await client.request(
        "OPTIONS",
        "/api/collections",
        headers={"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"},
    )
    assert not [name for name in response.headers if name.startswith("access-control-")]


@pytest.mark.parametrize("path", ["/", "/api/collections", "/api/nothing", "/nothing", "/schema"])
async def test_every_response_carries_the_headers(client: Client, path: str) -> None:
    headers = (await client.get(path)).headers
    policy = headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"


async def test_the_host_given_is_answered_for(settings: Settings, embedder: FakeEmbedder) -> None:
    app = create_app(settings.model_copy(update={"host": "desk.lan"}))
    async with AsyncTestClient(app, base_url="http://desk.lan:8321") as client:
        assert (await client.get("/health/live")).status_code == 200
