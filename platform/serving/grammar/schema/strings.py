"""Strings: lengths, patterns and formats, intersected as automata.

What always holds: without a pattern or format a string may use every escape; with one, each
character has one spelling.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from rostra.serving.errors import InvalidGrammar
from rostra.serving.grammar import json_ebnf, regular
from rostra.serving.grammar.ebnf import MAX_CHAIN
from rostra.serving.grammar.expr import NEVER, Chars, Expr, Repeat, Text, seq
from rostra.serving.grammar.formats import FORMATS, UNENFORCED, format_expr
from rostra.serving.grammar.regex import parse_regex
from rostra.serving.grammar.schema.atoms import Atom, counts
from rostra.serving.grammar.schema.context import Context

MAX_LENGTH = 20_000


def string(context: Context, atoms: Sequence[Atom]) -> Expr:
    """The strings that satisfy all atoms."""
    least, most = counts(atoms, "minLength", "maxLength")
    languages = [language for atom in atoms for language in languages_of(context, atom)]
    if most is not None and most < least:
        return NEVER
    if least > MAX_LENGTH:
        raise InvalidGrammar(
            f"A string of at least {least:,} characters is too long.",
            hint=f"Lengths up to {MAX_LENGTH:,} are supported.",
        )
    if most is not None and most > MAX_LENGTH:
        context.refuse_any(atoms, "maxLength", f"more than {MAX_LENGTH:,} characters")
        most = None
    if not languages:
        return json_ebnf.string(least, most)
    if len(languages) == 1 and not least and most is None and _is_counted(languages[0]):
        return seq(Text('"'), json_ebnf.in_string(languages[0]), Text('"'))
    try:
        dfa = regular.from_expr(languages[0])
        for language in languages[1:]:
            dfa = regular.intersection(dfa, regular.from_expr(language))
        if least or most is not None:
            dfa = regular.intersection(dfa, regular.lengths(least, most))
    except regular.TooLarge:
        if len(languages) == 1 and not least and most is None:
            return seq(Text('"'), json_ebnf.in_string(languages[0]), Text('"'))
        context.refuse_any(atoms, "pattern", "its conditions are too large to combine")
        return json_ebnf.string()
    return NEVER if dfa.empty else seq(Text('"'), context.language(dfa, Text('"')))


def _is_counted(language: Expr) -> bool:
    """Whether all it does is count characters, and to more than is worth a state for each."""
    return (
        isinstance(language, Repeat)
        and isinstance(language.item, Chars)
        and language.most is not None
        and language.most - language.least > MAX_CHAIN
    )


def languages_of(context: Context, atom: Atom) -> Iterator[Expr]:
    """What a schema's pattern and format admit, as far as they are enforced."""
    if "pattern" in atom.value:
        parsed = pattern_of(context, atom, "pattern", atom.value["pattern"])
        if parsed is not None:
            yield parsed
    if isinstance(name := atom.value.get("format"), str):
        if name in UNENFORCED:
            context.refuse(atom, "format", f"{name} is none of {', '.join(FORMATS)}")
        known = format_expr(name)
        if known is not None:
            yield known


def pattern_of(context: Context, atom: Atom, keyword: str, pattern: Any) -> Expr | None:
    """The texts in which a pattern is found; None if it is no regular one and that is allowed."""
    if not isinstance(pattern, str):
        raise InvalidGrammar(f"{atom.pointer}/{keyword} must be a string.")
    try:
        return parse_regex(pattern, search=True)
    except InvalidGrammar as error:
        context.refuse(atom, keyword, error.message)
        return None
