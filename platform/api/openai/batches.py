"""Batches: requests of a file, run in the background when nobody waits for an answer.

What always holds: a batch is taken only when there is a model for it; its files are shown once it
has ended, whole.
"""

from typing import Annotated, Any, Literal

from litestar import Request, Response, Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, QueryParameter
from msgspec import Meta, Struct

from rostra.api.openai.body import read_body
from rostra.api.openai.fields import DEFAULT_MODEL, Body
from rostra.api.openai.ids import public_id, stored_id
from rostra.api.openai.streaming import json_response
from rostra.api.openai.surface import Surface
from rostra.core import Conflict
from rostra.serving import InvalidParameter
from rostra.store import (
    Batch,
    BatchNotFound,
    FileNotFound,
    cancel_batch,
    count_unfinished_batches,
    create_batch,
    get_batch,
    get_file,
    list_batches,
)

Endpoint = Literal["/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/responses"]
WINDOW_SECONDS = 24 * 3600
MAX_UNFINISHED = 100
MAX_PAGE = 100
_ENDED = ("completed", "failed", "expired", "cancelled")


class TooManyBatches(Conflict):
    """More batches wait than are taken."""

    status = 429
    code = "too_many_batches"


class BatchBody(Body):
    """A file of requests to be run."""

    input_file_id: str
    endpoint: Endpoint
    completion_window: Literal["24h"] = "24h"
    metadata: Annotated[dict[str, str], Meta(max_length=16)] | None = None


class BatchError(Struct):
    """What is wrong with a line of the input file."""

    code: str
    message: str
    line: int | None = None
    param: str | None = None


class BatchErrors(Struct):
    """What is wrong with the input file."""

    data: list[BatchError]
    object: Literal["list"] = "list"


class RequestCounts(Struct):
    """How many requests there are, and how many ended how."""

    total: int
    completed: int
    failed: int


class BatchView(Struct, kw_only=True):
    """A batch."""

    id: str
    endpoint: str
    input_file_id: str
    status: str
    request_counts: RequestCounts
    metadata: dict[str, str] | None
    errors: BatchErrors | None
    output_file_id: str | None
    error_file_id: str | None
    created_at: int
    expires_at: int
    in_progress_at: int | None
    finalizing_at: int | None
    completed_at: int | None
    failed_at: int | None
    expired_at: int | None
    cancelling_at: int | None
    cancelled_at: int | None
    completion_window: Literal["24h"] = "24h"
    object: Literal["batch"] = "batch"


class BatchList(Struct):
    """Some batches, newest first."""

    data: list[BatchView]
    has_more: bool
    first_id: str | None
    last_id: str | None
    object: Literal["list"] = "list"


@post("/", status_code=200)
async def create(
    request: Request[Any, Any, Any], surface: NamedDependency[Surface]
) -> Response[bytes]:
    """Takes a batch."""
    body = await read_body(request, BatchBody)
    if body.endpoint != "/v1/embeddings":
        surface.check_model(DEFAULT_MODEL)
    file_id = stored_id("file-", body.input_file_id, FileNotFound, "input_file_id")
    async with surface.runtime.database.write() as session:
        if (await get_file(session, file_id)).purpose != "batch":
            raise InvalidParameter(
                "input_file_id: the file was not uploaded for a batch", field="input_file_id"
            )
        if await count_unfinished_batches(session) >= MAX_UNFINISHED:
            raise TooManyBatches(f"{MAX_UNFINISHED} batches wait already")
        batch = await create_batch(session, body.endpoint, file_id, dict(body.metadata or {}))
    surface.wake()
    return json_response(view(batch))


@get("/")
async def list_all(
    surface: NamedDependency[Surface],
    after: FromQuery[str | None] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=MAX_PAGE)] = 20,
) -> Response[bytes]:
    """Batches by page; `after` is the last id of the page before."""
    begin = None if after is None else stored_id("batch_", after, BatchNotFound, "after")
    async with surface.runtime.database.read() as session:
        found = await list_batches(session, after=begin, limit=limit + 1)
    shown = [view(batch) for batch in found[:limit]]
    return json_response(
        BatchList(
            shown,
            has_more=len(found) > limit,
            first_id=shown[0].id if shown else None,
            last_id=shown[-1].id if shown else None,
        )
    )


@get("/{batch_id:str}")
async def show(batch_id: FromPath[str], surface: NamedDependency[Surface]) -> Response[bytes]:
    """One batch."""
    async with surface.runtime.database.read() as session:
        found = stored_id("batch_", batch_id, BatchNotFound)
        return json_response(view(await get_batch(session, found)))


@post("/{batch_id:str}/cancel", status_code=200)
async def cancel(batch_id: FromPath[str], surface: NamedDependency[Surface]) -> Response[bytes]:
    """Ends a batch early; what is done of it stays."""
    async with surface.runtime.database.write() as session:
        batch = await cancel_batch(session, stored_id("batch_", batch_id, BatchNotFound))
    surface.wake()
    return json_response(view(batch))


def view(batch: Batch) -> BatchView:
    """A batch as clients see it."""
    created = int(batch.created_at.timestamp())
    counts = RequestCounts(**batch.counts)
    ended = batch.status in _ENDED
    errors = BatchErrors([BatchError(**error) for error in batch.errors])
    return BatchView(
        id=public_id("batch_", batch.id),
        endpoint=batch.endpoint,
        input_file_id=public_id("file-", batch.input_file_id),
        status=batch.status,
        request_counts=counts,
        metadata=batch.metadata or None,
        errors=errors if batch.errors else None,
        output_file_id=(
            public_id("file-", batch.output_file_id) if ended and counts.completed else None
        ),
        error_file_id=(
            public_id("file-", batch.error_file_id) if ended and counts.failed else None
        ),
        created_at=created,
        expires_at=created + WINDOW_SECONDS,
        in_progress_at=batch.times.get("in_progress"),
        finalizing_at=batch.times.get("finalizing"),
        completed_at=batch.times.get("completed"),
        failed_at=batch.times.get("failed"),
        expired_at=batch.times.get("expired"),
        cancelling_at=batch.times.get("cancelling"),
        cancelled_at=batch.times.get("cancelled"),
    )


router = Router("/batches", route_handlers=[create, list_all, show, cancel])
