"""Arithmetic over expressions: exact where the operations are, bounded whatever is written.

What always holds: numbers are fractions of integers, so `0.1 + 0.2` is 0.3; a number is exact until
a root, a logarithm or an angle makes it approximate, and stays so from there on. No number has more
than `MAX_BITS` bits at any step, and how large a result gets is known before it is computed, so
every expression ends within milliseconds. Only what is named here is ever called.
"""

import ast
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Context, Decimal, DivisionByZero, InvalidOperation, Overflow, Underflow
from fractions import Fraction

from rostra.core import InvalidRequest

MAX_CHARS = 1_000
MAX_DEPTH = 100
MAX_BITS = 10_000  # about 3,000 digits

_MAX_EXPONENT = 3_000  # of a number written as 1e5
_EXACT_CHARS = 100  # decimal fractions up to this length are written out
_EXACT_DIGITS = 30
_APPROXIMATE_DIGITS = 15
_MAX_ROOT = 64
_MAX_CHOICE = 10**12
_SPELLINGS = str.maketrans({"×": "*", "·": "*", "÷": "/", "−": "-", "–": "-", "^": "**"})
_FLOAT = re.compile(r"(?P<mantissa>[0-9_]*\.?[0-9_]*)(?:[eE](?P<exponent>[+-]?[0-9_]+))?")


@dataclass(frozen=True, slots=True)
class Number:
    """A value, and whether it is exactly what the expression says."""

    value: Fraction
    exact: bool = True


def evaluate(expression: str) -> Number:
    """Computes an expression in Python's notation; `^` is a power too.

    Raises:
        InvalidRequest: it is none, is too large, or has no real value.
    """
    node, source = _parse(expression)
    try:
        return _evaluate(node, source, 0)
    except ZeroDivisionError:
        raise InvalidRequest("division by zero") from None
    except (Overflow, Underflow, OverflowError):
        raise _too_large() from None
    except (InvalidOperation, ValueError):
        raise InvalidRequest("the expression has no real value") from None


def decimal_text(number: Number) -> tuple[str, bool]:
    """A number in decimal notation, and whether that is exactly its value."""
    value = number.value
    if number.exact and value.denominator == 1:
        return str(value.numerator), True
    if number.exact and (written := _terminating(value)) is not None:
        return written, True
    digits = _EXACT_DIGITS if number.exact else _APPROXIMATE_DIGITS
    context = Context(prec=digits, Emax=2 * MAX_BITS, Emin=-2 * MAX_BITS)
    rounded = _to_decimal(value, context).normalize(context)
    plain = -7 <= rounded.adjusted() < digits
    return (f"{rounded:f}" if plain else str(rounded)), False


def bounded(value: Fraction, exact: bool) -> Number:
    """A number that can go on being computed with.

    Raises:
        InvalidRequest: it has more than `MAX_BITS` bits.
        decimal.Overflow, decimal.Underflow: the same of one that is not exact.
    """
    if max(abs(value.numerator).bit_length(), value.denominator.bit_length()) > MAX_BITS:
        raise _too_large()
    return Number(value) if exact else _approximate(_to_decimal(value, _context()))


def _parse(expression: str) -> tuple[ast.expr, str]:
    """The expression's tree, and the one line of text that its places count in."""
    if len(expression) > MAX_CHARS:
        raise InvalidRequest(
            f"the expression has {len(expression)} characters",
            hint=f"Keep it to {MAX_CHARS}; compute its parts one by one.",
        )
    source = " ".join(expression.translate(_SPELLINGS).split())
    if not source:
        raise InvalidRequest("the expression is empty")
    if not source.isascii():
        strange = next(char for char in source if not char.isascii())
        raise InvalidRequest(f"{strange!r} is not known here", hint="Write + - * / // % ** ( ).")
    try:
        return ast.parse(source, mode="eval").body, source
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        reason = error.msg if isinstance(error, SyntaxError) else "it is nested too deeply"
        raise InvalidRequest(
            f"the expression cannot be read: {reason}",
            hint="Write it as in Python: 2 * (3 + 4) ** 2, sqrt(2), 1e6.",
        ) from None


def _evaluate(node: ast.expr, source: str, depth: int) -> Number:
    if depth > MAX_DEPTH:
        raise InvalidRequest("the expression is nested too deeply")
    match node:
        case ast.BinOp():
            # A long sum is one deep left branch: walked here, not down the stack.
            spine = [node]
            while isinstance(spine[-1].left, ast.BinOp):
                spine.append(spine[-1].left)
            number = _evaluate(spine[-1].left, source, depth + 1)
            for step in reversed(spine):
                number = _combine(step.op, number, _evaluate(step.right, source, depth + 1))
            return number
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            inner = _evaluate(operand, source, depth + 1)
            return Number(-inner.value, inner.exact)
        case ast.UnaryOp(op=ast.UAdd(), operand=operand):
            return _evaluate(operand, source, depth + 1)
        case ast.Constant(value=bool() | None | str() | bytes() | complex()):
            raise InvalidRequest(f"{str(node.value)[:50]!r} is no real number")
        case ast.Constant():
            return _literal(source[node.col_offset : node.end_col_offset])
        case ast.Name(id=name):
            if name not in _CONSTANTS:
                raise InvalidRequest(
                    f"there is no constant {name[:50]!r}",
                    hint=f"Constants: {', '.join(_CONSTANTS)}. For units use convert.",
                )
            return Number(_CONSTANTS[name], False)
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]):
            function = _function(name)
            numbers = [_evaluate(argument, source, depth + 1) for argument in arguments]
            return function(name, numbers)
        case ast.Tuple():
            raise InvalidRequest(
                "a comma stands where none can", hint="Write 1000, not 1,000, and 0.5, not 0,5."
            )
    raise InvalidRequest(
        "the expression holds something other than numbers, + - * / // % ** and functions",
        hint=f"Functions: {', '.join(sorted(_FUNCTIONS))}.",
    )


def _literal(text: str) -> Number:
    text = text.replace("_", "")
    found = _FLOAT.fullmatch(text)
    if found is None or text.isdecimal():
        return bounded(Fraction(int(text, 0)), True)
    exponent = found["exponent"] or "0"
    if len(exponent) > 6 or abs(int(exponent)) > _MAX_EXPONENT:
        raise _too_large()
    return bounded(Fraction(text), True)


def _combine(operator: ast.operator, left: Number, right: Number) -> Number:
    exact = left.exact and right.exact
    a, b = left.value, right.value
    match operator:
        case ast.Add():
            return bounded(a + b, exact)
        case ast.Sub():
            return bounded(a - b, exact)
        case ast.Mult():
            return bounded(a * b, exact)
        case ast.Div():
            return bounded(a / b, exact)
        case ast.FloorDiv():
            return bounded(Fraction(a // b), exact)
        case ast.Mod():
            return bounded(a % b, exact)
        case ast.Pow():
            return _power(left, right)
    raise InvalidRequest("the operators are + - * / // % **")


def _power(base: Number, exponent: Number) -> Number:
    exact = base.exact and exponent.exact
    a, b = base.value, exponent.value
    if b.denominator == 1:
        return bounded(_whole_power(a, b.numerator), exact)
    if a < 0:
        raise InvalidRequest("a negative number has no real power that is not whole")
    if exact and b.denominator <= _MAX_ROOT:
        top, bottom = _root(a.numerator, b.denominator), _root(a.denominator, b.denominator)
        if top is not None and bottom is not None:
            return bounded(_whole_power(Fraction(top, bottom), b.numerator), True)
    context = _context()
    return _approximate(context.power(_to_decimal(a, context), _to_decimal(b, context)))


def _whole_power(base: Fraction, exponent: int) -> Fraction:
    if abs(base) == 1 or (base == 0 and exponent > 0):
        return base if exponent % 2 else base * base
    bits = max(abs(base.numerator).bit_length(), base.denominator.bit_length())
    # 2 ** n has n + 1 bits, so a base counts with one less than it has.
    if (bits - 1) * abs(exponent) > MAX_BITS:
        raise _too_large()
    return Fraction(base**exponent)


def _root(number: int, degree: int) -> int | None:
    """The whole root, if there is one."""
    if number < 2:
        return number
    if degree == 2:
        root = math.isqrt(number)
    else:  # Newton's method on integers, from above
        root = 1 << -(-number.bit_length() // degree)
        while True:
            lower = ((degree - 1) * root + number // root ** (degree - 1)) // degree
            if lower >= root:
                break
            root = lower
    return root if root**degree == number else None


def _approximate(value: Decimal) -> Number:
    if not value.is_finite():
        raise ValueError("no real value")
    return Number(Fraction(value), False)


def _too_large() -> InvalidRequest:
    return InvalidRequest(
        "the numbers get too large or too small",
        hint="Up to about 3,000 digits before and after the point can be computed with.",
    )


def _context() -> Context:
    # With its 50 digits, a number at either end still has fewer than MAX_BITS bits as a fraction.
    traps = [Overflow, Underflow, InvalidOperation, DivisionByZero]
    return Context(prec=50, Emax=2_940, Emin=-2_940, traps=traps)


def _to_decimal(value: Fraction, context: Context) -> Decimal:
    return context.divide(Decimal(value.numerator), Decimal(value.denominator))


def _terminating(value: Fraction) -> str | None:
    """All digits of a decimal fraction; None if they never end or are many."""
    rest, places = value.denominator, 0
    for factor in (2, 5):
        count = 0
        while rest % factor == 0:
            rest //= factor
            count += 1
            if count > _EXACT_CHARS:
                return None
        places = max(places, count)
    if rest != 1:
        return None
    digits = str(abs(value.numerator) * 10**places // value.denominator).rjust(places + 1, "0")
    if len(digits) > _EXACT_CHARS:
        return None
    return f"{'-' if value < 0 else ''}{digits[:-places]}.{digits[-places:]}"


# --- Functions: each takes its name and its arguments ---------------------------------------------

Function = Callable[[str, Sequence[Number]], Number]


def _function(name: str) -> Function:
    if name not in _FUNCTIONS:
        raise InvalidRequest(
            f"there is no function {name[:50]!r}",
            hint=f"Functions: {', '.join(sorted(_FUNCTIONS))}.",
        )
    return _FUNCTIONS[name]


def _take(name: str, given: Sequence[Number], least: int, most: int | None = None) -> bool:
    """Checks how many arguments there are; returns whether all are exact."""
    most = least if most is None else most
    if not least <= len(given) <= most:
        wanted = f"{least}" if least == most else f"{least} to {most}"
        raise InvalidRequest(f"{name} takes {wanted} numbers, not {len(given)}")
    return all(number.exact for number in given)


def _on_fractions(
    compute: Callable[..., Fraction | int], least: int = 1, most: int | None = None
) -> Function:
    """A function that is exact on exact numbers."""

    def call(name: str, given: Sequence[Number]) -> Number:
        exact = _take(name, given, least, most)
        return bounded(Fraction(compute(*(number.value for number in given))), exact)

    return call


def _on_integers(compute: Callable[..., int], least: int = 1, most: int | None = None) -> Function:
    """A function of whole numbers."""

    def call(name: str, given: Sequence[Number]) -> Number:
        exact = _take(name, given, least, most)
        for number in given:
            if number.value.denominator != 1:
                raise InvalidRequest(f"{name} takes whole numbers")
        return bounded(Fraction(compute(*(number.value.numerator for number in given))), exact)

    return call


def _on_decimals(compute: Callable[[Context, Decimal], Decimal]) -> Function:
    """A function that has no exact value in general, to 50 digits."""

    def call(name: str, given: Sequence[Number]) -> Number:
        _take(name, given, 1)
        context = _context()
        return _approximate(compute(context, _to_decimal(given[0].value, context)))

    return call


def _on_floats(compute: Callable[[float], float]) -> Function:
    """A function of angles, to about 15 digits."""

    def call(name: str, given: Sequence[Number]) -> Number:
        _take(name, given, 1)
        return bounded(Fraction(compute(float(given[0].value))), False)

    return call


def _nth_root(degree: int) -> Function:
    def call(name: str, given: Sequence[Number]) -> Number:
        _take(name, given, 1)
        return _power(given[0], Number(Fraction(1, degree)))

    return call


def _logarithm(name: str, given: Sequence[Number]) -> Number:
    if len(given) == 1:
        raise InvalidRequest("log takes a base too: log(8, 2); or use ln, log10, log2")
    _take(name, given, 2)
    context = _context()
    top, bottom = (context.ln(_to_decimal(number.value, context)) for number in given)
    return _approximate(context.divide(top, bottom))


def _round(value: Fraction, digits: Fraction = Fraction(0)) -> Fraction:
    if digits.denominator != 1 or abs(digits) > 1_000:
        raise InvalidRequest("round takes a whole number of digits, at most 1000")
    scale = Fraction(10) ** digits.numerator
    # Halves go away from zero, as people round.
    whole = math.floor(abs(value) * scale + Fraction(1, 2))
    return whole / scale * (-1 if value < 0 else 1)


def _median(*values: Fraction) -> Fraction:
    ordered = sorted(values)
    return (ordered[(len(values) - 1) // 2] + ordered[len(values) // 2]) / 2


def _mean(*values: Fraction) -> Fraction:
    return sum(values, Fraction(0)) / len(values)


def _deviation(name: str, given: Sequence[Number]) -> Number:
    exact = _take(name, given, 2, MAX_CHARS)
    mean = _mean(*(number.value for number in given))
    squares = sum(((number.value - mean) ** 2 for number in given), Fraction(0))
    return _power(bounded(squares / (len(given) - 1), exact), Number(Fraction(1, 2)))


def _factorial(number: int) -> int:
    if number < 0:
        raise InvalidRequest("factorial takes no negative number")
    if number > MAX_BITS or math.lgamma(number + 1) / math.log(2) > MAX_BITS:
        raise _too_large()
    return math.factorial(number)


def _choice(orders: bool) -> Callable[[int, int], int]:
    def count(total: int, chosen: int) -> int:
        if not 0 <= total <= _MAX_CHOICE or not 0 <= chosen <= _MAX_CHOICE:
            raise InvalidRequest("of 0 to 10**12 things can be chosen")
        if chosen > total:
            return 0
        logarithm = math.lgamma(total + 1) - math.lgamma(total - chosen + 1)
        if not orders:
            logarithm -= math.lgamma(chosen + 1)
        # lgamma is good to 1 in 10**15, which for 10**12 things leaves a few bits.
        if logarithm / math.log(2) > MAX_BITS or (orders and chosen > MAX_BITS):
            raise _too_large()
        return math.perm(total, chosen) if orders else math.comb(total, chosen)

    return count


_CONSTANTS = {
    "pi": Fraction("3.14159265358979323846264338327950288419716939937510582097494459"),
    "e": Fraction("2.71828182845904523536028747135266249775724709369995957496696763"),
    "tau": Fraction("6.28318530717958647692528676655900576839433879875021164194988918"),
}
_FUNCTIONS: dict[str, Function] = {
    "abs": _on_fractions(Fraction.__abs__),
    "acos": _on_floats(math.acos),
    "asin": _on_floats(math.asin),
    "atan": _on_floats(math.atan),
    "cbrt": _nth_root(3),
    "ceil": _on_fractions(math.ceil),
    "comb": _on_integers(_choice(orders=False), 2),
    "cos": _on_floats(math.cos),
    "degrees": _on_floats(math.degrees),
    "exp": _on_decimals(Context.exp),
    "factorial": _on_integers(_factorial),
    "floor": _on_fractions(math.floor),
    "gcd": _on_integers(math.gcd, 2, MAX_CHARS),
    "lcm": _on_integers(math.lcm, 2, 50),
    "ln": _on_decimals(Context.ln),
    "log": _logarithm,
    "log10": _on_decimals(Context.log10),
    "log2": lambda name, given: _logarithm(name, [*given, Number(Fraction(2))]),
    "max": _on_fractions(max, 2, MAX_CHARS),
    "mean": _on_fractions(_mean, 1, MAX_CHARS),
    "median": _on_fractions(_median, 1, MAX_CHARS),
    "min": _on_fractions(min, 2, MAX_CHARS),
    "perm": _on_integers(_choice(orders=True), 2),
    "radians": _on_floats(math.radians),
    "round": _on_fractions(_round, 1, 2),
    "sin": _on_floats(math.sin),
    "sqrt": _nth_root(2),
    "stdev": _deviation,
    "sum": _on_fractions(lambda *values: sum(values, Fraction(0)), 1, MAX_CHARS),
    "tan": _on_floats(math.tan),
}
