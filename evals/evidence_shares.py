"""How far the evidence scorer should count beside similarity: `python -m evals.evidence_shares`.

Searches a set's questions as quote mode does, reads once what was found, and prints what each share
of the scorer's log-odds would have chosen. For choosing `[calibration]` of a scorer, on sets that
it was not trained on.

What always holds: sentences and scores are those of quote mode, but for limits of the answer
itself.
"""

import argparse
import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from evals.rag.read import read_rag_set
from evals.rag.samples import gold_spans, is_answerable
from evals.rag.sets import RagSet
from evals.workspace import open_workspace
from rostra.answer import (
    EvidenceScorer,
    Sentence,
    candidate_sentences,
    choose,
    log_odds,
    similarities,
)
from rostra.core import configure_logging, load_settings, normalize_text
from rostra.retrieval import SearchRequest
from rostra.runtime import Runtime

SHARES = (0.0, 0.02, 0.03, 0.05, 0.08, 0.12)
REFUSED = 0.07

Scores = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Read:
    """A question and what is known of the sentences found for it.

    Attributes:
        similar: of each sentence; so are `odds`.
        evidence: similarity's evidence score.
        annotations: for each annotator whether a sentence answers: none where nothing does.
    """

    sentences: Sequence[Sentence]
    similar: Scores
    odds: Scores
    evidence: float
    annotations: Sequence[npt.NDArray[np.bool_]]


async def read_set(runtime: Runtime, questions: RagSet, scorer: EvidenceScorer) -> list[Read]:
    """Ingests a set's passages, searches its questions and reads what was found."""
    collection = f"shares-{questions.name}"
    await runtime.ingester.ingest(questions.sources, collection, delete_missing=("",))
    embedder, terms = runtime.embedder(), runtime.searcher.query_terms
    read = []
    for sample in questions.dataset.samples:
        question = normalize_text(sample.input)
        request = SearchRequest(question, (collection,), k=runtime.settings.answer_passages)
        found = await runtime.searcher.search(request)
        sentences = candidate_sentences(found.hits)
        if not sentences:
            continue
        similar = similarities(embedder, terms, question, found, sentences)
        odds = await asyncio.to_thread(log_odds, scorer, question, sentences)
        chosen = gold_spans(sample) if is_answerable(sample) else []
        annotations = [
            np.array([_covers(one, spans) for one in sentences], bool) for spans in chosen
        ]
        read.append(Read(sentences, similar.scores, odds, similar.evidence, annotations))
    return read


def _covers(sentence: Sentence, spans: Sequence[tuple[str, int, int]]) -> bool:
    """Whether a sentence covers an annotated span by more than half."""
    return any(
        uri == sentence.hit.uri
        and 2 * (min(end, sentence.end) - max(start, sentence.start)) > end - start
        for uri, start, end in spans
    )


def chosen_by(read: Sequence[Read], share: float, most: int) -> dict[str, float]:
    """What a share of the log-odds would choose of answerable questions, on average.

    `best` is whether the best sentence answers; `f1` and `precision` are of sentences.
    """
    rows = []
    for one in read:
        if not one.annotations:
            continue
        picked = choose(one.sentences, one.similar + share * one.odds, most)
        places = [
            at
            for at, sentence in enumerate(one.sentences)
            if any((sentence.hit, sentence.start) == (own.hit, own.start) for own in picked)
        ]
        right = np.any(one.annotations, axis=0)
        best = int(np.argmax(one.similar + share * one.odds))
        f1 = max(
            2 * float(of[places].sum()) / max(1, len(places) + int(of.sum()))
            for of in one.annotations
        )
        rows.append([right[best], f1, right[places].mean(), len(places)])
    means = np.mean(np.array(rows, np.float64), axis=0).tolist()
    return dict(zip(("best", "f1", "precision", "sentences"), means, strict=True))


def told_apart(read: Sequence[Read], share: float, refused: float = REFUSED) -> dict[str, float]:
    """The evidence score under which so many answerable questions lie, and what it refuses."""
    scores = np.array([one.evidence + share * one.odds.max() for one in read])
    answerable = np.array([bool(one.annotations) for one in read])
    threshold = float(np.quantile(scores[answerable], refused))
    found = {"threshold": threshold}
    if not answerable.all():
        found["unanswerable refused"] = float((scores[~answerable] < threshold).mean())
    return found


async def shares_of(folder: Path, data: Path) -> list[dict[str, Any]]:
    """Rows of the table, one for each share."""
    settings = load_settings()
    configure_logging(settings.log_level, settings.log_format)
    scorer = EvidenceScorer.load(folder / "model.safetensors", settings.device)
    questions = read_rag_set(data, settings)
    async with open_workspace(settings) as runtime:
        read = await read_set(runtime, questions, scorer)
    return [
        {
            "share": share,
            **chosen_by(read, share, settings.answer_sentences),
            **told_apart(read, share),
        }
        for share in SHARES
    ]


def main() -> None:
    """See this module."""
    parser = argparse.ArgumentParser(description="Shares of the evidence scorer's log-odds.")
    parser.add_argument("--model", type=Path, required=True, help="folder of the scorer")
    parser.add_argument("--data", type=Path, required=True, help="a set as `rostra eval` takes it")
    given = parser.parse_args()
    for row in asyncio.run(shares_of(given.model, given.data)):
        print(json.dumps({name: round(value, 4) for name, value in row.items()}))


if __name__ == "__main__":
    main()
