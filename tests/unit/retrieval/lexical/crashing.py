"""A history that is killed: `python -m tests.unit.retrieval.lexical.crashing FOLDER MOST`.

Runs the same history again and again, each time in a child process that kills itself (SIGKILL) at
one call later of those that reach the disk, until one child comes to its end. After each it prints,
as a line of JSON, which state the child saw flushed last and what the folder holds then.
"""

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from rostra.retrieval.lexical import LexicalWriter, merging, segment, writer
from rostra.retrieval.lexical.manifest import named_files, open_manifest

STEPS = 3
QUERY = ["a", "b", "t3", "t11"]


def history(upto: int) -> list[list[str] | None]:
    """The rows as they are after that many steps."""
    rows: list[list[str] | None] = []
    for step in range(upto):
        rows += [["a", f"t{step}", "b", f"t{at}"] for at in range(5 + step)]
        for at in range(step, len(rows), 4):
            rows[at] = None
    return rows


def run(folder: Path, flushed: Callable[[int], None]) -> None:
    """Does the whole history, from where the folder says it stands."""
    index = LexicalWriter(folder, "test-1")
    for step in range(int(index.state or 0), STEPS):
        index.add([["a", f"t{step}", "b", f"t{at}"] for at in range(5 + step)])
        index.remove(np.arange(step, len(index), 4))
        index.flush(str(step + 1))
        flushed(step + 1)
        index.merge()


def killed_after(folder: Path, calls: int) -> tuple[bool, int]:
    """Runs the history in a child; whether it was killed, and the last state it saw flushed."""
    source, sink = os.pipe()
    child = os.fork()
    if child == 0:
        left = calls

        def dying(real: Callable[..., Any]) -> Callable[..., Any]:
            def call(*args: Any, **kwargs: Any) -> Any:
                nonlocal left
                left -= 1
                if left < 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                return real(*args, **kwargs)

            return call

        for owner, name in (
            (os, "fsync"),
            (os, "posix_fallocate"),
            (Path, "replace"),
            (Path, "unlink"),
            (Path, "open"),
        ):
            setattr(owner, name, dying(getattr(owner, name)))
        run(folder, lambda step: os.write(sink, bytes([step])) and None)
        os._exit(0)
    os.close(sink)
    with os.fdopen(source, "rb") as pipe:
        seen = pipe.read()
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status), seen[-1] if seen else 0


def report(folder: Path) -> dict[str, Any]:
    """What a folder holds when it is opened."""
    index = LexicalWriter(folder, "test-1")
    index.verify()
    reader = index.snapshot()
    named = named_files(open_manifest(folder, "test-1", True))
    return {
        "state": int(index.state or 0),
        "live": reader.live.tolist(),
        "scores": [None if score != score else score for score in reader.scores(QUERY).tolist()],
        "histogram": sorted(reader.statistics.histogram.items()),
        "strays": sorted({path.name for path in folder.iterdir()} - named - {"manifest.json"}),
    }


def main(folder: Path, most: int) -> None:
    # Small tiers, so that so few rows are merged; compiled once, before any child is born.
    merging._FAN, merging._FLOOR, segment.SMALL, writer._MOST_RECENT = 2, 4, 0, 60
    run(folder / "whole", lambda _: None)
    for calls in range(most):
        apart = folder / str(calls)
        killed, seen = killed_after(apart, calls)
        print(json.dumps({"killed": killed, "seen": seen} | report(apart)), flush=True)
        # A second life ends as an undisturbed one does; few suffice.
        if calls % 6 == 0 or not killed:
            run(apart, lambda _: None)
            print(json.dumps({"second": True} | report(apart)), flush=True)
        if not killed:
            return


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
