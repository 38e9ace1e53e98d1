"""JSON schemas that grammars hold: which are accepted, and whether instances are told apart.

What always holds: an instance is tried by feeding the grammar its text byte by byte, in the layout
that grammars write (`json.dumps`, declared keys first and in order); every schema of the folder
counts. A *case* is a schema with its instances, and its outcome a word: `-` refused, otherwise a
letter an instance, `V` valid and accepted, `v` valid and rejected, `I` invalid and rejected, `i`
invalid and accepted. Capitals are right, so outcomes can be compared over time.

Reads MaskBench files (an object with `schema` and `tests`) and JSON-Schema-Test-Suite files (a list
of such objects), in the folder or below it.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evals.errors import DatasetError
from rostra.core import JsonSchema
from rostra.serving import (
    GrammarCompiler,
    InvalidGrammar,
    UnsupportedSchema,
    Vocabulary,
    start_matcher,
)

_END = 256
# Tokens 0 to 255 are the bytes.
_MAX_TOKENS = 1 << 30
_DEADLINE_SECONDS = 60.0
# So long that outcomes do not depend on the machine.
REFUSED = "-"


@dataclass(frozen=True, slots=True)
class Case:
    """A schema with instances and whether they are valid."""

    name: str
    schema: Any
    instances: tuple[tuple[Any, bool], ...]


@dataclass(slots=True)
class SchemaReport:
    """Counts over all cases.

    Attributes:
        outcomes: by case name.
        reasons: how often schemas were refused for what.
    """

    outcomes: dict[str, str] = field(default_factory=dict)
    reasons: Counter[str] = field(default_factory=Counter)

    @property
    def accepted(self) -> int:
        return sum(each != REFUSED for each in self.outcomes.values())

    @property
    def refused(self) -> int:
        return len(self.outcomes) - self.accepted

    def count(self, letter: str) -> int:
        """How many instances have this letter."""
        return sum(each.count(letter) for each in self.outcomes.values())

    def to_dict(self) -> dict[str, Any]:
        valid, invalid = self.count("V"), self.count("I")
        return {
            "schemas": len(self.outcomes),
            "accepted": self.accepted,
            "refused": self.refused,
            "valid": valid + self.count("v"),
            "valid_accepted": valid,
            "invalid": invalid + self.count("i"),
            "invalid_rejected": invalid,
            "refused_for": dict(self.reasons.most_common()),
        }


def read_cases(folder: Path) -> list[Case]:
    """All cases of a folder, sorted by name.

    Raises:
        DatasetError: if there is none, or a file cannot be read.
    """
    cases: list[Case] = []
    for path in sorted(folder.rglob("*.json")):
        name = path.relative_to(folder).with_suffix("").as_posix()
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            groups = content if isinstance(content, list) else [content]
            for index, group in enumerate(groups):
                instances = tuple((each["data"], each["valid"]) for each in group["tests"])
                own = f"{name}/{index}" if isinstance(content, list) else name
                cases.append(Case(own, group["schema"], instances))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DatasetError(f"{path}: {error!r}") from error
    if not cases:
        raise DatasetError(f"{folder}: no schemas with tests")
    return cases


def evaluate_schemas(
    folder: Path, *, on_case: Callable[[int, int], None] = lambda done, total: None
) -> SchemaReport:
    """Compiles every schema strictly and tries its instances.

    Args:
        folder: of the cases.
        on_case: called with the number done and the total.

    Raises:
        DatasetError: if the folder has no cases.
    """
    cases = read_cases(folder)
    vocabulary = Vocabulary([bytes([each]) for each in range(256)] + [b""], [_END])
    compiler = GrammarCompiler(vocabulary, deadline=_DEADLINE_SECONDS)
    report = SchemaReport()
    try:
        for done, case in enumerate(cases, start=1):
            outcome = _outcome(case, compiler, vocabulary, report.reasons)
            report.outcomes[case.name] = outcome
            on_case(done, len(cases))
    finally:
        compiler.close_now()
    return report


def worse(before: Mapping[str, str], now: Mapping[str, str]) -> Iterator[str]:
    """Names of cases that got worse: gone, refused, or an instance misjudged that was not."""
    for name, old in before.items():
        new = now.get(name)
        if (
            new is None
            or (new == REFUSED) > (old == REFUSED)
            or any(a.isupper() and b.islower() for a, b in zip(old, new, strict=False))
        ):
            yield name


def _outcome(
    case: Case, compiler: GrammarCompiler, vocabulary: Vocabulary, reasons: Counter[str]
) -> str:
    constraint = JsonSchema(json.dumps(case.schema))
    try:
        compiled = compiler.compile_now(constraint, max_tokens=_MAX_TOKENS)
    except UnsupportedSchema as error:
        reasons[error.details.get("keyword", "?")] += 1
        return REFUSED
    except InvalidGrammar as error:
        if "No text of bounded length" in error.message:
            # Nothing satisfies it, which is an answer: it accepts no instance.
            return "".join("v" if valid else "I" for _, valid in case.instances)
        reasons[error.message[:60]] += 1
        return REFUSED
    orders = list(_key_orders(case.schema))
    letters: list[str] = []
    for instance, valid in case.instances:
        accepted = any(
            _accepts(compiled, vocabulary, json.dumps(each, ensure_ascii=False))
            for each in (instance, _arranged(instance, orders, integral=valid))
        )
        letters.append(("V" if accepted else "v") if valid else ("i" if accepted else "I"))
    return "".join(letters)


def _accepts(compiled: bytes, vocabulary: Vocabulary, text: str) -> bool:
    matcher = start_matcher(
        compiled,
        vocabulary,
        max_tokens=_MAX_TOKENS,
        eos_token_ids=[_END],
        jump_forward=False,
    )
    try:
        for byte in text.encode(errors="surrogatepass"):
            if matcher.take(byte) != [byte]:
                return False
        return matcher.finished or (matcher.take(_END) == [] and matcher.finished)
    except ValueError:
        return False


def _key_orders(schema: Any) -> Iterator[list[str]]:
    """The key orders that the schema's parts declare."""
    if isinstance(schema, dict):
        if isinstance(schema.get("properties"), dict):
            required = schema.get("required")
            extra = (
                [each for each in required if isinstance(each, str)]
                if isinstance(required, list)
                else []
            )
            yield list(dict.fromkeys([*schema["properties"], *extra]))
        for each in schema.values():
            yield from _key_orders(each)
    elif isinstance(schema, list):
        for each in schema:
            yield from _key_orders(each)


def _arranged(value: Any, orders: list[list[str]], *, integral: bool) -> Any:
    """The value with its keys in the order of the part of the schema that shares most of them.

    With `integral`, 3.0 becomes 3, which grammars write it as; older drafts tell them apart.
    """
    if isinstance(value, list):
        return [_arranged(each, orders, integral=integral) for each in value]
    if integral and isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return int(value)
    if not isinstance(value, dict):
        return value
    best = max(orders, key=lambda order: len(value.keys() & set(order)), default=[])
    ranks = {key: rank for rank, key in enumerate(best)}
    # Keys of other parts keep their order among themselves: parts are read from the outside in.
    for order in orders:
        for key in order:
            ranks.setdefault(key, len(ranks))
    keys = sorted(value, key=lambda key: ranks.get(key, len(ranks)))
    return {key: _arranged(value[key], orders, integral=integral) for key in keys}
