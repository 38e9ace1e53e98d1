"""Training of the small models that ship with the product: their data, their recipes, their loop.

`python -m evals.training build|train|export|measure MODEL` from the root of a checkout. A model is
one module with a `MODEL` (see `registry`); all share the loop (`loop`), the pages that are held out
(`pages`) and the questions that a program makes of sentences (`clozes`).

What always holds: with the same sources, recipe and seed the examples are the same, byte for byte;
a page that is held out is in no example that is trained on.
"""
