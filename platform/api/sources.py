"""Sources that are no uploads: pages, sitemaps and watched folders, each as a job."""

from pathlib import Path
from typing import Any

from litestar import Router, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from rostra.api.jobs import job_view
from rostra.api.openapi import problems
from rostra.api.schemas import JobView, SourceBody
from rostra.api.services import Services
from rostra.api.uploads import JOB_KIND
from rostra.api.work import WATCH_KIND, sitemap_payload, urls_payload, watch_payload
from rostra.core import InvalidRequest, PathNotFound, RostraError, Settings
from rostra.store import enqueue


class FolderNotAllowed(RostraError):
    """Whoever reaches the API may not name this folder of the server's machine."""

    status = 403
    code = "folder_not_allowed"


@post(
    "/collections/{name:str}/sources",
    operation_id="addSource",
    summary="Read pages, a sitemap or a folder",
    status_code=202,
    responses=problems(400, 403, 404),
)
async def add(
    name: FromPath[str], data: JSONBody[SourceBody], services: NamedDependency[Services]
) -> JobView:
    """Queues a job that reads them into a collection, which is made when missing.

    A folder is followed until its job is cancelled or paused.
    """
    kind, payload = _job_of(name, data, services.runtime.settings)
    async with services.runtime.database.write() as session:
        job = await enqueue(session, kind, payload)
    services.worker.wake()
    return job_view(job)


def _job_of(name: str, data: SourceBody, settings: Settings) -> tuple[str, dict[str, Any]]:
    given = [field for field in ("urls", "sitemap", "watch") if getattr(data, field) is not None]
    if len(given) != 1:
        raise InvalidRequest("give one of urls, sitemap and watch", field="body")
    if data.hosts and data.sitemap is None:
        raise InvalidRequest("hosts are of a sitemap", field="hosts")
    if data.delete_missing and data.sitemap is None:
        raise InvalidRequest("delete_missing is of a sitemap", field="delete_missing")
    if data.urls is not None:
        return JOB_KIND, urls_payload(name, data.urls)
    if data.sitemap is not None:
        return JOB_KIND, sitemap_payload(
            name, data.sitemap, data.hosts, delete_missing=data.delete_missing
        )
    return WATCH_KIND, watch_payload(name, _allowed(data.watch or "", settings))


def _allowed(text: str, settings: Settings) -> Path:
    """The folder, if the settings let the API name it.

    Raises:
        FolderNotAllowed: they do not; said before anybody learns whether there is such a folder.
        PathNotFound: it is no folder.
    """
    try:
        folder = Path(text).absolute().resolve()
    except (OSError, RuntimeError, ValueError):
        raise InvalidRequest("the folder's path cannot be read", field="watch") from None
    allowed = [path.absolute().resolve() for path in settings.watch_folders]
    if not any(folder.is_relative_to(path) for path in allowed):
        raise FolderNotAllowed(
            f"{text[:200]!r} is not below a folder that may be watched",
            hint="Whoever runs the server names such folders in watch_folders.",
        )
    if not folder.is_dir():
        raise PathNotFound(f"there is no folder {text[:200]!r}")
    return folder


router = Router("/", route_handlers=[add], tags=["documents"])
