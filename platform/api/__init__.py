"""API: the REST surface, the event stream of answers, the job worker and the web page.

`create_app` gives an ASGI application over one data directory.
"""

from rostra.api.app import create_app
from rostra.api.uploads import JOB_KIND, Uploads
from rostra.api.web import page_folder
from rostra.api.work import WATCH_KIND, sitemap_payload, urls_payload, watch_payload
from rostra.api.worker import Pace, Worker, drop_ended

__all__ = [
    "JOB_KIND",
    "WATCH_KIND",
    "Pace",
    "Uploads",
    "Worker",
    "create_app",
    "drop_ended",
    "page_folder",
    "sitemap_payload",
    "urls_payload",
    "watch_payload",
]
