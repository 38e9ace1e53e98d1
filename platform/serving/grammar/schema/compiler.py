"""A conjunction of schemas to a rule: made flat, branch by branch, then type by type.

What always holds: equal conjunctions are one rule, so a recursive schema becomes a recursive
grammar; and the work is bounded, whatever the schema multiplies to.
"""

from collections.abc import Sequence

from rostra.serving.errors import InvalidGrammar
from rostra.serving.grammar import json_ebnf
from rostra.serving.grammar.expr import NEVER, Expr, Grammar, Rule, Text, alt
from rostra.serving.grammar.schema.arrays import array
from rostra.serving.grammar.schema.atoms import Atom, Conjunction, constants, types_of
from rostra.serving.grammar.schema.context import Context
from rostra.serving.grammar.schema.disjoint import exclusive
from rostra.serving.grammar.schema.keywords import TYPES
from rostra.serving.grammar.schema.numeric import number
from rostra.serving.grammar.schema.objects import object_
from rostra.serving.grammar.schema.references import References
from rostra.serving.grammar.schema.screen import screen
from rostra.serving.grammar.schema.strings import string
from rostra.serving.grammar.validate import make_validator, parse_schema

MAX_RULES = 50_000
MAX_ALTERNATIVES = 20_000
MAX_DEPTH = 300


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
    context = Context(strict, make_validator(root), References(root))
    compiler = _Compiler(context)
    context.rules["root"] = compiler.conjunction((context.references.top,))
    return Grammar(context.rules)


class _Compiler:
    def __init__(self, context: Context) -> None:
        self._context = context
        self._known: dict[tuple[str, ...], Expr] = {}
        self._alternatives = 0
        self._depth = 0

    def conjunction(self, atoms: Conjunction) -> Expr:
        """What satisfies all atoms, as a rule."""
        flat = self._context.flatten(atoms)
        if flat is None:
            return NEVER
        key = tuple(sorted({atom.name for atom in flat}))
        if key in self._known:
            return self._known[key]
        if len(self._context.rules) + len(self._known) > MAX_RULES:
            raise InvalidGrammar("The schema is too large once its parts are combined.")
        # Known before it is written: what leads back here finds the rule.
        rule = Rule(f"s{len(self._known)}")
        self._known[key] = rule
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise InvalidGrammar("The schema is nested too deeply.")
        body = self._branches(flat)
        self._context.rules[rule.name] = body
        self._depth -= 1
        if body == NEVER:
            self._known[key] = NEVER
        return self._known[key]

    def _branches(self, atoms: list[Atom]) -> Expr:
        """Distributes over the first `anyOf` or `oneOf`."""
        for index, atom in enumerate(atoms):
            for keyword in ("anyOf", "oneOf"):
                if keyword not in atom.value:
                    continue
                branches = [atom.child(keyword, i) for i in range(len(atom.value[keyword]))]
                rest = [*atoms[:index], atom.without(keyword), *atoms[index + 1 :]]
                if keyword == "oneOf" and not exclusive(self._context, branches, rest):
                    self._context.refuse(atom, "oneOf", "two of its schemas may hold at once")
                self._alternatives += len(branches)
                if self._alternatives > MAX_ALTERNATIVES:
                    raise InvalidGrammar("The schema has too many combinations of alternatives.")
                return alt(*(self.conjunction((branch, *rest)) for branch in branches))
        return self._value(atoms)

    def _value(self, atoms: Sequence[Atom]) -> Expr:
        """What satisfies atoms without branches."""
        context = self._context
        if not atoms:
            return context.anything()
        values = constants(atoms)
        if values is not None:
            kept = [value for value in values if context.holds(value, atoms)]
            return alt(*map(json_ebnf.literal, kept)) if kept else NEVER
        types = types_of(atoms)
        for atom in atoms:
            types = screen(context, atom, types)
        if "number" in types:
            types = types - {"integer"}
        options: list[Expr] = []
        # In this order: what comes first is what a shortest text would rather be.
        for kind in TYPES:
            if kind in types:
                options.append(self._of_type(kind, atoms))
        return alt(*(option for option in options if option != NEVER)) if options else NEVER

    def _of_type(self, kind: str, atoms: Sequence[Atom]) -> Expr:
        match kind:
            case "null":
                return Text("null")
            case "boolean":
                return alt(Text("true"), Text("false"))
            case "string":
                return string(self._context, atoms)
            case "integer" | "number":
                return number(self._context, kind, atoms)
            case "array":
                return array(self._context, self.conjunction, atoms)
            case _:
                return object_(self._context, self.conjunction, atoms)
