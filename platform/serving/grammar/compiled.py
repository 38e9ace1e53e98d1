"""A constraint as it goes from the compiler's process to the engine's."""

import msgspec

from rostra.serving.grammar.automaton import Automaton
from rostra.serving.grammar.quotes import QuotePlan


class Compiled(msgspec.Struct, frozen=True):
    """A grammar ready to be matched.

    Attributes:
        vocabulary: fingerprint of the vocabulary it was compiled for.
        shortest: tokens of its shortest text.
        grammar: xgrammar's compiled form as JSON; None for quotes.
        automaton: the same grammar for the closing guard; None for quotes.
        exact: the masks leave out long bounds, which the guard holds.
        quotes: set for quotes only.
    """

    vocabulary: str
    shortest: int
    grammar: str | None = None
    automaton: Automaton | None = None
    exact: bool = False
    quotes: QuotePlan | None = None
