"""Calibrates the evidence scorer within search: `python -m evals.evidence_mixture`.

Searches a set's questions as quote mode does and fits how a sentence's log-odds go together with
what search knew of it: a conditional logit (McFadden 1974) over the sentences found and "none of
them". For a set that the scorer was not trained on and that is no set of a published table.

What always holds: the scorer's weights stay as they are; the threshold refuses the given share of
the questions whose answer was found; as many sentences are quoted, on average, as similarity
quotes of the same passages, so that pickers differ in which and not in how many.
"""

import argparse
import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import logsumexp, softmax

from evals.rag.read import read_rag_set
from evals.rag.samples import gold_spans, is_answerable
from evals.rag.sets import RagSet
from evals.workspace import open_workspace
from rostra.answer import (
    Calibration,
    EvidenceScorer,
    Mixture,
    Signs,
    SimilarityPicker,
    load_scorer_net,
    recalibrate,
    signs_of,
)
from rostra.core import load_settings, normalize_text
from rostra.retrieval import SearchRequest
from rostra.runtime import Runtime

REFUSED = 0.07
_PENALTY = 1e-4  # on squared weights: keeps what a set cannot tell from growing
_CUTS = (0.9, 0.7, 0.5, 0.4, 0.3, 0.2, 0.15, 0.1, 0.07, 0.05, 0.03, 0.02, 0.01)

Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Asked:
    """A question and the sentences found for it.

    Attributes:
        signs: float64 [sentences, 4]: log-odds, share, rank, cosine.
        right: bool [sentences], those that answer; none of an unanswerable question.
        quoted: how many sentences similarity quotes.
    """

    signs: Matrix
    right: npt.NDArray[np.bool_]
    quoted: int


async def asked_of(runtime: Runtime, questions: RagSet, scorer: EvidenceScorer) -> list[Asked]:
    """Ingests a set's passages, searches its questions and reads what was found."""
    collection = f"mixture-{questions.name}"
    await runtime.ingester.ingest(questions.sources, collection, delete_missing=("",))
    terms = runtime.searcher.query_terms
    similar = SimilarityPicker(runtime.embedder(), terms)
    most, k = runtime.settings.answer_sentences, runtime.settings.answer_passages
    asked = []
    for sample in questions.dataset.samples:
        question = normalize_text(sample.input)
        found = await runtime.searcher.search(SearchRequest(question, (collection,), k=k))
        signs = await asyncio.to_thread(signs_of, question, found, scorer, terms)
        if not signs:
            continue
        spans = [span for annotation in gold_spans(sample) for span in annotation]
        quoted = await asyncio.to_thread(similar.pick, question, found, most=most)
        asked.append(
            Asked(
                np.array([[one.odds, one.share, one.rank, one.cosine] for one in signs]),
                np.array([is_answerable(sample) and _answers(one, spans) for one in signs]),
                len(quoted.sentences),
            )
        )
    return asked


def _answers(one: Signs, spans: Sequence[tuple[str, int, int]]) -> bool:
    """Whether a sentence covers an annotated span by more than half."""
    sentence = one.sentence
    return any(
        uri == sentence.hit.uri
        and 2 * (min(end, sentence.end) - max(start, sentence.start)) > end - start
        for uri, start, end in spans
    )


def fit_mixture(
    asked: Sequence[Asked], *, cosine: bool, most: int, refused: float = REFUSED
) -> Mixture:
    """Fits the weights, then threshold and cut.

    Args:
        cosine: whether the passages' cosines take part.
        most: most sentences that are quoted.
        refused: share of questions with their answer among the sentences that get `not found`.

    Raises:
        ValueError: no question has its answer among the sentences.
    """
    answered = [one for one in asked if one.right.any()]
    if not answered:
        raise ValueError("no question of the set has its answer among the sentences found")
    kept = 4 if cosine else 3
    rows = [(np.c_[one.signs[:, :kept], np.ones(len(one.signs))], one.right) for one in asked]
    found = minimize(_loss, np.zeros(kept + 1), args=(rows,), jac=True, method="L-BFGS-B")
    fitted = [round(float(weight), 4) for weight in found.x]
    mixed = [one.signs[:, :kept] @ np.array(fitted[:-1]) + fitted[-1] for one in asked]
    best = [of.max() for one, of in zip(asked, mixed, strict=True) if one.right.any()]
    return Mixture(
        bias=fitted[-1],
        odds=fitted[0],
        share=fitted[1],
        rank=fitted[2],
        cosine=fitted[3] if cosine else 0.0,
        threshold=round(float(np.quantile(best, refused)), 4),
        cut=_cut(mixed, [one.quoted for one in asked], most),
    )


def _loss(
    weights: Matrix, rows: Sequence[tuple[Matrix, npt.NDArray[np.bool_]]]
) -> tuple[float, Matrix]:
    """Mean negative log-likelihood of what answers, or of nothing, and its gradient."""
    free = np.r_[weights[:-1], 0.0]  # the bias is not held small
    value, gradient = _PENALTY * float(free @ free), 2 * _PENALTY * free
    for signs, right in rows:
        mixed = np.r_[0.0, signs @ weights]
        wanted = np.r_[not right.any(), right]
        value += float(logsumexp(mixed) - logsumexp(mixed[wanted])) / len(rows)
        pull = softmax(mixed)
        pull[wanted] -= softmax(mixed[wanted])
        gradient = gradient + pull[1:] @ signs / len(rows)
    return value, gradient


def _cut(mixed: Sequence[Matrix], quoted: Sequence[int], most: int) -> float:
    """The share at which as many sentences are quoted as `quoted` says, on average."""
    wanted = float(np.mean(quoted))

    def count(cut: float) -> float:
        return float(
            np.mean([min(most, int((of >= of.max() + np.log(cut)).sum())) for of in mixed])
        )

    return min(_CUTS, key=lambda cut: abs(count(cut) - wanted))


async def calibrate(folder: Path, data: Path, refused: float) -> Calibration:
    """Fits both mixtures on a set and writes them into the scorer's file."""
    settings = load_settings()
    path = folder / "model.safetensors"
    scorer = EvidenceScorer.load(path, settings.device)
    questions = read_rag_set(data, settings)
    async with open_workspace(settings) as runtime:
        asked = await asked_of(runtime, questions, scorer)
    most = settings.answer_sentences
    before = load_scorer_net(path)[1]
    calibration = Calibration(
        before.threshold,
        before.cut,
        packaged=fit_mixture(asked, cosine=True, most=most, refused=refused),
        others=fit_mixture(asked, cosine=False, most=most, refused=refused),
    )
    recalibrate(path, calibration)
    return calibration


def main() -> None:
    """See this module."""
    parser = argparse.ArgumentParser(description="Calibrates the evidence scorer within search.")
    parser.add_argument("--model", type=Path, required=True, help="folder of the scorer")
    parser.add_argument("--data", type=Path, required=True, help="a set as `rostra eval` takes it")
    parser.add_argument("--refused", type=float, default=REFUSED)
    given = parser.parse_args()
    print(asyncio.run(calibrate(given.model, given.data, given.refused)))


if __name__ == "__main__":
    main()
