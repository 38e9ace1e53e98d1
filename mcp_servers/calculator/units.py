"""Units of measure: conversions by exact factors, between units of one dimension only.

What always holds: a conversion is exact where its units are defined exactly, as all here but those
of angles are; compound units such as `km/h` or `kg*m/s^2` are products of those named here. Factors
are those of the SI brochure and of NIST SP 811, appendix B.
"""

import re
from dataclasses import dataclass
from fractions import Fraction

from mcp_servers.calculator.arithmetic import MAX_BITS, Number, bounded
from rostra.core import InvalidRequest

MAX_CHARS = 100
_MAX_EXPONENT = 12

# length, mass, time, current, temperature, amount, luminous intensity, information, angle
_BASE = ("m", "kg", "s", "A", "K", "mol", "cd", "bit", "rad")
Dimension = tuple[int, ...]
_NONE: Dimension = (0,) * len(_BASE)


@dataclass(frozen=True, slots=True)
class Unit:
    """What one of it is in SI base units: `value * factor + offset`."""

    factor: Fraction
    dimension: Dimension
    offset: Fraction = Fraction(0)
    exact: bool = True


def convert(value: Number, source: str, target: str) -> Number:
    """A quantity in another unit.

    Raises:
        InvalidRequest: a unit is not known, or the two measure different things.
    """
    old, new = parse_unit(source), parse_unit(target)
    if old.dimension != new.dimension:
        raise InvalidRequest(
            f"{source!r} and {target!r} measure different things: "
            f"{_named(old.dimension)} and {_named(new.dimension)}"
        )
    base = value.value * old.factor + old.offset
    exact = value.exact and ((old.exact and new.exact) or source == target)
    return bounded((base - new.offset) / new.factor, exact)


def parse_unit(text: str) -> Unit:
    """A unit or a product of units: `m`, `kWh`, `km/h`, `kg*m/s^2`.

    Raises:
        InvalidRequest: it cannot be read, or one of its units is not known.
    """
    if len(text) > MAX_CHARS:
        raise InvalidRequest(f"the unit has {len(text)} characters, more than {MAX_CHARS}")
    parser = _Parser(_TOKEN.findall(_SPELLINGS.sub(lambda found: _SPELLED[found[0]], text)))
    unit = parser.product()
    if parser.rest:
        raise _unreadable(text)
    return unit


def unit_names() -> list[str]:
    """The names of all units, without the ones that prefixes make."""
    return sorted(_UNITS)


_TOKEN = re.compile(r"[A-Za-z_]+|\d+|\*\*|\S")
_SPELLED = {
    "°C": " degC ",
    "°F": " degF ",
    "°": " deg ",
    "µ": "u",
    "μ": "u",
    "Ω": "ohm",
    "²": "^2",
    "³": "^3",
    "·": "*",
    "×": "*",
    " per ": "/",
}
_SPELLINGS = re.compile("|".join(_SPELLED))


class _Parser:
    """Reads a product from tokens; division binds like multiplication, from the left."""

    def __init__(self, tokens: list[str]) -> None:
        self.rest = tokens[::-1]

    def product(self) -> Unit:
        unit = self._power()
        while self.rest and self.rest[-1] in ("*", "/"):
            sign = 1 if self.rest.pop() == "*" else -1
            unit = _times(unit, _raised(self._power(), sign))
        return unit

    def _power(self) -> Unit:
        unit = self._single()
        if self.rest and self.rest[-1] in ("^", "**"):
            self.rest.pop()
            sign = 1
            if self.rest and self.rest[-1] == "-":
                self.rest.pop()
                sign = -1
            digits = self.rest.pop() if self.rest else ""
            if not digits.isdecimal() or int(digits) > _MAX_EXPONENT:
                raise InvalidRequest(
                    f"a unit's exponent is a whole number up to {_MAX_EXPONENT}, not {digits!r}"
                )
            unit = _raised(unit, sign * int(digits))
        return unit

    def _single(self) -> Unit:
        token = self.rest.pop() if self.rest else ""
        if token == "(":
            unit = self.product()
            if not self.rest or self.rest.pop() != ")":
                raise _unreadable("(")
            return unit
        if token == "1":
            return Unit(Fraction(1), _NONE)
        if not token or not (token[0].isalpha() or token == "%"):
            raise _unreadable(token)
        return _lookup(token)


def _lookup(name: str) -> Unit:
    # In symbols case tells units apart, in words it does not; only words have plurals.
    names = [name, name.lower(), name.lower().removesuffix("s")] if len(name) > 3 else [name]
    for known in names:
        if known in _UNITS:
            return _UNITS[known]
    for prefix, scale in _PREFIXES.items():
        for known in names:
            rest = known.removeprefix(prefix)
            if rest != known and rest in (_SCALED_WORDS if len(prefix) > 2 else _SCALED_SYMBOLS):
                unit = _UNITS[rest]
                return Unit(unit.factor * scale, unit.dimension, exact=unit.exact)
    raise InvalidRequest(
        f"there is no unit {name!r}",
        hint=f"Units, most also with SI prefixes: {', '.join(unit_names())}.",
    )


def _times(left: Unit, right: Unit) -> Unit:
    if left.offset or right.offset:
        raise InvalidRequest(
            "degrees Celsius and Fahrenheit stand alone", hint="In products write K or degR."
        )
    dimension = tuple(a + b for a, b in zip(left.dimension, right.dimension, strict=True))
    return Unit(left.factor * right.factor, dimension, exact=left.exact and right.exact)


def _raised(unit: Unit, exponent: int) -> Unit:
    if exponent == 1:
        return unit
    bits = max(unit.factor.numerator.bit_length(), unit.factor.denominator.bit_length())
    if bits * abs(exponent) > MAX_BITS:
        raise InvalidRequest("the unit is too large or too small")
    dimension = tuple(part * exponent for part in unit.dimension)
    return _times(
        Unit(unit.factor**exponent, dimension, exact=unit.exact),
        Unit(Fraction(1), _NONE, unit.offset),
    )


def _named(dimension: Dimension) -> str:
    parts = [
        name if power == 1 else f"{name}^{power}"
        for name, power in zip(_BASE, dimension, strict=True)
        if power
    ]
    return "*".join(parts) or "a plain number"


def _unreadable(text: str) -> InvalidRequest:
    return InvalidRequest(
        f"the unit cannot be read at {text[:50]!r}", hint="Write m, km/h, kg*m/s^2, kWh."
    )


# --- The table ------------------------------------------------------------------------------------

_PREFIXES = {
    name: Fraction(10) ** power
    for names, power in (
        ("quetta Q", 30),
        ("ronna R", 27),
        ("yotta Y", 24),
        ("zetta Z", 21),
        ("exa E", 18),
        ("peta P", 15),
        ("tera T", 12),
        ("giga G", 9),
        ("mega M", 6),
        ("kilo k", 3),
        ("hecto h", 2),
        ("deca da", 1),
        ("deci d", -1),
        ("centi c", -2),
        ("milli m", -3),
        ("micro u", -6),
        ("nano n", -9),
        ("pico p", -12),
        ("femto f", -15),
        ("atto a", -18),
        ("zepto z", -21),
        ("yocto y", -24),
    )
    for name in names.split()
} | {
    name: Fraction(2) ** (10 * power)
    for power, names in enumerate(("kibi Ki", "mebi Mi", "gibi Gi", "tebi Ti", "pebi Pi"), 1)
    for name in names.split()
}


def _dimension(**powers: int) -> Dimension:
    return tuple(powers.get(name, 0) for name in _BASE)


_LENGTH = _dimension(m=1)
_AREA = _dimension(m=2)
_VOLUME = _dimension(m=3)
_MASS = _dimension(kg=1)
_TIME = _dimension(s=1)
_SPEED = _dimension(m=1, s=-1)
_FORCE = _dimension(kg=1, m=1, s=-2)
_PRESSURE = _dimension(kg=1, m=-1, s=-2)
_ENERGY = _dimension(kg=1, m=2, s=-2)
_POWER = _dimension(kg=1, m=2, s=-3)
_FREQUENCY = _dimension(s=-1)
_VOLT = _dimension(kg=1, m=2, s=-3, A=-1)
_INFORMATION = _dimension(bit=1)
_ANGLE = _dimension(rad=1)
_PI = Fraction("3.14159265358979323846264338327950288419716939937510582097494459")

# Names, factor, dimension; those that take SI prefixes first.
_SCALABLE: tuple[tuple[str, str, Dimension], ...] = (
    ("m meter metre", "1", _LENGTH),
    ("g gram", "1/1000", _MASS),
    ("t tonne", "1000", _MASS),
    ("s sec second", "1", _TIME),
    ("A ampere amp", "1", _dimension(A=1)),
    ("K kelvin", "1", _dimension(K=1)),
    ("mol mole", "1", _dimension(mol=1)),
    ("cd candela", "1", _dimension(cd=1)),
    ("l L liter litre", "1/1000", _VOLUME),
    ("N newton", "1", _FORCE),
    ("Pa pascal", "1", _PRESSURE),
    ("bar", "100000", _PRESSURE),
    ("J joule", "1", _ENERGY),
    ("Wh watthour", "3600", _ENERGY),
    ("cal calorie", "4.184", _ENERGY),
    ("eV electronvolt", "1.602176634e-19", _ENERGY),
    ("W watt", "1", _POWER),
    ("Hz hertz", "1", _FREQUENCY),
    ("V volt", "1", _VOLT),
    ("C coulomb", "1", _dimension(A=1, s=1)),
    ("Ah", "3600", _dimension(A=1, s=1)),
    ("ohm", "1", _dimension(kg=1, m=2, s=-3, A=-2)),
    ("F farad", "1", _dimension(kg=-1, m=-2, s=4, A=2)),
    ("H henry", "1", _dimension(kg=1, m=2, s=-2, A=-2)),
    ("T tesla", "1", _dimension(kg=1, s=-2, A=-1)),
    ("bit", "1", _INFORMATION),
    ("B byte", "8", _INFORMATION),
    ("bps", "1", _dimension(bit=1, s=-1)),
)
_FIXED: tuple[tuple[str, str, Dimension], ...] = (
    ("in inch inches", "0.0254", _LENGTH),
    ("ft foot feet", "0.3048", _LENGTH),
    ("yd yard", "0.9144", _LENGTH),
    ("mi mile", "1609.344", _LENGTH),
    ("nmi nautical_mile", "1852", _LENGTH),
    ("angstrom", "1e-10", _LENGTH),
    ("au astronomical_unit", "149597870700", _LENGTH),
    ("ly light_year", "9460730472580800", _LENGTH),
    ("ha hectare", "10000", _AREA),
    ("acre", "4046.8564224", _AREA),
    ("sqm", "1", _AREA),
    ("sqft", "0.09290304", _AREA),
    ("gal gallon us_gallon", "0.003785411784", _VOLUME),
    ("imperial_gallon uk_gallon", "0.00454609", _VOLUME),
    ("qt quart", "0.000946352946", _VOLUME),
    ("pt pint", "0.000473176473", _VOLUME),
    ("imperial_pint uk_pint", "0.00056826125", _VOLUME),
    ("cup", "0.0002365882365", _VOLUME),
    ("floz fluid_ounce", "0.0000295735295625", _VOLUME),
    ("tbsp tablespoon", "0.00001478676478125", _VOLUME),
    ("tsp teaspoon", "0.00000492892159375", _VOLUME),
    ("cc", "1e-6", _VOLUME),
    ("bbl barrel", "0.158987294928", _VOLUME),
    ("lb pound lbs", "0.45359237", _MASS),
    ("oz ounce", "0.028349523125", _MASS),
    ("stone", "6.35029318", _MASS),
    ("short_ton us_ton", "907.18474", _MASS),
    ("long_ton uk_ton", "1016.0469088", _MASS),
    ("carat", "0.0002", _MASS),
    ("grain", "0.00006479891", _MASS),
    ("min minute", "60", _TIME),
    ("h hr hour", "3600", _TIME),
    ("d day", "86400", _TIME),
    ("week", "604800", _TIME),
    ("fortnight", "1209600", _TIME),
    ("julian_year", "31557600", _TIME),
    ("kmh kph", "5/18", _SPEED),
    ("mph", "0.44704", _SPEED),
    ("kn knot", "463/900", _SPEED),
    ("speed_of_light", "299792458", _SPEED),
    ("lbf", "4.4482216152605", _FORCE),
    ("kgf", "9.80665", _FORCE),
    ("atm atmosphere", "101325", _PRESSURE),
    ("psi", "8896443230521/1290320000", _PRESSURE),
    ("mmHg", "133.322387415", _PRESSURE),
    ("torr", "20265/152", _PRESSURE),
    ("btu", "1055.05585262", _ENERGY),
    ("erg", "1e-7", _ENERGY),
    ("hp horsepower", "745.69987158227022", _POWER),
    ("ps metric_horsepower", "735.49875", _POWER),
    ("rpm", "1/60", _FREQUENCY),
    ("degR rankine", "5/9", _dimension(K=1)),
    ("percent %", "1/100", _NONE),
    ("ppm", "1e-6", _NONE),
    ("dozen", "12", _NONE),
)
_SCALED_WORDS = frozenset(
    name for names, _, _ in _SCALABLE for name in names.split() if len(name) > 2
)
_SCALED_SYMBOLS = frozenset(
    name for names, _, _ in _SCALABLE for name in names.split() if len(name) <= 3
) - {"sec", "amp"}
_UNITS = {
    name: Unit(Fraction(factor), dimension)
    for names, factor, dimension in _SCALABLE + _FIXED
    for name in names.split()
} | {
    "degC": Unit(Fraction(1), _dimension(K=1), Fraction("273.15")),
    "celsius": Unit(Fraction(1), _dimension(K=1), Fraction("273.15")),
    "degF": Unit(Fraction(5, 9), _dimension(K=1), Fraction("459.67") * 5 / 9),
    "fahrenheit": Unit(Fraction(5, 9), _dimension(K=1), Fraction("459.67") * 5 / 9),
    "rad": Unit(Fraction(1), _ANGLE),
    "radian": Unit(Fraction(1), _ANGLE),
    "deg": Unit(_PI / 180, _ANGLE, exact=False),
    "degree": Unit(_PI / 180, _ANGLE, exact=False),
    "turn": Unit(2 * _PI, _ANGLE, exact=False),
    "arcmin": Unit(_PI / 10_800, _ANGLE, exact=False),
    "arcsec": Unit(_PI / 648_000, _ANGLE, exact=False),
}
