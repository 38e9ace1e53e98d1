"""The Python sandbox in tests: whether there is one here, and how a test runs code in it."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from mcp_servers.python import Limits, Ran, Sandbox, SandboxUnavailable


def refusal() -> str | None:
    """Why there is no sandbox here; None where there is one."""
    try:
        asyncio.run(Sandbox().run("1"))
    except SandboxUnavailable as unavailable:
        return unavailable.message
    return None


REFUSAL = refusal()
needs_sandbox = pytest.mark.skipif(REFUSAL is not None, reason=f"no sandbox here: {REFUSAL}")


async def run(code: str, **limits: Any) -> Ran:
    """Runs code with other limits than the usual; it has 20 s unless that is one of them."""
    return await Sandbox(replace(Limits(seconds=20), **limits)).run(code)
