"""`rostra eval`: the platform measured on judged sets; a module for each kind of command.

What always holds: a command's module is imported when it is called, so that looking at runs does
not wait for what doing them needs.
"""

import click

from rostra.cli.groups import Later, LazyGroup

_HERE = "rostra.cli.eval"

_RUN = {
    "agent-retrieval": Later(
        f"{_HERE}.agents",
        "agent_retrieval",
        "Recall of a task's documents: one search of its words, and an agent that searches.",
    ),
    "agent-tasks": Later(
        f"{_HERE}.agent_tasks",
        "agent_tasks",
        "Tasks of your own: are they done, by which calls, at what cost?",
    ),
    "agents": Later(
        f"{_HERE}.agents",
        "agents",
        "ReAct, Plan-and-Execute and ReWOO on the same twenty scripted tasks.",
    ),
    "chunking": Later(
        f"{_HERE}.chunking",
        "chunking",
        "Recall, precision and IoU of tokens, chunker by chunker.",
    ),
    "dimensions": Later(
        f"{_HERE}.dimensions",
        "dimensions",
        "nDCG of truncated and of two-stage search by vectors, as shares of full width.",
    ),
    "evidence": Later(
        f"{_HERE}.evidence",
        "evidence",
        "Who chooses best what is quoted: similarity, the scorer, or a decoder that reads?",
    ),
    "graph": Later(
        f"{_HERE}.graph",
        "graph",
        "Recall of both pages that a question takes, by plain search and with the graph.",
    ),
    "injection": Later(
        f"{_HERE}.agents",
        "injection",
        "Planted instructions and a model that obeys them: what acts or leaks unapproved.",
    ),
    "judge": Later(
        f"{_HERE}.judge",
        "judge",
        "Judges of answers, judged: right, consistent, biased, in agreement with people?",
    ),
    "quote": Later(
        f"{_HERE}.rag",
        "quote",
        "Sentence F1 of quoted answers, and precision and recall of `not found`.",
    ),
    "rag": Later(
        f"{_HERE}.rag",
        "rag",
        "Answers, citations, abstention and robustness, on questions over documents.",
    ),
    "random-agents": Later(
        f"{_HERE}.agents",
        "random_agents",
        "Runs of a model with random weights: invalid steps, spent budgets, runs without an end.",
    ),
    "react": Later(
        f"{_HERE}.react",
        "react",
        "ReAct runs over pages: supported answers, right abstentions, steps, invalid steps.",
    ),
    "retrieval": Later(
        f"{_HERE}.retrieval",
        "retrieval",
        "nDCG, recall, precision, MRR and MAP of dense, lexical, hybrid (and reranked) search.",
    ),
    "schemas": Later(
        f"{_HERE}.schemas",
        "schemas",
        "How many JSON schemas grammars hold, and whether they tell valid from invalid instances.",
    ),
    "serving": Later(
        f"{_HERE}.serving",
        "serving",
        "Latencies and goodput under load: requests come when they come, answered or not.",
    ),
    "tools": Later(
        f"{_HERE}.agents",
        "tools",
        "Tool calls judged by their syntax tree; without a model, the judge itself.",
    ),
}
_OTHERS = {
    "baseline": Later(
        f"{_HERE}.reports",
        "baseline",
        "Write RUN to FILE as a baseline: its samples and scores, without what was said and found.",
    ),
    "compare": Later(
        f"{_HERE}.gate",
        "compare",
        "Compare two runs sample by sample; of one run, its systems with each other.",
    ),
    "delete": Later(f"{_HERE}.reports", "delete", "Delete runs."),
    "gate": Later(
        f"{_HERE}.gate",
        "gate",
        "Exit with 1 if CANDIDATE is significantly worse than the baseline, or lacks what it had.",
    ),
    "list": Later(f"{_HERE}.reports", "list_", "List runs, newest first."),
    "power": Later(
        f"{_HERE}.reports",
        "power",
        "Say how many samples show a difference: after a run, two runs, or numbers alone.",
    ),
    "prune": Later(
        f"{_HERE}.reports",
        "prune",
        "Delete all but the newest runs; of a file that is no run nothing is touched.",
    ),
    "report": Later(
        f"{_HERE}.reports",
        "report",
        "Write a run's report: one HTML file, JUnit XML, JSON; with BASELINE also what changed.",
    ),
    "set": Later(f"{_HERE}.sets", "sets", "Make and check sets of questions."),
    "show": Later(f"{_HERE}.reports", "show", "Print a run's report."),
}


@click.group("eval", cls=LazyGroup, later=_OTHERS)
def command() -> None:
    """Measure retrieval, answers, agents, judges and serving; compare and gate runs."""


@command.group("run", cls=LazyGroup, later=_RUN)
def run() -> None:
    """Run an evaluation. What it ingests is kept apart from your documents."""
