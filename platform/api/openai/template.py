"""What a request tells the model's chat template besides messages and tools.

What always holds: a request chooses among what the template offers and nothing else: names that the
renderer itself takes, such as another template, are refused.
"""

from typing import Any

from rostra.serving import InvalidParameter

TemplateKwargs = dict[str, str | int | float | bool | None]

_FIELD = "chat_template_kwargs"
_MOST = 32
# Parameters of what calls the renderer; the renderer refuses its own.
_TAKEN = {"self", "messages", "tools", "add_generation_prompt"}


def template_kwargs(given: TemplateKwargs | None, effort: str | None) -> dict[str, Any]:
    """What the template is told; `reasoning_effort` none means not to think.

    Raises:
        InvalidParameter: a name that is no template's to know, or too many.
    """
    told: dict[str, Any] = {}
    if effort is not None:
        told = {"reasoning_effort": effort, "enable_thinking": effort != "none"}
    given = given or {}
    if len(given) > _MOST:
        raise InvalidParameter(f"{_FIELD} has more than {_MOST} entries", field=_FIELD)
    for name in given:
        if name in _TAKEN or not name.isidentifier() or name.startswith("_"):
            raise InvalidParameter(f"{_FIELD} cannot set {name[:100]!r}", field=_FIELD)
    return told | given
