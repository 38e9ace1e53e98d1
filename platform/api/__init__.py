"""API: the REST surface, the event stream of answers, the job worker and the web page.

`create_app` gives an ASGI application over one data directory.
"""

from rostra.api.app import create_app
from rostra.api.web import page_folder
from rostra.api.worker import Pace

__all__ = ["Pace", "create_app", "page_folder"]
