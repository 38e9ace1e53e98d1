"""Evaluation: how well the platform finds and answers, on judged sets, in numbers.

Sets are folders the user has; nothing is downloaded. Runs go through the same faces that users do.
"""

from evals.beir import JudgedSet, find_sets, read_judged_set
from evals.errors import DatasetError
from evals.quotes import QuoteReport, evaluate_quotes
from evals.retrieval import RetrievalScores, evaluate_retrieval
from evals.schemas import SchemaReport, evaluate_schemas
from evals.speed.ablations import SIZES, Ablation, run_ablations
from evals.speed.checkpoints import write_random_checkpoint
from evals.speed.decode import DecodeReport, measure_decode
from evals.speed.peers import peer_names
from evals.workspace import open_workspace

__all__ = [
    "SIZES",
    "Ablation",
    "DatasetError",
    "DecodeReport",
    "JudgedSet",
    "QuoteReport",
    "RetrievalScores",
    "SchemaReport",
    "evaluate_quotes",
    "evaluate_retrieval",
    "evaluate_schemas",
    "find_sets",
    "measure_decode",
    "open_workspace",
    "peer_names",
    "read_judged_set",
    "run_ablations",
    "write_random_checkpoint",
]
