"""Core: settings, ids, typed errors, logs, and the protocols that rooms share.

Imports nothing of ours.
"""

from typing import TYPE_CHECKING

from rostra.core.chat import (
    ChatEvent,
    ChatMessage,
    ChatModel,
    Delta,
    Finish,
    FinishReason,
    GenerationOptions,
    KnowsContext,
    Role,
    ToolCall,
    ToolSpec,
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
from rostra.core.digests import file_digest
from rostra.core.embedding import (
    Embedder,
    EmbeddingSpace,
    FloatMatrix,
    FloatVector,
    Part,
    PartEmbedder,
    Tokenizer,
)
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
from rostra.core.settings import (
    DenseIndexKind,
    FusionKind,
    QueryStrategyName,
    Settings,
    load_settings,
)
from rostra.core.text import collapse_whitespace, normalize_text

if TYPE_CHECKING:
    from rostra.core.kept_code import code_cache

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
    "DenseIndexKind",
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
    "FusionKind",
    "GenerationOptions",
    "InvalidFilter",
    "InvalidRequest",
    "JobNotFound",
    "JsonSchema",
    "KnowsContext",
    "Logger",
    "ModelUnavailable",
    "NotFound",
    "Overloaded",
    "Part",
    "PartEmbedder",
    "PathNotFound",
    "PayloadTooLarge",
    "QueryStrategyName",
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
    "ToolCall",
    "ToolSpec",
    "UnreadableFile",
    "code_cache",
    "collapse_whitespace",
    "configure_logging",
    "file_digest",
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

# It needs numba, which most commands do without.
__getattr__ = lazy_names(__name__, {"code_cache": "kept_code"})
