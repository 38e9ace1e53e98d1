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
from rostra.core.constraint import (
    AnyJson,
    Choice,
    Constraint,
    Ebnf,
    Evidence,
    JsonSchema,
    Quotes,
    Regex,
    StructuralTag,
)
from rostra.core.devices import pick_device, pick_dtype, quiet_loading
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
from rostra.core.imports import import_transformers
from rostra.core.lazy import lazy_names
from rostra.core.log import Logger, configure_logging, get_logger
from rostra.core.sentences import sentence_spans
from rostra.core.settings import Settings, load_settings
from rostra.core.text import collapse_whitespace, normalize_text

__all__ = [
    "AnyJson",
    "ChatEvent",
    "ChatMessage",
    "ChatModel",
    "ChatNotFound",
    "Choice",
    "CollectionExists",
    "CollectionNotFound",
    "ConfigError",
    "Conflict",
    "Constraint",
    "Delta",
    "DocumentNotFound",
    "Ebnf",
    "Embedder",
    "EmbeddingSpace",
    "EmptyQuery",
    "Evidence",
    "Finish",
    "FinishReason",
    "FloatMatrix",
    "FloatVector",
    "GenerationOptions",
    "InvalidFilter",
    "InvalidRequest",
    "JobNotFound",
    "JsonSchema",
    "Logger",
    "ModelUnavailable",
    "NotFound",
    "Overloaded",
    "PathNotFound",
    "PayloadTooLarge",
    "QueryTooLong",
    "Quotes",
    "Regex",
    "Role",
    "RostraError",
    "Settings",
    "SpaceMismatch",
    "StoreUnavailable",
    "StructuralTag",
    "Tokenizer",
    "UnreadableFile",
    "collapse_whitespace",
    "configure_logging",
    "get_logger",
    "import_transformers",
    "lazy_names",
    "load_settings",
    "new_id",
    "normalize_text",
    "parse_id",
    "pick_device",
    "pick_dtype",
    "quiet_loading",
    "sentence_spans",
]
