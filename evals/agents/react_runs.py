"""ReAct runs over pages: the share that ends with a supported answer, their steps, their speed.

A set of questions over pages (`evals.rag.read`), and some tasks that are to be computed. The pages
are ingested as a user's documents would be, and the runs have what a user's runs have: the model
that is set or the reader that ships, its tools, its window. Quote mode answers the same tasks
beside them, in one search each: what a run does not do better needs no agent.

What always holds: equal seeds give equal tasks; a run that fails by an error counts as failed,
never as without an answer. An invalid step is an answer of the model that is no step; held to a
grammar, no model makes one.
"""

import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import msgspec

from evals.agents.executed import Execute, executed
from evals.agents.retrieval import document_uris
from evals.agents.runs import RunLogged, Setting, run_once
from evals.agents.scorers.effort import Effort
from evals.agents.scorers.grounded import ANSWERABLE, COMPUTED, KIND, UNANSWERABLE, VALUE, Grounded
from evals.agents.solver import AgentRunFailed
from evals.agents.states import state_of
from evals.core.dataset import Dataset, make_dataset
from evals.core.log import RunRecord
from evals.core.measures import Better, Measure
from evals.core.runner import Task
from evals.core.samples import Sample
from evals.core.scores import Score
from evals.core.states import Cited, State
from evals.rag.samples import is_answerable
from evals.rag.sets import RagSet
from rostra.agents import Decided, ModelAnswered, ModelAsked, RunEnded, RunRequest, Status
from rostra.answer import Answerer, Question
from rostra.core import ConfigError, InvalidRequest
from rostra.ingest import OnProgress
from rostra.runtime import Runtime
from rostra.store import DEFAULT_COLLECTION

RUNS = 100
# Of the runs; the others are about questions that the pages answer.
_UNANSWERABLE_SHARE = 0.2
_COMPUTED_SHARE = 0.15
_TOOLS = ["search", "calculator__calculate"]
# In other words than those that the reader learnt sums by.
_SUMS: Sequence[tuple[str, Callable[[int, int], int]]] = (
    ("{a} plus {b} makes what?", lambda a, b: a + b),
    ("Work out {a} + {b}.", lambda a, b: a + b),
    ("What remains of {a} when {b} is taken away?", lambda a, b: a - b),
    ("What does {a} - {b} come to?", lambda a, b: a - b),
    ("What is the product of {a} and {b}?", lambda a, b: a * b),
    ("What comes out of {a} * {b}?", lambda a, b: a * b),
)


@dataclass(frozen=True, slots=True)
class ReactReport:
    """What is not a mean over runs.

    Attributes:
        invalid: steps of all runs together that were none.
        too_long: runs that failed because the model refused a prompt for its length.
        failed: runs that failed by any error.
        tokens_per_second: that the model wrote, all runs together, while it was asked.
    """

    runs: int
    model: str
    invalid: int
    too_long: int
    failed: int
    tokens_per_second: float

    @classmethod
    def of(cls, record: RunRecord) -> "ReactReport":
        """The report of a run of the harness."""
        runs = [one for one in record.outcomes if one.task == 0]
        ended = [one for one in runs if not one.failed]
        worlds = [one.state.data["world"] for one in ended]
        seconds = sum(world["seconds"] for world in worlds)
        tokens = sum(world["tokens"] for world in worlds)
        failed = [one.failed for one in runs if one.failed]
        return cls(
            runs=len(runs),
            model=str(record.header.tasks[0].solver_config["model"]),
            invalid=sum(world["invalid"] for world in worlds),
            too_long=sum("context_length_exceeded" in str(why) for why in failed),
            failed=len(failed),
            tokens_per_second=round(tokens / seconds, 1) if seconds else 0.0,
        )

    def to_dict(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return asdict(self)


class Steps:
    """Steps that were none, in each run."""

    name = "steps that count"
    measures = (Measure("invalid steps", Better.LOWER),)

    def config(self) -> dict[str, Any]:
        """Nothing can be chosen."""
        return {}

    async def __call__(self, state: State, seed: int) -> Sequence[Score]:
        """Their number."""
        return [Score("invalid steps", float(state.data["world"]["invalid"]))]


async def evaluate_react(
    runtime: Runtime,
    questions: RagSet,
    *,
    runs: int = RUNS,
    seed: int = 0,
    on_ingest: OnProgress | None = None,
    execute: Execute = executed,
) -> ReactReport:
    """Ingests the pages and lets an agent work on each task.

    Args:
        runtime: of a workspace; its default collection is replaced by the pages.
        questions: with their documents.
        runs: how many, or as many as there are questions for.
        execute: does the tasks of the evaluation.

    Raises:
        ConfigError: there is no model to run agents with.
        InvalidRequest: the set has no question that its pages answer.
        ModelUnavailable: the model cannot be loaded.
    """
    if runtime.runner is None:
        raise ConfigError(
            "there is no model to run agents with", hint="`rostra doctor` says why not."
        )
    # What loading takes is no model's speed.
    engine = await runtime.reader.begin() if runtime.reader is not None else runtime.engine
    if engine is not None:
        await engine.start()
    dataset = react_tasks(questions, runs, seed)
    await runtime.ingester.ingest(
        questions.sources, DEFAULT_COLLECTION, on_progress=on_ingest, delete_missing=("",)
    )
    solver = _Running(runtime, await document_uris(runtime, DEFAULT_COLLECTION))
    tasks = [
        Task(dataset, solver, (Grounded(), Steps(), Effort()), cached=False),
        Task(dataset, _Quoting(runtime), (Grounded(),), cached=False),
    ]
    return ReactReport.of(await execute(tasks))


def react_tasks(questions: RagSet, runs: int, seed: int) -> Dataset:
    """Questions of both kinds and tasks that are to be computed, mixed.

    Raises:
        InvalidRequest: there is no question that the pages answer.
    """
    samples = questions.dataset.samples
    known = [one for one in samples if is_answerable(one)]
    unknown = [one for one in samples if not is_answerable(one)]
    if not known:
        raise InvalidRequest("the set has no question that its pages answer")
    rng = random.Random(f"{seed}-react")
    computed = [_computed(number, rng) for number in range(round(runs * _COMPUTED_SHARE))]
    without = rng.sample(unknown, min(len(unknown), round(runs * _UNANSWERABLE_SHARE)))
    rest = runs - len(computed) - len(without)
    chosen = [
        *(_told(one, ANSWERABLE) for one in rng.sample(known, min(len(known), rest))),
        *(_told(one, UNANSWERABLE) for one in without),
        *computed,
    ]
    rng.shuffle(chosen)
    return make_dataset(questions.name, chosen, questions.dataset.problems)


def _told(sample: Sample, kind: str) -> Sample:
    return msgspec.structs.replace(sample, data=sample.data | {KIND: kind})


def _computed(number: int, rng: random.Random) -> Sample:
    asked, compute = rng.choice(_SUMS)
    a, b = rng.randint(2, 9999), rng.randint(2, 999)
    task = asked.format(a=a, b=b)
    return Sample(id=f"computed-{number}", input=task, data={KIND: COMPUTED, VALUE: compute(a, b)})


class _Running:
    """The agent; its state has documents by their address."""

    def __init__(self, runtime: Runtime, uris: Mapping[str, str]) -> None:
        self._runtime = runtime
        self._uris = uris
        self._model = runtime.runner.name if runtime.runner is not None else ""
        self.name = f"react, {re.sub(r'[^ -~]', '?', self._model)}"

    def config(self) -> dict[str, Any]:
        """Model and budget."""
        budget = msgspec.to_builtins(self._runtime.workshop.budget)
        return {"model": self._model, "strategy": "react", "budget": budget}

    async def __call__(self, state: State, seed: int) -> State:
        """One run.

        Raises:
            AgentRunFailed: it ended by an error.
            RostraError: it could not be begun.
        """
        sample, workshop = state.sample, self._runtime.workshop
        request = RunRequest(
            task=sample.input,
            budget=workshop.budget,
            # The reader has tools of its own choice.
            tools=None if self._runtime.reader is not None else _TOOLS,
        )
        async with workshop.open(request) as parts:
            logged = await run_once(request, Setting(parts), f"eval:{sample.id}")
        last = logged.last
        if isinstance(last, RunEnded) and last.status is Status.FAILED:
            raise AgentRunFailed.by(last.error or {})
        solved = state_of(sample, logged, _world(logged))
        cited = [
            msgspec.structs.replace(one, document=self._uris.get(one.document, one.document))
            for one in solved.citations
        ]
        return msgspec.structs.replace(solved, citations=cited)


class _Quoting:
    """Quote mode, without an agent."""

    name = "quote mode"

    def __init__(self, runtime: Runtime) -> None:
        self._answerer = Answerer(
            runtime.searcher, runtime.embedder, runtime.settings, scorer=runtime.scorer
        )

    def config(self) -> dict[str, Any]:
        """Nothing can be chosen."""
        return {}

    async def __call__(self, state: State, seed: int) -> State:
        """One answer; raises RostraError."""
        answer = await self._answerer.answer(Question(state.sample.input))
        return msgspec.structs.replace(
            state,
            output=answer.answer,
            abstained=not answer.found,
            citations=[Cited(one.uri, one.start, one.end, one.quote) for one in answer.citations],
            data={"evidence": [{"quote": one.quote} for one in answer.citations]},
        )


def _world(logged: RunLogged) -> dict[str, Any]:
    """Invalid steps, and what the model wrote in how many seconds."""
    asked = {
        record.event.key: record.at
        for record in logged.records
        if isinstance(record.event, ModelAsked)
    }
    seconds, tokens = 0.0, 0
    for record in logged.records:
        if isinstance(record.event, ModelAnswered):
            seconds += (record.at - asked[record.event.key]).total_seconds()
            tokens += record.event.usage.completion_tokens
    invalid = sum(one.error is not None for one in logged.of(Decided))
    return {"invalid": invalid, "seconds": seconds, "tokens": tokens}
