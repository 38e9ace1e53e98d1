"""Judges: models that say how good an answer is, and how far they can be believed."""
