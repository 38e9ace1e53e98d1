"""Quote mode on annotated questions: sentence F1, and whether `not found` is said when it is right.

What always holds: the passages of all questions are pooled into one collection and each question is
asked of all of them. Predicted are the annotated passages' sentences that citations cover by more
than half; of several annotations of a question the closest counts. The baseline quotes the first
sentence of the passage that search puts first, and always answers.

It is the run of `evals.rag` with two systems and the scorers that need no words.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evals.core import Outcome, RunRecord, Task, TaskReport, report_of
from evals.rag.read import read_rag_set
from evals.rag.samples import is_answerable
from evals.rag.tasks import RagPlan, only, quote_scorers, rag_tasks
from rostra.ingest import OnProgress
from rostra.runtime import Runtime


@dataclass(slots=True)
class QuoteReport:
    """Means over questions; `None` where there was nothing to average.

    Attributes:
        answerable: questions with an answer.
        unanswerable: questions without one.
        sentence_f1: over answerable questions with chosen sentences; `not found` scores 0.
        baseline_f1: the same of the baseline.
        passage_hit: share of those questions whose passage is found first.
        not_found_precision: of all `not found`, the share that was right.
        not_found_recall: of all unanswerable questions, the share that got `not found`.
        citations: how many there were.
        citations_exact: how many quote their document's `text[start:end]` exactly.
        failed: questions without an answer, by the error's name; they are in no mean.
        n: of how many questions each mean is, by its name in `to_dict`.
        run: the run's id.
    """

    answerable: int = 0
    unanswerable: int = 0
    sentence_f1: float | None = None
    baseline_f1: float | None = None
    passage_hit: float | None = None
    not_found_precision: float | None = None
    not_found_recall: float | None = None
    citations: int = 0
    citations_exact: int = 0
    failed: dict[str, int] = field(default_factory=dict)
    run: str = ""
    n: dict[str, int] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return {
            "run": self.run,
            "answerable": self.answerable,
            "unanswerable": self.unanswerable,
            "sentence_f1": _rounded(self.sentence_f1),
            "baseline_f1": _rounded(self.baseline_f1),
            "passage_hit@1": _rounded(self.passage_hit),
            "not_found": {
                "precision": _rounded(self.not_found_precision),
                "recall": _rounded(self.not_found_recall),
            },
            "citations": {"count": self.citations, "exact": self.citations_exact},
            "failed": self.failed,
            "n": self.n,
        }


async def quote_tasks(
    runtime: Runtime, folder: Path, *, on_ingest: OnProgress | None = None
) -> list[Task]:
    """Pools a set's passages into a collection; the tasks that ask it all its questions.

    Args:
        runtime: of a workspace; see `open_workspace`.

    Raises:
        DatasetError: a file is missing, or no question in it can be used.
    """
    questions = read_rag_set(folder, runtime.settings)
    plan = RagPlan(systems=("ask", "first-sentence"))
    return only(await rag_tasks(runtime, questions, plan, on_ingest=on_ingest), quote_scorers())


def report_quotes(record: RunRecord) -> QuoteReport:
    """What a run of `quote_tasks` found, by its file."""
    found = report_of(record)
    ask, lead = found.tasks
    asked = [outcome for outcome in record.outcomes if outcome.task == 0]
    cited = [one for outcome in asked for one in outcome.state.citations]
    told = {
        "sentence_f1": (ask, "sentence f1"),
        "baseline_f1": (lead, "sentence f1"),
        "passage_hit@1": (lead, "passage hit@1"),
        "not_found precision": (ask, "abstention precision"),
        "not_found recall": (ask, "abstention recall"),
    }
    return QuoteReport(
        answerable=_count(asked, answerable=True),
        unanswerable=_count(asked, answerable=False),
        sentence_f1=_mean(ask, "sentence f1"),
        baseline_f1=_mean(lead, "sentence f1"),
        passage_hit=_mean(lead, "passage hit@1"),
        not_found_precision=_mean(ask, "abstention precision"),
        not_found_recall=_mean(ask, "abstention recall"),
        citations=len(cited),
        citations_exact=sum(one.exact is True for one in cited),
        failed=ask.failed,
        run=found.run,
        n={name: _n(task, measure) for name, (task, measure) in told.items()},
    )


def _count(outcomes: list[Outcome], *, answerable: bool) -> int:
    return sum(is_answerable(outcome.state.sample) is answerable for outcome in outcomes)


def _mean(task: TaskReport, name: str) -> float | None:
    measure = task.measure(name)
    return measure.estimate.mean if measure is not None and measure.estimate is not None else None


def _n(task: TaskReport, name: str) -> int:
    measure = task.measure(name)
    return measure.estimate.n if measure is not None and measure.estimate is not None else 0


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
