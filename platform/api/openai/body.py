"""Request bodies: JSON, read strictly into the shapes of this package.

What always holds: a parameter that no shape names is refused with the names of all such parameters;
numbers, strings and booleans are never taken for each other; a body that is no JSON, no UTF-8 or
nested beyond reason is the client's error.
"""

import re
from typing import Any, TypeVar

import msgspec
from litestar import Request

from rostra.api.openai.errors import InvalidBody, UnknownParameter, UnsupportedParameter
from rostra.api.openai.surrogates import find_half

T = TypeVar("T", bound=msgspec.Struct)

# Long prompts as token ids are the largest bodies.
MAX_BODY_BYTES = 16 * 1024 * 1024

# Parameters of OpenAI's own that are refused with a reason instead of as unknown.
_NOT_OFFERED = {
    "audio",
    "background",
    "best_of",
    "context_management",
    "conversation",
    "function_call",
    "functions",
    "max_tool_calls",
    "modalities",
    "moderation",
    "prediction",
    "prompt",
    "suffix",
    "truncation",
    "verbosity",
    "web_search_options",
}
_AT = re.compile(r"(.*?) - at (?:`\w+` in )?`\$\.?(.*)`", re.DOTALL)
_NAMED = re.compile(r"(?:unknown|missing required) field `([^`]*)`")


async def read_body(request: Request[Any, Any, Any], shape: type[T]) -> T:
    """The request's body.

    Raises:
        InvalidBody: it is no JSON object of this shape.
        UnknownParameter: it names parameters that the shape lacks.
        UnsupportedParameter: these are OpenAI's, but not offered here.
    """
    return decode(await request.body(), shape)


def decode(body: bytes, shape: type[T]) -> T:
    """JSON text as a shape; raises as `read_body` does."""
    return convert(parse(body), shape)


def parse(body: bytes) -> Any:
    """JSON text as plain values.

    Raises:
        InvalidBody: it is no JSON.
    """
    try:
        return msgspec.json.decode(body)
    except UnicodeDecodeError as error:
        raise InvalidBody(f"the body is no UTF-8: {error.reason}") from None
    except msgspec.MsgspecError as error:
        if (half := find_half(body)) is not None:
            raise InvalidBody(
                f"{half.path or 'the body'}: {half.message}",
                hint="Send the character whole, or leave it out.",
                field=half.path or None,
            ) from None
        raise InvalidBody(f"the body is no valid JSON: {error}") from None
    except RecursionError:
        raise InvalidBody("the body is nested too deeply") from None


def convert(value: Any, shape: type[T]) -> T:
    """Plain values as a shape; raises as `read_body` does."""
    if not isinstance(value, dict):
        raise InvalidBody("the body must be a JSON object")
    _refuse_unknown(value, shape)
    try:
        return msgspec.convert(value, shape, str_keys=True)
    except msgspec.ValidationError as error:
        message, field = _located(str(error))
        raise InvalidBody(f"{field}: {message}" if field else message, field=field) from None
    except RecursionError:
        raise InvalidBody("the body is nested too deeply") from None


def _refuse_unknown(value: dict[str, Any], shape: type[msgspec.Struct]) -> None:
    known = set(shape.__struct_encode_fields__)
    unknown = [str(name)[:100] for name in value if name not in known]
    if not unknown:
        return
    names = ", ".join(unknown[:20])
    if all(name in _NOT_OFFERED for name in unknown):
        raise UnsupportedParameter(f"not supported: {names}", field=unknown[0])
    raise UnknownParameter(
        f"unknown parameter{'s' if len(unknown) > 1 else ''}: {names}", field=unknown[0]
    )


def _located(text: str) -> tuple[str, str | None]:
    """msgspec's message and the path it is about, as `messages[0].role`."""
    found = _AT.fullmatch(text)
    message, path = (found[1], found[2]) if found else (text, "")
    if named := _NAMED.search(message):
        path = f"{path}.{named[1]}" if path else named[1]
    return message, path or None
