"""Evaluation: how well the platform finds, answers and acts, on judged sets, in numbers.

Sets are folders the user has; nothing is downloaded. Runs go through the same faces that users do.
Names load on first use.
"""

from typing import TYPE_CHECKING

from rostra.core import lazy_names

if TYPE_CHECKING:
    from evals.agents.injection import InjectionReport, read_attacks, read_mails, try_injections
    from evals.agents.random_runs import RandomReport, random_engine, random_runs
    from evals.agents.retrieval import AgentRetrievalReport, evaluate_agent_retrieval
    from evals.agents.strategies import StrategyReport, compare_strategies
    from evals.beir import JudgedSet, find_sets, read_judged_set
    from evals.errors import DatasetError
    from evals.quotes import QuoteReport, evaluate_quotes
    from evals.retrieval import RetrievalScores, evaluate_retrieval
    from evals.schemas import SchemaReport, evaluate_schemas
    from evals.speed.ablations import SIZES, Ablation, run_ablations
    from evals.speed.checkpoints import write_random_checkpoint
    from evals.speed.decode import DecodeReport, measure_decode
    from evals.speed.peers import peer_names
    from evals.tool_answers import ask_for_calls
    from evals.tool_mutants import ScorerReport, try_scorer
    from evals.tools import ToolScores, read_tool_tasks, score_outputs
    from evals.workspace import open_workspace

_HOMES = {
    "InjectionReport": "agents.injection",
    "read_attacks": "agents.injection",
    "read_mails": "agents.injection",
    "try_injections": "agents.injection",
    "RandomReport": "agents.random_runs",
    "random_engine": "agents.random_runs",
    "random_runs": "agents.random_runs",
    "AgentRetrievalReport": "agents.retrieval",
    "evaluate_agent_retrieval": "agents.retrieval",
    "StrategyReport": "agents.strategies",
    "compare_strategies": "agents.strategies",
    "JudgedSet": "beir",
    "find_sets": "beir",
    "read_judged_set": "beir",
    "DatasetError": "errors",
    "QuoteReport": "quotes",
    "evaluate_quotes": "quotes",
    "RetrievalScores": "retrieval",
    "evaluate_retrieval": "retrieval",
    "SchemaReport": "schemas",
    "evaluate_schemas": "schemas",
    "SIZES": "speed.ablations",
    "Ablation": "speed.ablations",
    "run_ablations": "speed.ablations",
    "write_random_checkpoint": "speed.checkpoints",
    "DecodeReport": "speed.decode",
    "measure_decode": "speed.decode",
    "peer_names": "speed.peers",
    "ask_for_calls": "tool_answers",
    "ScorerReport": "tool_mutants",
    "try_scorer": "tool_mutants",
    "ToolScores": "tools",
    "read_tool_tasks": "tools",
    "score_outputs": "tools",
    "open_workspace": "workspace",
}

__all__ = [
    "SIZES",
    "Ablation",
    "AgentRetrievalReport",
    "DatasetError",
    "DecodeReport",
    "InjectionReport",
    "JudgedSet",
    "QuoteReport",
    "RandomReport",
    "RetrievalScores",
    "SchemaReport",
    "ScorerReport",
    "StrategyReport",
    "ToolScores",
    "ask_for_calls",
    "compare_strategies",
    "evaluate_agent_retrieval",
    "evaluate_quotes",
    "evaluate_retrieval",
    "evaluate_schemas",
    "find_sets",
    "measure_decode",
    "open_workspace",
    "peer_names",
    "random_engine",
    "random_runs",
    "read_attacks",
    "read_judged_set",
    "read_mails",
    "read_tool_tasks",
    "run_ablations",
    "score_outputs",
    "try_injections",
    "try_scorer",
    "write_random_checkpoint",
]

__getattr__ = lazy_names(__name__, _HOMES)
