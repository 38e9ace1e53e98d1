"""How fast search is over many chunks: rows, both indexes and the searcher, beside peers.

The face is `measure.measure_search`. The work is done by processes of their own (`build`, `serve`,
`peers`), so that what each holds in memory is its own.
"""
