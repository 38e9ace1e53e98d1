"""Agents: runs of several steps that call tools, verified, bounded, durable.

A run is its log (`events`); a strategy is a coroutine over a `Scope`; `Agents` keeps the runs of a
platform. Names load on first use, so that importing this room costs nothing.
"""

from typing import TYPE_CHECKING

from rostra.core import lazy_names

if TYPE_CHECKING:
    from rostra.agents import prompts
    from rostra.agents.approvals import (
        check_approved,
        servers_away,
    )
    from rostra.agents.driver import (
        Handed,
        Parts,
        RunRequest,
        drive,
        started,
    )
    from rostra.agents.equipment import (
        Cleaned,
        Guard,
        Limits,
        Tools,
    )
    from rostra.agents.errors import (
        BudgetSpent,
        ReplayDiverged,
        RunPaused,
        UnknownStrategy,
    )
    from rostra.agents.events import (
        INTERRUPTED,
        Answer,
        ApprovalAsked,
        ApprovalDecided,
        Budget,
        Citation,
        Claim,
        Decided,
        DocumentSpan,
        Effect,
        Equipped,
        ModelAnswered,
        ModelAsked,
        ModelCut,
        Noted,
        Origin,
        Outcome,
        Paused,
        Planned,
        PlannedCall,
        PlanStep,
        Record,
        Resumed,
        RunEnded,
        RunEvent,
        RunStarted,
        Spent,
        Status,
        ToolEnded,
        ToolRecord,
        ToolStarted,
        Usage,
        Verified,
        decode_event,
        encode_event,
    )
    from rostra.agents.execution import (
        Execution,
    )
    from rostra.agents.guard.defaults import (
        default_guard,
        make_filters,
    )
    from rostra.agents.guard.policy import (
        Policy,
    )
    from rostra.agents.handing import (
        child_id,
        hand_over,
    )
    from rostra.agents.journal import (
        Journal,
        MemoryLog,
    )
    from rostra.agents.mcp.config import (
        ServerConfig,
        load_servers,
    )
    from rostra.agents.mcp.listing import (
        ServerTool,
    )
    from rostra.agents.mcp.pins import (
        StoredPins,
    )
    from rostra.agents.mcp.toolset import (
        McpToolset,
    )
    from rostra.agents.memory.long import (
        LongMemory,
        memory_tools,
    )
    from rostra.agents.memory.short import (
        Window,
    )
    from rostra.agents.outlines import (
        Outline,
        Waiting,
        interruption,
        outline,
        read_log,
        waiting,
    )
    from rostra.agents.replay import (
        NoTools,
        ReplayReport,
        Retold,
    )
    from rostra.agents.rows import (
        is_interrupted,
        request_of,
    )
    from rostra.agents.service import (
        Agents,
    )
    from rostra.agents.strategies.handoff import (
        HandedBack,
        handoff_toolset,
    )
    from rostra.agents.strategies.make import (
        STRATEGIES,
        Means,
        make_strategy,
        several_samples,
    )
    from rostra.agents.strategies.steps import LaidOut
    from rostra.agents.strategies.strategy import (
        Strategy,
    )
    from rostra.agents.telemetry import (
        RunTracer,
        TracedLog,
    )
    from rostra.agents.tools.catalog import (
        Catalog,
    )
    from rostra.agents.tools.code import (
        RUN_PYTHON,
        CallFromCode,
        CodeRefused,
        CodeRun,
        CodeRunner,
        code_toolset,
    )
    from rostra.agents.tools.functions import (
        function_toolset,
        tool,
    )
    from rostra.agents.tools.observe import (
        Observed,
    )
    from rostra.agents.tools.select import (
        ToolIndex,
        ToolVectors,
        searchable,
    )
    from rostra.agents.tools.tool import (
        CallContext,
        StaticToolset,
        ToolFailure,
        ToolInfo,
        ToolResult,
        Toolset,
    )
    from rostra.agents.ui import (
        UiMessage,
        ui_parts,
    )

_HOMES = {
    "check_approved": "approvals",
    "servers_away": "approvals",
    "Handed": "driver",
    "Parts": "driver",
    "RunRequest": "driver",
    "drive": "driver",
    "started": "driver",
    "BudgetSpent": "errors",
    "ReplayDiverged": "errors",
    "RunPaused": "errors",
    "UnknownStrategy": "errors",
    "Answer": "events",
    "ApprovalAsked": "events",
    "ApprovalDecided": "events",
    "Budget": "events",
    "Citation": "events",
    "Claim": "events",
    "Decided": "events",
    "DocumentSpan": "events",
    "Effect": "events",
    "INTERRUPTED": "events",
    "Equipped": "events",
    "ModelAnswered": "events",
    "ModelAsked": "events",
    "ModelCut": "events",
    "Noted": "events",
    "Origin": "events",
    "Outcome": "events",
    "Paused": "events",
    "PlanStep": "events",
    "Planned": "events",
    "PlannedCall": "events",
    "Record": "events",
    "Resumed": "events",
    "RunEnded": "events",
    "RunEvent": "events",
    "RunStarted": "events",
    "Spent": "events",
    "Status": "events",
    "ToolEnded": "events",
    "ToolRecord": "events",
    "ToolStarted": "events",
    "Usage": "events",
    "Verified": "events",
    "decode_event": "events",
    "encode_event": "events",
    "Cleaned": "equipment",
    "Execution": "execution",
    "Guard": "equipment",
    "Limits": "equipment",
    "Tools": "equipment",
    "default_guard": "guard.defaults",
    "make_filters": "guard.defaults",
    "Policy": "guard.policy",
    "child_id": "handing",
    "hand_over": "handing",
    "Journal": "journal",
    "MemoryLog": "journal",
    "ServerConfig": "mcp.config",
    "load_servers": "mcp.config",
    "ServerTool": "mcp.listing",
    "StoredPins": "mcp.pins",
    "McpToolset": "mcp.toolset",
    "LongMemory": "memory.long",
    "memory_tools": "memory.long",
    "Window": "memory.short",
    "Outline": "outlines",
    "Waiting": "outlines",
    "outline": "outlines",
    "read_log": "outlines",
    "interruption": "outlines",
    "waiting": "outlines",
    "Agents": "service",
    "NoTools": "replay",
    "ReplayReport": "replay",
    "Retold": "replay",
    "is_interrupted": "rows",
    "request_of": "rows",
    "HandedBack": "strategies.handoff",
    "handoff_toolset": "strategies.handoff",
    "Means": "strategies.make",
    "STRATEGIES": "strategies.make",
    "make_strategy": "strategies.make",
    "several_samples": "strategies.make",
    "LaidOut": "strategies.steps",
    "Strategy": "strategies.strategy",
    "RunTracer": "telemetry",
    "TracedLog": "telemetry",
    "Catalog": "tools.catalog",
    "LIST_SECONDS": "tools.catalog",
    "RUN_PYTHON": "tools.code",
    "CallFromCode": "tools.code",
    "CodeRefused": "tools.code",
    "CodeRun": "tools.code",
    "CodeRunner": "tools.code",
    "code_toolset": "tools.code",
    "function_toolset": "tools.functions",
    "tool": "tools.functions",
    "Observed": "tools.observe",
    "ToolIndex": "tools.select",
    "ToolVectors": "tools.select",
    "searchable": "tools.select",
    "CallContext": "tools.tool",
    "StaticToolset": "tools.tool",
    "ToolFailure": "tools.tool",
    "ToolInfo": "tools.tool",
    "ToolResult": "tools.tool",
    "Toolset": "tools.tool",
    "UiMessage": "ui",
    "ui_parts": "ui",
}

__all__ = [
    "INTERRUPTED",
    "LIST_SECONDS",
    "RUN_PYTHON",
    "STRATEGIES",
    "Agents",
    "Answer",
    "ApprovalAsked",
    "ApprovalDecided",
    "Budget",
    "BudgetSpent",
    "CallContext",
    "CallFromCode",
    "Catalog",
    "Citation",
    "Claim",
    "Cleaned",
    "CodeRefused",
    "CodeRun",
    "CodeRunner",
    "Decided",
    "DocumentSpan",
    "Effect",
    "Equipped",
    "Execution",
    "Guard",
    "Handed",
    "HandedBack",
    "Journal",
    "LaidOut",
    "Limits",
    "LongMemory",
    "McpToolset",
    "Means",
    "MemoryLog",
    "ModelAnswered",
    "ModelAsked",
    "ModelCut",
    "NoTools",
    "Noted",
    "Observed",
    "Origin",
    "Outcome",
    "Outline",
    "Parts",
    "Paused",
    "PlanStep",
    "Planned",
    "PlannedCall",
    "Policy",
    "Record",
    "ReplayDiverged",
    "ReplayReport",
    "Resumed",
    "Retold",
    "RunEnded",
    "RunEvent",
    "RunPaused",
    "RunRequest",
    "RunStarted",
    "RunTracer",
    "ServerConfig",
    "ServerTool",
    "Spent",
    "StaticToolset",
    "Status",
    "StoredPins",
    "Strategy",
    "ToolEnded",
    "ToolFailure",
    "ToolIndex",
    "ToolInfo",
    "ToolRecord",
    "ToolResult",
    "ToolStarted",
    "ToolVectors",
    "Tools",
    "Toolset",
    "TracedLog",
    "UiMessage",
    "UnknownStrategy",
    "Usage",
    "Verified",
    "Waiting",
    "Window",
    "check_approved",
    "child_id",
    "code_toolset",
    "decode_event",
    "default_guard",
    "drive",
    "encode_event",
    "function_toolset",
    "hand_over",
    "handoff_toolset",
    "interruption",
    "is_interrupted",
    "load_servers",
    "make_filters",
    "make_strategy",
    "memory_tools",
    "outline",
    "prompts",
    "read_log",
    "request_of",
    "searchable",
    "servers_away",
    "several_samples",
    "started",
    "tool",
    "ui_parts",
    "waiting",
]

__getattr__ = lazy_names(__name__, _HOMES)
