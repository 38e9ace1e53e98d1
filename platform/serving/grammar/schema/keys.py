"""The keys of objects as automata: which are allowed, and what their values must satisfy."""

from collections.abc import Iterable, Iterator, Sequence

from rostra.serving.grammar import regular
from rostra.serving.grammar.schema.atoms import Atom, constants, counts, types_of
from rostra.serving.grammar.schema.context import Context
from rostra.serving.grammar.schema.keywords import ANNOTATIONS, ENFORCED, REFUSED
from rostra.serving.grammar.schema.strings import languages_of, pattern_of

_NO_KEY = regular.Dfa(((),), (False,))
# What `propertyNames` may say of a key.
_OF_NAMES = frozenset({"type", "pattern", "minLength", "maxLength", "enum", "const", "format"})


def members(context: Context, atoms: Iterable[Atom], key: str) -> list[Atom]:
    """The schemas that the value of a key must satisfy."""
    found: list[Atom] = []
    for atom in atoms:
        value = atom.value
        named = False
        if key in value.get("properties", {}):
            found.append(atom.child("properties", key))
            named = True
        for pattern in value.get("patternProperties", {}):
            if matching(context, atom, pattern).accepts(key):
                found.append(atom.child("patternProperties", pattern))
                named = True
        if not named and "additionalProperties" in value:
            found.append(atom.child("additionalProperties"))
    return found


def matching(context: Context, atom: Atom, pattern: str) -> regular.Dfa:
    """The keys that a pattern of `patternProperties` matches; none where that cannot be told."""
    parsed = pattern_of(context, atom, "patternProperties", pattern)
    return _NO_KEY if parsed is None else regular.from_expr(parsed)


def allowed(context: Context, atom: Atom) -> regular.Dfa:
    """The keys that `propertyNames` allows; all of them where that cannot be told."""
    dfa = regular.lengths(0, None)
    flat = context.flatten([atom.child("propertyNames")])
    if flat is None:
        return _NO_KEY
    for each in flat:
        left = set(each.value) - ANNOTATIONS - _OF_NAMES
        if left & (ENFORCED.keys() | REFUSED.keys()):
            context.refuse(atom, "propertyNames", f"{sorted(left)[0]} of keys")
        if "string" not in types_of([each]):
            return _NO_KEY
        values = constants([each])
        try:
            if values is not None:
                texts = [value for value in values if isinstance(value, str)]
                dfa = regular.intersection(dfa, regular.words(texts))
            for language in languages_of(context, each):
                dfa = regular.intersection(dfa, regular.from_expr(language))
            least, most = counts([each], "minLength", "maxLength")
            if most is not None and most < least:
                return _NO_KEY
            if least or most is not None:
                dfa = regular.intersection(dfa, regular.lengths(least, most))
        except regular.TooLarge:
            context.refuse(atom, "propertyNames", "its conditions are too large to combine")
    return dfa


def classes(
    patterns: Sequence[tuple[str, regular.Dfa]], language: regular.Dfa
) -> Iterator[tuple[frozenset[str], regular.Dfa]]:
    """The keys of a language, by which of the patterns they match."""
    if not patterns:
        yield frozenset(), language
        return
    (pattern, matched), *rest = patterns
    inside = regular.intersection(language, matched)
    if not inside.empty:
        for chosen, found in classes(rest, inside):
            yield chosen | {pattern}, found
    outside = regular.intersection(language, regular.complement(matched))
    if not outside.empty:
        yield from classes(rest, outside)
