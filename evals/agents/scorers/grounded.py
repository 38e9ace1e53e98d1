"""Did a run end as it should: with an answer that the pages support, or with none?

Of a question that the pages answer, an answer is supported if a sentence that it cites is one that
answers: it covers at least half of such a sentence, or holds the reference word for word. Of a task
that is to be computed, a cited sentence has to hold the value. Of a question without an answer in
the pages, abstaining is right.
"""

import re
from collections.abc import Sequence
from typing import Any

from evals.core.measures import Better, Measure
from evals.core.scores import Score
from evals.core.states import Cited, State
from evals.rag.samples import gold_spans

KIND = "kind"
ANSWERABLE, UNANSWERABLE, COMPUTED = "answerable", "unanswerable", "computed"
VALUE = "value"

_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_COVERED = 0.5


class Grounded:
    """See this module; citations name documents as the sample's spans do."""

    name = "grounded"
    measures = (
        Measure("right end", unit="share"),
        Measure("supported answer", unit="share"),
        Measure("right citations", unit="share"),
        Measure("computed answer", unit="share"),
        Measure("right abstention", unit="share"),
        Measure("wrong abstention", Better.LOWER, unit="share"),
    )

    def config(self) -> dict[str, Any]:
        """Nothing can be chosen."""
        return {}

    async def __call__(self, state: State, seed: int) -> Sequence[Score]:
        """Those that are about this kind of task."""
        match state.sample.data[KIND]:
            case "computed":
                right = float(_holds_value(state))
                return [Score("right end", right), Score("computed answer", right)]
            case "unanswerable":
                right = float(state.abstained)
                return [Score("right end", right), Score("right abstention", right)]
        told = [is_gold(state, cited) for cited in state.citations]
        scores = [
            Score("right end", float(any(told))),
            Score("supported answer", float(any(told))),
            Score("wrong abstention", float(state.abstained)),
        ]
        if told:
            scores.append(Score("right citations", sum(told) / len(told)))
        return scores


def is_gold(state: State, cited: Cited) -> bool:
    """Whether a cited sentence answers."""
    for annotation in gold_spans(state.sample):
        for document, start, end in annotation:
            common = min(end, cited.end) - max(start, cited.start)
            if document == cited.document and common >= _COVERED * (end - start):
                return True
    quote = _plain(cited.quote)
    return any(f" {_plain(target)} " in f" {quote} " for target in state.sample.targets)


def _holds_value(state: State) -> bool:
    value = float(state.sample.data[VALUE])
    # Of `6 * 7 = 42` it is the result that counts.
    quotes = (re.split("[=≈]", str(one["quote"]))[-1] for one in state.data["evidence"])
    return any(float(found) == value for quote in quotes for found in _NUMBER.findall(quote))


def _plain(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.lower()))
