"""The web page, out of the folder that its build fills.

What always holds: only files inside that folder are served; files whose name has their content's
hash are cached for good, everything else is asked for again; a path of the page's own, which exists
only in the browser, gets the page; a path of the API's never does.
"""

from pathlib import Path
from typing import Any

from litestar import HttpMethod, Request, Response, route
from litestar.datastructures import State
from litestar.exceptions import NotFoundException
from litestar.params import FromPath

STATIC = Path(__file__).with_name("static")

_READING = [HttpMethod.GET, HttpMethod.HEAD]
_API = {"api", "v1", "health", "schema", "metrics"}
_INDEX = "index.html"
_HASHED = "assets/"
_MEDIA_TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".ico": "image/x-icon",
    ".js": "text/javascript",
    ".json": "application/json",
    ".map": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain",
    ".webmanifest": "application/manifest+json",
    ".webp": "image/webp",
    ".woff2": "font/woff2",
}
_NOT_BUILT = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Rostra</title>
<h1>The web page is not built</h1>
<p>Run <code>make web</code> in the project's folder, then load this page again. It needs an npm
registry the first time.</p>
<p>The API works without it: see <a href="/schema">/schema</a>. So does the command line:
<code>rostra ask "your question"</code>.</p>
</html>
"""


@route("/", http_method=_READING, include_in_schema=False)
async def index(request: Request[Any, Any, Any], state: State) -> Response[bytes]:
    """The page."""
    return _page(request, state.static)


@route("/{path:path}", http_method=_READING, include_in_schema=False)
async def file(
    request: Request[Any, Any, Any], state: State, path: FromPath[str]
) -> Response[bytes]:
    """A file of the page, or the page itself for a path that only it knows."""
    wanted = path.lstrip("/")
    is_hashed = wanted.startswith(_HASHED)
    if (found := _find(state.static, wanted)) is not None:
        return _serve(request, found, is_hashed=is_hashed)
    is_of_the_api = wanted.split("/")[0] in _API
    if is_of_the_api or is_hashed or "text/html" not in request.headers.get("accept", ""):
        raise NotFoundException(f"there is no /{wanted[:200]}")
    return _page(request, state.static)


def page_folder() -> Path:
    """Where the built web page lies; it holds `index.html` once `make web` has run."""
    return STATIC


def _page(request: Request[Any, Any, Any], folder: Path) -> Response[bytes]:
    found = _find(folder, _INDEX)
    if found is None:
        return Response(
            _NOT_BUILT.encode(),
            status_code=503,
            media_type=_MEDIA_TYPES[".html"],
            headers={"Cache-Control": "no-store"},
        )
    return _serve(request, found, is_hashed=False)


def _find(folder: Path, path: str) -> Path | None:
    """The file of this path, if it is one of the folder's."""
    if not path or "\0" in path:
        return None
    root = folder.resolve()
    try:
        file = (root / path).resolve()
        found = file.is_relative_to(root) and file.is_file()
    except OSError:  # such as a name that is too long
        return None
    return file if found else None


def _serve(request: Request[Any, Any, Any], file: Path, *, is_hashed: bool) -> Response[bytes]:
    facts = file.stat()
    tag = f'"{facts.st_mtime_ns:x}-{facts.st_size:x}"'
    headers = {
        "ETag": tag,
        "Cache-Control": "public, max-age=31536000, immutable" if is_hashed else "no-cache",
    }
    media_type = _MEDIA_TYPES.get(file.suffix, "application/octet-stream")
    if tag in request.headers.get("if-none-match", ""):
        return Response(b"", status_code=304, media_type=media_type, headers=headers)
    return Response(file.read_bytes(), media_type=media_type, headers=headers)
