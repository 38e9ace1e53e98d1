"""Constraints to grammars.

What always holds: a constraint becomes a grammar that admits exactly what it describes, or is
refused; a schema that is not strict may become a wider one, and is checked afterwards.
"""

from rostra.core import (
    AnyJson,
    Choice,
    Constraint,
    Ebnf,
    Evidence,
    JsonSchema,
    Regex,
    StructuralTag,
)
from rostra.serving.errors import InvalidGrammar
from rostra.serving.grammar.evidence import evidence_grammar
from rostra.serving.grammar.expr import Grammar, Text, alt
from rostra.serving.grammar.gbnf import parse_gbnf
from rostra.serving.grammar.json_ebnf import any_object_grammar
from rostra.serving.grammar.regex import parse_regex
from rostra.serving.grammar.schema import schema_grammar
from rostra.serving.grammar.structural import structural_grammar


def translate(constraint: Constraint, named: dict[str, int]) -> Grammar:
    """The grammar of a constraint other than `Quotes`.

    Args:
        constraint: what the text is held to.
        named: special tokens by name, for structural tags.

    Raises:
        InvalidGrammar: if it cannot be read.
        UnsupportedSchema: if a strict schema cannot be enforced in full.
    """
    match constraint:
        case JsonSchema(schema, strict):
            return schema_grammar(schema, strict=strict)
        case AnyJson():
            return any_object_grammar()
        case Regex(pattern):
            return Grammar({"root": parse_regex(pattern)})
        case Ebnf(grammar):
            return parse_gbnf(grammar)
        case Choice(options):
            if not options:
                raise InvalidGrammar("A choice needs at least one option.")
            return Grammar({"root": alt(*map(Text, options))})
        case StructuralTag(tag):
            return structural_grammar(tag, named)
        case Evidence():
            return evidence_grammar(constraint)
        case _:
            raise InvalidGrammar(f"{type(constraint).__name__} is no grammar.")
