"""What sites ask of programs."""

import asyncio

import httpx
import pytest

from rostra.fetch import DisallowedByRobots, Robots, Unreachable
from rostra.fetch.robots import rules_unknown

RULES = """
User-agent: other
Disallow: /

User-agent: *
Disallow: /private
Allow: /private/open
Crawl-delay: 2
"""


class Reader:
    """Gives a site's rules, and counts how often it is asked."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.asked: list[str] = []

    async def __call__(self, url: httpx.URL) -> str:
        self.asked.append(str(url))
        await asyncio.sleep(0)
        return self.text


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


async def test_the_longest_rule_decides() -> None:
    robots, read = Robots(), Reader(RULES)
    await robots.check(httpx.URL("http://x.example/page"), read)
    await robots.check(httpx.URL("http://x.example/private/open/1"), read)
    with pytest.raises(DisallowedByRobots, match=r"x\.example"):
        await robots.check(httpx.URL("http://x.example/private/1?q"), read)
    assert read.asked == ["http://x.example/robots.txt"]


async def test_rules_are_read_once_an_hour_and_site_however_many_ask() -> None:
    clock = Clock()
    robots, read = Robots(clock=clock), Reader("")
    urls = [httpx.URL(f"http://x.example/{n}") for n in range(8)]
    await asyncio.gather(*(robots.check(url, read) for url in urls))
    assert len(read.asked) == 1
    await robots.check(httpx.URL("http://x.example:8080/"), read)
    assert read.asked[1:] == ["http://x.example:8080/robots.txt"]
    clock.now = 3601
    read.text = "User-agent: *\nDisallow: /"
    with pytest.raises(DisallowedByRobots):
        await robots.check(urls[0], read)


async def test_a_site_that_asks_for_pauses_gets_them() -> None:
    clock = Clock()
    robots, read = Robots(clock=clock), Reader(RULES)
    url = httpx.URL("http://x.example/")
    assert [await robots.check(url, read) for _ in range(3)] == [0, 2, 4]
    clock.now = 100
    assert await robots.check(url, read) == 0
    read.text = "User-agent: *\nCrawl-delay: 86400"
    long = httpx.URL("http://y.example/")
    assert [await robots.check(long, read) for _ in range(2)] == [0, 10]


async def test_a_site_that_fails_to_say_is_left_alone_until_it_says() -> None:
    robots, read = Robots(), Reader("")

    async def failing(url: httpx.URL) -> str:
        raise rules_unknown(url.host, "503")

    url = httpx.URL("http://x.example/")
    for _ in range(2):
        with pytest.raises(Unreachable, match=r"robots\.txt of 'x\.example'"):
            await robots.check(url, failing)
    await robots.check(url, read)


async def test_sites_kept_are_bounded() -> None:
    robots, read = Robots(), Reader("")
    for number in range(400):
        await robots.check(httpx.URL(f"http://{number}.example/"), read)
    assert len(robots._sites) == len(robots._locks) == 256
