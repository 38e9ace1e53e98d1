"""Tasks that are sums, as `What is (3 + 4) × 2?` and `12 plus 5 times 3` are.

What always holds: a sum has all numbers of its task, its brackets match, and beside it are only
words that ask for it: where there are others, the task is about something else. A bullet or a date
is none. Text of any length is read once.
"""

import re
from dataclasses import dataclass
from itertools import accumulate

_NUMBER = r"(?:[0-9]{1,3}(?:,[0-9]{3})++|[0-9]++)(?:\.[0-9]++)?+"
_TERM = rf"-?(?!0[0-9,]){_NUMBER}"
_SIGN = r"[ \t]*+(?:\*\*|[-+*/^×÷])[ \t]*+"
_SUM = re.compile(rf"(?<![\w.,(])\(*+{_TERM}(?:\)*+{_SIGN}\(*+{_TERM})++\)*+(?![\w(]|,[0-9])")
# Words between two numbers that are signs.
_AS_SIGNS = {
    "plus": "+",
    "minus": "-",
    "times": "*",
    "multiplied by": "*",
    "x": "*",
    "divided by": "/",
    "% of": "/ 100 *",
    "percent of": "/ 100 *",
    "per cent of": "/ 100 *",
}
_IN_WORDS = re.compile(
    rf"(?<=[0-9)])[ \t]?({'|'.join(_AS_SIGNS)})[ \t](?=\(*+-?[0-9])", re.IGNORECASE
)
# What two numbers without a space between them may be, too: a range, a fraction, a name.
_MAY_BE_A_NAME = re.compile(rf"{_NUMBER}(?:[-/]{_NUMBER})+")
_IS_ASKED_FOR = re.compile(r"=|\b(?:calculate|compute|evaluate|solve|work out|equals?)\b")
# What may stand beside a sum: no sign, bracket or digit, and no word that makes another one of it.
_BESIDE = re.compile(r"[\s?.,:;'\"=]*+(?:[^\W\d]++[\s?.,:;'\"=]*+)*+")
_WORD = re.compile(r"[^\W\d]+")
_ASKING = re.compile(
    r"what|s|is|are|how|much|many|does|do|i|it|that|you|we|can|could|would|will|please|tell|me|us|"
    r"gives?|get|find|calculate|compute|evaluate|solve|work|out|figure|determine|the|a|result|"
    r"value|answer|of|for|to|and|comes?|makes?|equals?|be"
)
_AROUND_SIGN = re.compile(r"(?<=[0-9)])[ \t]*(\*\*|[-+*/])[ \t]*")
_AS_COMPUTED = str.maketrans({"^": "**", "×": "*", "÷": "/", ",": None})
_MOST_CHARS = 120


@dataclass(frozen=True, slots=True)
class WrittenSum:
    """A sum.

    Attributes:
        expression: as the calculator reads it, of 120 characters at most.
        is_sure: it is not as well a fraction, a range or a name, as `9/11` is.
    """

    expression: str
    is_sure: bool


def written_sum(task: str) -> WrittenSum | None:
    """The sum that a task is; None where it is another one, or none."""
    signs = _IN_WORDS.sub(lambda word: f" {_AS_SIGNS[word[1].lower()]} ", task)
    found = _SUM.search(signs)
    if found is None:
        return None
    beside = f"{signs[: found.start()]} {signs[found.end() :]}".lower()
    if not _BESIDE.fullmatch(beside) or not all(map(_ASKING.fullmatch, _WORD.findall(beside))):
        return None
    expression = _AROUND_SIGN.sub(r" \1 ", found[0].translate(_AS_COMPUTED))
    if not _is_closed(expression) or len(expression) > _MOST_CHARS:
        return None
    if _MAY_BE_A_NAME.fullmatch(found[0]) and not _IS_ASKED_FOR.search(beside):
        return WrittenSum(expression, False) if expression.count(" ") == 2 else None
    return WrittenSum(expression, True)


def _is_closed(expression: str) -> bool:
    depths = list(accumulate((one == "(") - (one == ")") for one in expression))
    return min(depths) >= 0 and depths[-1] == 0
