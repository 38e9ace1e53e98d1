"""Questions in other words: what a generator adds to a question before documents are searched.

| module | one idea |
|---|---|
| `expansion` | what a strategy is given, gives and costs |
| `metered` | a model that keeps a budget and counts what is used of it |
| `asking` | one question to a model, answered by JSON of a schema |
| `rewrite` | a follow-up as a question that stands by itself |
| `hyde` | a passage as it could stand in the documents |
| `multi`, `step_back`, `decompose` | other wordings, the general question, its parts |
| `narrowing` | conditions on metadata that the question names |
| `running` | strategies side by side within one budget; what fails is left out |
| `passages` | a passage looked for as documents are embedded |
| `merge` | one ranking of several queries' results |
| `expanded` | search with all of it, behind the face of `Searcher` |
"""
