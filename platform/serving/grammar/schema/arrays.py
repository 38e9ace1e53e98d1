"""Arrays: the first items by their own schemas, the others by one, in bounded number."""

from collections.abc import Iterable, Sequence

from rostra.serving.errors import InvalidGrammar
from rostra.serving.grammar.expr import NEVER, Expr, Text, alt, repeat, seq
from rostra.serving.grammar.json_ebnf import ITEM_SEPARATOR
from rostra.serving.grammar.schema.atoms import Atom, Conjunction, counts, prefix
from rostra.serving.grammar.schema.context import Context, ValueOf

MAX_ITEMS = 10_000


def array(context: Context, value_of: ValueOf, atoms: Sequence[Atom]) -> Expr:
    """The arrays that satisfy all atoms."""
    least, most = counts(atoms, "minItems", "maxItems")
    fixed = max(len(prefix(atom)[1]) for atom in atoms)
    unique = any(atom.value.get("uniqueItems") is True for atom in atoms)
    if least > MAX_ITEMS:
        raise InvalidGrammar(
            f"An array of at least {least:,} items is too long.",
            hint=f"Counts up to {MAX_ITEMS:,} are supported.",
        )
    if most is not None and most > MAX_ITEMS:
        context.refuse_any(atoms, "maxItems", f"more than {MAX_ITEMS:,} items")
        most = None
    heads = [value_of(_item(atoms, index)) for index in range(fixed)]
    rest = value_of(_item(atoms, fixed))
    # An array ends before the first item that no value satisfies.
    if NEVER in (items := [*heads, rest]):
        first = items.index(NEVER)
        most = first if most is None else min(most, first)
    if most is not None and most < least:
        return NEVER
    if unique and (most is None or most > 1):
        context.refuse_any(atoms, "uniqueItems", "a grammar cannot compare items")
    return _listed(context, heads if most is None else heads[:most], rest, least, most)


def _item(atoms: Iterable[Atom], index: int) -> Conjunction:
    """The schemas that the item at an index must satisfy."""
    found: list[Atom] = []
    for atom in atoms:
        keyword, listed = prefix(atom)
        if index < len(listed):
            found.append(atom.child(keyword, index))
        elif keyword == "items":
            if "additionalItems" in atom.value:
                found.append(atom.child("additionalItems"))
        elif "items" in atom.value:
            found.append(atom.child("items"))
    return tuple(found)


def _listed(
    context: Context, heads: Sequence[Expr], rest: Expr, least: int, most: int | None
) -> Expr:
    """`least` to `most` items, the first ones from `heads`; brackets included."""
    close = Text("]")
    fixed = len(heads)
    separator = Text(ITEM_SEPARATOR)
    more_least = max(0, least - fixed)
    more_most = None if most is None else most - fixed
    if fixed == 0:
        if more_most == 0:
            return Text("[]")
        tail = seq(
            rest,
            repeat(
                seq(separator, rest),
                max(0, more_least - 1),
                None if more_most is None else more_most - 1,
            ),
            close,
        )
        filled = seq(Text("["), tail)
        return filled if least else alt(Text("[]"), filled)
    tail = close
    if more_most != 0 and rest != NEVER:
        tail = seq(repeat(seq(separator, rest), more_least, more_most), close)
    for index in range(fixed - 1, 0, -1):
        onward = seq(separator, heads[index], context.shared(tail))
        tail = onward if least > index else alt(close, onward)
    filled = seq(Text("["), heads[0], context.shared(tail))
    return filled if least else alt(Text("[]"), filled)
