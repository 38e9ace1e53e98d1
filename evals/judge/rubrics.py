"""What judges are told, as a library of named, versioned rubrics.

A rubric is a file in `texts/`: a front matter, then the text. The front matter says which values a
judge is shown, in which order, and which verdicts there are, each with the number that it counts
for:

    ---
    name: support
    version: 1
    values: claim, evidence
    verdicts: supported 1, unsupported 0
    ---
    You check whether ...

What always holds: the text has no slots, so what is judged can never become a part of it, and it
is the same for every sample, so that a prefix cache can keep it. A rubric's version names its text
and its verdicts, as it ends with a digest of both.
"""

import hashlib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

_FILE = re.compile(r"---\n(?P<head>.*?)\n---\n(?P<text>.*)", re.DOTALL)
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,40}")
_VERDICT = re.compile(r"([a-z0-9][a-z0-9_-]{0,40}) (-?\d+(?:\.\d+)?)")
_KEYS = frozenset({"name", "version", "values", "verdicts"})


class BrokenRubric(ValueError):
    """A rubric is missing, is not written as this module says, or was given the wrong values."""


@dataclass(frozen=True, slots=True)
class Rubric:
    """See this module.

    Attributes:
        version: as in its file, `.`, and eight digits of a sha256.
        values: names of what the judge is shown, in order.
        verdicts: what it may say -> the number that this counts for, as the file orders them.
    """

    name: str
    version: str
    values: tuple[str, ...]
    verdicts: Mapping[str, float]
    text: str


def parse_rubric(source: str) -> Rubric:
    """The rubric that a file's text is.

    Raises:
        BrokenRubric: it is none.
    """
    found = _FILE.fullmatch(source.replace("\r\n", "\n"))
    if found is None:
        raise BrokenRubric("a rubric begins with a front matter between lines of ---")
    head: dict[str, str] = {}
    for line in found["head"].splitlines():
        key, colon, value = line.partition(":")
        if not colon or key.strip() in head:
            raise BrokenRubric(f"{line!r} is no line of a front matter")
        head[key.strip()] = value.strip()
    if set(head) != _KEYS or not head["version"].isdecimal() or not _NAME.fullmatch(head["name"]):
        raise BrokenRubric("a front matter has a name, a version, which is a number, values and "
                           "verdicts")  # fmt: skip
    values = tuple(part.strip() for part in head["values"].split(","))
    if len(set(values)) != len(values) or not all(map(_NAME.fullmatch, values)):
        raise BrokenRubric(f"values are names, each once, not {head['values']!r}")
    text = found["text"].strip("\n")
    if not text:
        raise BrokenRubric(f"rubric {head['name']!r} has no text")
    verdicts = _verdicts(head["verdicts"])
    known = f"{head['values']}\0{head['verdicts']}\0{text}"
    digest = hashlib.sha256(known.encode()).hexdigest()[:8]
    return Rubric(head["name"], f"{head['version']}.{digest}", values, verdicts, text)


def _verdicts(line: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for part in line.split(","):
        match = _VERDICT.fullmatch(part.strip())
        if match is None or match[1] in found:
            raise BrokenRubric(f"{part.strip()!r} is no verdict with its number")
        found[match[1]] = float(match[2])
    if len(found) < 2 or not all(map(math.isfinite, found.values())):
        raise BrokenRubric("a rubric has two verdicts or more")
    return found


@lru_cache(maxsize=1)
def rubrics() -> Mapping[str, Rubric]:
    """The library, by name.

    Raises:
        BrokenRubric: a file of it is broken: our mistake.
    """
    folder = files("evals.judge").joinpath("texts")
    found: dict[str, Rubric] = {}
    for path in sorted(folder.iterdir(), key=lambda each: each.name):
        if path.name.endswith(".md"):
            rubric = parse_rubric(path.read_text(encoding="utf-8"))
            if path.name != f"{rubric.name}.md":
                raise BrokenRubric(f"{path.name} names itself {rubric.name!r}")
            found[rubric.name] = rubric
    return found


def find_rubric(rubric: Rubric | str) -> Rubric:
    """A rubric of the library by its name; any other stays as it is.

    Raises:
        BrokenRubric: there is none of this name.
    """
    if isinstance(rubric, Rubric):
        return rubric
    if rubric not in rubrics():
        raise BrokenRubric(f"there is no rubric {rubric!r}, only {', '.join(rubrics())}")
    return rubrics()[rubric]
