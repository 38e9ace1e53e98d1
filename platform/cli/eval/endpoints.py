"""Models at OpenAI-compatible endpoints that a command line names."""

import os
import sys

import click

from rostra.models import Breaker, OpenAIModel


def endpoint_model(
    url: str | None, model: str | None, key_env: str, what: str
) -> OpenAIModel | None:
    """A model somewhere else, if one is given; who asks for it closes it.

    Args:
        key_env: environment variable with the endpoint's key.
        what: it is for, such as `judge`.

    Raises:
        click.UsageError: a URL without a model, or the other way round.
        ConfigError: the URL or the key cannot be one.
    """
    if not url and not model:
        return None
    if not url or not model:
        raise click.UsageError(f"the {what}'s URL and model belong together")
    # An endpoint that fails often is what is to be measured; it is not to be left alone.
    never = Breaker(threshold=sys.maxsize)
    return OpenAIModel(url, model, api_key=os.environ.get(key_env) or None, breaker=never)
