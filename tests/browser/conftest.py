"""A real server and a real browser for the page's tests.

What always holds: each run has its own data directory, nothing outlives the session, and a page
that breaks the content security policy, throws, or asks another host fails its test.
"""

import os
import re
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

from playwright.sync_api import Browser, BrowserType, Page, Playwright, expect, sync_playwright

BUILT_PAGE = Path(__file__).parents[2] / "platform" / "api" / "static" / "index.html"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
START_SECONDS = 90.0
# Ingesting and answering load the embedder on first use.
EXPECT_MILLISECONDS = 30_000

# Playwright's synchronous API keeps an event loop running in this thread, and asynchronous tests
# cannot run beside it. The plugin's fixtures live for the whole session; these end with the module.


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    """Playwright, for one module."""
    with sync_playwright() as running:
        expect.set_options(timeout=EXPECT_MILLISECONDS)
        yield running


@pytest.fixture(scope="module")
def browser_type(playwright: Playwright) -> BrowserType:
    """Chromium: the one browser that Debian packages and playwright can drive."""
    return playwright.chromium


@pytest.fixture(scope="module")
def browser(browser_type: BrowserType) -> Iterator[Browser]:
    """Debian's chromium without a screen. Skips where it is not installed."""
    if CHROMIUM is None:
        pytest.skip("chromium is not installed: apt-get install chromium")
    running = browser_type.launch(
        executable_path=CHROMIUM,
        args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
    )
    yield running
    running.close()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server with an empty data directory, ready to answer."""
    if not BUILT_PAGE.is_file():
        pytest.skip("the page is not built: npm ci && npm run build in web/")
    home = tmp_path_factory.mktemp("rostra-home")
    log = tmp_path_factory.mktemp("rostra-log") / "serve.log"
    environment = {k: v for k, v in os.environ.items() if not k.startswith("ROSTRA_")}
    environment |= {"ROSTRA_HOME": str(home), "PYTHONUNBUFFERED": "1"}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "rostra.cli", "serve", "--host", "127.0.0.1", "--port", "0"],
            cwd=home,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield _wait_until_ready(process, log)
    finally:
        process.terminate()
        try:
            process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_ready(process: "subprocess.Popen[bytes]", log: Path) -> str:
    """Reads the address from the server's output, then asks it until it is ready."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        try:
            code = process.wait(timeout=0.1)
        except subprocess.TimeoutExpired:
            address = re.search(r"http://127\.0\.0\.1:\d+", log.read_text(errors="replace"))
            if address and _is_ready(address[0]):
                return address[0]
        else:
            pytest.fail(f"the server ended with {code}:\n{log.read_text(errors='replace')}")
    pytest.fail(f"the server was not ready in time:\n{log.read_text(errors='replace')}")


def _is_ready(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/health/ready", timeout=10) as response:
            return bool(response.status == 200)
    except urllib.error.URLError:  # also a 503: not ready yet
        return False


@pytest.fixture
def browser_context_args(server: str) -> dict[str, Any]:
    """Pages open relative to the server, at desktop size."""
    return {
        "base_url": server,
        "viewport": {"width": 1440, "height": 900},
        "locale": "en",
    }


@pytest.fixture
def page(page: Page, server: str) -> Iterator[Page]:
    """A page that may neither throw, nor break its policy, nor leave the server."""
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(f"error: {error}"))
    page.on(
        "console",
        lambda message: (
            complaints.append(f"policy: {message.text}")
            if "Content Security Policy" in message.text
            else None
        ),
    )
    page.on(
        "request",
        lambda request: (
            None if request.url.startswith(server) else complaints.append(f"left: {request.url}")
        ),
    )
    yield page
    assert complaints == []


@pytest.fixture
def collection() -> str:
    """The name of a collection that no other test uses."""
    return f"test-{uuid4().hex[:12]}"
