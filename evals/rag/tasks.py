"""The tasks of a run over a set of questions: systems, and the scorers that can be had.

What always holds: every system answers the same questions and is scored by the same scorers, but
that passages which were disturbed are not themselves measured; a measure or a system that needs
what is not there is left out with a reason, which the run keeps.
"""

import asyncio
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from evals.core import Scorer, Solver, Task
from evals.core.dataset import Dataset, Problems, make_dataset
from evals.judge.ask import Judge
from evals.rag.samples import gold_documents, gold_sentences, gold_spans
from evals.rag.scorers.abstention import Abstention
from evals.rag.scorers.answer_sentence import AnswerSentence
from evals.rag.scorers.citations import CitationExactness, CitationSpans
from evals.rag.scorers.context import Context
from evals.rag.scorers.correctness import JudgedCorrectness
from evals.rag.scorers.decoding import Decoding
from evals.rag.scorers.exact_match import ExactMatch
from evals.rag.scorers.faithfulness import Faithfulness
from evals.rag.scorers.generated import Generated
from evals.rag.scorers.judged_context import JudgedContext
from evals.rag.scorers.judged_faithfulness import JudgedFaithfulness
from evals.rag.scorers.relevance import AnswerRelevance, JudgedRelevance
from evals.rag.scorers.sentence_f1 import SentenceF1
from evals.rag.scorers.token_f1 import TokenF1
from evals.rag.sets import RagSet
from evals.solvers.ask import AskSolver, LeadSolver, SentenceTable, Way
from evals.solvers.disturbed import Disturbance
from evals.solvers.facts import corpus_digest
from evals.solvers.model import ModelSolver
from evals.solvers.remembered import RememberedEmbedder
from rostra.core import ChatModel, ConfigError, ModelUnavailable
from rostra.ingest import IngestReport, OnProgress
from rostra.runtime import Runtime
from rostra.store import document_versions, get_collection

_DISTURBED = {
    "distractors": Disturbance.DISTRACTORS,
    "shuffled": Disturbance.SHUFFLED,
    "reversed": Disturbance.REVERSED,
}
# Ways to choose what is quoted, whatever the settings say.
QUOTING = ("quote-similarity", "quote-scorer", "reader-point", "reader-copy")
RAG_SYSTEMS = ("ask", "first-sentence", *_DISTURBED, "model", "endpoint", *QUOTING)
LEFT_OUT = "left_out"  # in the arguments of a run: reasons by measure or system
_USUAL = ("ask", "first-sentence", "distractors", "shuffled")
_JUDGED = (JudgedFaithfulness, JudgedCorrectness, JudgedRelevance, JudgedContext)
_OF_PASSAGES = (Context, JudgedContext)
NO_MODEL = "no model is set"
NO_READER = "no model is set, and no reader ships or is let"
NO_SCORER = "no evidence scorer ships or is set, or it is broken (`rostra doctor`)"


@dataclass(frozen=True, slots=True)
class RagPlan:
    """What is to be run.

    Attributes:
        systems: of `RAG_SYSTEMS`; None for what can be had.
        judge: of the judged measures; None leaves them out for the reason `no_judge`.
        endpoint: another model or service, asked the question alone; `endpoint_at` is its URL.
        collection: of documents ingested before; otherwise the set's are ingested.
    """

    systems: tuple[str, ...] | None = None
    judge: Judge | None = None
    no_judge: str = "no judge was asked for"
    endpoint: ChatModel | None = None
    endpoint_at: str = ""
    collection: str | None = None


@dataclass(frozen=True, slots=True)
class RagTasks:
    """Tasks, and what is left out.

    Attributes:
        left_out: reasons by name of the measure or system; goes into the run's arguments.
    """

    tasks: list[Task]
    left_out: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the documents are, and what has been read of them.

    Attributes:
        embedder: for what is read over and over. What users get is answered without it, so that
            its times are theirs.
    """

    collections: tuple[str, ...]
    digest: str
    sentences: SentenceTable | None
    embedder: RememberedEmbedder


async def rag_tasks(
    runtime: Runtime,
    questions: RagSet,
    plan: RagPlan,
    *,
    on_ingest: OnProgress | None = None,
) -> RagTasks:
    """Ingests a set's documents, unless a collection is named, and gives its tasks.

    Args:
        runtime: of a workspace, or of the user's own documents with `plan.collection`; it has to
            stay open while the tasks run.

    Raises:
        CollectionNotFound: of `plan.collection`.
    """
    dataset = questions.dataset
    if plan.collection is not None:
        digest, sentences = await _stored_digest(runtime, plan.collection), None
        collection = plan.collection
    else:
        collection, report = await _ingested(runtime, questions, on_ingest)
        digest, sentences = corpus_digest(questions.sources), questions.sentences or None
        dataset = _with_lost(dataset, report)
    place = _Place((collection,), digest, sentences, RememberedEmbedder(runtime.embedder))
    # In a thread, as the embedder may have to be loaded.
    return await asyncio.to_thread(_tasks, runtime, dataset, place, plan)


def quote_scorers() -> list[Scorer]:
    """Those of `rostra eval run quote`."""
    return [SentenceF1(), Context(), Abstention(), CitationExactness()]


async def evidence_tasks(
    runtime: Runtime,
    questions: RagSet,
    systems: Sequence[str] = (),
    *,
    on_ingest: OnProgress | None = None,
) -> RagTasks:
    """Ways to choose what is quoted, by the measures that tell them apart.

    Args:
        systems: of `QUOTING`; none are all of them.

    Raises:
        ConfigError: none of them can be had.
    """
    plan = RagPlan(systems=tuple(systems) or QUOTING)
    made = await rag_tasks(runtime, questions, plan, on_ingest=on_ingest)
    left_out = {name: why for name, why in made.left_out.items() if name in QUOTING}
    if not made.tasks:
        reasons = ", ".join(f"{name}: {why}" for name, why in left_out.items())
        raise ConfigError(f"there is no system to ask ({reasons})")
    scorers: list[Scorer] = [
        AnswerSentence(),
        SentenceF1(),
        TokenF1(),
        CitationSpans(),
        CitationExactness(),
        Abstention(),
        Generated(),
        Decoding(),
    ]
    return RagTasks(only(made, scorers), left_out)


def only(made: RagTasks, scorers: Sequence[Scorer]) -> list[Task]:
    """The tasks with these scorers in place of theirs."""
    return [replace(task, scorers=list(scorers)) for task in made.tasks]


def _tasks(runtime: Runtime, dataset: Dataset, place: _Place, plan: RagPlan) -> RagTasks:
    left_out: dict[str, str] = {}
    scorers: list[Scorer] = [
        ExactMatch(),
        TokenF1(),
        SentenceF1(),
        Faithfulness(),
        AnswerRelevance(lambda: place.embedder, place.embedder.space.fingerprint),
        Context(),
        CitationSpans(),
        CitationExactness(),
        Abstention(),
    ]
    for scorer in list(scorers):
        if (why := _not_told(scorer, dataset, place)) is not None:
            scorers.remove(scorer)
            left_out |= {measure.name: why for measure in scorer.measures}
    for judged in _JUDGED:
        if plan.judge is not None:
            scorers.append(judged(plan.judge))
        else:
            left_out[judged.name] = plan.no_judge
    if runtime.generator is not None:
        scorers.append(Generated())
    systems = plan.systems
    if systems is None:
        systems = _USUAL
        systems += ("model",) if runtime.generator is not None else ()
        systems += ("endpoint",) if plan.endpoint is not None else ()
        if runtime.generator is None:
            left_out["model"] = NO_MODEL
    tasks = []
    for system in dict.fromkeys(systems):
        solver = _solver(runtime, system, place, plan)
        if isinstance(solver, str):
            left_out[system] = solver
            continue
        own = scorers
        if system in _DISTURBED:
            own = [scorer for scorer in scorers if not isinstance(scorer, _OF_PASSAGES)]
        # The platform's own answers hang on this very code; those of a model by itself do not,
        # unless it is a script, which may be another one under the same name.
        is_kept = isinstance(solver, ModelSolver) and runtime.settings.chat_script is None
        tasks.append(Task(dataset, solver, own, cached=is_kept))
    return RagTasks(tasks, left_out)


def _not_told(scorer: Scorer, dataset: Dataset, place: _Place) -> str | None:
    """What the set would have to say for a scorer to have anything to do; None if it does."""
    samples = dataset.samples
    match scorer:
        case ExactMatch() | TokenF1() if not any(sample.targets for sample in samples):
            return "the set has no right answers"
        case SentenceF1() if place.sentences is None or not any(map(gold_sentences, samples)):
            return "the set has no sentences that annotators chose"
        case CitationSpans() if not any(map(gold_spans, samples)):
            return "the set has no annotated spans"
        case Context() if not any(map(gold_documents, samples)):
            return "the set names no documents with the answer"
        case _:
            return None


def _solver(runtime: Runtime, system: str, place: _Place, plan: RagPlan) -> Solver | str:
    """A system, or why it cannot be had."""
    collections, digest, sentences = place.collections, place.digest, place.sentences
    match system:
        case "ask":
            return AskSolver(runtime, collections, digest, sentences=sentences)
        case "first-sentence":
            return LeadSolver(runtime, collections, digest, sentences=sentences)
        case "model" if runtime.generator is not None:
            return ModelSolver(runtime.generator, at=runtime.settings.chat_url)
        case "model":
            return NO_MODEL
        case "endpoint" if plan.endpoint is not None:
            name = f"endpoint {plan.endpoint.name}"
            return ModelSolver(plan.endpoint, name=name, at=plan.endpoint_at)
        case "endpoint":
            return "no endpoint is given"
        case _ if system in QUOTING:
            way = _way(runtime, system)
            if isinstance(way, str):
                return way
            return AskSolver(runtime, collections, digest, sentences=sentences, way=way)
        case _ if system in _DISTURBED:
            return AskSolver(
                runtime,
                collections,
                digest,
                sentences=sentences,
                disturbance=_DISTURBED[system],
                embedder=lambda: place.embedder,
            )
        case _:
            return f"there is no system {system!r}"


def _way(runtime: Runtime, system: str) -> Way | str:
    """A way to choose what is quoted, or why it cannot be had."""
    if system == "quote-similarity":
        return Way(system)
    if system == "quote-scorer":
        scorer = runtime.scorer()
        return NO_SCORER if scorer is None else Way(system, scorer=scorer)
    model: ChatModel | None = runtime.generator
    if model is None and runtime.reader is not None:
        try:
            runtime.reader.check()
        except ModelUnavailable as error:
            return error.message
        model = runtime.reader
    return NO_READER if model is None else Way(system, model, system.removeprefix("reader-"))


async def _ingested(
    runtime: Runtime, questions: RagSet, on_ingest: OnProgress | None
) -> tuple[str, IngestReport]:
    collection = "rag-" + re.sub(r"[^\w.-]", "-", questions.name)[:100]
    report = await runtime.ingester.ingest(
        questions.sources, collection, on_progress=on_ingest, delete_missing=("",)
    )
    return collection, report


async def _stored_digest(runtime: Runtime, collection: str) -> str:
    """Of a collection's documents as they are now."""
    async with runtime.database.read() as session:
        found = await get_collection(session, collection)
        versions = await document_versions(session, found.id)
    stored = sorted(f"{uri}\0{version.sha256}" for uri, version in versions.items())
    return hashlib.sha256("\0".join(stored).encode()).hexdigest()[:32]


def _with_lost(dataset: Dataset, report: IngestReport) -> Dataset:
    """The set with documents that are not in the collection among its problems."""
    problems = Problems()
    for failure in report.failed:
        problems.add(f"a document that was not taken in: {failure.code}", failure.uri)
    return make_dataset(dataset.name, dataset.samples, [*dataset.problems, *problems.all()])
