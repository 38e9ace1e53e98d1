"""One schema of a conjunction, where it stands, and what its keywords say.

A *conjunction* is the schemas that one value must satisfy together. What always holds: a keyword
whose value is of the wrong kind is refused with its pointer, never guessed at.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from urllib.parse import urldefrag, urljoin

from rostra.serving.errors import InvalidGrammar
from rostra.serving.grammar.schema.keywords import TYPES


@dataclass(frozen=True, slots=True)
class Atom:
    """One schema of a conjunction.

    Attributes:
        value: the schema.
        pointer: where it stands; `?keyword` at its end tells what was taken out.
        base: the resource that its references start from.
    """

    value: Any
    pointer: str
    base: str

    @property
    def name(self) -> str:
        """Equal names mean equal schemas."""
        return f"{self.base}#{self.pointer}"

    def child(self, *steps: str | int) -> "Atom":
        """The schema that these keys and indexes lead to."""
        value = self.value
        for step in steps:
            value = value[step]
        pointer = self.pointer + "".join(
            "/" + str(step).replace("~", "~0").replace("/", "~1") for step in steps
        )
        base = self.base
        if isinstance(value, dict) and isinstance(value.get("$id"), str):
            base = urldefrag(urljoin(base, value["$id"]))[0]
        return Atom(value, pointer, base)

    def without(self, *keywords: str) -> "Atom":
        """What the other keywords say."""
        value = {key: each for key, each in self.value.items() if key not in keywords}
        return Atom(value, self.pointer + "".join(f"?{key}" for key in keywords), self.base)


Conjunction = tuple[Atom, ...]


def types_of(atoms: Iterable[Atom]) -> frozenset[str]:
    """The types that all atoms allow; "number" comes with "integer"."""
    types = frozenset(TYPES)
    for atom in atoms:
        if "type" not in atom.value:
            continue
        own = atom.value["type"]
        listed = frozenset([own] if isinstance(own, str) else own)
        if not listed <= set(TYPES):
            raise InvalidGrammar(f"{atom.pointer}/type names an unknown type.")
        if "number" in listed:
            listed |= {"integer"}
        types &= listed
    return types


def constants(atoms: Iterable[Atom]) -> list[Any] | None:
    """The values of the first enumeration, None if there is none."""
    for atom in atoms:
        if "const" in atom.value:
            return [atom.value["const"]]
    for atom in atoms:
        if isinstance(atom.value.get("enum"), list):
            return list(atom.value["enum"])
    return None


def required(atoms: Iterable[Atom]) -> dict[str, None]:
    """The keys that an object must have, in the order in which they are asked for."""
    found: dict[str, None] = {}
    for atom in atoms:
        if isinstance(atom.value.get("required"), list):
            found.update(dict.fromkeys(atom.value["required"]))
    return found


def prefix(atom: Atom) -> tuple[str, list[Any]]:
    """The keyword that lists the first items' schemas, and the list."""
    if isinstance(atom.value.get("items"), list):
        return "items", atom.value["items"]
    return "prefixItems", atom.value.get("prefixItems", [])


def counts(atoms: Iterable[Atom], least: str, most: str) -> tuple[int, int | None]:
    """What two keywords that bound a count leave; None is no upper bound."""
    low, high = 0, None
    for atom in atoms:
        low = max(low, _count(atom, least))
        if most in atom.value:
            limit = _count(atom, most)
            high = limit if high is None else min(high, limit)
    return low, high


def _count(atom: Atom, keyword: str) -> int:
    value = atom.value.get(keyword, 0)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise InvalidGrammar(f"{atom.pointer}/{keyword} must be a natural number.")
    return value


def decimal(atom: Atom, keyword: str) -> Decimal:
    """A keyword's number, as it is written."""
    value = atom.value[keyword]
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise InvalidGrammar(f"{atom.pointer}/{keyword} must be a number.")
    return Decimal(str(value))
