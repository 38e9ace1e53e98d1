"""Checks of `rostra doctor`: models that ship with the package, chat endpoints and MCP servers.

What always holds: nothing is generated and no tool is called; who does not answer is given up after
seconds, and all are asked side by side.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rostra.agents import McpToolset, ToolFailure
from rostra.core import RostraError, Settings
from rostra.models import ConfiguredModels, OpenAIModel, make_model
from rostra.runtime import open_runtime
from rostra.shipped import ShippedModelBroken, check_shipped

_SECONDS = 20.0
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Check:
    """One finding.

    Attributes:
        name: what was looked at.
        status: `error` means that the platform cannot work.
        detail: what was found.
        hint: what to do about it.
    """

    name: str
    status: Literal["ok", "warning", "error"]
    detail: str
    hint: str = ""


def shipped_checks() -> Sequence[Check]:
    """Whether the models that come with the package are whole, a finding each."""
    try:
        models = check_shipped()
    except ShippedModelBroken as error:
        return [Check("shipped models", "error", error.message, error.hint or "")]
    if not models:
        return [Check("shipped models", "ok", "none come with this version")]
    checks = []
    for model in models:
        name = f"shipped {model.name}"
        if model.broken is None:
            checks.append(Check(name, "ok", f"whole, {model.bytes / 1e6:.1f} MB"))
            continue
        # Where the settings need it, what uses it is an error of its own.
        checks.append(Check(name, "warning", model.broken.message, model.broken.hint or ""))
    return checks


async def chat_checks(settings: Settings) -> Sequence[Check]:
    """Whether the chat endpoints of the settings are there and have their models."""
    if settings.chat_script is not None:
        return [Check("chat model", "ok", f"says the lines of {settings.chat_script}")]
    models: dict[str, OpenAIModel] = {}
    try:
        roles = {str(role): name for role, name in settings.chat_roles.items()}
        configured = ConfiguredModels(settings.chat_models, roles, settings.chat_route)
        models |= {f"chat model {name}": model for name, model in configured.named.items()}
        key = settings.chat_api_key.get_secret_value() or None
        single = make_model(url=settings.chat_url, model=settings.chat_model, api_key=key)
        if isinstance(single, OpenAIModel):
            models["chat model"] = single
    except RostraError as error:
        return [Check("chat models", "error", error.message, error.hint or "")]
    try:
        return await asyncio.gather(*(_endpoint(name, model) for name, model in models.items()))
    finally:
        for model in models.values():
            await model.close()


async def _endpoint(name: str, model: OpenAIModel) -> Check:
    try:
        listed = await model.is_listed()
    except RostraError as error:
        if error.details.get("remote_status") in (404, 405):
            told = f"{model.name}: the endpoint is there and does not list its models"
            return Check(name, "warning", told, "Its address usually ends in /v1.")
        hint = "Check the endpoint's address, which usually ends in /v1, and its key."
        return Check(name, "error", f"{model.name}: {error.message}", hint)
    if not listed:
        return Check(
            name, "warning", f"{model.name} is not among the models that the endpoint lists"
        )
    return Check(name, "ok", f"{model.name}, which its endpoint lists")


async def server_checks(settings: Settings) -> Sequence[Check]:
    """Whether the MCP servers of the settings can be connected to, and what they offer."""
    try:
        async with open_runtime(settings) as runtime:
            servers = runtime.workshop.servers()
            return await asyncio.gather(
                *(
                    _server(name, toolset)
                    for name, toolset in servers.items()
                    if isinstance(toolset, McpToolset)
                )
            )
    except RostraError as error:
        return [Check("agents", "error", error.message, error.hint or "")]


async def _server(name: str, toolset: McpToolset) -> Check:
    label = f"mcp {name}"
    try:
        async with asyncio.timeout(_SECONDS):
            tools = await toolset.list()
    except TimeoutError:
        return Check(label, "warning", f"{toolset.transport}: no answer within {_SECONDS:g} s")
    except (ToolFailure, RostraError, OSError) as error:
        hint = f"rostra mcp list {name} --login" if toolset.needs_login else ""
        return Check(label, "warning", str(error), hint)
    count = f"{len(tools)} {'tool' if len(tools) == 1 else 'tools'}"
    problems = toolset.problems
    if not problems:
        return Check(label, "ok", count)
    more = f"; and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
    told = "; ".join(problems[:_SHOWN])
    return Check(label, "warning", f"{count}; {told}{more}", f"rostra mcp list {name}")
