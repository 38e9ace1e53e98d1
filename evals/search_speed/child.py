"""Work in a process of its own, asked and answered in lines of JSON.

What always holds: a child ends when its parent does; what a child prints itself goes to stderr; a
child that fails says why, and the parent raises that.
"""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar, Self

import msgspec

from rostra.core import RostraError

Tell = Callable[[str, int, int], None]
"""Told what is done, how much of it, and of how much."""
Handler = Callable[..., Awaitable[dict[str, Any]]]


class BenchmarkFailed(RostraError):
    """A part of a benchmark ended with an error; the message says which."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "benchmark_failed"


class Child:
    """A module of this package, run as a process.

    Args:
        module: its full name.
        folder: what it works on.
    """

    def __init__(self, module: str, folder: Path) -> None:
        self._module = module
        # -c and not -m: the module is then imported by its own name, once.
        code = f"import {module} as it; it.main()"
        self._process = subprocess.Popen(
            [sys.executable, "-c", code, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | {"TOKENIZERS_PARALLELISM": "false", "PYTHONUNBUFFERED": "1"},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if self._process.stdin is not None:
            # A child that has ended does not read what is still on its way.
            with suppress(BrokenPipeError):
                self._process.stdin.close()
        if kind is not None:
            self._process.terminate()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def ask(self, what: str, tell: Tell, **given: Any) -> dict[str, Any]:
        """Has something done.

        Raises:
            BenchmarkFailed: it was not.
        """
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None:
            raise BenchmarkFailed(f"{self._module} has no pipes")
        try:
            stdin.write(msgspec.json.encode({"what": what, "given": given}) + b"\n")
            stdin.flush()
        except BrokenPipeError:
            raise BenchmarkFailed(f"{self._module} ended before {what}") from None
        for line in stdout:
            told: dict[str, Any] = msgspec.json.decode(line)
            if "said" in told:
                tell(*told["said"])
            elif "failed" in told:
                raise BenchmarkFailed(f"{what}: {told['failed']}")
            else:
                answer: dict[str, Any] = told["answer"]
                return answer
        raise BenchmarkFailed(f"{self._module} ended during {what}")


def answer_all(make: Callable[[Path, Tell], Mapping[str, Handler]]) -> None:
    """The child's side: answers until the parent is gone.

    Args:
        make: its handlers, from the folder of this process' argument.
    """
    # Ctrl-C is the parent's to answer.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # What libraries print must not get between the lines.
    out = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)

    def say(value: dict[str, Any]) -> None:
        out.write(msgspec.json.encode(value) + b"\n")

    def tell(name: str, done: int, total: int) -> None:
        say({"said": [name, done, total]})

    with asyncio.Runner() as runner:
        handlers: Mapping[str, Handler] | None = None
        for line in sys.stdin.buffer:
            asked = msgspec.json.decode(line)
            try:
                handlers = handlers or make(Path(sys.argv[1]), tell)
                answer = runner.run(_called(handlers[asked["what"]], asked["given"]))
            except (RostraError, OSError, ImportError, MemoryError, ValueError) as error:
                say({"failed": f"{type(error).__name__}: {error}"})
                return
            say({"answer": answer})


async def _called(handler: Handler, given: dict[str, Any]) -> dict[str, Any]:
    return await handler(**given)


def resident() -> dict[str, float]:
    """Memory of this process, MB: all, what no file backs, what files back; zeros off Linux."""
    wanted = {"VmRSS": "rss_mb", "RssAnon": "rss_anonymous_mb", "RssFile": "rss_file_mb"}
    found = dict.fromkeys(wanted.values(), 0.0)
    status = Path("/proc/self/status")
    for line in status.read_text(encoding="ascii").splitlines() if status.is_file() else ():
        name, _, value = line.partition(":")
        if name in wanted:
            found[wanted[name]] = round(int(value.split()[0]) / 1024, 1)
    return found
