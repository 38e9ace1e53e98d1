"""Citation precision and recall against annotated spans, and whether quotes are exact.

What always holds: nobody is asked and nothing is guessed; only offsets and stored text count.
"""

from collections.abc import Sequence
from typing import Any

from evals.core.measures import Measure
from evals.core.scores import Score
from evals.core.states import Cited, State
from evals.rag.samples import Span, gold_spans, is_answerable


class CitationSpans:
    """Against the closest annotation, by F1: do citations lie where the answer stands?

    Precision is the share of citations of which at least half lies in the annotation's spans;
    recall the share of its spans of which more than half is cited. An answer that cites nothing has
    recall 0 and no precision. Questions without annotated spans get no score, and those that
    nothing answers belong to `Abstention`.
    """

    name = "citation spans"

    @property
    def measures(self) -> Sequence[Measure]:
        """Two."""
        return (
            Measure("citation precision", unit="share"),
            Measure("citation recall", unit="share"),
        )

    def config(self) -> dict[str, Any]:
        """See `Scorer.config`."""
        return {"half": 0.5}

    async def __call__(self, state: State, seed: int) -> Sequence[Score]:
        """See `Scorer`."""
        annotations = gold_spans(state.sample)
        if not annotations or not is_answerable(state.sample) or not cites(state):
            return ()
        if not state.citations:
            return (Score("citation recall", 0.0),)
        precision, recall = max(
            (against(state.citations, spans) for spans in annotations), key=lambda both: _f1(*both)
        )
        return Score("citation precision", precision), Score("citation recall", recall)


class CitationExactness:
    """The share of an answer's citations whose quote equals the stored text at its place.

    An answer without a citation gets no score; one whose citations nobody looked up is unscored.
    """

    name = "citation exactness"

    @property
    def measures(self) -> Sequence[Measure]:
        """One."""
        return (Measure(self.name, unit="share"),)

    def config(self) -> dict[str, Any]:
        """See `Scorer.config`."""
        return {}

    async def __call__(self, state: State, seed: int) -> Sequence[Score]:
        """See `Scorer`."""
        if not state.citations:
            return ()
        told = [one.exact for one in state.citations]
        if None in told:
            return (Score(self.name, None, unscored="citations were not looked up"),)
        return (Score(self.name, sum(map(bool, told)) / len(told)),)


def cites(state: State) -> bool:
    """Whether the system is one that cites, also if it did not here."""
    return bool(state.citations) or "mode" in state.data


def against(citations: Sequence[Cited], spans: Sequence[Span]) -> tuple[float, float]:
    """Precision and recall of citations against one annotation; there is at least one of each."""
    cited = [(one.document, one.start, one.end) for one in citations]
    right = sum(2 * _covered(one, spans) >= one[2] - one[1] > 0 for one in cited)
    found = sum(2 * _covered(one, cited) > one[2] - one[1] for one in spans)
    return right / len(cited), found / len(spans)


def _covered(span: Span, others: Sequence[Span]) -> int:
    """How many code points of a span others cover, each counted once."""
    document, start, end = span
    total, reached = 0, start
    for other, other_start, other_end in sorted(others):
        if other != document:
            continue
        begin, finish = max(reached, other_start), min(end, other_end)
        if finish > begin:
            total += finish - begin
            reached = finish
    return total


def _f1(precision: float, recall: float) -> float:
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0
