"""A judged set, ingested: documents in a collection of the workspace, queries as samples."""

import re
from dataclasses import dataclass

from evals.beir import JudgedSet, judged_samples, not_taken_in
from evals.core import Dataset
from evals.solvers.facts import corpus_digest
from rostra.ingest import OnProgress, ReadySource, read_beir
from rostra.runtime import Runtime


@dataclass(frozen=True, slots=True)
class IngestedSet:
    """What is asked of which collection.

    Attributes:
        collection: by name.
        dataset: the queries.
        digest: of the documents.
    """

    collection: str
    dataset: Dataset
    digest: str


async def ingest_set(
    runtime: Runtime, judged: JudgedSet, *, on_ingest: OnProgress | None = None
) -> IngestedSet:
    """Ingests a set into a collection of its own; what is there already is only compared.

    Args:
        runtime: of a workspace; see `open_workspace`.

    Raises:
        PathNotFound: the set has no corpus.
        DatasetError: the corpus has no document.
    """
    collection = "set-" + re.sub(r"[^\w.-]", "-", judged.name)[:100]
    sources = list(read_beir(judged.folder, runtime.settings))
    report = await runtime.ingester.ingest(
        sources, collection, on_progress=on_ingest, delete_missing=("",)
    )
    ready = [source for source in sources if isinstance(source, ReadySource)]
    lost = {failure.uri for failure in report.failed}
    problems = not_taken_in((failure.code, failure.uri) for failure in report.failed)
    corpus = [source.uri for source in ready if source.uri not in lost]
    return IngestedSet(collection, judged_samples(judged, corpus, problems), corpus_digest(ready))
