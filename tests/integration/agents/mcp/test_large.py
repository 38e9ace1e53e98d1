"""Results of ten megabytes come whole; those over the limit end their call and nothing else."""

from collections.abc import Callable

import pytest

from rostra.agents.mcp import McpToolset, ServerConfig
from rostra.agents.tools.tool import CallContext, ToolFailure
from tests.integration.agents.mcp.peer import REVISIONS, closing

CONTEXT = CallContext(run="r", call="r:1")


@pytest.mark.parametrize("revision", REVISIONS)
async def test_large_results_come_whole_and_too_large_ones_fail_alone(
    config: Callable[..., ServerConfig], revision: str
) -> None:
    ten = 10 * 1024 * 1024
    async with closing(McpToolset(config(protocol=revision))) as toolset:
        assert len((await toolset.call("big", {"size": ten}, CONTEXT)).text) == ten
    async with closing(McpToolset(config(protocol=revision, max_result_bytes=200_000))) as toolset:
        with pytest.raises(ToolFailure) as failure:
            await toolset.call("big", {"size": ten}, CONTEXT)
        assert failure.value.began
        assert (await toolset.call("echo", {"text": "on"}, CONTEXT)).text == "on"
