"""What is asked of the engine, by the names that the request gave it.

What always holds: an error of the engine about a parameter names the field that was sent, and one
about a grammar the field that the grammar came from; class, status and code of an error stay.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from rostra.core import InvalidRequest
from rostra.serving import InvalidGrammar, UnsupportedSchema


@dataclass(frozen=True, slots=True)
class FieldNames:
    """Where a request says what.

    Attributes:
        prompt: what the prompt was given as.
        limits: fields by the engine's names of them, where these differ.
        constraint: the field that the text's constraint came from.
        tools: the fields of arguments' schemas, by the tools' names.
    """

    prompt: str = "prompt"
    limits: Mapping[str, str] = field(default_factory=dict)
    constraint: str | None = None
    tools: Mapping[str, str] = field(default_factory=dict)

    def told(self, error: InvalidRequest) -> InvalidRequest:
        """The error as the request's sender understands it."""
        details = dict(error.details)
        named = details.get("field")
        if named is None and isinstance(error, InvalidGrammar | UnsupportedSchema):
            at = self.tools.get(details.get("tool", ""), self.constraint)
            message = f"{at}: {error.message}" if at else error.message
            return type(error)(message, hint=error.hint, **details | {"field": at})
        if named is not None:
            details["field"] = self.prompt if named == "prompt" else self.limits.get(named, named)
        # All other messages are the engine's own words, with no text of the sender in them.
        hint = self._renamed(error.hint) if error.hint else None
        return type(error)(self._renamed(error.message), hint=hint, **details)

    def _renamed(self, text: str) -> str:
        for ours, theirs in self.limits.items():
            text = re.sub(rf"\b{ours}\b", theirs, text)
        return text
