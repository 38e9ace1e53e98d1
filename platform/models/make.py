"""The chat model that settings ask for, where it is not the decoder of this machine."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rostra.core import ConfigError
from rostra.models.breaker import Breaker
from rostra.models.prices import Prices
from rostra.models.remote import OpenAIModel
from rostra.models.scripted import ScriptedModel, load_script


def make_model(
    *,
    url: str = "",
    model: str = "",
    api_key: str | None = None,
    script: Path | None = None,
    timeout: float = 120.0,
    retries: int = 3,
    prices: Prices | None = None,
    limit_field: str = "max_tokens",
    structured_outputs: bool = False,
    logprobs: bool = False,
    context: int | None = None,
    more: Mapping[str, Any] | None = None,
    breaker: Breaker | None = None,
) -> OpenAIModel | ScriptedModel | None:
    """A remote or a scripted model, as plain values describe it.

    Args:
        url: of an OpenAI-compatible endpoint; empty for none.
        model: as the endpoint calls it.
        logprobs: ask the endpoint how likely its answers are.
        context: most tokens of prompt and answer together, where it is known.
        breaker: of the endpoint; by default one of its own.
        script: a file of JSON lines, see `load_script`; it wins over an endpoint.

    Returns:
        None when neither is given: the decoder of this machine answers, or nobody.

    Raises:
        ConfigError: a value cannot work, or an endpoint has no model.
    """
    if script is not None:
        return load_script(script, name=model or "scripted", context=context)
    if not url:
        return None
    if not model:
        raise ConfigError(
            "a chat endpoint is set and no model of it",
            hint="Set `chat_model` to a name that the endpoint knows.",
        )
    return OpenAIModel(
        url,
        model,
        api_key=api_key,
        timeout=timeout,
        retries=retries,
        prices=prices,
        limit_field=limit_field,
        structured_outputs=structured_outputs,
        logprobs=logprobs,
        context=context,
        more=more,
        breaker=breaker,
    )
