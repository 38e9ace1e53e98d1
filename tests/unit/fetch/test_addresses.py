"""What may be asked: public addresses, however they are written, and allowed hosts."""

import ipaddress
from collections.abc import Iterable

import httpcore
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rostra.core import InvalidRequest
from rostra.fetch import Guard, GuardedBackend, Unreachable, is_public, resolve

PRIVATE = [
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "100.64.0.1",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.1",
    "192.0.2.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "224.0.1.1",
    "239.1.1.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:7f00:1",
    "64:ff9b::7f00:1",
    "64:ff9b::10.0.0.1",
    "64:ff9b:1::10.0.0.1",
    "2002:7f00:1::",
    "2002:c0a8:101::1",
    "2001::1",
    "2001:0:4136:e378:8000:63bf:80ff:fffe",
    "2001:db8::1",
    "100::1",
    "fc00::1",
    "fd12:3456::1",
    "fe80::1",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
]
PUBLIC = ["1.1.1.1", "8.8.8.8", "93.184.216.34", "2606:4700::1111", "::ffff:8.8.8.8"]


@pytest.mark.parametrize("address", PRIVATE)
def test_what_is_not_public(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", PUBLIC)
def test_what_is_public(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


@given(st.ip_addresses(v=4))
def test_an_address_inside_of_another_counts_as_itself(inner: ipaddress.IPv4Address) -> None:
    for form in (f"::ffff:{inner}", f"64:ff9b::{inner}", f"2002:{int(inner):x}"):
        if form.startswith("2002"):
            high, low = divmod(int(inner), 1 << 16)
            form = f"2002:{high:x}:{low:x}::1"
        assert is_public(ipaddress.ip_address(form)) == is_public(inner)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.1",
        "0",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "017700000001",
        "0177.0.0.1",
        "::1",
        "::ffff:127.0.0.1",
        "localhost",
        "169.254.169.254",
        "fe80::1%lo",
    ],
)
async def test_spellings_of_this_machine_are_refused(host: str) -> None:
    """Whatever the system's resolver understands, or it does not understand it at all."""
    with pytest.raises((InvalidRequest, Unreachable)):
        await Guard().addresses(host, 80)


async def test_the_resolver_does_read_numbers_as_addresses() -> None:
    assert await resolve("2130706433", 80) == ["127.0.0.1"]
    assert await resolve("0x7f.1", 80) == ["127.0.0.1"]


def resolving(*answers: list[str]) -> Guard:
    """A guard whose names resolve to one answer after the other."""
    left = list(answers)

    async def answer(host: str, port: int) -> list[str]:
        return left.pop(0) if len(left) > 1 else left[0]

    return Guard(resolve=answer)


class Dialled(httpcore.AsyncNetworkBackend):
    """Notes the addresses it is asked for, and answers none."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        self.asked.append(host)
        raise httpcore.ConnectError("refused")


async def test_a_name_that_changes_its_address_meanwhile_gains_nothing() -> None:
    dialled = Dialled()
    backend = GuardedBackend(resolving(["93.184.216.34"], ["127.0.0.1"]), dialled)
    with pytest.raises(httpcore.ConnectError):
        await backend.connect_tcp("rebinding.example", 80)
    with pytest.raises(InvalidRequest, match="not on the public internet"):
        await backend.connect_tcp("rebinding.example", 80)
    assert dialled.asked == ["93.184.216.34"]


async def test_a_name_with_one_private_address_is_refused_as_a_whole() -> None:
    dialled = Dialled()
    backend = GuardedBackend(resolving(["93.184.216.34", "10.0.0.1"]), dialled)
    with pytest.raises(InvalidRequest, match="not on the public internet"):
        await backend.connect_tcp("mixed.example", 80)
    assert dialled.asked == []


async def test_each_address_is_tried_and_no_more_than_a_few() -> None:
    dialled = Dialled()
    many = [f"93.184.216.{last}" for last in range(1, 50)]
    with pytest.raises(httpcore.ConnectError):
        await GuardedBackend(resolving(many), dialled).connect_tcp("many.example", 80)
    assert dialled.asked == many[:8]


async def test_what_the_resolver_makes_up_is_no_address() -> None:
    for made_up in ("", "localhost", "1.2.3", "93.184.216.34/0"):
        with pytest.raises(InvalidRequest):
            await resolving([made_up]).addresses("strange.example", 80)
    with pytest.raises(Unreachable):
        await resolving([]).addresses("empty.example", 80)


async def test_networks_can_be_allowed() -> None:
    guard = Guard(networks=(ipaddress.ip_network("127.0.0.2/32"), ipaddress.ip_network("::1/128")))
    for allowed in ("127.0.0.2", "::1", "::ffff:127.0.0.2"):
        assert await guard.addresses(allowed, 80)
    with pytest.raises(InvalidRequest):
        await guard.addresses("127.0.0.1", 80)


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://example.org/",
        "gopher://example.org/",
        "javascript:alert(1)",
        "data:text/html,x",
        "/relative",
        "example.org",
        "http://",
        "http:///path",
        "http://user:password@example.org/",
        "http://good.example@evil.example/",
        "http://example.org:22/",
        "http://example.org:25/",
        "http://evil.example/",
        "http://notgood.example/",
        "http://good.example.evil.example/",
    ],
)
def test_urls_that_are_not_fetched(url: str) -> None:
    with pytest.raises(InvalidRequest):
        Guard(hosts=frozenset({"good.example"})).check_url(httpx.URL(url))


@pytest.mark.parametrize(
    "url",
    [
        "http://good.example",
        "https://GOOD.example./a?b",
        "http://sub.good.example:8080/",
        "http://good.example:443",
    ],
)
def test_urls_of_allowed_hosts_are(url: str) -> None:
    Guard(hosts=frozenset({"good.example"})).check_url(httpx.URL(url))
