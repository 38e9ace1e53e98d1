"""JSON schemas to grammars, without losing or adding an instance.

A schema here is a *conjunction*: the schemas that one value must satisfy together. References,
`allOf` and the siblings of `anyOf` only add to it, so no keyword is silently dropped beside
another. What always holds: every text that a strict schema's grammar admits parses to an instance
of the schema; and every instance is admitted, in `json.dumps` layout, with declared keys in the
order of `properties` before all others (numbers of more than 15 digits on a side aside). What
cannot be kept that way is refused; `strict=False` leaves such keywords out of the grammar instead,
and `validate_afterwards` checks the text against all of them.

References are followed within the schema only; nothing is ever fetched.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from typing import Any
from urllib.parse import unquote, urldefrag, urljoin

from rostra.serving.errors import InvalidGrammar, UnsupportedSchema
from rostra.serving.grammar import json_ebnf, regular
from rostra.serving.grammar.expr import (
    EMPTY,
    NEVER,
    Expr,
    Grammar,
    Rule,
    Text,
    alt,
    optional,
    repeat,
    seq,
)
from rostra.serving.grammar.formats import FORMATS, UNENFORCED, format_expr
from rostra.serving.grammar.json_ebnf import ITEM_SEPARATOR, KEY_SEPARATOR
from rostra.serving.grammar.numbers import decimals, integers, multiples
from rostra.serving.grammar.regex import parse_regex
from rostra.serving.grammar.validate import Validator, make_validator, parse_schema

MAX_RULES = 50_000
MAX_ALTERNATIVES = 20_000
MAX_DEPTH = 300
MAX_COUNTED_PROPERTIES = 48
MAX_KEY_PATTERNS = 4
MAX_ITEMS = 10_000
MAX_LENGTH = 20_000

TYPES = ("object", "array", "string", "integer", "number", "boolean", "null")

ENFORCED: Mapping[str, str] = {
    "$ref": "within the schema: pointers, anchors and embedded ids",
    "$defs": "",
    "definitions": "",
    "type": "",
    "enum": "values that the rest of the schema refuses are left out",
    "const": "",
    "allOf": "",
    "anyOf": "",
    "oneOf": "where no value satisfies two of its schemas, as far as types, constants and required "
    "keys tell",
    "not": "where it excludes types, or nothing but constants from an enumeration",
    "properties": "in the order given",
    "required": "",
    "additionalProperties": "",
    "patternProperties": "up to four patterns an object",
    "propertyNames": "",
    "minProperties": "keys that are not declared count once",
    "maxProperties": "",
    "dependentRequired": "where the keys it asks for are required anyway",
    "items": "",
    "prefixItems": "",
    "additionalItems": "with `items` as a list",
    "minItems": "",
    "maxItems": "",
    "uniqueItems": "where an array has at most one item",
    "minLength": "",
    "maxLength": "",
    "pattern": "regular ones; no word boundaries, back references or looking around",
    "format": "the formats of `formats`; names that JSON Schema does not define are annotations",
    "minimum": "",
    "maximum": "",
    "exclusiveMinimum": "",
    "exclusiveMaximum": "",
    "multipleOf": "powers of ten, and integers in a bounded range",
}
"""Keywords that the grammar holds, and how far."""

REFUSED: Mapping[str, str] = {
    "contains": "a grammar cannot count items of one kind among others",
    "minContains": "see contains",
    "maxContains": "see contains",
    "dependentSchemas": "what is required would depend on keys that come later",
    "dependencies": "see dependentRequired and dependentSchemas",
    "if": "needs the complement of a schema",
    "unevaluatedProperties": "depends on which branches hold",
    "unevaluatedItems": "depends on which branches hold",
    "$dynamicRef": "depends on the way a schema was reached",
    "$recursiveRef": "depends on the way a schema was reached",
}
"""Keywords that only `strict=False` takes, and why."""

ANNOTATIONS = frozenset(
    {
        "$schema",
        "$id",
        "id",
        "$anchor",
        "$comment",
        "$vocabulary",
        "$dynamicAnchor",
        "$recursiveAnchor",
        "title",
        "description",
        "default",
        "examples",
        "deprecated",
        "readOnly",
        "writeOnly",
        "contentEncoding",
        "contentMediaType",
        "contentSchema",
        "then",
        "else",
        "$defs",
        "definitions",
    }
)
"""Keywords that say nothing about instances by themselves. Unknown ones say nothing either, as the
standard has it."""

_APPLIES_TO = {
    "object": (
        "properties required additionalProperties patternProperties propertyNames minProperties "
        "maxProperties dependentRequired dependentSchemas dependencies unevaluatedProperties"
    ),
    "array": (
        "items prefixItems additionalItems minItems maxItems uniqueItems contains minContains "
        "maxContains unevaluatedItems"
    ),
    "string": "minLength maxLength pattern format",
    "number": "minimum maximum exclusiveMinimum exclusiveMaximum multipleOf",
}
_TYPE_OF = {word: kind for kind, words in _APPLIES_TO.items() for word in words.split()}


def schema_grammar(schema: str, *, strict: bool) -> Grammar:
    """The grammar of a schema.

    Args:
        schema: as JSON text.
        strict: refuse what cannot be enforced; otherwise leave it out.

    Raises:
        InvalidGrammar: if it is no JSON schema, contradicts itself or is too large.
        UnsupportedSchema: if it is strict and a keyword cannot be enforced; the message has the
            keyword and the JSON pointer to its schema.
    """
    root = parse_schema(schema)
    return _Compiler(root, strict, make_validator(root)).compile()


@dataclass(frozen=True, slots=True)
class _Atom:
    """One schema of a conjunction.

    Attributes:
        value: the schema.
        pointer: where it stands.
        base: the resource that its references start from.
    """

    value: Any
    pointer: str
    base: str

    def child(self, *steps: str | int) -> "_Atom":
        value = self.value
        for step in steps:
            value = value[step]
        pointer = self.pointer + "".join(
            "/" + str(step).replace("~", "~0").replace("/", "~1") for step in steps
        )
        base = self.base
        if isinstance(value, dict) and isinstance(value.get("$id"), str):
            base = urldefrag(urljoin(base, value["$id"]))[0]
        return _Atom(value, pointer, base)

    def without(self, *keywords: str) -> "_Atom":
        value = {key: each for key, each in self.value.items() if key not in keywords}
        return _Atom(value, self.pointer + "".join(f"?{key}" for key in keywords), self.base)


Conjunction = tuple[_Atom, ...]


@dataclass(slots=True)
class _Compiler:
    root: Any
    strict: bool
    validator: Validator
    rules: dict[str, Expr] = field(default_factory=dict)
    known: dict[tuple[str, ...], Expr] = field(default_factory=dict)
    alternatives: int = 0
    depth: int = 0
    automata: int = 0
    old: bool = False
    targets: dict[str, _Atom] = field(default_factory=dict)

    def compile(self) -> Grammar:
        base = ""
        if isinstance(self.root, dict):
            named = self.root.get("$schema", "")
            self.old = isinstance(named, str) and any(
                draft in named for draft in ("draft-03", "draft-04", "draft-06", "draft-07")
            )
            base = urldefrag(str(self.root.get("$id", self.root.get("id", ""))))[0]
        top = _Atom(self.root, "", base)
        self._find_targets(top)
        self.rules["root"] = self.conjunction((top,))
        return Grammar(self.rules)

    # --- Conjunctions -------------------------------------------------------------------------

    def conjunction(self, atoms: Conjunction) -> Expr:
        """What satisfies all atoms, as a rule."""
        flat = self._flatten(atoms)
        if flat is None:
            return NEVER
        key = tuple(sorted({f"{atom.base}#{atom.pointer}" for atom in flat}))
        if key in self.known:
            return self.known[key]
        if len(self.rules) + len(self.known) > MAX_RULES:
            raise InvalidGrammar("The schema is too large once its parts are combined.")
        rule = Rule(f"s{len(self.known)}")
        self.known[key] = rule
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise InvalidGrammar("The schema is nested too deeply.")
        body = self._branches(flat)
        self.rules[rule.name] = body
        self.depth -= 1
        if body == NEVER:
            self.known[key] = NEVER
        return self.known[key]

    def _flatten(self, atoms: Iterable[_Atom]) -> list[_Atom] | None:
        """Resolves references and `allOf`; None if a part is `false`."""
        found: dict[str, _Atom] = {}
        stack = list(atoms)[::-1]
        passed: set[str] = set()
        while stack:
            atom = stack.pop()
            name = f"{atom.base}#{atom.pointer}"
            if name in passed:
                continue
            passed.add(name)
            if atom.value is True or atom.value == {}:
                continue
            if atom.value is False:
                return None
            if not isinstance(atom.value, dict):
                raise InvalidGrammar(f"{atom.pointer or 'The schema'} is neither object nor bool.")
            if "$ref" in atom.value:
                target = self._resolve(atom)
                if not self.old:
                    stack.append(atom.without("$ref"))
                stack.append(target)
                continue
            if "allOf" in atom.value:
                stack.append(atom.without("allOf"))
                stack += [atom.child("allOf", i) for i in range(len(atom.value["allOf"]))][::-1]
                continue
            if any(key not in ANNOTATIONS for key in atom.value):
                found[name] = atom
        if (
            not found
            and len(passed) > 1
            and all(isinstance(atom.value, dict) and "$ref" in atom.value for atom in atoms)
            and self._only_circles(atoms)
        ):
            raise InvalidGrammar("A reference in the schema only leads back to itself.")
        return list(found.values())

    def _only_circles(self, atoms: Iterable[_Atom]) -> bool:
        for atom in atoms:
            seen: set[str] = set()
            at = atom
            while isinstance(at.value, dict) and set(at.value) - ANNOTATIONS == {"$ref"}:
                if at.pointer in seen:
                    return True
                seen.add(at.pointer)
                at = self._resolve(at)
        return False

    def _branches(self, atoms: list[_Atom]) -> Expr:
        """Distributes over the first `anyOf` or `oneOf`."""
        for index, atom in enumerate(atoms):
            for keyword in ("anyOf", "oneOf"):
                if keyword not in atom.value:
                    continue
                branches = [atom.child(keyword, i) for i in range(len(atom.value[keyword]))]
                rest = [*atoms[:index], atom.without(keyword), *atoms[index + 1 :]]
                if keyword == "oneOf" and not self._exclusive(branches, rest):
                    self._refuse(atom, "oneOf", "two of its schemas may hold at once")
                self.alternatives += len(branches)
                if self.alternatives > MAX_ALTERNATIVES:
                    raise InvalidGrammar("The schema has too many combinations of alternatives.")
                return alt(*(self.conjunction((branch, *rest)) for branch in branches))
        return self._value(atoms)

    def _exclusive(self, branches: list[_Atom], rest: list[_Atom]) -> bool:
        """Whether no value satisfies two branches, as far as can be told."""
        flat = [self._flatten([branch, *rest]) for branch in branches]
        left = [each for each in flat if each is not None]
        if len(left) > 200:
            return False
        return all(self._disjoint(a, b) for i, a in enumerate(left) for b in left[i + 1 :])

    def _disjoint(self, a: list[_Atom], b: list[_Atom], depth: int = 0) -> bool:
        if any(_COMBINING & atom.value.keys() for atom in (*a, *b)):
            # Their branches could be looked into; the types beside them may do.
            pass
        types_a, types_b = _types(a), _types(b)
        shared = types_a & types_b
        if "integer" in types_a and "number" in types_b:
            shared |= {"integer"}
        if "number" in types_a and "integer" in types_b:
            shared |= {"integer"}
        if not shared:
            return True
        for one, other in ((a, b), (b, a)):
            values = _constants(one)
            if values is not None:
                return not any(self._holds(value, (*one, *other)) for value in values)
        if shared == {"object"} and depth < 3:
            required = _required(a) & _required(b)
            for key in sorted(required):
                inner_a = self._flatten(self._member(a, key))
                inner_b = self._flatten(self._member(b, key))
                if inner_a is None or inner_b is None:
                    return True
                if self._disjoint(inner_a, inner_b, depth + 1):
                    return True
            # One requires a key that the other forbids.
            for one, other in ((a, b), (b, a)):
                for key in _required(one):
                    if self._flatten(self._member(other, key)) is None:
                        return True
        if shared <= {"integer", "number"}:
            low_a, high_a = self._interval(a)
            low_b, high_b = self._interval(b)
            return _before(high_a, low_b) or _before(high_b, low_a)
        return False

    def _member(self, atoms: Iterable[_Atom], key: str) -> list[_Atom]:
        """The schemas that the value of a key must satisfy."""
        found: list[_Atom] = []
        for atom in atoms:
            value = atom.value
            named = False
            if key in value.get("properties", {}):
                found.append(atom.child("properties", key))
                named = True
            for pattern in value.get("patternProperties", {}):
                if self._key_language(atom, pattern).accepts(key):
                    found.append(atom.child("patternProperties", pattern))
                    named = True
            if not named and "additionalProperties" in value:
                found.append(atom.child("additionalProperties"))
        return found

    # --- Values -------------------------------------------------------------------------------

    def _value(self, atoms: list[_Atom]) -> Expr:
        if not atoms:
            return self._anything()
        values = _constants(atoms)
        if values is not None:
            kept = [value for value in values if self._holds(value, atoms)]
            return alt(*map(json_ebnf.literal, kept)) if kept else NEVER
        types = _types(atoms)
        for atom in atoms:
            types = self._look_over(atom, types)
        if "number" in types:
            types = types - {"integer"}
        options: list[Expr] = []
        # In this order: what comes first is what a shortest text would rather be.
        for kind in TYPES:
            if kind in types:
                options.append(self._of_type(kind, atoms))
        return alt(*(option for option in options if option != NEVER)) if options else NEVER

    def _look_over(self, atom: _Atom, types: frozenset[str]) -> frozenset[str]:
        """Refuses what cannot be kept for these types, and takes away what `not` excludes."""
        for keyword in atom.value:
            if keyword in REFUSED:
                kind = _TYPE_OF.get(keyword)
                if kind is not None and kind not in types:
                    continue
                if self._means_nothing(atom, keyword):
                    continue
                self._refuse(atom, keyword, REFUSED[keyword])
            elif keyword == "nullable" and atom.value[keyword] is True:
                self._refuse(atom, keyword, "it is OpenAPI's; use a type list with null")
        if "not" in atom.value:
            types = self._exclude(atom, types)
        return types

    def _means_nothing(self, atom: _Atom, keyword: str) -> bool:
        value = atom.value[keyword]
        match keyword:
            case "minContains" | "maxContains":
                return "contains" not in atom.value
            case "contains":
                return atom.value.get("minContains") == 0 and "maxContains" not in atom.value
            case "if":
                then, other = atom.value.get("then", True), atom.value.get("else", True)
                return then in (True, {}) and other in (True, {})
            case "dependentSchemas" | "dependencies":
                return not value
            case "unevaluatedProperties" | "unevaluatedItems":
                return value is True or value == {}
            case _:
                return False

    def _exclude(self, atom: _Atom, types: frozenset[str]) -> frozenset[str]:
        flat = self._flatten([atom.child("not")])
        if flat is None:
            return types
        if not flat:
            return frozenset()
        if len(flat) == 1 and set(flat[0].value) - ANNOTATIONS == {"type"}:
            gone = _types(flat)
            if "integer" in gone and "number" not in gone and "number" in types:
                self._refuse(atom, "not", "integers cannot be taken from numbers")
            if "number" in gone:
                gone |= {"integer"}
            return types - gone
        self._refuse(atom, "not", "the complement of a schema is no grammar")
        return types

    def _of_type(self, kind: str, atoms: list[_Atom]) -> Expr:
        match kind:
            case "null":
                return Text("null")
            case "boolean":
                return alt(Text("true"), Text("false"))
            case "string":
                return self._string(atoms)
            case "integer" | "number":
                return self._number(kind, atoms)
            case "array":
                return self._array(atoms)
            case _:
                return self._object(atoms)

    def _anything(self) -> Expr:
        if "any_value" not in self.rules:
            self.rules.update(json_ebnf.any_rules("any_"))
        return Rule("any_value")

    def _string(self, atoms: list[_Atom]) -> Expr:
        least, most = 0, None
        languages: list[Expr] = []
        for atom in atoms:
            value = atom.value
            least = max(least, _count(atom, "minLength", 0))
            if "maxLength" in value:
                limit = _count(atom, "maxLength", 0)
                most = limit if most is None else min(most, limit)
            if "pattern" in value:
                parsed = self._pattern(atom, "pattern", value["pattern"])
                if parsed is not None:
                    languages.append(parsed)
            if isinstance(value.get("format"), str):
                expr = self._format(atom)
                if expr is not None:
                    languages.append(expr)
        if most is not None and most < least:
            return NEVER
        if least > MAX_LENGTH or (most or 0) > MAX_LENGTH:
            keyword = "minLength" if least > MAX_LENGTH else "maxLength"
            if least > MAX_LENGTH:
                raise InvalidGrammar(
                    f"A string of at least {least:,} characters is too long.",
                    hint=f"Lengths up to {MAX_LENGTH:,} are supported.",
                )
            self._refuse_any(atoms, keyword, f"more than {MAX_LENGTH:,} characters")
            most = None
        if not languages:
            return json_ebnf.string(least, most)
        try:
            dfa = regular.from_expr(languages[0])
            for language in languages[1:]:
                dfa = regular.intersection(dfa, regular.from_expr(language))
            if least or most is not None:
                dfa = regular.intersection(dfa, regular.lengths(least, most))
        except regular.TooLarge:
            if len(languages) == 1 and not least and most is None:
                return seq(Text('"'), json_ebnf.in_string(languages[0]), Text('"'))
            self._refuse_any(atoms, "pattern", "its conditions are too large to combine")
            return json_ebnf.string()
        return NEVER if dfa.empty else seq(Text('"'), self._language(dfa, Text('"')))

    def _language(self, dfa: regular.Dfa, end: Expr) -> Expr:
        """A language inside a string, then `end`, as rules of their own."""
        self.automata += 1
        rules = regular.rules_of(dfa, f"d{self.automata}_", json_ebnf.spelled_by_rules, end)
        self.rules.update(json_ebnf.SPELLING_RULES)
        self.rules.update(rules)
        return Rule(next(iter(rules)))

    def _pattern(self, atom: _Atom, keyword: str, pattern: Any) -> Expr | None:
        if not isinstance(pattern, str):
            raise InvalidGrammar(f"{atom.pointer}/{keyword} must be a string.")
        try:
            return parse_regex(pattern, search=True)
        except InvalidGrammar as error:
            self._refuse(atom, keyword, error.message)
            return None

    def _number(self, kind: str, atoms: list[_Atom]) -> Expr:
        low, high = self._interval(atoms)
        step: Fraction | None = None
        for atom in atoms:
            if "multipleOf" in atom.value:
                each = Fraction(_decimal(atom, "multipleOf"))
                if each <= 0:
                    raise InvalidGrammar(f"{atom.pointer}/multipleOf must be above 0.")
                step = each if step is None else _common_multiple(step, each)
        whole = kind == "integer" or (step is not None and step.denominator == 1)
        if whole:
            first = None if low is None else _ceil(*low)
            last = None if high is None else _floor(*high)
            if first is not None and last is not None and first > last:
                return NEVER
            if step is None or step == 1 or (kind == "integer" and step.numerator == 1):
                return integers(first, last, digits=json_ebnf.INTEGER_DIGITS - 1)
            found = multiples(step.numerator, first, last, json_ebnf.INTEGER_DIGITS - 1)
            if found is None:
                self._refuse_any(atoms, "multipleOf", "only powers of ten, or a bounded range")
                return integers(first, last, digits=json_ebnf.INTEGER_DIGITS - 1)
            return found
        places = None
        if step is not None:
            places = _places(step)
            if places is None:
                self._refuse_any(atoms, "multipleOf", "only powers of ten, or a bounded range")
        if low is None and high is None and places is None:
            if "any_value" in self.rules:
                return Rule("any_number")
            return json_ebnf.number()
        return decimals(low, high, places)

    def _interval(self, atoms: Iterable[_Atom]) -> "tuple[_Bound | None, _Bound | None]":
        low: _Bound | None = None
        high: _Bound | None = None
        for atom in atoms:
            for keyword, excluded in (("minimum", False), ("exclusiveMinimum", True)):
                if keyword in atom.value and not isinstance(atom.value[keyword], bool):
                    if keyword == "minimum" and atom.value.get("exclusiveMinimum") is True:
                        excluded = True
                    bound = (_decimal(atom, keyword), excluded)
                    low = bound if low is None else max(low, bound)
            for keyword, excluded in (("maximum", False), ("exclusiveMaximum", True)):
                if keyword in atom.value and not isinstance(atom.value[keyword], bool):
                    if keyword == "maximum" and atom.value.get("exclusiveMaximum") is True:
                        excluded = True
                    bound = (_decimal(atom, keyword), excluded)
                    if high is None or (bound[0], not bound[1]) < (high[0], not high[1]):
                        high = bound
        return low, high

    # --- Arrays -------------------------------------------------------------------------------

    def _array(self, atoms: list[_Atom]) -> Expr:
        least, most = 0, None
        fixed = 0
        unique = False
        for atom in atoms:
            least = max(least, _count(atom, "minItems", 0))
            if "maxItems" in atom.value:
                limit = _count(atom, "maxItems", 0)
                most = limit if most is None else min(most, limit)
            fixed = max(fixed, len(_prefix(atom)[1]))
            unique = unique or atom.value.get("uniqueItems") is True
        if least > MAX_ITEMS:
            raise InvalidGrammar(
                f"An array of at least {least:,} items is too long.",
                hint=f"Counts up to {MAX_ITEMS:,} are supported.",
            )
        if most is not None and most > MAX_ITEMS:
            self._refuse_any(atoms, "maxItems", f"more than {MAX_ITEMS:,} items")
            most = None
        heads = [self.conjunction(self._item(atoms, index)) for index in range(fixed)]
        rest = self.conjunction(self._item(atoms, fixed))
        for index, head in enumerate(heads):
            if head == NEVER:
                most = index if most is None else min(most, index)
                break
        else:
            if rest == NEVER:
                most = fixed if most is None else min(most, fixed)
        if most is not None and most < least:
            return NEVER
        if unique and (most is None or most > 1):
            self._refuse_any(atoms, "uniqueItems", "a grammar cannot compare items")
        return self._listed(heads if most is None else heads[:most], rest, least, most)

    def _listed(self, heads: list[Expr], rest: Expr, least: int, most: int | None) -> Expr:
        """`least` to `most` items, the first ones from `heads`; brackets included."""
        close = Text("]")
        fixed = len(heads)
        separator = Text(ITEM_SEPARATOR)
        more_least = max(0, least - fixed)
        more_most = None if most is None else most - fixed
        if fixed == 0:
            if more_most == 0:
                return Text("[]")
            tail = seq(
                rest,
                repeat(
                    seq(separator, rest),
                    max(0, more_least - 1),
                    None if more_most is None else more_most - 1,
                ),
                close,
            )
            filled = seq(Text("["), tail)
            return filled if least else alt(Text("[]"), filled)
        tail = close
        if more_most != 0 and rest != NEVER:
            tail = seq(repeat(seq(separator, rest), more_least, more_most), close)
        for index in range(fixed - 1, 0, -1):
            onward = seq(separator, heads[index], self._shared(tail))
            tail = onward if least > index else alt(close, onward)
        filled = seq(Text("["), heads[0], self._shared(tail))
        return filled if least else alt(Text("[]"), filled)

    def _shared(self, expr: Expr) -> Expr:
        """A rule for a part that would otherwise be written many times."""
        name = f"t{len(self.rules)}"
        self.rules[name] = expr
        return Rule(name)

    def _item(self, atoms: Iterable[_Atom], index: int) -> Conjunction:
        found: list[_Atom] = []
        for atom in atoms:
            keyword, prefix = _prefix(atom)
            if index < len(prefix):
                found.append(atom.child(keyword, index))
            elif keyword == "items":
                if "additionalItems" in atom.value:
                    found.append(atom.child("additionalItems"))
            elif "items" in atom.value:
                found.append(atom.child("items"))
        return tuple(found)

    # --- Objects ------------------------------------------------------------------------------

    def _object(self, atoms: list[_Atom]) -> Expr:
        names: dict[str, None] = {}
        required: dict[str, None] = {}
        least, most = 0, None
        for atom in atoms:
            names.update(dict.fromkeys(atom.value.get("properties", {})))
            required.update(
                dict.fromkeys(
                    atom.value.get("required", ())
                    if isinstance(atom.value.get("required"), list)
                    else ()
                )
            )
            least = max(least, _count(atom, "minProperties", 0))
            if "maxProperties" in atom.value:
                limit = _count(atom, "maxProperties", 0)
                most = limit if most is None else min(most, limit)
        names.update(required)
        members: list[tuple[Expr, bool]] = []
        for name in names:
            value = self._named(atoms, name)
            if value == NEVER:
                if name in required:
                    return NEVER
                continue
            key = seq(json_ebnf.literal(name), Text(KEY_SEPARATOR))
            members.append((seq(key, value), name in required))
        others = self._others(atoms, names)
        self._check_dependent(atoms, required)
        needed = sum(each for _, each in members)
        if most is not None and needed > most:
            return NEVER
        if least > len(members) and others == NEVER:
            return NEVER
        if least <= needed and (most is None or (others == NEVER and most >= len(members))):
            return self._keys(members, others)
        return self._counted_keys(atoms, members, others, least, most)

    def _named(self, atoms: list[_Atom], name: str) -> Expr:
        for atom in atoms:
            if "propertyNames" in atom.value and not self._name_language(atom).accepts(name):
                return NEVER
        return self.conjunction(tuple(self._member(atoms, name)))

    def _name_language(self, atom: _Atom) -> regular.Dfa:
        """The keys that `propertyNames` allows; all of them where that cannot be told."""
        everything = regular.lengths(0, None)
        flat = self._flatten([atom.child("propertyNames")])
        if flat is None:
            return regular.Dfa(((),), (False,))
        if not flat:
            return everything
        dfa = everything
        for each in flat:
            left = set(each.value) - ANNOTATIONS - {"type", "pattern", "minLength", "maxLength",
                                                     "enum", "const", "format"}  # fmt: skip
            if left & (ENFORCED.keys() | REFUSED.keys()):
                self._refuse(atom, "propertyNames", f"{sorted(left)[0]} of keys")
            if "string" not in _types([each]):
                return regular.Dfa(((),), (False,))
            values = _constants([each])
            try:
                if values is not None:
                    texts = [value for value in values if isinstance(value, str)]
                    dfa = regular.intersection(dfa, regular.words(texts))
                if "pattern" in each.value:
                    parsed = self._pattern(each, "pattern", each.value["pattern"])
                    if parsed is not None:
                        dfa = regular.intersection(dfa, regular.from_expr(parsed))
                if isinstance(each.value.get("format"), str):
                    expr = self._format(each)
                    if expr is not None:
                        dfa = regular.intersection(dfa, regular.from_expr(expr))
                least = _count(each, "minLength", 0)
                most = _count(each, "maxLength", 0) if "maxLength" in each.value else None
                if least or most is not None:
                    if most is not None and most < least:
                        return regular.Dfa(((),), (False,))
                    dfa = regular.intersection(dfa, regular.lengths(least, most))
            except regular.TooLarge:
                self._refuse(atom, "propertyNames", "its conditions are too large to combine")
        return dfa

    def _key_language(self, atom: _Atom, pattern: str) -> regular.Dfa:
        parsed = self._pattern(atom, "patternProperties", pattern)
        if parsed is None:
            return regular.Dfa(((),), (False,))
        return regular.from_expr(parsed)

    def _others(self, atoms: list[_Atom], names: Iterable[str]) -> Expr:
        """A member under a key that is not declared; NEVER if there may be none."""
        patterns: dict[str, regular.Dfa] = {}
        restricted = False
        for atom in atoms:
            for pattern in atom.value.get("patternProperties", {}):
                patterns[pattern] = self._key_language(atom, pattern)
            restricted = restricted or "propertyNames" in atom.value
        closed = all(
            not patterns and atom.value.get("additionalProperties") is False
            for atom in atoms
            if "additionalProperties" in atom.value
        ) and any("additionalProperties" in atom.value for atom in atoms)
        if closed:
            return NEVER
        if len(patterns) > MAX_KEY_PATTERNS:
            self._refuse_any(atoms, "patternProperties", f"more than {MAX_KEY_PATTERNS} patterns")
            patterns = {}
        try:
            free = regular.complement(regular.words(names))
            for atom in atoms:
                if "propertyNames" in atom.value:
                    free = regular.intersection(free, self._name_language(atom))
            options: list[Expr] = []
            for chosen, language in self._key_classes(list(patterns.items()), free):
                if language.empty:
                    continue
                found: list[_Atom] = []
                for atom in atoms:
                    own = [each for each in atom.value.get("patternProperties", {})
                           if each in chosen]  # fmt: skip
                    found += [atom.child("patternProperties", each) for each in own]
                    if not own and "additionalProperties" in atom.value:
                        found.append(atom.child("additionalProperties"))
                value = self.conjunction(tuple(found))
                if value != NEVER:
                    key = self._language(language, Text('"' + KEY_SEPARATOR))
                    options.append(seq(Text('"'), key, value))
        except regular.TooLarge:
            self._refuse_any(atoms, "patternProperties", "its keys are too large to tell apart")
            return NEVER
        return self._shared(alt(*options)) if options else NEVER

    def _key_classes(
        self, patterns: list[tuple[str, regular.Dfa]], language: regular.Dfa
    ) -> Iterator[tuple[frozenset[str], regular.Dfa]]:
        """The keys by which of the patterns they match."""
        if not patterns:
            yield frozenset(), language
            return
        (pattern, matched), *rest = patterns
        inside = regular.intersection(language, matched)
        if not inside.empty:
            for chosen, found in self._key_classes(rest, inside):
                yield chosen | {pattern}, found
        outside = regular.intersection(language, regular.complement(matched))
        if not outside.empty:
            yield from self._key_classes(rest, outside)

    def _check_dependent(self, atoms: list[_Atom], required: Mapping[str, None]) -> None:
        for atom in atoms:
            for key, asked in atom.value.get("dependentRequired", {}).items():
                if any(each not in required for each in asked):
                    self._refuse(
                        atom, "dependentRequired", f"what {key!r} asks for is not required anyway"
                    )

    def _keys(self, members: list[tuple[Expr, bool]], others: Expr) -> Expr:
        """Members in order, optional ones left out or not, then others in any number."""
        comma, close = Text(ITEM_SEPARATOR), Text("}")
        more = repeat(seq(comma, others), 0, None) if others != NEVER else EMPTY
        # What may follow once a member has been written, from the last one back.
        after: list[Expr] = [self._shared(seq(more, close))]
        for member, needed in reversed(members):
            following = after[-1]
            onward = seq(comma, member)
            after.append(self._shared(seq(onward if needed else optional(onward), following)))
        after.reverse()
        options: list[Expr] = []
        for index, (member, needed) in enumerate(members):
            options.append(seq(Text("{"), member, after[index + 1]))
            if needed:
                break
        else:
            if others != NEVER:
                options.append(seq(Text("{"), others, after[-1]))
            options.append(Text("{}"))
        return alt(*options)

    def _counted_keys(
        self,
        atoms: list[_Atom],
        members: list[tuple[Expr, bool]],
        others: Expr,
        least: int,
        most: int | None,
    ) -> Expr:
        """As `_keys`, with a number of members.

        Members under keys that are not declared may repeat a key, so any number of them counts
        as one towards the least, and each as one towards the most.
        """
        if len(members) > MAX_COUNTED_PROPERTIES or (most or least) > 10 * MAX_COUNTED_PROPERTIES:
            keyword = "maxProperties" if most is not None else "minProperties"
            self._refuse_any(atoms, keyword, "too many properties to count")
            return self._keys(members, others)
        if others != NEVER and least > len(members) + 1:
            self._refuse_any(atoms, "minProperties", "keys that are not declared may repeat")
            least = len(members) + 1
        comma, close = Text(ITEM_SEPARATOR), Text("}")
        memo: dict[tuple[int, int], Expr] = {}

        def rest(index: int, count: int) -> Expr:
            """What follows when `count` members are written and `index` were passed."""
            if (index, count) in memo:
                return memo[index, count]
            lead = comma if count else EMPTY
            if index == len(members):
                options: list[Expr] = [close] if count >= least else []
                room = None if most is None else most - count
                if others != NEVER and room != 0 and count + 1 >= least:
                    again = repeat(seq(comma, others), 0, None if room is None else room - 1)
                    options.append(seq(lead, others, again, close))
                found = alt(*options) if options else NEVER
            else:
                member, needed = members[index]
                options = []
                if most is None or count < most:
                    options.append(seq(lead, member, rest(index + 1, count + 1)))
                if not needed:
                    options.append(rest(index + 1, count))
                found = alt(*(each for each in options if each != NEVER))
            memo[index, count] = found if found == NEVER else self._shared(found)
            return memo[index, count]

        return seq(Text("{"), rest(0, 0))

    # --- References ---------------------------------------------------------------------------

    def _find_targets(self, top: _Atom) -> None:
        """Notes the ids and anchors of the schema and where they stand."""
        stack = [top]
        while stack:
            atom = stack.pop()
            if isinstance(atom.value, dict):
                own = atom.value.get("$id", atom.value.get("id") if self.old else None)
                if isinstance(own, str) or atom is top:
                    if self.old and isinstance(own, str) and own.startswith("#"):
                        self.targets.setdefault(urljoin(atom.base, own), atom)
                    else:
                        self.targets.setdefault(atom.base, atom)
                for keyword in ("$anchor", "$dynamicAnchor"):
                    if isinstance(atom.value.get(keyword), str):
                        self.targets.setdefault(f"{atom.base}#{atom.value[keyword]}", atom)
                stack += [atom.child(key) for key in atom.value if key not in ("enum", "const")]
            elif isinstance(atom.value, list):
                stack += [atom.child(index) for index in range(len(atom.value))]

    def _resolve(self, atom: _Atom) -> _Atom:
        reference = atom.value["$ref"]
        if not isinstance(reference, str):
            raise InvalidGrammar(f"{atom.pointer}/$ref must be a string.")
        full = urljoin(atom.base, reference)
        address, fragment = urldefrag(full)
        if full in self.targets and fragment:
            return self.targets[full]
        target = self.targets.get(address)
        if target is None and address == "":
            target = self.targets.get("", None)
        if target is None:
            raise InvalidGrammar(
                f"{atom.pointer}/$ref points to {reference!r}, which is not part of the schema.",
                hint="Put it into $defs; references are never fetched.",
            )
        if not fragment:
            return target
        if not fragment.startswith("/"):
            raise InvalidGrammar(f"{atom.pointer}/$ref points to {reference!r}: no such anchor.")
        for step in fragment[1:].split("/"):
            key: str | int = unquote(step).replace("~1", "/").replace("~0", "~")
            if isinstance(target.value, list) and str(key).isdecimal():
                key = int(key)
            try:
                target = target.child(key)
            except (KeyError, IndexError, TypeError) as error:
                raise InvalidGrammar(
                    f"{atom.pointer}/$ref points to {reference!r}, where nothing is."
                ) from error
        return target

    # --- Refusals -----------------------------------------------------------------------------

    def _format(self, atom: _Atom) -> Expr | None:
        name = atom.value["format"]
        if name in UNENFORCED:
            self._refuse(atom, "format", f"{name} is none of {', '.join(FORMATS)}")
        return format_expr(name)

    def _refuse(self, atom: _Atom, keyword: str, why: str) -> None:
        if not self.strict:
            return
        pointer = atom.pointer.partition("?")[0]
        raise UnsupportedSchema(
            f"{keyword} at {pointer or '/'} cannot be enforced: {why.rstrip('.')}.",
            hint="Ask with strict: false to have it checked afterwards instead.",
            keyword=keyword,
            pointer=pointer or "/",
        )

    def _refuse_any(self, atoms: list[_Atom], keyword: str, why: str) -> None:
        having = [atom for atom in atoms if keyword in atom.value]
        self._refuse((having or atoms)[0], keyword, why)

    def _holds(self, value: Any, atoms: Iterable[_Atom]) -> bool:
        return all(self.validator.evolve(schema=atom.value).is_valid(value) for atom in atoms)


_Bound = tuple[Decimal, bool]
# The bound, and whether it is itself excluded.
_COMBINING = frozenset({"anyOf", "oneOf", "not", "if"})


def _before(high: _Bound | None, low: _Bound | None) -> bool:
    if high is None or low is None:
        return False
    return high[0] < low[0] or (high[0] == low[0] and (high[1] or low[1]))


def _types(atoms: Iterable[_Atom]) -> frozenset[str]:
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


def _constants(atoms: Iterable[_Atom]) -> list[Any] | None:
    """The values of the first enumeration, None if there is none."""
    for atom in atoms:
        if "const" in atom.value:
            return [atom.value["const"]]
    for atom in atoms:
        if isinstance(atom.value.get("enum"), list):
            return list(atom.value["enum"])
    return None


def _required(atoms: Iterable[_Atom]) -> frozenset[str]:
    found: set[str] = set()
    for atom in atoms:
        if isinstance(atom.value.get("required"), list):
            found.update(atom.value["required"])
    return frozenset(found)


def _prefix(atom: _Atom) -> tuple[str, list[Any]]:
    """The keyword that lists the first items' schemas, and the list."""
    if isinstance(atom.value.get("items"), list):
        return "items", atom.value["items"]
    return "prefixItems", atom.value.get("prefixItems", [])


def _count(atom: _Atom, keyword: str, default: int) -> int:
    value = atom.value.get(keyword, default)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise InvalidGrammar(f"{atom.pointer}/{keyword} must be a natural number.")
    return value


def _decimal(atom: _Atom, keyword: str) -> Decimal:
    value = atom.value[keyword]
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise InvalidGrammar(f"{atom.pointer}/{keyword} must be a number.")
    return Decimal(str(value))


def _ceil(value: Decimal, excluded: bool) -> int:
    whole = int(value.to_integral_value("ROUND_CEILING"))
    return whole + 1 if excluded and whole == value else whole


def _floor(value: Decimal, excluded: bool) -> int:
    whole = int(value.to_integral_value("ROUND_FLOOR"))
    return whole - 1 if excluded and whole == value else whole


def _common_multiple(a: Fraction, b: Fraction) -> Fraction:
    from math import gcd, lcm

    return Fraction(lcm(a.numerator, b.numerator), gcd(a.denominator, b.denominator))


def _places(step: Fraction) -> int | None:
    """Decimal places of the multiples of 1/10^n, None if the step is something else."""
    if step.numerator != 1:
        return None
    power = len(str(step.denominator)) - 1
    return power if step.denominator == 10**power and power <= 10 else None
