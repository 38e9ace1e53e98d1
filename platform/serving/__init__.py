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
    from rostra.serving.engine.frontend import load_front
    from rostra.serving.engine.info import EngineInfo
    from rostra.serving.engine.metrics import METRICS_CONTENT_TYPE, EngineStats
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
    from rostra.serving.grammar.matcher import start_matcher
    from rostra.serving.grammar.tool_tags import tool_call_tag
    from rostra.serving.grammar.vocabulary import Vocabulary
    from rostra.serving.models.config import read_config
    from rostra.serving.models.linear import make_linear
    from rostra.serving.models.locate import locate_config, missing_files, resolve_checkpoint
    from rostra.serving.parsers import (
        REASONING_MARKERS,
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
    from rostra.serving.plan import Plan, make_plan
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
    "load_front": "engine.frontend",
    "make_linear": "models.linear",
    "Completion": "engine.engine",
    "Engine": "engine.engine",
    "EngineInfo": "engine.info",
    "EngineStats": "engine.metrics",
    "METRICS_CONTENT_TYPE": "engine.metrics",
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
    "start_matcher": "grammar.matcher",
    "tool_call_tag": "grammar.tool_tags",
    "Vocabulary": "grammar.vocabulary",
    "read_config": "models.config",
    "locate_config": "models.locate",
    "missing_files": "models.locate",
    "resolve_checkpoint": "models.locate",
    "REASONING_MARKERS": "parsers",
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
    "make_plan": "plan",
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
    "METRICS_CONTENT_TYPE",
    "REASONING_MARKERS",
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
    "Vocabulary",
    "WaitedTooLong",
    "WeightFormat",
    "engine_config",
    "load_front",
    "locate_config",
    "make_linear",
    "make_plan",
    "missing_files",
    "opens_reasoning",
    "read_config",
    "reasons",
    "resolve_checkpoint",
    "start_matcher",
    "tool_call_tag",
    "tool_format_of",
]

__getattr__ = lazy_names(__name__, _HOMES)
