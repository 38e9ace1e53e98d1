"""A constraint as it goes from the compiler's process to the engine's."""

import msgspec
import xgrammar

from rostra.serving.grammar.automaton import Automaton
from rostra.serving.grammar.quotes import QuotePlan
from rostra.serving.grammar.vocabulary import Vocabulary


class Compiled(msgspec.Struct, frozen=True):
    """A grammar ready to be matched.

    Attributes:
        vocabulary: fingerprint of the vocabulary it was compiled for.
        shortest: tokens of its shortest text.
        source: the grammar as text, to be compiled where it is used: it takes milliseconds, or its
            compiled form is too large to send. None otherwise.
        grammar: xgrammar's compiled form as JSON; None where there is `source`, and for quotes.
        automaton: the same grammar for the closing guard; None for quotes.
        exact: the masks leave out long bounds, which the guard holds.
        quotes: set for quotes only.
    """

    vocabulary: str
    shortest: int
    source: str | None = None
    grammar: str | None = None
    automaton: Automaton | None = None
    exact: bool = False
    quotes: QuotePlan | None = None


def compile_text(text: str, vocabulary: Vocabulary) -> xgrammar.CompiledGrammar:
    """Compiles a grammar's text here and now.

    Raises:
        RuntimeError: from xgrammar, if it cannot.
    """
    compiler = xgrammar.GrammarCompiler(vocabulary.info, max_threads=1, cache_enabled=False)
    return compiler.compile_grammar(text)
