"""Evaluation: how well the platform finds and answers, on judged sets, in numbers.

Sets are folders the user has; nothing is downloaded. Runs go through the same faces that users do.
"""

from evals.beir import JudgedSet, find_sets, read_judged_set
from evals.errors import DatasetError
from evals.quotes import QuoteReport, evaluate_quotes
from evals.retrieval import RetrievalScores, evaluate_retrieval
from evals.workspace import open_workspace

__all__ = [
    "DatasetError",
    "JudgedSet",
    "QuoteReport",
    "RetrievalScores",
    "evaluate_quotes",
    "evaluate_retrieval",
    "find_sets",
    "open_workspace",
    "read_judged_set",
]
