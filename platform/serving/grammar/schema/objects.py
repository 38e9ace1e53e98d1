"""Objects: declared keys in their order, then others, as many as are allowed.

What always holds: a declared key is written at most once; others may be repeated, since a grammar
cannot remember them.
"""

from collections.abc import Iterable, Mapping, Sequence

from rostra.serving.grammar import json_ebnf, regular
from rostra.serving.grammar.expr import EMPTY, NEVER, Expr, Text, alt, optional, repeat, seq
from rostra.serving.grammar.json_ebnf import ITEM_SEPARATOR, KEY_SEPARATOR
from rostra.serving.grammar.schema import keys
from rostra.serving.grammar.schema.atoms import Atom, counts, required
from rostra.serving.grammar.schema.context import Context, ValueOf

MAX_COUNTED_PROPERTIES = 48
MAX_KEY_PATTERNS = 4

Member = tuple[Expr, bool]
# A key and its value, and whether it is required.
_COMMA, _OPEN, _CLOSE = Text(ITEM_SEPARATOR), Text("{"), Text("}")


def object_(context: Context, value_of: ValueOf, atoms: Sequence[Atom]) -> Expr:
    """The objects that satisfy all atoms."""
    needed = required(atoms)
    least, most = counts(atoms, "minProperties", "maxProperties")
    names = {name: None for atom in atoms for name in atom.value.get("properties", {})} | needed
    members: list[Member] = []
    for name in names:
        value = _named(context, value_of, atoms, name)
        if value == NEVER:
            if name in needed:
                return NEVER
            continue
        key = seq(json_ebnf.literal(name), Text(KEY_SEPARATOR))
        members.append((seq(key, value), name in needed))
    others = _others(context, value_of, atoms, names)
    _check_dependent(context, atoms, needed)
    if most is not None and len(needed) > most:
        return NEVER
    if least > len(members) and others == NEVER:
        return NEVER
    if least <= len(needed) and (most is None or (others == NEVER and most >= len(members))):
        return _listed(context, members, others)
    return _counted(context, atoms, members, others, least, most)


def _named(context: Context, value_of: ValueOf, atoms: Sequence[Atom], name: str) -> Expr:
    for atom in atoms:
        if "propertyNames" in atom.value and not keys.allowed(context, atom).accepts(name):
            return NEVER
    return value_of(tuple(keys.members(context, atoms, name)))


def _others(
    context: Context, value_of: ValueOf, atoms: Sequence[Atom], names: Iterable[str]
) -> Expr:
    """A member under a key that is not declared; NEVER if there may be none."""
    patterns: dict[str, regular.Dfa] = {}
    for atom in atoms:
        for pattern in atom.value.get("patternProperties", {}):
            patterns[pattern] = keys.matching(context, atom, pattern)
    additional = [
        atom.value["additionalProperties"] for atom in atoms if "additionalProperties" in atom.value
    ]
    if additional and not patterns and all(each is False for each in additional):
        return NEVER
    if len(patterns) > MAX_KEY_PATTERNS:
        why = f"more than {MAX_KEY_PATTERNS} patterns"
        context.refuse_any(atoms, "patternProperties", why)
        patterns = {}
    try:
        free = regular.complement(regular.words(names))
        for atom in atoms:
            if "propertyNames" in atom.value:
                free = regular.intersection(free, keys.allowed(context, atom))
        options: list[Expr] = []
        for chosen, language in keys.classes(list(patterns.items()), free):
            if language.empty:
                continue
            value = value_of(_undeclared(atoms, chosen))
            if value != NEVER:
                key = context.language(language, Text('"' + KEY_SEPARATOR))
                options.append(seq(Text('"'), key, value))
    except regular.TooLarge:
        context.refuse_any(atoms, "patternProperties", "its keys are too large to tell apart")
        return NEVER
    return context.shared(alt(*options)) if options else NEVER


def _undeclared(atoms: Iterable[Atom], matched: frozenset[str]) -> tuple[Atom, ...]:
    """What the value of a key that matches these patterns, and is not declared, must satisfy."""
    found: list[Atom] = []
    for atom in atoms:
        own = [each for each in atom.value.get("patternProperties", {}) if each in matched]
        found += [atom.child("patternProperties", each) for each in own]
        if not own and "additionalProperties" in atom.value:
            found.append(atom.child("additionalProperties"))
    return tuple(found)


def _check_dependent(context: Context, atoms: Iterable[Atom], needed: Mapping[str, None]) -> None:
    for atom in atoms:
        for key, asked in atom.value.get("dependentRequired", {}).items():
            if any(each not in needed for each in asked):
                why = f"what {key!r} asks for is not required anyway"
                context.refuse(atom, "dependentRequired", why)


def _listed(context: Context, members: Sequence[Member], others: Expr) -> Expr:
    """Members in order, optional ones left out or not, then others in any number."""
    more = repeat(seq(_COMMA, others), 0, None) if others != NEVER else EMPTY
    # What may follow once a member has been written, from the last one back.
    after: list[Expr] = [context.shared(seq(more, _CLOSE))]
    for member, needed in reversed(members):
        following = after[-1]
        onward = seq(_COMMA, member)
        after.append(context.shared(seq(onward if needed else optional(onward), following)))
    after.reverse()
    options: list[Expr] = []
    for index, (member, needed) in enumerate(members):
        options.append(seq(_OPEN, member, after[index + 1]))
        if needed:
            break
    else:
        if others != NEVER:
            options.append(seq(_OPEN, others, after[-1]))
        options.append(Text("{}"))
    return alt(*options)


def _counted(
    context: Context,
    atoms: Sequence[Atom],
    members: Sequence[Member],
    others: Expr,
    least: int,
    most: int | None,
) -> Expr:
    """As `_listed`, with a number of members.

    Members under keys that are not declared may repeat a key, so any number of them counts as one
    towards the least, and each as one towards the most.
    """
    if len(members) > MAX_COUNTED_PROPERTIES or (most or least) > 10 * MAX_COUNTED_PROPERTIES:
        keyword = "maxProperties" if most is not None else "minProperties"
        context.refuse_any(atoms, keyword, "too many properties to count")
        return _listed(context, members, others)
    if others != NEVER and least > len(members) + 1:
        context.refuse_any(atoms, "minProperties", "keys that are not declared may repeat")
        least = len(members) + 1
    memo: dict[tuple[int, int], Expr] = {}

    def rest(index: int, count: int) -> Expr:
        """What follows when `count` members are written and `index` were passed."""
        if (index, count) in memo:
            return memo[index, count]
        lead = _COMMA if count else EMPTY
        if index == len(members):
            options: list[Expr] = [_CLOSE] if count >= least else []
            room = None if most is None else most - count
            if others != NEVER and room != 0 and count + 1 >= least:
                again = repeat(seq(_COMMA, others), 0, None if room is None else room - 1)
                options.append(seq(lead, others, again, _CLOSE))
            found = alt(*options) if options else NEVER
        else:
            member, needed = members[index]
            options = []
            if most is None or count < most:
                options.append(seq(lead, member, rest(index + 1, count + 1)))
            if not needed:
                options.append(rest(index + 1, count))
            found = alt(*(each for each in options if each != NEVER))
        memo[index, count] = found if found == NEVER else context.shared(found)
        return memo[index, count]

    return seq(_OPEN, rest(0, 0))
