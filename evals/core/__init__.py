"""What every evaluation is made of: samples, solvers, scorers, a log, a report.

A `Task` is a dataset, a solver and its scorers; `run_tasks` takes one or more of them through an
append-only `RunFile`; `report_of` computes everything that is shown from that file alone.
"""

from evals.core.cache import StateCache
from evals.core.dataset import Dataset, make_dataset
from evals.core.log import (
    Header,
    Outcome,
    Resumed,
    RunFile,
    RunRecord,
    TaskHeader,
    read_header,
    read_run,
)
from evals.core.measures import Better, Measure, Reduce
from evals.core.report import MeasureReport, RunReport, Section, TaskReport, report_of, values_of
from evals.core.runner import Task, run_tasks
from evals.core.samples import Problem, Sample
from evals.core.scores import Score, Scorer, Unscored
from evals.core.solvers import Solver
from evals.core.states import Call, Cited, Passage, State, Usage

__all__ = [
    "Better",
    "Call",
    "Cited",
    "Dataset",
    "Header",
    "Measure",
    "MeasureReport",
    "Outcome",
    "Passage",
    "Problem",
    "Reduce",
    "Resumed",
    "RunFile",
    "RunRecord",
    "RunReport",
    "Sample",
    "Score",
    "Scorer",
    "Section",
    "Solver",
    "State",
    "StateCache",
    "Task",
    "TaskHeader",
    "TaskReport",
    "Unscored",
    "Usage",
    "make_dataset",
    "read_header",
    "read_run",
    "report_of",
    "run_tasks",
    "values_of",
]
