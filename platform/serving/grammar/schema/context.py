"""What is shared while one schema becomes a grammar: the rules written so far, and refusals.

What always holds: a refusal names the keyword and the JSON pointer of its schema; without `strict`
nothing is refused here, and the caller leaves the keyword out.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from rostra.serving.errors import UnsupportedSchema
from rostra.serving.grammar import json_ebnf, regular
from rostra.serving.grammar.expr import Expr, Rule
from rostra.serving.grammar.schema.atoms import Atom, Conjunction
from rostra.serving.grammar.schema.references import References
from rostra.serving.grammar.validate import Validator

ValueOf = Callable[[Conjunction], Expr]
"""Writes what satisfies a conjunction, as a rule: the way down from arrays and objects."""


@dataclass(slots=True)
class Context:
    """One schema on its way.

    Attributes:
        strict: refuse what cannot be enforced.
        validator: of the schema; tells which constants satisfy a part of it.
        references: of the schema.
        rules: written so far, by name.
    """

    strict: bool
    validator: Validator
    references: References
    rules: dict[str, Expr] = field(default_factory=dict)
    _automata: int = field(init=False, default=0)

    def flatten(self, atoms: Sequence[Atom]) -> list[Atom] | None:
        """See `References.flatten`."""
        return self.references.flatten(atoms)

    def holds(self, value: object, atoms: Iterable[Atom]) -> bool:
        """Whether a value satisfies all atoms."""
        return all(self.validator.evolve(schema=atom.value).is_valid(value) for atom in atoms)

    # --- Rules --------------------------------------------------------------------------------

    def shared(self, expr: Expr) -> Expr:
        """A rule for a part that would otherwise be written many times."""
        name = f"t{len(self.rules)}"
        self.rules[name] = expr
        return Rule(name)

    def language(self, dfa: regular.Dfa, end: Expr) -> Expr:
        """A language inside a string, then `end`, as rules of their own."""
        self._automata += 1
        rules = regular.rules_of(dfa, f"d{self._automata}_", json_ebnf.spelled_by_rules, end)
        self.rules.update(json_ebnf.SPELLING_RULES)
        self.rules.update(rules)
        return Rule(next(iter(rules)))

    def anything(self) -> Expr:
        """Any JSON value."""
        if "any_value" not in self.rules:
            self.rules.update(json_ebnf.any_rules("any_"))
        return Rule("any_value")

    # --- Refusals -----------------------------------------------------------------------------

    def refuse(self, atom: Atom, keyword: str, why: str) -> None:
        """Says that a keyword cannot be enforced, if that matters.

        Raises:
            UnsupportedSchema: if the schema is strict.
        """
        if not self.strict:
            return
        pointer = atom.pointer.partition("?")[0]
        raise UnsupportedSchema(
            f"{keyword} at {pointer or '/'} cannot be enforced: {why.rstrip('.')}.",
            hint="Ask with strict: false to have it checked afterwards instead.",
            keyword=keyword,
            pointer=pointer or "/",
        )

    def refuse_any(self, atoms: Sequence[Atom], keyword: str, why: str) -> None:
        """As `refuse`, for the first atom that has the keyword."""
        having = [atom for atom in atoms if keyword in atom.value]
        self.refuse((having or atoms)[0], keyword, why)
