"""What protects a server that knows no users from the web pages its user visits.

This version listens on the user's own machine and asks nobody who they are, so two things must not
work: a name of a stranger's that resolves to this machine (DNS rebinding), and a request that a
stranger's page sends across sites. There is no CORS: other origins read nothing.

What always holds: every response carries the headers below; a request with a foreign Host, or a
changing request from another site, reaches no handler.
"""

import ipaddress

from litestar.datastructures import Headers, MutableScopeHeaders
from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from rostra.core import RostraError

_SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}
_ANY_ADDRESS = {"0.0.0.0", "::"}
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
        "object-src 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class ForeignHost(RostraError):
    """The request names a host that this server does not answer for."""

    status = 403
    code = "host_not_allowed"


class CrossSite(RostraError):
    """A page of another site asked for a change."""

    status = 403
    code = "cross_site_request"


class Guard(ASGIMiddleware):
    """Refuses foreign hosts and cross-site changes.

    Args:
        host: what the server was told to listen on; a name given here is answered for, and the
            addresses that mean every interface lift the check of the Host header.
    """

    scopes = (ScopeType.HTTP,)

    def __init__(self, host: str) -> None:
        self._host = host.lower().strip("[]")

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Passes the request on or raises."""
        if scope["type"] == ScopeType.HTTP:
            headers = Headers.from_scope(scope)
            # A handler that knows of further names says so, and looks itself.
            if not scope["route_handler"].opt.get("checks_host"):
                self.check_host(headers.get("host", ""))
            if scope["method"] not in _SAFE_METHODS:
                check_site(headers)
        await next_app(scope, receive, send)

    def check_host(self, header: str) -> None:
        """Looks at a Host header; browsers always send one, so its absence is no attack.

        Raises:
            ForeignHost: it is neither an address, nor localhost, nor the name listened on.
        """
        name = _host_name(header)
        if not name or self._host in _ANY_ADDRESS or name in ("localhost", self._host):
            return
        if name.endswith(".localhost") or _is_address(name):
            return
        raise ForeignHost(
            f"this server does not answer for the host {name[:100]!r}",
            hint="Open it by its address, or start it with --host and the name it is called by.",
        )


def check_site(headers: Headers) -> None:
    """Looks at where a changing request comes from.

    Programs that are no browser send neither header and pass. `Sec-Fetch-Site` is believed first,
    because pages cannot set it and proxies do not change it.

    Raises:
        CrossSite: it comes from a page of another origin.
    """
    site = headers.get("sec-fetch-site")
    origin = headers.get("origin")
    if site is not None:
        same = site.lower() in ("same-origin", "none")
    elif origin is not None:
        _, _, authority = origin.partition("://")
        same = bool(authority) and authority.lower() == headers.get("host", "").lower()
    else:
        same = True
    if not same:
        raise CrossSite(
            "a page of another site may not change anything here",
            hint="Use Rostra's own page, or a program that is no browser.",
        )


async def add_headers(message: Message, scope: Scope) -> None:
    """Puts the protecting headers on a response that begins; those already there stay."""
    if message["type"] != "http.response.start":
        return
    headers = MutableScopeHeaders.from_message(message)
    for name, value in _HEADERS.items():
        headers.setdefault(name, value)
    path = scope["path"]
    if path.startswith(("/api/", "/v1/", "/health/", "/schema", "/metrics")):
        headers.setdefault("Cache-Control", "no-store")


def _host_name(header: str) -> str:
    """`Name:80` -> `name`, `[::1]:80` -> `::1`."""
    header = header.strip().lower()
    if header.startswith("["):
        return header[1:].partition("]")[0]
    return header.partition(":")[0].rstrip(".")


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
