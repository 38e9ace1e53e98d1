"""Which sentences support an answer: a JSON array of their numbers, and nothing else.

The platform numbers the sentences of the passages in the prompt and lays out the quotes itself, so
a citation can be neither misquoted nor invented. What always holds: every number is one of
1 to `sentences`, and there are at most `most`; a number may occur twice.
"""

from rostra.core import Evidence
from rostra.serving.errors import InvalidGrammar
from rostra.serving.grammar.expr import Grammar, Rule, Text, alt, repeat, seq
from rostra.serving.grammar.numbers import integers

MAX_SENTENCES = 1_000_000
MAX_NUMBERS = 1024


def evidence_grammar(evidence: Evidence) -> Grammar:
    """Admits `[]`, `[3]`, `[3, 17]` and so on.

    Raises:
        InvalidGrammar: if a count is out of its range.
    """
    if not 0 <= evidence.sentences <= MAX_SENTENCES:
        raise InvalidGrammar(f"sentences must be 0 to {MAX_SENTENCES:,}.", field="sentences")
    if not 0 <= evidence.most <= MAX_NUMBERS:
        raise InvalidGrammar(f"most must be 0 to {MAX_NUMBERS:,}.", field="most")
    if evidence.sentences == 0 or evidence.most == 0:
        return Grammar({"root": Text("[]")})
    number = Rule("number")
    more = repeat(seq(Text(", "), number), 0, evidence.most - 1)
    return Grammar(
        {
            "root": alt(Text("[]"), seq(Text("["), number, more, Text("]"))),
            "number": integers(1, evidence.sentences),
        }
    )
