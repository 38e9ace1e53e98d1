"""The platform's `/mcp`, with everything that the suite asks for in place of its own tools.

So the whole suite goes through what is ours there: the mount, its guard, and how the library is set
up. For tests only; run as `python -m tests.conformance.mounted`.
"""

import socket

import uvicorn

from rostra.api import create_app
from rostra.api import mcp as endpoint
from rostra.core import load_settings
from tests.conformance.everything_server import build


def main() -> None:
    """Serves on a free port, and says which on stdout."""
    endpoint.knowledge_server = lambda runtime, **_: build()
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(create_app(load_settings()), http="h11", log_level="error")
    print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
