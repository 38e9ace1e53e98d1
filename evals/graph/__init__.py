"""Questions that take two pages of documentation, with and without the graph.

`questions.jsonl` has the twenty that are reported; the weights were chosen on the ten of
`development.jsonl`. Both were written before the graph was looked at.
"""
