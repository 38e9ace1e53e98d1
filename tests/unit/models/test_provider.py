"""Who serves a model, as the conventions for generative AI name it."""

import pytest

from rostra.core import ChatModel
from rostra.models import (
    Cascade,
    OpenAIModel,
    Route,
    Router,
    ScriptedModel,
    confident,
    provider_at,
    provider_of,
)


@pytest.mark.parametrize(
    ("host", "provider"),
    [
        ("api.openai.com", "openai"),
        ("API.OpenAI.com.:443", "openai"),
        ("mine.openai.azure.com", "azure.ai.openai"),
        ("generativelanguage.googleapis.com", "gcp.gemini"),
        ("europe-west1-aiplatform.googleapis.com", "gcp.vertex_ai"),
        ("bedrock-runtime.eu-west-1.amazonaws.com", "aws.bedrock"),
        ("api.mistral.ai", "mistral_ai"),
        # What only looks like one of them.
        ("api.openai.com.example", "api.openai.com.example"),
        ("notapi.openai.com", "notapi.openai.com"),
        ("openai.azure.com", "openai.azure.com"),
        ("127.0.0.1:8000", "127.0.0.1"),
        ("[::1]:8000", "::1"),
    ],
)
def test_a_host_has_the_name_of_the_conventions_or_its_own(host: str, provider: str) -> None:
    assert provider_at(host) == provider


def test_names_of_services_are_those_of_the_conventions() -> None:
    names = pytest.importorskip("opentelemetry.semconv._incubating.attributes.gen_ai_attributes")
    known = {value.value for value in names.GenAiProviderNameValues}
    for host in ("api.openai.com", "x.openai.azure.com", "x.services.ai.azure.com"):
        assert provider_at(host) in known
    for name in ("anthropic", "deepseek", "groq", "cohere"):
        assert provider_at(f"api.{name}.com") == name
        assert name in known
    for host in ("api.mistral.ai", "api.perplexity.ai", "api.x.ai", "eu.ml.cloud.ibm.com"):
        assert provider_at(host) in known
    for host in ("generativelanguage.googleapis.com", "bedrock-runtime.x.amazonaws.com"):
        assert provider_at(host) in known


def test_several_models_have_the_name_that_they_share() -> None:
    one = OpenAIModel("https://api.openai.com/v1", "small")
    two = OpenAIModel("https://api.openai.com/v1", "large")
    other = OpenAIModel("http://127.0.0.1:8000/v1", "own")
    assert provider_of(one) == "openai"
    assert provider_of(ScriptedModel(["x"])) == "rostra"
    several: list[tuple[list[ChatModel], str]] = [([one, two], "openai"), ([one, other], "rostra")]
    for models, provider in several:
        assert provider_of(Cascade(models, confident(0.5))) == provider
        assert provider_of(Router([Route(model) for model in models])) == provider
