"""Core: settings, ids, typed errors, logs, and the protocols that rooms share.

Imports nothing of ours.
"""

from rostra.core.chat import (
    ChatEvent,
    ChatMessage,
    ChatModel,
    Delta,
    Finish,
    FinishReason,
    GenerationOptions,
    Role,
)
from rostra.core.embedding import Embedder, EmbeddingSpace, FloatMatrix, FloatVector, Tokenizer
from rostra.core.errors import (
    ChatNotFound,
    CollectionExists,
    CollectionNotFound,
    ConfigError,
    Conflict,
    DocumentNotFound,
    EmptyQuery,
    InvalidFilter,
    InvalidRequest,
    JobNotFound,
    ModelUnavailable,
    NotFound,
    Overloaded,
    PathNotFound,
    PayloadTooLarge,
    QueryTooLong,
    RostraError,
    SpaceMismatch,
    StoreUnavailable,
    UnreadableFile,
)
from rostra.core.ids import new_id, parse_id
from rostra.core.lazy import lazy_names
from rostra.core.log import Logger, configure_logging, get_logger
from rostra.core.sentences import sentence_spans
from rostra.core.settings import Settings, load_settings
from rostra.core.text import collapse_whitespace, normalize_text

__all__ = [
    "ChatEvent",
    "ChatMessage",
    "ChatModel",
    "ChatNotFound",
    "CollectionExists",
    "CollectionNotFound",
    "ConfigError",
    "Conflict",
    "Delta",
    "DocumentNotFound",
    "Embedder",
    "EmbeddingSpace",
    "EmptyQuery",
    "Finish",
    "FinishReason",
    "FloatMatrix",
    "FloatVector",
    "GenerationOptions",
    "InvalidFilter",
    "InvalidRequest",
    "JobNotFound",
    "Logger",
    "ModelUnavailable",
    "NotFound",
    "Overloaded",
    "PathNotFound",
    "PayloadTooLarge",
    "QueryTooLong",
    "Role",
    "RostraError",
    "Settings",
    "SpaceMismatch",
    "StoreUnavailable",
    "Tokenizer",
    "UnreadableFile",
    "collapse_whitespace",
    "configure_logging",
    "get_logger",
    "lazy_names",
    "load_settings",
    "new_id",
    "normalize_text",
    "parse_id",
    "sentence_spans",
]
