"""Parsers: what of a model's text is reasoning, what calls a tool, and what is the answer."""
