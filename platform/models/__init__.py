"""Models: makers of `ChatModel`s that are not the decoder of this machine, and wrappers around any.

`OpenAIModel` asks an OpenAI-compatible endpoint, `ScriptedModel` a script; `Router` and `Cascade`
choose among several. All names load on first use, so that importing this room costs nothing.
"""

from typing import TYPE_CHECKING

from rostra.core import lazy_names

if TYPE_CHECKING:
    from rostra.models.backoff import Backoff
    from rostra.models.breaker import Breaker
    from rostra.models.completion import (
        Completion,
        complete,
        confident,
        usage_so_far,
    )
    from rostra.models.errors import (
        BreakerOpen,
        NoRoute,
        RemoteOverloaded,
        RemoteRefused,
        RemoteUnavailable,
        ScriptEnded,
        UnsupportedConstraint,
    )
    from rostra.models.make import make_model
    from rostra.models.prices import Prices, estimate_tokens
    from rostra.models.provider import provider_at, provider_of
    from rostra.models.remote import OpenAIModel
    from rostra.models.roles import ConfiguredModels
    from rostra.models.route import Cascade, Route, Router, context_of
    from rostra.models.scripted import ScriptedModel, Turn, load_script

_HOMES = {
    "Backoff": "backoff",
    "Breaker": "breaker",
    "Completion": "completion",
    "complete": "completion",
    "confident": "completion",
    "usage_so_far": "completion",
    "BreakerOpen": "errors",
    "NoRoute": "errors",
    "RemoteOverloaded": "errors",
    "RemoteRefused": "errors",
    "RemoteUnavailable": "errors",
    "ScriptEnded": "errors",
    "UnsupportedConstraint": "errors",
    "make_model": "make",
    "Prices": "prices",
    "estimate_tokens": "prices",
    "provider_at": "provider",
    "provider_of": "provider",
    "OpenAIModel": "remote",
    "ConfiguredModels": "roles",
    "Cascade": "route",
    "Route": "route",
    "Router": "route",
    "context_of": "route",
    "ScriptedModel": "scripted",
    "Turn": "scripted",
    "load_script": "scripted",
}

__all__ = [
    "Backoff",
    "Breaker",
    "BreakerOpen",
    "Cascade",
    "Completion",
    "ConfiguredModels",
    "NoRoute",
    "OpenAIModel",
    "Prices",
    "RemoteOverloaded",
    "RemoteRefused",
    "RemoteUnavailable",
    "Route",
    "Router",
    "ScriptEnded",
    "ScriptedModel",
    "Turn",
    "UnsupportedConstraint",
    "complete",
    "confident",
    "context_of",
    "estimate_tokens",
    "load_script",
    "make_model",
    "provider_at",
    "provider_of",
    "usage_so_far",
]

__getattr__ = lazy_names(__name__, _HOMES)
