"""Several chat models by name, and the roles that they have, as settings describe both.

What always holds: a model of a name is made once, whatever roles it has; a key comes from a
variable of the environment and stands in no setting.
"""

import os
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from rostra.core import ChatModel, ConfigError
from rostra.models.completion import confident
from rostra.models.make import make_model
from rostra.models.prices import Prices
from rostra.models.remote import OpenAIModel
from rostra.models.route import Cascade, Route, Router

MAIN = "main"
_MOST = 32


class PriceTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """See `Prices`."""

    prompt: float
    completion: float
    cached: float | None = None


class ModelTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A chat model of the settings.

    Attributes:
        url: of an OpenAI-compatible endpoint.
        model: as the endpoint calls it.
        key_env: variable of the environment that has the bearer token; empty sends none.
        prices: of a million tokens.
        context: most tokens of prompt and answer together, where it is known.
        structured_outputs: the endpoint takes vLLM's parameter of this name.
        limit_field: what the endpoint calls the most new tokens.
    """

    url: str
    model: str
    key_env: str = ""
    prices: PriceTable | None = None
    context: int | None = None
    structured_outputs: bool = False
    limit_field: str = "max_tokens"


class ConfiguredModels:
    """The chat models of the settings.

    Args:
        tables: by name, each as `ModelTable`; a cascade asks them in this order.
        roles: name of a model for each role.
        route: what all of them together are as the main model.
        least: how likely an answer must be that a cascade goes on with, 0 to 1.
        first: asked before all others in a cascade; whoever made it closes it.

    Attributes:
        named: the models by name.
        roles: a model for each role that has one of its own.

    Raises:
        ConfigError: a table, a role or a key cannot work.
    """

    def __init__(
        self,
        tables: Mapping[str, Mapping[str, Any]],
        roles: Mapping[str, str],
        route: Literal["", "cascade", "router"] = "",
        least: float = 0.8,
        first: ChatModel | None = None,
    ) -> None:
        if len(tables) > _MOST:
            raise ConfigError(f"chat_models: {len(tables)} are set, {_MOST} are allowed")
        # Only a cascade looks at how likely an answer is.
        scored = route == "cascade"
        self.named = {name: _made(name, given, scored) for name, given in tables.items()}
        self.roles: dict[str, ChatModel] = {}
        for role, name in roles.items():
            if name not in self.named:
                known = ", ".join(self.named) or "none"
                raise ConfigError(f"chat_roles.{role}: there is no chat model {name!r} ({known})")
            self.roles[role] = self.named[name]
        if not route:
            return
        if MAIN in roles:
            raise ConfigError(
                "chat_route: says which model is the main one, as chat_roles.main does"
            )
        models = list(self.named.values())
        if not models:
            raise ConfigError("chat_route: there are no chat_models to choose among")
        if route == "cascade":
            several = [*([first] if first is not None else []), *models]
            self.roles[MAIN] = Cascade(several, confident(least), name=_joined(several))
        else:
            routes = [Route(model, prices=model.prices) for model in models]
            self.roles[MAIN] = Router(routes, name=_joined(models))

    async def close(self) -> None:
        """Ends connections."""
        for model in self.named.values():
            await model.close()


def _made(name: str, given: Mapping[str, Any], scored: bool) -> OpenAIModel:
    place = f"chat_models.{name}"
    try:
        table = msgspec.convert(dict(given), ModelTable)
        key = ""
        if table.key_env:
            key = os.environ.get(table.key_env, "")
            if not key:
                raise ConfigError(f"{table.key_env} is not set in the environment")
        prices = None
        if table.prices is not None:
            prices = Prices(table.prices.prompt, table.prices.completion, table.prices.cached)
        if not table.url:
            raise ConfigError("url: is empty")
        made = make_model(
            url=table.url,
            model=table.model,
            api_key=key or None,
            prices=prices,
            context=table.context,
            structured_outputs=table.structured_outputs,
            limit_field=table.limit_field,
            logprobs=scored,
        )
    except msgspec.ValidationError as error:
        raise ConfigError(f"{place}: {error}") from None
    except ConfigError as error:
        raise ConfigError(f"{place}: {error.message}", hint=error.hint) from None
    if not isinstance(made, OpenAIModel):
        raise RuntimeError("an address makes a remote model")
    return made


def _joined(models: Sequence[ChatModel]) -> str:
    return " > ".join(model.name for model in models)
