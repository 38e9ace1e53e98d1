"""Whether no value satisfies two schemas: what `oneOf` needs to be an `anyOf`.

What always holds: it is told from types, constants, required keys and bounds, and only if it is
certain; False means that it cannot be told.
"""

from collections.abc import Sequence

from rostra.serving.grammar.schema.atoms import Atom, constants, required, types_of
from rostra.serving.grammar.schema.context import Context
from rostra.serving.grammar.schema.keys import members
from rostra.serving.grammar.schema.numeric import before, interval

MAX_COMPARED = 200
MAX_DEPTH = 3


def exclusive(context: Context, branches: Sequence[Atom], rest: Sequence[Atom]) -> bool:
    """Whether no value satisfies the rest and two of the branches."""
    flat = [context.flatten([branch, *rest]) for branch in branches]
    left = [each for each in flat if each is not None]
    if len(left) > MAX_COMPARED:
        return False
    return all(_disjoint(context, a, b) for i, a in enumerate(left) for b in left[i + 1 :])


def _disjoint(context: Context, a: Sequence[Atom], b: Sequence[Atom], depth: int = 0) -> bool:
    # "number" comes with "integer", so an integer type meets it there.
    shared = types_of(a) & types_of(b)
    if not shared:
        return True
    for one, other in ((a, b), (b, a)):
        values = constants(one)
        if values is not None:
            return not any(context.holds(value, (*one, *other)) for value in values)
    if shared == {"object"} and depth < MAX_DEPTH:
        return _differ_in_a_key(context, a, b, depth)
    if shared <= {"integer", "number"}:
        low_a, high_a = interval(a)
        low_b, high_b = interval(b)
        return before(high_a, low_b) or before(high_b, low_a)
    return False


def _differ_in_a_key(context: Context, a: Sequence[Atom], b: Sequence[Atom], depth: int) -> bool:
    """Whether both require a key, with disjoint values, or one requires what the other forbids."""
    for key in sorted(required(a).keys() & required(b).keys()):
        inner_a = context.flatten(members(context, a, key))
        inner_b = context.flatten(members(context, b, key))
        if inner_a is None or inner_b is None or _disjoint(context, inner_a, inner_b, depth + 1):
            return True
    return any(
        context.flatten(members(context, other, key)) is None
        for one, other in ((a, b), (b, a))
        for key in required(one)
    )
