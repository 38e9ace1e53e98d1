"""What a generated text is held to: a schema, a pattern, a list, or the words of given passages.

What always holds: constraints are plain values that can be compared, hashed and sent to another
process; whether one can be kept is for the generator to say, before its first word.
"""

import msgspec


class JsonSchema(msgspec.Struct, frozen=True, tag=True):
    """JSON of a schema.

    Attributes:
        schema: the schema as JSON text.
        strict: refuse a schema that cannot be enforced in full; otherwise what is not enforced is
            checked afterwards and reported.
    """

    schema: str
    strict: bool = True


class AnyJson(msgspec.Struct, frozen=True, tag=True):
    """Any JSON object."""


class Regex(msgspec.Struct, frozen=True, tag=True):
    """Text that a regular expression matches from end to end."""

    pattern: str


class Ebnf(msgspec.Struct, frozen=True, tag=True):
    """Text of a grammar in GBNF notation; its start rule is `root`."""

    grammar: str


class Choice(msgspec.Struct, frozen=True, tag=True):
    """One of these texts."""

    options: tuple[str, ...]


class StructuralTag(msgspec.Struct, frozen=True, tag=True):
    """Free text with constrained parts between tags, as xgrammar's structural tags describe."""

    tag: str


class Evidence(msgspec.Struct, frozen=True, tag=True):
    """A JSON array of sentence numbers: `[]` or up to `most` of 1 to `sentences`."""

    sentences: int
    most: int = 8


class Quotes(msgspec.Struct, frozen=True, tag=True):
    """A JSON array of up to `most` strings, each copied word for word from one of the passages."""

    passages: tuple[str, ...]
    most: int = 8


Constraint = JsonSchema | AnyJson | Regex | Ebnf | Choice | StructuralTag | Evidence | Quotes
