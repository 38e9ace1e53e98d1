"""Questions that take two pages of documentation, with and without the graph.

`questions.jsonl` has the twenty that are reported, written before there was a graph. The weights
were chosen on the eighteen of `development.jsonl`; docs/performance.md says in what order.
"""
