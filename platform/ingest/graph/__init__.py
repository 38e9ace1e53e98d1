"""Builds the graph of a collection: reads its chunks once, then makes entities of what they say."""
