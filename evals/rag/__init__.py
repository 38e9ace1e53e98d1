"""Answers over documents, measured: sets of questions, scorers, systems, the report."""
