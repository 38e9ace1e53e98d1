"""Who serves a chat model, by the names of OpenTelemetry's conventions for generative AI.

What always holds: a service that the conventions name has that name; any other endpoint is named by
its host, which the conventions leave to whoever writes the span; what runs here is `rostra`.

Source: https://github.com/open-telemetry/semantic-conventions/tree/v1.41.0/docs/gen-ai, values of
`gen_ai.provider.name`.
"""

from collections.abc import Iterable
from typing import Protocol, runtime_checkable

from rostra.core import ChatModel

OWN = "rostra"

# Hosts, and with a dot before them what hosts end with.
_NAMED = {
    "api.openai.com": "openai",
    ".openai.azure.com": "azure.ai.openai",
    ".services.ai.azure.com": "azure.ai.inference",
    ".models.ai.azure.com": "azure.ai.inference",
    "api.anthropic.com": "anthropic",
    "api.cohere.com": "cohere",
    "api.cohere.ai": "cohere",
    "api.deepseek.com": "deepseek",
    "api.groq.com": "groq",
    "api.mistral.ai": "mistral_ai",
    "api.perplexity.ai": "perplexity",
    "api.x.ai": "x_ai",
    "generativelanguage.googleapis.com": "gcp.gemini",
    "aiplatform.googleapis.com": "gcp.vertex_ai",
    "-aiplatform.googleapis.com": "gcp.vertex_ai",
    ".ml.cloud.ibm.com": "ibm.watsonx.ai",
}
_BEDROCK = ("bedrock-runtime.", "bedrock-mantle.")


@runtime_checkable
class Served(Protocol):
    """A model that knows who serves it."""

    @property
    def provider(self) -> str: ...


def provider_of(model: ChatModel) -> str:
    """Who serves a model; `rostra` where it does not say otherwise."""
    return model.provider if isinstance(model, Served) else OWN


def shared_provider(models: Iterable[ChatModel]) -> str:
    """Who serves all of some models; `rostra`, which chooses among them, if several do."""
    found = {provider_of(model) for model in models}
    return found.pop() if len(found) == 1 else OWN


def provider_at(host: str) -> str:
    """Who serves models at a host.

    Args:
        host: as in a URL, with or without a port.

    >>> provider_at("api.openai.com"), provider_at("127.0.0.1:8000")
    ('openai', '127.0.0.1')
    """
    name = _without_port(host).lower().rstrip(".")
    if name.startswith(_BEDROCK) and name.endswith(".amazonaws.com"):
        return "aws.bedrock"
    for known, provider in _NAMED.items():
        if name == known or (known[0] in ".-" and name.endswith(known)):
            return provider
    return name


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host.partition("]")[0][1:]
    return host.partition(":")[0]
