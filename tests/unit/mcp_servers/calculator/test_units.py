"""Units: exact factors, one dimension, and texts that are no units."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_servers.calculator.arithmetic import Number, decimal_text, evaluate
from mcp_servers.calculator.units import convert, parse_unit, unit_names
from rostra.core import InvalidRequest


@pytest.mark.parametrize(
    ("amount", "unit", "to", "expected"),
    [
        ("1", "mi", "km", "1.609344"),
        ("90", "km/h", "m/s", "25"),
        ("1", "mph", "km/h", "1.609344"),
        ("1", "kn", "km/h", "1.852"),
        ("100", "degC", "degF", "212"),
        ("-40", "°F", "°C", "-40"),
        ("0", "degC", "K", "273.15"),
        ("1", "kWh", "MJ", "3.6"),
        ("1", "GiB", "MB", "1073.741824"),
        ("8", "Mbps", "MB/s", "1"),
        ("3", "ft", "inches", "36"),
        ("1", "US_gallon", "liters", "3.785411784"),
        ("1", "kg*m/s^2", "N", "1"),
        ("1", "N*m/s", "W", "1"),
        ("60", "miles per hour", "mph", "60"),
        ("2", "Hours", "minutes", "120"),
        ("5", "kilometres", "m", "5000"),
        ("1", "ha", "m²", "10000"),
        ("1", "m^-2", "1/m^2", "1"),
        ("12", "%", "1", "0.12"),
        ("10", "mbar", "hPa", "10"),
        ("1", "(kg/m^3)", "g/L", "1"),
        ("250", "µm", "mm", "0.25"),
        ("1", "lb", "oz", "16"),
    ],
)
def test_conversions(amount: str, unit: str, to: str, expected: str) -> None:
    assert decimal_text(convert(evaluate(amount), unit, to)) == (expected, True)


def test_only_angles_are_approximate() -> None:
    assert decimal_text(convert(evaluate("180"), "deg", "rad")) == ("3.14159265358979", False)
    assert decimal_text(convert(evaluate("90"), "deg", "turn")) == ("0.25", False)


@given(st.fractions(max_denominator=1000), st.sampled_from(unit_names()))
def test_there_and_back_changes_nothing(value: Fraction, unit: str) -> None:
    dimension = parse_unit(unit).dimension
    for other in unit_names():
        if parse_unit(other).dimension == dimension:
            back = convert(convert(Number(value), unit, other), other, unit)
            if back.exact:
                assert back.value == value
            else:
                assert abs(back.value - value) <= abs(value) * Fraction(1, 10**45)


@pytest.mark.parametrize(
    ("unit", "to", "reason"),
    [
        ("m", "s", "different things: m and s"),
        ("kg", "1", "a plain number"),
        ("foo", "m", "no unit 'foo'"),
        ("KM", "m", "no unit 'KM'"),
        ("degC/s", "K/s", "stand alone"),
        ("m^99", "m", "exponent"),
        ("m^", "m", "exponent"),
        ("m/", "m", "cannot be read"),
        ("", "m", "cannot be read"),
        ("m m", "m", "cannot be read"),
        ("(" * 60, "m", "cannot be read"),
        ("m" * 101, "m", "101 characters"),
        ("(" * 10 + "Qm" + "^12)" * 10, "m", "too large"),
        ("\0\ud800", "m", "cannot be read"),
    ],
)
def test_mistakes_are_named(unit: str, to: str, reason: str) -> None:
    with pytest.raises(InvalidRequest, match=reason):
        convert(Number(Fraction(1)), unit, to)


@given(st.text(max_size=30))
def test_any_text_is_a_unit_or_a_mistake(text: str) -> None:
    try:
        parse_unit(text)
    except InvalidRequest as error:
        assert len(error.message) < 300
