"""The one fetcher against real servers: conditional requests, robots, types, changing names."""

import ipaddress

import pytest

from rostra.core import InvalidRequest
from rostra.fetch import DisallowedByRobots, Fetcher, Guard, Robots, Unreachable, Validators
from tests.web_server import ADDRESS, Reply, Request, site

NETWORKS = (ipaddress.ip_network(ADDRESS),)
GUARD = Guard(networks=NETWORKS)


async def test_an_unchanged_page_is_not_sent_again() -> None:
    async with site() as web:
        web.versioned("/", "one", '"1"')
        fetcher = Fetcher(GUARD)
        first = await fetcher.fetch(f"{web.url}/")
        assert (first.body, first.etag, first.is_unchanged) == (b"one", '"1"', False)
        known = Validators(str(first.url), first.etag)
        again = await fetcher.fetch(f"{web.url}/", known=known)
        assert (again.body, again.is_unchanged) == (b"", True)
        web.versioned("/", "two", '"2"')
        assert (await fetcher.fetch(f"{web.url}/", known=known)).body == b"two"


async def test_validators_go_to_their_own_page_alone() -> None:
    async with site() as web:
        web.pages["/a"] = Reply(status="302 Found", headers={"Location": "/b"})
        web.versioned("/b", "text", '"1"')
        fetched = await Fetcher(GUARD).fetch(
            f"{web.url}/a", known=Validators(f"{web.url}/b", '"1"', "Mon, 01 Jan 2024 00:00:00 GMT")
        )
        assert fetched.is_unchanged
        first, second = web.requests
        assert "if-none-match" not in first.headers
        assert second.headers["if-modified-since"] == "Mon, 01 Jan 2024 00:00:00 GMT"


async def test_a_server_that_says_unchanged_unasked_has_failed() -> None:
    async with site({"/": Reply(status="304 Not Modified")}) as web:
        with pytest.raises(Unreachable, match="304"):
            await Fetcher(GUARD).fetch(web.url)


@pytest.mark.parametrize("value", ["x" * 10_000, "w\u00f6rd"])
async def test_validators_that_cannot_be_sent_back_are_not_kept(value: str) -> None:
    async with site({"/": Reply("text", headers={"ETag": value})}) as web:
        assert (await Fetcher(GUARD).fetch(web.url)).etag == ""


async def test_robots_are_heeded_on_every_hop() -> None:
    forbid = Reply("User-agent: *\nDisallow: /secret", "text/plain")
    async with site({"/robots.txt": forbid, "/secret": Reply("x")}) as web:
        web.pages["/a"] = Reply(status="301 Moved", headers={"Location": f"{web.url}/secret"})
        fetcher = Fetcher(GUARD, robots=Robots())
        for path in ("/secret", "/a"):
            with pytest.raises(DisallowedByRobots):
                await fetcher.fetch(f"{web.url}{path}")
        assert web.asked("/secret") == 0
        assert web.asked("/robots.txt") == 1
        assert (await Fetcher(GUARD).fetch(f"{web.url}/secret")).body == b"x"


async def test_robots_that_fail_forbid_and_robots_that_are_missing_do_not() -> None:
    async with site({"/": Reply("text")}) as web:
        assert (await Fetcher(GUARD, robots=Robots()).fetch(web.url)).body == b"text"
        web.pages["/robots.txt"] = Reply(status="503 Service Unavailable")
        with pytest.raises(Unreachable, match=r"robots\.txt"):
            await Fetcher(GUARD, robots=Robots()).fetch(web.url)
        assert web.asked("/") == 1


async def test_robots_are_read_through_the_guard() -> None:
    async with site({"/robots.txt": Reply("x")}, "127.0.0.1") as inner, site() as web:
        web.pages["/robots.txt"] = Reply(
            status="302 Found", headers={"Location": f"{inner.url}/robots.txt"}
        )
        with pytest.raises(InvalidRequest, match="public internet"):
            await Fetcher(GUARD, robots=Robots()).fetch(web.url)
        assert inner.requests == []


async def test_a_name_that_moves_to_this_machine_after_its_robots_were_read() -> None:
    answers = [[ADDRESS], ["127.0.0.1"]]

    async def rebinding(host: str, port: int) -> list[str]:
        return answers.pop(0) if len(answers) > 1 else answers[0]

    async with site({"/": Reply("secret")}) as web:
        port = web.url.rpartition(":")[2]
        guard = Guard(networks=NETWORKS, resolve=rebinding)
        with pytest.raises(InvalidRequest, match="public internet"):
            await Fetcher(guard, robots=Robots()).fetch(f"http://rebinding.example:{port}/")
        assert [request.path for request in web.requests] == ["/robots.txt"]


@pytest.mark.parametrize("target", ["http://169.254.169.254/latest/meta-data", "http://10.0.0.1/"])
async def test_redirects_do_not_lead_into_private_networks(target: str) -> None:
    async with site({"/": Reply(status="307 Go", headers={"Location": target})}) as web:
        with pytest.raises(InvalidRequest, match="public internet"):
            await Fetcher(GUARD).fetch(web.url)


async def test_a_type_is_refused_before_its_body_is_read() -> None:
    class Unwanted(Exception):
        pass

    def refuse(content_type: str) -> None:
        assert content_type == "video/mp4"
        raise Unwanted

    async with site({"/": Reply(b"x" * 10_000_000, "video/mp4")}) as web:
        with pytest.raises(Unwanted):
            await Fetcher(GUARD).fetch(web.url, check_type=refuse)


async def test_a_refusal_says_what_the_server_said() -> None:
    def busy(request: Request) -> Reply:
        return Reply(status="503 Busy", headers={"Retry-After": "7"})

    async with site({"/": busy}) as web:
        with pytest.raises(Unreachable, match="503 Busy") as caught:
            await Fetcher(GUARD).fetch(web.url)
        assert caught.value.details == {"http_status": 503, "retry_after": 7}
