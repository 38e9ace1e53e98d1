"""Parameters that several requests share, and what they mean to the engine.

What always holds: null means what leaving a parameter out means; ranges are checked by the engine,
before the first token, with the parameter's name.
"""

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from rostra.api.openai.errors import UnsupportedParameter
from rostra.serving import MAX_SEQUENCES, InvalidParameter, SamplingParams

DEFAULT_MODEL = "default"

ModelName = Annotated[str, Meta(min_length=1, max_length=512)]


class Body(Struct, forbid_unknown_fields=True, kw_only=True):
    """Base of all request bodies and their parts."""


class StreamOptions(Body):
    """How a stream is told; padding against observers of the network is not offered."""

    include_usage: bool | None = None
    include_obfuscation: bool | None = None


class SamplingFields(Body):
    """How tokens are drawn; from `top_k` on beyond what OpenAI takes, named as vLLM does."""

    temperature: float | None = None
    top_p: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logit_bias: dict[int, float] | None = None
    seed: int | None = None
    stop: str | list[str] | None = None
    top_k: int | None = None
    min_p: float | None = None
    repetition_penalty: float | None = None
    min_tokens: int | None = None
    ignore_eos: bool | None = None
    stop_token_ids: list[int] | None = None


class StructuredOutputs(Body):
    """What the text is held to; exactly one of them."""

    json: dict[str, Any] | str | None = None
    regex: str | None = None
    choice: list[str] | None = None
    grammar: str | None = None
    json_object: bool | None = None
    structural_tag: dict[str, Any] | str | None = None


class TextFormat(Body, tag="text"):
    """Plain text."""


class JsonObjectFormat(Body, tag="json_object"):
    """Any JSON object."""


class NamedSchema(Body):
    """A JSON schema; not strict, what cannot be enforced is checked afterwards."""

    name: Annotated[str, Meta(min_length=1, max_length=64)]
    schema: dict[str, Any] | None = None
    description: str | None = None
    strict: bool | None = None


class JsonSchemaFormat(Body, tag="json_schema"):
    """JSON of a schema."""

    json_schema: NamedSchema


ResponseFormat = TextFormat | JsonObjectFormat | JsonSchemaFormat

# What only tells OpenAI whose request it is, or how to bill or route it: taken and left alone.
Ignored = str | None


def sampling_params(fields: SamplingFields, **more: Any) -> SamplingParams:
    """The engine's parameters; `more` fills in what requests name differently."""
    given = {
        name: value
        for name in SamplingFields.__struct_fields__
        if (value := getattr(fields, name)) is not None
    }
    if isinstance(stop := given.get("stop"), str):
        given["stop"] = (stop,)
    for name in ("stop", "stop_token_ids"):
        if name in given:
            given[name] = tuple(given[name])
    if given.get("top_k") == -1:  # how vLLM says: all
        given["top_k"] = 0
    return SamplingParams(**(given | more))


def checked_n(n: int | None) -> int:
    """How many sequences.

    Raises:
        InvalidParameter: none, or too many.
    """
    if n is None:
        return 1
    if not 1 <= n <= MAX_SEQUENCES:
        raise InvalidParameter(f"n must be 1 to {MAX_SEQUENCES}", field="n")
    return n


def refuse(name: str, value: object, *allowed: object, why: str) -> None:
    """Refuses a value that OpenAI offers and this server does not.

    Raises:
        UnsupportedParameter: it is neither None nor among `allowed`.
    """
    if value is not None and value not in allowed:
        raise UnsupportedParameter(f"{name}: {why}", field=name)


ToolChoiceMode = Literal["none", "auto", "required"]
