"""Serving: the decoder, from a checkpoint's folder to text.

`Engine` runs in the caller's process, `AsyncEngine` in one of its own; both are driven by the same
`EngineCore`. All names load on first use, so that importing this room costs nothing.
"""

from typing import TYPE_CHECKING

from rostra.core import lazy_names

if TYPE_CHECKING:
    from rostra.serving.config import DType, EngineConfig, WeightFormat
    from rostra.serving.engine.chat import EngineChatModel, LocalChatModel
    from rostra.serving.engine.client import AsyncEngine, EngineState
    from rostra.serving.engine.core import EngineCore
    from rostra.serving.engine.engine import Completion, Engine
    from rostra.serving.engine.info import EngineInfo
    from rostra.serving.engine.metrics import EngineStats
    from rostra.serving.engine.settings import engine_config
    from rostra.serving.errors import (
        BrokenCheckpoint,
        EngineDied,
        InvalidGrammar,
        InvalidParameter,
        NeverFits,
        PromptTooLong,
        QueueFull,
        UnsupportedModel,
        UnsupportedSchema,
        WaitedTooLong,
    )
    from rostra.serving.grammar.compile import GrammarCompiler
    from rostra.serving.grammar.schema import validate_afterwards
    from rostra.serving.grammar.tool_tags import tool_call_tag
    from rostra.serving.models.config import read_config
    from rostra.serving.models.load import resolve_checkpoint
    from rostra.serving.parsers import (
        ContentDelta,
        OutputParser,
        ParsedDelta,
        ReasoningDelta,
        ToolCallDelta,
        ToolFormat,
        opens_reasoning,
        reasons,
        tool_format_of,
    )
    from rostra.serving.plan import Plan, plan
    from rostra.serving.request import (
        MAX_LOGPROBS,
        MAX_SEQUENCES,
        MAX_STOP_STRINGS,
        EngineEvent,
        EngineRequest,
        FinishReason,
        Output,
        RequestEnd,
        SamplingParams,
        TokenLogprobs,
        Tokens,
        Usage,
    )
    from rostra.serving.text.tokenizer import TextTokenizer

_HOMES = {
    "DType": "config",
    "EngineConfig": "config",
    "WeightFormat": "config",
    "EngineChatModel": "engine.chat",
    "LocalChatModel": "engine.chat",
    "AsyncEngine": "engine.client",
    "EngineState": "engine.client",
    "EngineCore": "engine.core",
    "Completion": "engine.engine",
    "Engine": "engine.engine",
    "EngineInfo": "engine.info",
    "EngineStats": "engine.metrics",
    "engine_config": "engine.settings",
    "BrokenCheckpoint": "errors",
    "EngineDied": "errors",
    "InvalidGrammar": "errors",
    "InvalidParameter": "errors",
    "NeverFits": "errors",
    "PromptTooLong": "errors",
    "QueueFull": "errors",
    "UnsupportedModel": "errors",
    "UnsupportedSchema": "errors",
    "WaitedTooLong": "errors",
    "GrammarCompiler": "grammar.compile",
    "validate_afterwards": "grammar.schema",
    "tool_call_tag": "grammar.tool_tags",
    "read_config": "models.config",
    "resolve_checkpoint": "models.load",
    "ContentDelta": "parsers",
    "OutputParser": "parsers",
    "ParsedDelta": "parsers",
    "ReasoningDelta": "parsers",
    "ToolCallDelta": "parsers",
    "ToolFormat": "parsers",
    "opens_reasoning": "parsers",
    "reasons": "parsers",
    "tool_format_of": "parsers",
    "Plan": "plan",
    "plan": "plan",
    "EngineEvent": "request",
    "EngineRequest": "request",
    "FinishReason": "request",
    "MAX_LOGPROBS": "request",
    "MAX_SEQUENCES": "request",
    "MAX_STOP_STRINGS": "request",
    "Output": "request",
    "RequestEnd": "request",
    "SamplingParams": "request",
    "TokenLogprobs": "request",
    "Tokens": "request",
    "Usage": "request",
    "TextTokenizer": "text.tokenizer",
}

__all__ = [
    "MAX_LOGPROBS",
    "MAX_SEQUENCES",
    "MAX_STOP_STRINGS",
    "AsyncEngine",
    "BrokenCheckpoint",
    "Completion",
    "ContentDelta",
    "DType",
    "Engine",
    "EngineChatModel",
    "EngineConfig",
    "EngineCore",
    "EngineDied",
    "EngineEvent",
    "EngineInfo",
    "EngineRequest",
    "EngineState",
    "EngineStats",
    "FinishReason",
    "GrammarCompiler",
    "InvalidGrammar",
    "InvalidParameter",
    "LocalChatModel",
    "NeverFits",
    "Output",
    "OutputParser",
    "ParsedDelta",
    "Plan",
    "PromptTooLong",
    "QueueFull",
    "ReasoningDelta",
    "RequestEnd",
    "SamplingParams",
    "TextTokenizer",
    "TokenLogprobs",
    "Tokens",
    "ToolCallDelta",
    "ToolFormat",
    "UnsupportedModel",
    "UnsupportedSchema",
    "Usage",
    "WaitedTooLong",
    "WeightFormat",
    "engine_config",
    "opens_reasoning",
    "plan",
    "read_config",
    "reasons",
    "resolve_checkpoint",
    "tool_call_tag",
    "tool_format_of",
    "validate_afterwards",
]

__getattr__ = lazy_names(__name__, _HOMES)
