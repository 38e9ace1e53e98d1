"""A web server on one address of this machine, for tests of what fetches."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field

from anyio.from_thread import start_blocking_portal

# All of 127.0.0.0/8 is this machine: tests allow this address, so the others must be refused.
ADDRESS = "127.0.0.2"


@dataclass(frozen=True)
class Request:
    """What a client asked for."""

    path: str
    headers: dict[str, str]


@dataclass
class Reply:
    """What it is answered."""

    body: bytes | str = b""
    content_type: str = "text/html; charset=utf-8"
    status: str = "200 OK"
    headers: dict[str, str] = field(default_factory=dict)

    def encoded(self) -> bytes:
        data = self.body.encode() if isinstance(self.body, str) else self.body
        given = {
            "Content-Length": str(len(data)),
            "Content-Type": self.content_type,
            "Connection": "close",
        } | self.headers
        lines = [f"HTTP/1.1 {self.status}", *(f"{name}: {text}" for name, text in given.items())]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + data


NOT_FOUND = Reply(status="404 Not Found")
Answer = Reply | Callable[[Request], Reply]


@dataclass
class Site:
    """A running server.

    Attributes:
        url: of its root, without a slash at the end.
        pages: what it answers, by path; may change while it runs.
        requests: all that it was asked, in order.
    """

    url: str
    pages: dict[str, Answer]
    requests: list[Request] = field(default_factory=list)

    def asked(self, path: str) -> int:
        return sum(request.path == path for request in self.requests)

    def versioned(self, path: str, body: str, etag: str) -> None:
        """A page that is not sent again to who has it."""

        def answer(request: Request) -> Reply:
            headers = {"ETag": etag}
            if request.headers.get("if-none-match") == etag:
                return Reply(status="304 Not Modified", headers=headers)
            return Reply(body, headers=headers)

        self.pages[path] = answer


@asynccontextmanager
async def site(pages: dict[str, Answer] | None = None, host: str = ADDRESS) -> AsyncIterator[Site]:
    """Serves pages as long as the block runs."""
    running = Site("", pages if pages is not None else {})

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            first, *lines = head.strip().split("\r\n")
            split = (line.partition(":") for line in lines)
            headers = {name.lower(): value.strip() for name, _, value in split}
            request = Request(first.split()[1], headers)
            running.requests.append(request)
            found = running.pages.get(request.path, NOT_FOUND)
            writer.write((found if isinstance(found, Reply) else found(request)).encoded())
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async with await asyncio.start_server(answer, host, 0) as server:
        running.url = f"http://{host}:{server.sockets[0].getsockname()[1]}"
        yield running


@contextmanager
def site_in_a_thread() -> Iterator[Site]:
    """The same on a loop of its own, for tests whose client blocks the test's."""
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(site()) as running:
        yield running
