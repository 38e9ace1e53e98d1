"""What can be wrong with the wish for a report."""

from rostra.core import Conflict, InvalidRequest, NotFound


class EvalTaskNotFound(NotFound):
    """A run has no such task or measure; the message says which there are."""

    code = "eval_task_not_found"


def task_not_found(run: str, count: int) -> EvalTaskNotFound:
    """There is no task at such a place."""
    return EvalTaskNotFound(f"run {run} has {count} tasks, counted from 0")


class TraceUrlInvalid(InvalidRequest):
    """The pattern of links to traces is no web address with `{trace}` in it."""

    code = "invalid_trace_url"


class RunNotComplete(Conflict):
    """A run that lacks samples cannot be a baseline."""

    code = "eval_run_not_complete"
