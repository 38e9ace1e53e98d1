"""Documents: listed, uploaded, shown, read by slice, deleted."""

import asyncio
from typing import Annotated, Any

from litestar import Request, Router, delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter

from rostra.api.jobs import job_view
from rostra.api.openapi import UploadOperation, problems
from rostra.api.pages import IdInPath, Limit, Offset, id_in_path
from rostra.api.schemas import (
    DocumentDetail,
    DocumentPage,
    DocumentView,
    JobView,
    TextSlice,
    view,
)
from rostra.api.services import Services
from rostra.api.uploads import JOB_KIND, Incoming
from rostra.core import DocumentNotFound, InvalidRequest
from rostra.retrieval import collection_for
from rostra.runtime import Runtime
from rostra.store import (
    Job,
    check_name,
    delete_document,
    enqueue,
    get_collection,
    get_document,
    get_spans,
    get_text,
    list_documents,
)

MAX_SLICE = 200_000

TextQuery = Annotated[str, QueryParameter(max_length=500, description="Part of a uri or title.")]


@get(
    "/collections/{name:str}/documents",
    operation_id="listDocuments",
    summary="List documents",
    responses=problems(400, 404),
)
async def list_all(
    name: FromPath[str],
    runtime: NamedDependency[Runtime],
    limit: Limit = 50,
    offset: Offset = 0,
    q: TextQuery = "",
) -> DocumentPage:
    """A collection's documents by uri."""
    async with runtime.database.read() as session:
        collection = await get_collection(session, name)
        found, total = await list_documents(
            session, collection.id, limit=limit, offset=offset, contains=q
        )
    return DocumentPage([view(DocumentView, item) for item in found], total)


@post(
    "/collections/{name:str}/documents",
    operation_id="uploadDocuments",
    summary="Upload documents",
    status_code=202,
    operation_class=UploadOperation,
    request_max_body_size=None,  # the upload keeps its own limit while it streams
    responses=problems(400, 409, 413, 415, 503, 507),
)
async def upload(
    name: FromPath[str], request: Request[Any, Any, Any], services: NamedDependency[Services]
) -> JobView:
    """Takes files into a collection, which is made when missing; a job reads them."""
    check_name(name)
    async with services.uploads.receive(request) as incoming:
        job = await _enqueue(services, name, incoming)
    services.worker.wake()
    return job_view(job)


@get(
    "/documents/{document_id:str}",
    operation_id="getDocument",
    summary="Show a document",
    responses=problems(400, 404),
)
async def show(document_id: IdInPath, runtime: NamedDependency[Runtime]) -> DocumentDetail:
    """One document with its pages, headings and tables."""
    wanted = id_in_path(document_id, DocumentNotFound, "document")
    async with runtime.database.read() as session:
        document = await get_document(session, wanted)
        spans = await get_spans(session, wanted)
    detail: DocumentDetail = view(DocumentDetail, document, spans=spans)
    return detail


@get(
    "/documents/{document_id:str}/text",
    operation_id="getDocumentText",
    summary="Read a document's text",
    responses=problems(400, 404),
)
async def text(
    document_id: IdInPath,
    runtime: NamedDependency[Runtime],
    start: Annotated[int, QueryParameter(ge=0, description="First code point.")] = 0,
    end: Annotated[int | None, QueryParameter(ge=0, description="One past the last.")] = None,
) -> TextSlice:
    """The text, or a slice of it; at most 200,000 code points, `end` says where it was cut."""
    wanted = id_in_path(document_id, DocumentNotFound, "document")
    if end is not None and end < start:
        raise InvalidRequest(f"end is {end}, before start at {start}", field="end")
    async with runtime.database.read() as session:
        length = (await get_document(session, wanted)).length
        first = min(start, length)
        past = min(length if end is None else end, length, first + MAX_SLICE)
        cut = await get_text(session, wanted, first, past)
    return TextSlice(wanted, first, past, length, cut)


@delete(
    "/documents/{document_id:str}",
    operation_id="deleteDocument",
    summary="Delete a document",
    responses=problems(400, 404),
)
async def remove(document_id: IdInPath, services: NamedDependency[Services]) -> None:
    """Deletes a document; searches no longer find it from now on."""
    wanted = id_in_path(document_id, DocumentNotFound, "document")
    database = services.runtime.database
    async with database.read() as session:
        collection = (await get_document(session, wanted)).collection
    async with database.write() as session:
        await delete_document(session, wanted)
    services.background.start("save index", services.runtime.indexes.save(collection))


async def _enqueue(services: Services, collection: str, incoming: Incoming) -> Job:
    """Makes the job that reads an upload, and the collection if it is missing."""
    embedder = await services.embedder()
    job: Job | None = None
    try:
        async with services.runtime.database.write() as session:
            await collection_for(session, collection, embedder)
            job = await enqueue(session, JOB_KIND, incoming.payload(collection))
            # Before the commit: whoever claims the job finds its files.
            await asyncio.to_thread(services.uploads.adopt, incoming, job.id)
    except BaseException:
        if job is not None:
            services.uploads.remove(job.id)
        raise
    return job


router = Router("/", route_handlers=[list_all, upload, show, text, remove], tags=["documents"])
