"""Scorers of answers over documents, one measure or one family of measures a file."""
