"""Tasks that are to be computed, and questions that hold numbers and are not.

What always holds: an expression has the numbers of its task and those that units stand for, and no
others; nothing is computed here.
"""

import random
from collections.abc import Sequence

# What is asked for, and its expression.
_SUMS = (
    ("{a} + {b}", "{a} + {b}"),
    ("{a} plus {b}", "{a} + {b}"),
    ("the sum of {a} and {b}", "{a} + {b}"),
    ("the total of {a} and {b}", "{a} + {b}"),
    ("{a} and {b} together", "{a} + {b}"),
    ("{b} more than {a}", "{a} + {b}"),
    ("the sum of {a}, {b} and {c}", "{a} + {b} + {c}"),
    ("{a} + {b} + {c}", "{a} + {b} + {c}"),
    ("{a} - {b}", "{a} - {b}"),
    ("{a} minus {b}", "{a} - {b}"),
    ("{a} less {b}", "{a} - {b}"),
    ("the difference of {a} and {b}", "{a} - {b}"),
    ("{b} less than {a}", "{a} - {b}"),
    ("{a} reduced by {b}", "{a} - {b}"),
    ("{a} * {b}", "{a} * {b}"),
    ("{a} x {b}", "{a} * {b}"),
    ("{a} times {b}", "{a} * {b}"),
    ("{a} multiplied by {b}", "{a} * {b}"),
    ("{a} groups of {b}", "{a} * {b}"),
    ("{a} * {b} * {c}", "{a} * {b} * {c}"),
    ("{a} / {b}", "{a} / {b}"),
    ("{a} divided by {b}", "{a} / {b}"),
    ("{a} over {b}", "{a} / {b}"),
    ("the ratio of {a} to {b}", "{a} / {b}"),
    ("{a} percent of {b}", "{a} / 100 * {b}"),
    ("{a}% of {b}", "{a} / 100 * {b}"),
    ("{a} to the power of {b}", "{a} ** {b}"),
    ("{a}^{b}", "{a} ** {b}"),
    ("{a} ** {b}", "{a} ** {b}"),
    ("{a} squared", "{a} ** 2"),
    ("the square root of {a}", "sqrt({a})"),
    ("the square root of {a} plus {b}", "sqrt({a}) + {b}"),
    ("the average of {a} and {b}", "mean({a}, {b})"),
    ("the mean of {a}, {b} and {c}", "mean({a}, {b}, {c})"),
    ("({a} + {b}) * {c}", "({a} + {b}) * {c}"),
    ("({a} - {b}) / {c}", "({a} - {b}) / {c}"),
    ("{a} + {b} * {c}", "{a} + {b} * {c}"),
    ("half of {a}", "{a} / 2"),
    ("twice {a}", "{a} * 2"),
)
_SUM_FRAMES = (
    "what is {}",
    "what's {}",
    "how much is {}",
    "how many is {}",
    "calculate {}",
    "compute {}",
    "evaluate {}",
    "determine {}",
    "find {}",
    "give me {}",
    "I need {}",
    "what do I get for {}",
    "what number is {}",
    "the result of {}",
    "{}",
    "{} =",
    "{} is what",
    "{} equals",
)
# Whole tasks, and their expressions.
_TASKS = (
    ("add {a} and {b}", "{a} + {b}"),
    ("add {b} to {a}", "{a} + {b}"),
    ("increase {a} by {b}", "{a} + {b}"),
    ("what do {a} and {b} add up to", "{a} + {b}"),
    ("sum up {a}, {b} and {c}", "{a} + {b} + {c}"),
    ("subtract {b} from {a}", "{a} - {b}"),
    ("deduct {b} from {a}", "{a} - {b}"),
    ("how much greater is {a} than {b}", "{a} - {b}"),
    ("how far is it from {b} to {a}", "{a} - {b}"),
    ("multiply {a} by {b}", "{a} * {b}"),
    ("multiply {a} with {b}", "{a} * {b}"),
    ("divide {a} by {b}", "{a} / {b}"),
    ("split {a} into {b} equal parts", "{a} / {b}"),
    ("how often does {b} go into {a}", "{a} / {b}"),
    ("{a} boxes hold {b} parts each; how many parts is that", "{a} * {b}"),
    ("one costs {b}; what do {a} cost", "{a} * {b}"),
    ("there were {a}, and {b} are gone; how many are there still", "{a} - {b}"),
    ("there are {a}, and {b} more arrive; how many are there then", "{a} + {b}"),
    ("{a} are shared among {b} people; how many has each", "{a} / {b}"),
)
# A unit, a smaller one, and how many of these it has.
_UNITS = (
    ("minutes", "seconds", ("60",)),
    ("hours", "minutes", ("60",)),
    ("hours", "seconds", ("60", "60")),
    ("days", "hours", ("24",)),
    ("days", "minutes", ("24", "60")),
    ("weeks", "days", ("7",)),
    ("weeks", "hours", ("7", "24")),
    ("years", "months", ("12",)),
    ("years", "days", ("365",)),
    ("kilometres", "metres", ("1000",)),
    ("metres", "centimetres", ("100",)),
    ("kilograms", "grams", ("1000",)),
    ("litres", "millilitres", ("1000",)),
    ("kilobytes", "bytes", ("1000",)),
    ("megabytes", "kilobytes", ("1000",)),
    ("dozens", "pieces", ("12",)),
)
_UNIT_FRAMES = (
    "how many {small} are {a} {large}",
    "how many {small} are in {a} {large}",
    "how many {small} do {a} {large} have",
    "convert {a} {large} to {small}",
    "{a} {large} in {small}",
    "what are {a} {large} in {small}",
)

# Numbers beside a question, which make no sum of it.
_BESIDE = (
    "{question} {a}",
    "{a} {question}",
    "{question} in {year}",
    "in {year}, {question}",
    "{question} since version {version}",
    "{version} {question}",
    "{question} {version} {first}",
    "{question} between {year} and {other}",
    "{question} from {year} to {other}",
    "{question}, {a} or {b}",
    "{question} after {a} {first}",
    "{question} within {a} {second}",
    "{question} of {a}%",
    "{question} more than {b}",
)
# And among its words.
_AMONG = (
    "explain {first} {a}: {second}",
    "what is {first} {version}",
    "what is {version} {first} {second}",
    "what are {a} {first}",
    "what are the {a} {first} of {second}",
    "what number of {first} has {second} {a}",
    "what happens when {first} is {a}",
    "what does {first} {a} say of {second}",
    "what is the average {first} of {second}",
    "what is the total of {first} in {year}",
    "what was {first} in {year}",
    "why are there {a} {first} in {second}",
    "why {a} {first}",
    "who had {a} {first} in {year}",
    "when were {a} {first}",
    "how many {first} in {year}",
    "how many {first} were there by {year}",
    "how many {first} are in {second} {a}",
    "how many {first} are in {second}",
    "how many {first} have {a} {second}",
    "how many {first} is {second} {a} in {year}",
    "how much {first} in {a} {second}",
    "how much is {first} {a}",
    "how much more {first} is {second} {a} than {second} {b}",
    "how {first} {second} {version}",
    "{a}% of {first} {second}",
    "{a} percent of {first} are {second}",
    "{a} {first} in {second}",
    "{first} {a} {second} {b}",
    "{first} {version}",
    "{first} {a} {first}",
    "the sum of {first} in {second}",
    "calculate {first}",
    "compute {first} of {second}",
    "convert {first} to {second}",
    "find {first} {a}",
    "give me {first} of {year}",
    "is {a} {first} more than {b} {second}",
    "is {first} {a} {second}",
)


def draw_sum(rng: random.Random) -> tuple[str, str]:
    """A task that is to be computed, and its expression."""
    asked, expression = _wording(rng)
    numbers = {name: draw_number(rng) for name in "abc"}
    if rng.random() < 0.05 and expression.startswith("{a} "):
        numbers["a"] = f"-{numbers['a']}"
    shown = dict(numbers)
    if rng.random() < 0.1:
        shown = {name: _with_commas(number) for name, number in numbers.items()}
    return asked.format(**shown), expression.format(**numbers)


def with_numbers(question: str, said: Sequence[str], rng: random.Random) -> str:
    """A question that holds numbers, or the words of a sum, and is none.

    Args:
        question: that it is made of.
        said: those of its words that say something.
    """
    frame = rng.choice(_BESIDE + _AMONG)
    if len(said) < 2:
        frame = rng.choice(_BESIDE)
    year = rng.randint(1000, 2030)
    cut = rng.randint(1, 3)
    return frame.format(
        question=question.rstrip("?. "),
        first=" ".join(said[:cut]),
        second=" ".join(said[cut : cut + rng.randint(1, 3)] or said[-1:]),
        a=draw_number(rng),
        b=draw_number(rng),
        year=year,
        other=year + rng.randint(1, 90),
        version=".".join(str(rng.randint(0, 30)) for _ in range(rng.randint(2, 3))),
    )


def _wording(rng: random.Random) -> tuple[str, str]:
    """A task and its expression, with numbers yet to come."""
    kind = rng.random()
    if kind < 0.2:
        large, small, factors = rng.choice(_UNITS)
        asked = rng.choice(_UNIT_FRAMES).format(small=small, large=large, a="{a}")
        return asked, " * ".join(("{a}", *factors))
    if kind < 0.45:
        return rng.choice(_TASKS)
    asked, expression = rng.choice(_SUMS)
    return rng.choice(_SUM_FRAMES).format(asked), expression


def draw_number(rng: random.Random) -> str:
    """Of up to six digits, most often whole."""
    whole = rng.randint(0, 10 ** rng.randint(1, 5))
    return f"{whole}.{rng.randint(1, 99)}" if rng.random() < 0.15 else str(whole)


def _with_commas(number: str) -> str:
    whole, dot, fraction = number.partition(".")
    return f"{int(whole):,}{dot}{fraction}"
