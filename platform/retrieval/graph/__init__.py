"""The graph of entities as one more retriever.

Names are found in texts by rules (`names`), a question spreads from what it names over what is
close to it (`walk`), and the chunks where it arrives join the hits of the other retrievers
(`searching`). Building the graph is `rostra.ingest.graph`'s part.
"""
