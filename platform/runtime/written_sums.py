"""Sums that a task states in signs, as `What is (3 + 4) × 2?` does.

What always holds: what is found has all numbers of the task, its brackets match, and nothing stands
beside it that is known to make another sum of it: other signs, words of arithmetic. Bullets, dates
and ranges are none. Text of any length is read once.
"""

import re
from dataclasses import dataclass
from itertools import accumulate

NUMBER = re.compile(r"[0-9]+(?:,[0-9]{3})*(?:\.[0-9]+)?")

_SIGNS = "-−–+*/^×÷·√%"
_TERM = rf"(?!0[0-9]){NUMBER.pattern}"
_BETWEEN = r"(?:[ \t]*+(?:\*\*|[+*/^×÷])[ \t]*+|[ \t]++-[ \t]++)"
_SUM = re.compile(
    rf"(?<![\w.,({_SIGNS}])(?<![{_SIGNS}][ \t])"
    rf"\(*+-?{_TERM}(?:\)*+{_BETWEEN}\(*+-?{_TERM})++\)*+"
    rf"(?![ \t]*[{_SIGNS}!²³]|\w)"
)
_OF_ARITHMETIC = re.compile(
    r"\b(?:plus|minus|negative|times|over|divided|multiplied|percent|per cent|power|squared|cubed|"
    r"root|sqrt|mean|average|half|third|quarter|twice|double|hundred|thousand|million|dozens?)\b"
)
_WORD = re.compile(r"[^\W\d]+")
_ASKING = re.compile(
    r"what|s|is|are|how|much|many|does|do|i|it|that|you|we|can|could|would|will|please|tell|me|us|"
    r"gives?|get|find|calculate|compute|evaluate|solve|work|out|figure|determine|the|a|result|"
    r"value|answer|of|for|to|and|comes?|makes?|equals?|be"
)
_SIGN = re.compile(r"(?<=[0-9)])[ \t]*(\*\*|[-+*/])[ \t]*")
_AS_COMPUTED = str.maketrans({"^": "**", "×": "*", "÷": "/", ",": None})
_MOST_CHARS = 120


@dataclass(frozen=True, slots=True)
class WrittenSum:
    """A sum in signs.

    Attributes:
        expression: as the calculator reads it, of 120 characters at most.
        is_all: beside it the task has only words that ask for it.
    """

    expression: str
    is_all: bool


def written_sum(task: str) -> WrittenSum | None:
    """The sum that a task states; None where it states none, or that may be another one."""
    found = _SUM.search(task)
    if found is None:
        return None
    beside = f"{task[: found.start()]} {task[found.end() :]}".lower()
    if NUMBER.search(beside) or _OF_ARITHMETIC.search(beside):
        return None
    expression = _SIGN.sub(r" \1 ", found[0].translate(_AS_COMPUTED))
    depths = list(accumulate((one == "(") - (one == ")") for one in expression))
    if min(depths) < 0 or depths[-1] != 0 or len(expression) > _MOST_CHARS:
        return None
    return WrittenSum(expression, all(map(_ASKING.fullmatch, _WORD.findall(beside))))
