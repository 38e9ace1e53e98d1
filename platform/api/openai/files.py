"""Files: uploaded for batches, or written by them.

What always holds: a file's bytes come back as they were sent, as a download and never as a page; a
client's name for it is shown and never used as a path.
"""

from typing import Annotated, Any, BinaryIO, Literal, cast
from uuid import UUID

from litestar import Request, Response, Router, delete, get, post
from litestar.datastructures import UploadFile
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, QueryParameter
from litestar.response import File
from msgspec import Struct

from rostra.api.openai.errors import UnknownParameter, UnsupportedParameter
from rostra.api.openai.file_store import MAX_FILE_BYTES
from rostra.api.openai.ids import public_id, stored_id
from rostra.api.openai.streaming import json_response
from rostra.api.openai.surface import Surface
from rostra.api.uploads import clean_name
from rostra.core import InvalidRequest, PayloadTooLarge
from rostra.store import FileNotFound, StoredFile, get_file, list_files

MAX_PAGE = 1000
# What a form has around the file.
_FORM_BYTES = 64 * 1024

Order = Literal["asc", "desc"]


class FileView(Struct, kw_only=True):
    """A file without its bytes."""

    id: str
    bytes: int
    created_at: int
    filename: str
    purpose: str
    object: Literal["file"] = "file"
    status: Literal["processed"] = "processed"


class FileList(Struct):
    """Some files."""

    data: list[FileView]
    has_more: bool
    first_id: str | None
    last_id: str | None
    object: Literal["list"] = "list"


class DeletedFile(Struct):
    """A file that is gone."""

    id: str
    deleted: bool = True
    object: Literal["file"] = "file"


@post("/", status_code=200, request_max_body_size=MAX_FILE_BYTES + _FORM_BYTES)
async def upload(
    request: Request[Any, Any, Any], surface: NamedDependency[Surface]
) -> Response[bytes]:
    """Stores a file: multipart/form-data with `file` and `purpose`, which must be `batch`."""
    form = await request.form()
    given = dict(form.multi_items())
    unknown = [str(name)[:100] for name in given if name not in ("file", "purpose")]
    if unknown:
        raise UnknownParameter(f"unknown parameters: {', '.join(unknown)}", field=unknown[0])
    file, purpose = given.get("file"), given.get("purpose")
    if not isinstance(file, UploadFile):
        raise InvalidRequest("the form holds no file in 'file'", field="file")
    if purpose != "batch":
        raise UnsupportedParameter("purpose must be 'batch'", field="purpose")
    most = min(MAX_FILE_BYTES, surface.runtime.settings.max_upload_bytes)
    file.file.seek(0, 2)
    if file.file.tell() > most:
        raise PayloadTooLarge(f"the file is larger than {most:,} bytes")
    name = clean_name(file.filename or "") or "unnamed"
    stored = await surface.files.add(cast("BinaryIO", file.file), name, "batch")
    return json_response(view(stored))


@get("/")
async def list_all(
    surface: NamedDependency[Surface],
    purpose: FromQuery[str | None] = None,
    after: FromQuery[str | None] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=10_000)] = MAX_PAGE,
    order: FromQuery[Order] = "desc",
) -> Response[bytes]:
    """Files by page; `after` is the last id of the page before."""
    limit = min(limit, MAX_PAGE)
    begin = None if after is None else stored_id("file-", after, FileNotFound, "after")
    async with surface.runtime.database.read() as session:
        found = await list_files(
            session,
            purpose=purpose,
            after=begin,
            limit=limit + 1,
            newest_first=order == "desc",
        )
    shown = [view(file) for file in found[:limit]]
    return json_response(
        FileList(
            shown,
            has_more=len(found) > limit,
            first_id=shown[0].id if shown else None,
            last_id=shown[-1].id if shown else None,
        )
    )


@get("/{file_id:str}")
async def show(file_id: FromPath[str], surface: NamedDependency[Surface]) -> Response[bytes]:
    """One file."""
    async with surface.runtime.database.read() as session:
        return json_response(view(await get_file(session, _id(file_id))))


@get("/{file_id:str}/content")
async def content(file_id: FromPath[str], surface: NamedDependency[Surface]) -> File:
    """A file's bytes."""
    found = _id(file_id)
    async with surface.runtime.database.read() as session:
        stored = await get_file(session, found)
    path = surface.files.path(found)
    if not path.is_file():
        raise FileNotFound(f"the bytes of {file_id} are gone")
    return File(path, filename=stored.filename, media_type="application/octet-stream")


@delete("/{file_id:str}", status_code=200)
async def remove(file_id: FromPath[str], surface: NamedDependency[Surface]) -> Response[bytes]:
    """Deletes a file; one that a batch still reads stays."""
    found = _id(file_id)
    await surface.files.delete(found)
    return json_response(DeletedFile(public_id("file-", found)))


def view(file: StoredFile) -> FileView:
    """A file as clients see it."""
    return FileView(
        id=public_id("file-", file.id),
        bytes=file.bytes,
        created_at=int(file.created_at.timestamp()),
        filename=file.filename,
        purpose=file.purpose,
    )


def _id(text: str) -> UUID:
    return stored_id("file-", text, FileNotFound)


router = Router("/files", route_handlers=[upload, list_all, show, content, remove])
