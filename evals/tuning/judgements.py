"""Judgements of the documents that a collection has, and which name none of them.

What always holds: each query that is left has a relevant document that is there, so that how hits
are ranked can tell on it; all that names nothing is counted.
"""

from collections.abc import Set
from dataclasses import replace

from evals.beir import JudgedSet
from evals.core.dataset import Problems
from evals.errors import DatasetError


def with_documents(judged: JudgedSet, uris: Set[str]) -> JudgedSet:
    """The queries that a collection can answer, and among the problems what it cannot.

    Judgements of documents that are not there stay beside others of their query, as trec_eval
    keeps them: nDCG and recall are measured against them.

    Args:
        uris: of the collection's documents.

    Raises:
        DatasetError: no judged document is there.
    """
    problems = Problems()
    unknown = ""
    kept = []
    for query, documents in judged.relevant.items():
        for document in documents:
            if document not in uris:
                unknown = unknown or document
                problems.add(
                    "a judgement of a document that is not in the collection: counted as missed",
                    f"query {query}, document {document}",
                )
        if uris.isdisjoint(documents):
            problems.add("a query without a relevant document in the collection: left out", query)
        else:
            kept.append(query)
    if not kept:
        raise DatasetError(
            f"{judged.name}: it has no document that is judged, such as {unknown!r}",
            hint="Judgements name documents by their address in the collection, the `uri` that "
            "`rostra document list` shows.",
        )
    return replace(
        judged,
        queries={query: judged.queries[query] for query in kept},
        relevant={query: judged.relevant[query] for query in kept},
        problems=(*judged.problems, *problems.all()),
    )
