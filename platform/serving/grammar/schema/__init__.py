"""JSON schemas to grammars, without losing or adding an instance.

What always holds: every text that a strict schema's grammar admits parses to an instance of the
schema; and every instance is admitted, in `json.dumps` layout, with declared keys in the order of
`properties` before all others (numbers of more than 15 digits on a side aside). What cannot be kept
that way is refused; `strict=False` leaves such keywords out of the grammar instead, and
`validate_afterwards` checks the text against all of them.

| module | one idea |
|---|---|
| `keywords` | what is enforced, and what refused |
| `atoms` | one schema of a conjunction, and what its keywords say |
| `references` | ids, anchors, `$ref` and `allOf`: a conjunction made flat |
| `context` | what the modules below share: the rules written so far, and refusals |
| `strings`, `numeric`, `arrays`, `objects` | the values of one type |
| `keys` | which keys an object may have, and what their values must satisfy |
| `disjoint` | whether no value satisfies two schemas, for `oneOf` |
| `screen` | what the keywords beside a type do to it |
| `compiler` | a conjunction to a rule, branch by branch and type by type |
"""

from rostra.serving.grammar.schema.compiler import schema_grammar
from rostra.serving.grammar.schema.keywords import ENFORCED, REFUSED

__all__ = ["ENFORCED", "REFUSED", "schema_grammar"]
