"""Baselines: runs made small enough to be kept with the code that they guard.

What always holds: a baseline is a run's file like any other; comparing with it gives what comparing
with the whole run gives, as samples, values and failures are all there. What was found, said and
cited is not.
"""

import msgspec

from evals.core import Outcome, RunRecord, Score, State
from evals.core.log import Closed
from evals.reports.errors import RunNotComplete


def baseline_of(record: RunRecord) -> str:
    """The file of a baseline, as text.

    Raises:
        RunNotComplete: some samples are not done.
    """
    if not record.is_complete:
        raise RunNotComplete(
            f"run {record.header.id} is not complete",
            hint="Go on with it first: `rostra eval run ... --resume RUN`.",
        )
    closed = Closed(record.header.begun)
    outcomes = (_slim(outcome) for outcome in record.outcomes)
    lines = [record.header, *record.resumed, *outcomes, closed]
    return "".join(msgspec.json.encode(line).decode() + "\n" for line in lines)


def _slim(outcome: Outcome) -> Outcome:
    return Outcome(
        task=outcome.task,
        at=outcome.at,
        repeat=outcome.repeat,
        state=State(sample=outcome.state.sample, abstained=outcome.state.abstained),
        scores=[Score(one.name, one.value, unscored=one.unscored) for one in outcome.scores],
        failed=outcome.failed,
    )
