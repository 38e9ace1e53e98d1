"""Numbers: bounds and multiples, as ranges of their digits."""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from fractions import Fraction
from math import gcd, lcm

from rostra.serving.errors import InvalidGrammar
from rostra.serving.grammar import json_ebnf
from rostra.serving.grammar.expr import NEVER, Expr, Rule
from rostra.serving.grammar.numbers import Bound, decimals, integers, multiples
from rostra.serving.grammar.schema.atoms import Atom, decimal
from rostra.serving.grammar.schema.context import Context

# What follows the first digit of an integer.
_DIGITS = json_ebnf.INTEGER_DIGITS - 1
_NO_MULTIPLES = "only powers of ten, or a bounded range"


def number(context: Context, kind: str, atoms: Sequence[Atom]) -> Expr:
    """The numbers of a kind, "integer" or "number", that satisfy all atoms."""
    low, high = interval(atoms)
    step = _step(atoms)
    if kind == "integer" or (step is not None and step.denominator == 1):
        first = None if low is None else _ceil(*low)
        last = None if high is None else _floor(*high)
        return _whole(context, atoms, first, last, step)
    places = None
    if step is not None:
        places = _places(step)
        if places is None:
            context.refuse_any(atoms, "multipleOf", _NO_MULTIPLES)
    if low is None and high is None and places is None:
        return Rule("any_number") if "any_value" in context.rules else json_ebnf.number()
    return decimals(low, high, places)


def _whole(
    context: Context,
    atoms: Sequence[Atom],
    first: int | None,
    last: int | None,
    step: Fraction | None,
) -> Expr:
    """The integers from `first` to `last` that are multiples of the step."""
    if first is not None and last is not None and first > last:
        return NEVER
    # An integer is a multiple of n/m in lowest terms exactly if it is one of n.
    if step is None or step.numerator == 1:
        return integers(first, last, digits=_DIGITS)
    found = multiples(step.numerator, first, last, _DIGITS)
    if found is None:
        context.refuse_any(atoms, "multipleOf", _NO_MULTIPLES)
        return integers(first, last, digits=_DIGITS)
    return found


def interval(atoms: Iterable[Atom]) -> tuple[Bound | None, Bound | None]:
    """The tightest bounds on both sides; None is none."""
    low: Bound | None = None
    high: Bound | None = None
    for atom in atoms:
        for bound in _bounds(atom, "minimum", "exclusiveMinimum"):
            low = bound if low is None else max(low, bound)
        for bound in _bounds(atom, "maximum", "exclusiveMaximum"):
            if high is None or (bound[0], not bound[1]) < (high[0], not high[1]):
                high = bound
    return low, high


def _bounds(atom: Atom, included: str, excluded: str) -> Iterable[Bound]:
    """A schema's bounds on one side; in draft 4 the second keyword only qualifies the first."""
    for keyword in (included, excluded):
        if keyword in atom.value and not isinstance(atom.value[keyword], bool):
            open_end = keyword == excluded or atom.value.get(excluded) is True
            yield decimal(atom, keyword), open_end


def before(high: Bound | None, low: Bound | None) -> bool:
    """Whether everything up to `high` is less than everything from `low`."""
    if high is None or low is None:
        return False
    return high[0] < low[0] or (high[0] == low[0] and (high[1] or low[1]))


def _step(atoms: Iterable[Atom]) -> Fraction | None:
    """What all values must be multiples of."""
    step: Fraction | None = None
    for atom in atoms:
        if "multipleOf" in atom.value:
            each = Fraction(decimal(atom, "multipleOf"))
            if each <= 0:
                raise InvalidGrammar(f"{atom.pointer}/multipleOf must be above 0.")
            step = each if step is None else _common_multiple(step, each)
    return step


def _common_multiple(a: Fraction, b: Fraction) -> Fraction:
    return Fraction(lcm(a.numerator, b.numerator), gcd(a.denominator, b.denominator))


def _places(step: Fraction) -> int | None:
    """Decimal places of the multiples of 1/10^n, None if the step is something else."""
    if step.numerator != 1:
        return None
    power = len(str(step.denominator)) - 1
    return power if step.denominator == 10**power and power <= 10 else None


def _ceil(value: Decimal, excluded: bool) -> int:
    whole = int(value.to_integral_value("ROUND_CEILING"))
    return whole + 1 if excluded and whole == value else whole


def _floor(value: Decimal, excluded: bool) -> int:
    whole = int(value.to_integral_value("ROUND_FLOOR"))
    return whole - 1 if excluded and whole == value else whole
