"""Grammar: what a generated text is held to, as masks over the next token and a certain end.

| module | one idea |
|---|---|
| `translate` | a constraint to a grammar, by the modules of the next five lines |
| `schema` | JSON schemas; `json_ebnf`, `numbers`, `formats` are their parts |
| `regex`, `regex_syntax`, `regular` | patterns; automata that intersect and complement them |
| `gbnf` | grammars as a caller writes them |
| `structural`, `tool_tags` | free text with constrained parts; tool calls so |
| `evidence`, `quotes` | sentence numbers that exist; strings cut from passages |
| `expr` | grammars as values, between the modules above and below |
| `ebnf` | a grammar as xgrammar reads it |
| `automaton`, `builder`, `growth` | a grammar as a network, with the cost of its ends |
| `follower`, `guard` | a text followed on the network; its end kept within the budget |
| `compile`, `worker`, `compiled` | compiling in a process that can be killed |
| `vocabulary`, `matcher` | the model's tokens; what may come next of one text |
| `check`, `validate` | parameters against a grammar; a text against a schema, afterwards |
"""
