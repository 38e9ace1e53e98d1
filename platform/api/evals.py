"""Runs of evaluations: listed, reported, their samples read some at a time.

What always holds: only runs that lie where this server keeps them are read, by their whole id, and
nothing is changed; texts of samples are cut, and say so. A run's file is read as a whole once, and
again from where it had ended; a page of samples takes as long as its own samples do.
"""

import asyncio
from typing import Annotated

from litestar import Router, get
from litestar.datastructures import State
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, QueryParameter
from msgspec import Struct

from evals import (
    EvalRunSummary,
    EvalRunView,
    EvalSamplePage,
    RunShelf,
    SampleOrder,
    list_summaries,
    stored_run,
)
from rostra.api.openapi import problems
from rostra.api.pages import Limit, Offset
from rostra.runtime import Runtime

Kind = Annotated[str, QueryParameter(max_length=100, description="Only of this evaluation.")]
TaskAt = Annotated[int, QueryParameter(ge=0, description="Place of the task in the run, from 0.")]
Ordered = Annotated[SampleOrder, QueryParameter(description="As in the set, or the worst first.")]


class EvalRunPage(Struct):
    """Some runs of evaluations, newest first."""

    items: list[EvalRunSummary]
    total: int


@get("/", operation_id="listEvals", summary="List evaluations", responses=problems(400))
async def list_all(
    runtime: NamedDependency[Runtime], limit: Limit = 50, offset: Offset = 0, kind: Kind = ""
) -> EvalRunPage:
    """Runs of evaluations, newest first; a file that is no run says so in `problem`."""
    found, total = await asyncio.to_thread(
        list_summaries, runtime.settings, limit=limit, offset=offset, kind=kind
    )
    return EvalRunPage(found, total)


@get(
    "/{run:str}",
    operation_id="getEval",
    summary="Show an evaluation",
    responses=problems(400, 404),
)
async def show(
    run: FromPath[str], runtime: NamedDependency[Runtime], shelf: NamedDependency[RunShelf]
) -> EvalRunView:
    """A run's report: each task's measures with intervals, and what went wrong."""
    return await asyncio.to_thread(lambda: shelf.view(stored_run(runtime.settings, run)))


@get(
    "/{run:str}/samples",
    operation_id="listEvalSamples",
    summary="List an evaluation's samples",
    responses=problems(400, 404),
)
async def samples(
    run: FromPath[str],
    runtime: NamedDependency[Runtime],
    shelf: NamedDependency[RunShelf],
    task: TaskAt = 0,
    limit: Limit = 50,
    offset: Offset = 0,
    order: Ordered = "set",
) -> EvalSamplePage:
    """What became of the samples of one task, with long texts cut."""
    return await asyncio.to_thread(
        lambda: shelf.samples(
            stored_run(runtime.settings, run), task, limit=limit, offset=offset, order=order
        )
    )


def provide_shelf(state: State) -> RunShelf:
    """The application's own shelf."""
    if "eval_runs" not in state:
        state.eval_runs = RunShelf()
    shelf: RunShelf = state.eval_runs
    return shelf


router = Router(
    "/evals",
    route_handlers=[list_all, show, samples],
    dependencies={"shelf": Provide(provide_shelf, sync_to_thread=False)},
    tags=["evals"],
)
