"""Which hosts and addresses may be asked, decided on the address that is then connected to.

What always holds: a name is resolved here, every address it has is checked, and the connection goes
to one of those, so that a name which resolves differently the next moment changes nothing; an
address counts by what it reaches, also when it is written as a number or inside of an IPv6 address.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field

import httpcore
import httpx

from rostra.core import InvalidRequest, RostraError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolve = Callable[[str, int], Awaitable[list[str]]]

MAX_URL = 2_000
_SYSTEM_PORTS = 1_024
_WEB_PORTS = (80, 443)
_MAX_ADDRESSES = 8
# RFC 6052 and RFC 8215: the last 32 bits are the IPv4 address that a translator asks.
_TRANSLATED = [ipaddress.IPv6Network(net) for net in ("64:ff9b::/96", "64:ff9b:1::/48")]
_COMPATIBLE = ipaddress.IPv6Network("::/96")


class Unreachable(RostraError):
    """A web server cannot be found, does not answer, or answers with an error."""

    status = 502
    code = "unreachable"


async def resolve(host: str, port: int) -> list[str]:
    """The addresses of a host name, by the system's resolver.

    Raises:
        OSError: there are none.
    """
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def is_public(address: Address) -> bool:
    """Whether an address is a single host of the public internet."""
    inner = _embedded(address)
    if inner is not None:
        return is_public(inner)
    return address.is_global and not (
        address.is_multicast
        or address.is_reserved
        or address.is_loopback
        or address.is_link_local
        or address.is_unspecified
        or (isinstance(address, ipaddress.IPv6Address) and address.is_site_local)
    )


def _embedded(address: Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address that an IPv6 address leads to."""
    if isinstance(address, ipaddress.IPv4Address) or address.is_loopback:
        return None
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    if any(address in network for network in (*_TRANSLATED, _COMPATIBLE)):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return None


@dataclass(frozen=True, slots=True)
class Guard:
    """What may be fetched.

    Attributes:
        hosts: only these and names below them; empty is any.
        networks: addresses that may be asked although they are not public.
        resolve: finds a name's addresses.
    """

    hosts: frozenset[str] = frozenset()
    networks: tuple[Network, ...] = ()
    resolve: Resolve = field(default=resolve)

    def check_url(self, url: httpx.URL) -> None:
        """Refuses what is wrong with a URL before anybody is asked.

        Raises:
            InvalidRequest: another scheme, a password, a port or a host that is not allowed.
        """
        if url.scheme not in ("http", "https"):
            raise InvalidRequest(
                f"URLs of type {url.scheme[:50]!r} are not fetched", hint="Give http:// or https://"
            )
        if not url.host:
            raise InvalidRequest("the URL names no host")
        if url.userinfo:
            raise InvalidRequest("the URL holds a user name or a password; leave it out")
        if url.port is not None and url.port < _SYSTEM_PORTS and url.port not in _WEB_PORTS:
            raise InvalidRequest(f"port {url.port} is of another service than the web")
        host = url.host.lower().rstrip(".")
        if self.hosts and not any(
            host == allowed or host.endswith(f".{allowed}") for allowed in self.hosts
        ):
            names = ", ".join(sorted(self.hosts)[:20])
            raise InvalidRequest(f"{host[:200]!r} is not among the hosts allowed: {names}")

    async def addresses(self, host: str, port: int) -> list[str]:
        """The addresses of a host, all of which may be asked.

        Raises:
            InvalidRequest: one of them may not.
            Unreachable: it has none.
        """
        try:
            found = await self.resolve(host, port)
        except (OSError, UnicodeError):
            raise Unreachable(f"there is no host {host[:200]!r}") from None
        if not found:
            raise Unreachable(f"there is no host {host[:200]!r}")
        # Not only the good ones: a name that mixes them is up to something.
        for text in found:
            if not self._allows(text):
                raise InvalidRequest(
                    f"{host[:200]!r} is not on the public internet",
                    hint="Addresses of this machine and of private networks are not fetched.",
                )
        return found[:_MAX_ADDRESSES]

    def _allows(self, text: str) -> bool:
        try:
            address = ipaddress.ip_address(text.partition("%")[0])
        except ValueError:
            return False
        seen = _embedded(address) or address
        return is_public(address) or any(
            seen.version == network.version and seen in network for network in self.networks
        )


class GuardedBackend(httpcore.AsyncNetworkBackend):
    """Connects to the addresses that the guard has checked, and to nothing else.

    The pool above it keeps the host's name for TLS and the Host header.
    """

    def __init__(self, guard: Guard, inner: httpcore.AsyncNetworkBackend) -> None:
        self._guard = guard
        self._inner = inner

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connects to the first address that answers."""
        failure: Exception = Unreachable(f"{host[:200]!r} does not answer")
        for address in await self._guard.addresses(host, port):
            try:
                return await self._inner.connect_tcp(
                    address, port, timeout, local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Refused: sockets in the file system are never the web."""
        raise InvalidRequest("sockets in the file system are not fetched")

    async def sleep(self, seconds: float) -> None:
        """Waits between tries."""
        await self._inner.sleep(seconds)
