"""How many of the documents that a task needs an agent finds, beside one plain search.

Sets are in tau2-bench's layout (Barres et al., 2025): documents as JSON files with `id`, `title`
and `content`, and tasks that list their `required_documents`. A task is the words of the person who
calls: several wishes at once, told at length, which one query meets badly.

What always holds: both sides search the same collection; plain search is given as many documents as
the agent was shown for that task, and as many as its first page beside it. A document counts as
shown when a passage of it stood in a result that a model read.
"""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean
from typing import Any

import msgspec

from evals.agents.executed import Execute, executed
from evals.agents.runs import local_tools, setting
from evals.agents.scorers.effort import Effort
from evals.agents.searching import QUERY_CHARS, searching_model
from evals.agents.solver import AgentSolver, Assignment
from evals.core.dataset import Dataset, make_dataset
from evals.core.log import RunRecord
from evals.core.measures import Better, Measure
from evals.core.runner import Task
from evals.core.samples import Sample
from evals.core.scores import Score
from evals.core.states import State
from evals.errors import DatasetError
from rostra.agents import (
    Budget,
    CallContext,
    DocumentSpan,
    Effect,
    Limits,
    Origin,
    RunRequest,
    StaticToolset,
    ToolInfo,
    ToolResult,
    make_strategy,
)
from rostra.core import (
    ChatModel,
    normalize_text,
)
from rostra.ingest import OnProgress, ParsedDocument, ReadySource, Span, SpanKind
from rostra.retrieval import SearchRequest
from rostra.runtime import Runtime
from rostra.store import get_collection, list_documents

_COLLECTION = "agent-tasks"
_PAGE = 500
_HITS = 5
_FIRST_PAGE = 10


@dataclass(frozen=True, slots=True)
class NeedyTask:
    """A task and the documents that it takes."""

    id: str
    text: str
    required: frozenset[str]


@dataclass(slots=True)
class RetrievalRow:
    """One way to retrieve, over all tasks.

    Attributes:
        recalls: of each task.
        shown: documents a task.
        searches: of each task.
    """

    name: str
    recalls: list[float] = field(default_factory=list)
    shown: list[int] = field(default_factory=list)
    searches: list[int] = field(default_factory=list)

    def add(self, recall: float, shown: float, searches: float) -> None:
        """Counts a task."""
        self.recalls.append(recall)
        self.shown.append(int(shown))
        self.searches.append(int(searches))

    def to_dict(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return {
            "retrieval": self.name,
            "tasks": len(self.recalls),
            "recall": round(mean(self.recalls), 4) if self.recalls else 0.0,
            "complete": sum(recall == 1.0 for recall in self.recalls),
            "shown": round(mean(self.shown), 2) if self.shown else 0.0,
            "searches": round(mean(self.searches), 2) if self.searches else 0.0,
        }


@dataclass(slots=True)
class AgentRetrievalReport:
    """Plain search and the agent; `failed` counts runs without an answer.

    Those that abstained or spent their budget are in the rows with what they were shown until then,
    those that failed by an error in none of them.
    """

    rows: list[RetrievalRow]
    failed: int = 0

    @classmethod
    def of(cls, record: RunRecord) -> "AgentRetrievalReport":
        """The report of a run."""
        rows = [
            RetrievalRow(f"plain, first {_FIRST_PAGE}"),
            RetrievalRow("plain, as many as the agent"),
            RetrievalRow(record.header.tasks[0].solver),
        ]
        report = cls(rows)
        for outcome in record.outcomes:
            report.failed += bool(outcome.failed) or not outcome.state.output
            scores = {score.name: score.value for score in outcome.scores}
            told = [scores.get(measure.name) for measure in NeededFound.measures]
            known = [value for value in told if value is not None]
            if len(known) == len(told):
                own, first, same, _, shown, searches = known
                ranking = outcome.state.data["world"]["plain"]
                rows[0].add(first, len(ranking[:_FIRST_PAGE]), 1)
                rows[1].add(same, shown, 1)
                rows[2].add(own, shown, searches)
        return report

    def to_dict(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return {"results": [row.to_dict() for row in self.rows], "runs_without_answer": self.failed}


# --- The set ---


def read_needy_tasks(folder: Path) -> list[NeedyTask]:
    """The tasks of a folder that need documents.

    Raises:
        DatasetError: there are none, or a file cannot be read.
    """
    tasks: list[NeedyTask] = []
    for path in sorted((folder / "tasks").glob("*.json")):
        try:
            row = json.loads(path.read_text("utf-8"))
            scenario = row["user_scenario"]["instructions"]
            text = scenario if isinstance(scenario, str) else json.dumps(scenario)
            required = frozenset(map(str, row.get("required_documents") or ()))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DatasetError(f"{path}: {error!r}") from error
        if required:
            tasks.append(NeedyTask(str(row.get("id", path.stem)), normalize_text(text), required))
    if not tasks:
        raise DatasetError(f"{folder}: no tasks/*.json with required_documents")
    return tasks


def read_task_documents(folder: Path) -> list[ReadySource]:
    """The documents of a folder, under their ids.

    Raises:
        DatasetError: there are none, or a file cannot be read.
    """
    sources: list[ReadySource] = []
    for path in sorted((folder / "documents").glob("*.json")):
        try:
            row = json.loads(path.read_text("utf-8"))
            title, body = normalize_text(row["title"]).strip(), normalize_text(row["content"])
            uri = str(row["id"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DatasetError(f"{path}: {error!r}") from error
        text = f"{title}\n\n{body}" if title else body
        spans = (Span(SpanKind.HEADING, 0, len(title), 1),) if title else ()
        document = ParsedDocument(text, title[:300] or uri, "text/plain", spans, {})
        sources.append(ReadySource(uri, document))
    if not sources:
        raise DatasetError(f"{folder}: no documents/*.json")
    return sources


# --- The evaluation ---


class NeededFound:
    """Recall of the documents that a task needs: the agent's, and plain search's beside it.

    `gain` is the agent's recall less that of plain search with as many documents, task by task, so
    that its interval is that of a paired difference.
    """

    name = "documents"
    measures = (
        Measure("recall", unit="share"),
        Measure(f"plain recall@{_FIRST_PAGE}", unit="share"),
        Measure("plain recall, as many", unit="share"),
        Measure("gain"),
        Measure("documents shown", Better.NEITHER),
        Measure("searches", Better.LOWER),
    )

    def config(self) -> dict[str, Any]:
        """Nothing can be chosen."""
        return {}

    async def __call__(self, state: State, seed: int) -> Sequence[Score]:
        """All six."""
        needed = frozenset(state.sample.data["required"])
        found = list(dict.fromkeys(passage.document for passage in state.passages))
        ranking = state.data["world"]["plain"]
        own = _recall(needed, found)
        first, same = _recall(needed, ranking[:_FIRST_PAGE]), _recall(needed, ranking[: len(found)])
        values = (own, first, same, own - same, len(found), len(state.calls))
        return [
            Score(measure.name, float(value))
            for measure, value in zip(self.measures, values, strict=True)
        ]


async def evaluate_agent_retrieval(
    runtime: Runtime,
    folder: Path,
    *,
    model: ChatModel | None = None,
    strategy: str = "rag",
    on_ingest: OnProgress | None = None,
    execute: Execute = executed,
) -> AgentRetrievalReport:
    """Ingests the documents and looks for those of each task.

    Args:
        runtime: of a workspace; see `open_workspace`.
        folder: the set.
        model: chooses what to search for; None takes a script that searches for the task's
            sentences, several at a time.
        strategy: by name.
        on_ingest: progress of the ingest.
        execute: does the tasks of the evaluation.

    Raises:
        DatasetError: the set is missing or malformed.
    """
    dataset = needy_dataset(folder)
    sources = read_task_documents(folder)
    await runtime.ingester.ingest(sources, _COLLECTION, on_progress=on_ingest, delete_missing=("",))
    solver = _Searching(runtime, model, strategy, await document_uris(runtime, _COLLECTION))
    # What is measured is this program's search; nothing of another version may come from a cache.
    record = await execute([Task(dataset, solver, (NeededFound(), Effort()), cached=False)])
    return AgentRetrievalReport.of(record)


def needy_dataset(folder: Path) -> Dataset:
    """The tasks of a folder as samples.

    Raises:
        DatasetError: there are none, or a file cannot be read.
    """
    samples = [
        Sample(id=task.id, input=task.text, data={"required": sorted(task.required)})
        for task in read_needy_tasks(folder)
    ]
    return make_dataset(folder.name or "tasks", samples)


class _Searching:
    """The agent; its state has documents by their address, and plain search's beside them."""

    def __init__(
        self, runtime: Runtime, model: ChatModel | None, strategy: str, uris: Mapping[str, str]
    ) -> None:
        self._runtime = runtime
        self._model = model
        self._uris = uris
        self.name = f"agent, {'scripted' if model is None else model.name}"
        self._agent = AgentSolver(self.name, self._assign, {})
        self._strategy = strategy

    def config(self) -> dict[str, Any]:
        """Strategy and model."""
        model = None if self._model is None else self._model.name
        return {"strategy": self._strategy, "model": model, "hits": _HITS}

    async def __call__(self, state: State, seed: int) -> State:
        """Lets the agent search, and then asks plain search for as many documents.

        Raises:
            AgentRunFailed: the run ended by an error.
        """
        solved = await self._agent(state, seed)
        passages = [
            msgspec.structs.replace(passage, document=self._uris[passage.document])
            for passage in solved.passages
            if passage.document in self._uris
        ]
        shown = len({passage.document for passage in passages})
        plain = await _plain(self._runtime, state.sample.input, max(_FIRST_PAGE, shown))
        data = solved.data | {"world": {"plain": plain}}
        return msgspec.structs.replace(solved, passages=passages, data=data)

    @asynccontextmanager
    async def _assign(self, sample: Sample, seed: int) -> AsyncIterator[Assignment]:
        given = setting(
            {"main": self._model or searching_model()},
            await local_tools(_search_tool(self._runtime)),
            make_strategy(self._strategy),
            limits=Limits(observation=20_000),
        )
        budget = Budget(steps=20, calls=40)
        yield Assignment(
            RunRequest(task=sample.input, strategy=self._strategy, budget=budget), given
        )


async def _plain(runtime: Runtime, text: str, count: int) -> list[str]:
    query = text[: runtime.settings.max_query_chars]
    request = SearchRequest(query, (_COLLECTION,), k=count, per_document=1)
    return [hit.uri for hit in (await runtime.searcher.search(request)).hits]


def _recall(needed: frozenset[str], found: Sequence[str]) -> float:
    return len(needed & set(found)) / len(needed)


async def document_uris(runtime: Runtime, name: str) -> Mapping[str, str]:
    """Address by id of a collection's documents."""
    found: dict[str, str] = {}
    async with runtime.database.read() as session:
        collection = await get_collection(session, name)
        while True:
            page, total = await list_documents(
                session, collection.id, limit=_PAGE, offset=len(found)
            )
            found |= {str(document.id): document.uri for document in page}
            if not page or len(found) >= total:
                return found


def _search_tool(runtime: Runtime) -> StaticToolset:
    async def search(arguments: dict[str, Any], context: CallContext) -> ToolResult:
        request = SearchRequest(arguments["query"], (_COLLECTION,), k=_HITS, per_document=1)
        text, spans = "", []
        for hit in (await runtime.searcher.search(request)).hits:
            text += f"{hit.title}:\n"
            spans.append(DocumentSpan(len(text), str(hit.document_id), hit.start, hit.end))
            text += f"{hit.text}\n\n"
        return ToolResult(text or "Nothing was found.", Origin.DOCUMENT, tuple(spans))

    query = {"type": "string", "minLength": 1, "maxLength": QUERY_CHARS}
    parameters = {
        "type": "object",
        "properties": {"query": query},
        "required": ["query"],
        "additionalProperties": False,
    }
    description = "Passages of the bank's documents that match a query."
    return StaticToolset(((ToolInfo("search", description, parameters, Effect.READ), search),))
