"""Our MCP client as the conformance suite drives it; for tests only.

The suite starts this once for each scenario, with a server's URL as last argument. The scenario,
the revision and what it hands over come in environment variables. It does what a run of an agent
would: lists the tools, and calls them.
"""

import asyncio
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import httpx2

from rostra.agents import CallContext, McpToolset, ServerConfig, ToolFailure, ToolInfo

_PLAIN = {"string": "x", "integer": 1, "number": 1, "boolean": True, "object": {}, "array": []}
_REVISIONS = ("2025-11-25", "2026-07-28")


async def log_in(address: str) -> None:
    """The person at the browser, who says yes: the last redirection leads to our listener."""
    async with httpx2.AsyncClient(follow_redirects=True, timeout=20) as browser:
        await browser.get(address)


def arguments_for(info: ToolInfo) -> dict[str, Any]:
    """Values that a tool's schema takes, of what is required."""
    fields = info.parameters.get("properties", {})
    required = info.parameters.get("required", [])
    return {name: _PLAIN.get(str(fields.get(name, {}).get("type")), "x") for name in required}


def calls_of(
    scenario: str, tools: list[ToolInfo], handed: dict[str, Any]
) -> list[tuple[str, dict[str, Any]]]:
    """Which tools to call, with what."""
    names = {info.name.partition("__")[2] or info.name: info for info in tools}
    if "toolCalls" in handed:
        return [
            (names[call["name"]].name, call.get("arguments") or {})
            for call in handed["toolCalls"]
            if call["name"] in names
        ]
    if scenario == "json-schema-2020-12-preservation":
        schema = names["json_schema_2020_12_tool"].parameters
        return [(names["json_schema_echo"].name, {"schema": schema})]
    return [(info.name, arguments_for(info)) for info in tools]


async def run(url: str, scenario: str, protocol: str, handed: dict[str, Any], folder: Path) -> None:
    """Lists and calls what the scenario's server has.

    Raises:
        ToolFailure: the server cannot be used.
    """
    # No person looks at the suite's tools.
    given: dict[str, Any] = {
        "name": "suite",
        "url": url,
        "trust": "annotations",
        "approve_first": True,
    }
    if protocol in _REVISIONS:
        given["protocol"] = protocol
    if scenario.startswith("auth/"):
        oauth: dict[str, Any] = {}
        if "client_id" in handed:
            oauth["client_id"] = handed["client_id"]
        if "client_secret" in handed:
            os.environ["SUITE_SECRET"] = handed["client_secret"]
            oauth["client_secret_env"] = "SUITE_SECRET"
        if scenario.startswith("auth/client-credentials"):
            oauth |= {"grant": "client_credentials", "issuer": await issuer_of(url)}
        given["oauth"] = oauth
    toolset = McpToolset(
        ServerConfig.model_validate(given), login=log_in, token_file=folder / "tokens.json"
    )
    try:
        tools = list(await toolset.list())
        for number, (name, arguments) in enumerate(calls_of(scenario, tools, handed)):
            context = CallContext(run="suite", call=f"{scenario}-{number}", timeout=25)
            try:
                await toolset.call(name, arguments, context)
            except ToolFailure as failure:  # some scenarios have tools that cannot be called
                print(f"{name}: {failure}", file=sys.stderr)
    finally:
        await toolset.close()


async def issuer_of(url: str) -> str:
    """Of the scenario's authorization server; a person would have written it down."""
    base = httpx2.URL(url)
    place = base.copy_with(path="/.well-known/oauth-protected-resource" + base.path)
    async with httpx2.AsyncClient() as http:
        return str((await http.get(place)).json()["authorization_servers"][0])


def main() -> None:
    """Exits with 1 where the server cannot be used, which some scenarios want."""
    scenario = os.environ.get("MCP_CONFORMANCE_SCENARIO", "")
    protocol = os.environ.get("MCP_CONFORMANCE_PROTOCOL_VERSION", "")
    handed = json.loads(os.environ.get("MCP_CONFORMANCE_CONTEXT") or "{}")
    with tempfile.TemporaryDirectory() as folder:
        try:
            asyncio.run(run(sys.argv[-1], scenario, protocol, handed, Path(folder)))
        except ToolFailure as failure:
            sys.exit(f"{scenario}: {failure}")


if __name__ == "__main__":
    main()
