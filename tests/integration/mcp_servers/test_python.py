"""The Python sandbox: what code can do in it, its limits, its tools, its end, and its server."""

import asyncio
import json
import os
import select
import sys
from asyncio.subprocess import PIPE
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
from mcp import Client, StdioServerParameters
from mcp.types import TextContent

import mcp_servers.python.sandbox as sandbox_module
from mcp_servers.python import (
    CallRefused,
    Ending,
    Limits,
    Ran,
    Sandbox,
    SandboxUnavailable,
    build_server,
)
from rostra.core import InvalidRequest
from tests.integration.mcp_servers.sandboxed import needs_sandbox, run

ROOT = Path(__file__).parents[3]


@pytest.fixture
def sandbox() -> Sandbox:
    return Sandbox(Limits(seconds=20))


# --- What code can do ---
@needs_sandbox
async def test_it_gives_what_was_printed_and_the_last_value(sandbox: Sandbox) -> None:
    ran = await sandbox.run("import sys\nprint('out 🏺')\nprint('err', file=sys.stderr)\n6 * 7")
    assert ran == Ran(Ending.DONE, "out 🏺\n", "err\n", "42", None, False, 0)


@needs_sandbox
@pytest.mark.parametrize(
    ("code", "value"),
    [
        ("", None),
        ("None", None),
        ("x = 1", None),
        ("def f(n): return n if n < 2 else f(n - 1) + f(n - 2)\nf(20)", "6765"),
        ("import sqlite3; sqlite3.connect(':memory:').execute('select 1 + 1').fetchone()", "(2,)"),
        (
            "import hashlib, ssl, decimal, zoneinfo; hashlib.sha256(b'').hexdigest()[:8]",
            "'e3b0c442'",
        ),
        ("import asyncio\nasync def f(): return 5\nasyncio.run(f())", "5"),
        ("__name__", "'__main__'"),
        ("import sys; sys.exit(0)", None),
        ("from pathlib import Path; Path('a').write_text('kept'); Path('a').read_text()", "'kept'"),
        ("import tempfile; tempfile.TemporaryFile().write(b'abc')", "3"),
        (
            "from concurrent.futures import ThreadPoolExecutor as P\n"
            "with P(8) as pool: found = sum(pool.map(len, ['ab'] * 50))\nfound",
            "100",
        ),
        ("import dataclasses\n@dataclasses.dataclass\nclass A: x: int\nA(1)", "A(x=1)"),
    ],
)
async def test_ordinary_code_works(code: str, value: str | None) -> None:
    ran = await run(code)
    assert (ran.ending, ran.value, ran.error) == (Ending.DONE, value, None)


@needs_sandbox
async def test_a_failure_is_a_traceback_of_the_code_alone(sandbox: Sandbox) -> None:
    ran = await sandbox.run("def half(x):\n    return 1 / x\nhalf(0)")
    assert ran.ending is Ending.RAISED
    assert ran.error is not None
    assert (
        ran.error.splitlines()[1:]
        == [
            '  File "<code>", line 3, in <module>',
            "    half(0)",
            '  File "<code>", line 2, in half',
            "    return 1 / x",
            "           ~~^~~",
            "ZeroDivisionError: division by zero",
        ]
        or "ZeroDivisionError" in ran.error
    )  # later versions of Python draw it otherwise
    assert "inside.py" not in ran.error
    for code, told in (
        ("1 +", "SyntaxError"),
        ("exit(3)", "NameError"),
        ("raise SystemExit(3)", "3"),
    ):
        ran = await sandbox.run(code)
        assert ran.ending is Ending.RAISED
        assert told in str(ran.error)


@needs_sandbox
async def test_nothing_is_kept_for_the_next_run(sandbox: Sandbox) -> None:
    await sandbox.run("open('left', 'w').write('x'); import builtins; builtins.left = 1")
    ran = await sandbox.run("import os, builtins; os.listdir(), hasattr(builtins, 'left')")
    assert ran.value == "([], False)"


@needs_sandbox
async def test_folders_given_can_be_imported_and_not_written(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "aqueducts.py").write_text("CLAUDIA = 69")
    box = Sandbox(folders=[tmp_path])
    assert (await box.run("import aqueducts; aqueducts.CLAUDIA")).value == "69"
    ran = await box.run("import aqueducts; open(aqueducts.__file__, 'w')")
    assert "Read-only file system" in str(ran.error)
    assert (tmp_path / "aqueducts.py").read_text() == "CLAUDIA = 69"


# --- Limits ---
@needs_sandbox
@pytest.mark.parametrize(
    "code",
    [
        "while True: pass",
        "import time; time.sleep(1000)",
        "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nwhile True: pass",
        "while True: print('x' * 1000)",
        "import threading, time as t\nthreading.Thread(target=input).start()\nt.sleep(99)",
        "while True:\n    try: time\n    except BaseException: pass",
        "import os\nos.read(0, 1)\nimport select; select.select([], [], [])",
    ],
)
async def test_an_endless_run_is_ended(code: str) -> None:
    ran = await run(code, seconds=0.5)
    assert ran.ending is Ending.TIME
    assert "longer than 0.5 s" in str(ran.error)
    assert len(ran.stdout) < 25_000


@needs_sandbox
async def test_processor_time_is_bounded_while_a_tool_works() -> None:
    """The wall clock stands still during a call, the processor's does not."""
    asked = asyncio.Event()

    async def never(name: str, arguments: dict[str, Any]) -> None:
        asked.set()
        await asyncio.Event().wait()

    code = (
        "import threading\n"
        "threading.Thread(target=lambda: tools.call('x'), daemon=True).start()\n"
        "while True: pass"
    )
    ran = await Sandbox(Limits(seconds=0.9)).run(code, never)
    assert asked.is_set()
    assert ran.ending is Ending.KILLED
    assert "processor time" in str(ran.error)


@needs_sandbox
@pytest.mark.parametrize(
    "code",
    [
        "x = bytearray(2**34)",
        "x = []\nwhile True: x.append(bytearray(2**20))",
        "x = 'a'\nwhile True: x += x",
        "import mmap\nmaps = []\nwhile True: maps.append(mmap.mmap(-1, 2**26))",
        "f = open('big', 'wb')\nwhile True: f.write(bytes(2**20))",
        "n = 0\nwhile True:\n    n += 1\n    open(f'f{n}', 'wb').write(bytes(2**20))",
        "n = 0\nwhile True:\n    n += 1\n    open(f'f{n}', 'w').close()",
        "fs = []\nwhile True: fs.append(open('/dev/null'))",
        "import os\nos.truncate('/scratch/a', 2**40) if open('a', 'w').close() is None else 0",
        "import threading as t\nwhile True: t.Thread(target=t.Event().wait, daemon=True).start()",
        "import threading as t\nt.stack_size(2**15)\n"
        "while True: t.Thread(target=t.Event().wait, daemon=True).start()",
    ],
)
async def test_a_bomb_goes_off_inside(code: str) -> None:
    ran = await run(code, memory=256 << 20, scratch=8 << 20)
    assert ran.ending in (Ending.RAISED, Ending.KILLED), ran
    assert ran.error
    if ran.ending is Ending.RAISED:
        kind = ran.error.splitlines()[-1].partition(":")[0]
        assert kind in ("MemoryError", "OSError", "mmap.error", "RuntimeError"), ran.error


@needs_sandbox
async def test_a_crash_is_told(sandbox: Sandbox) -> None:
    for code in (
        "import ctypes; ctypes.string_at(0)",
        "import os; os.abort()",
        "import os; os._exit(7)",
        "import sys; sys.setrecursionlimit(10**9)\ndef f(x): return [f([x])]\nf(1)",
    ):
        ran = await run(code, memory=128 << 20)
        assert ran.ending in (Ending.KILLED, Ending.RAISED), code
        assert ran.error
    assert (await sandbox.run("import os; print('before', flush=True); os._exit(7)")).stdout


@needs_sandbox
async def test_huge_output_keeps_both_ends() -> None:
    ran = await run("print('begin'); print('🏺' * 3_000_000); print('end')", output=1000)
    assert ran.truncated
    assert ran.stdout.startswith("begin\n🏺")
    assert ran.stdout.endswith("🏺\nend\n")
    assert "bytes left out" in ran.stdout
    assert len(ran.stdout.encode()) < 1200
    ran = await run("'x' * 10_000_000", output=1000)
    assert len(str(ran.value)) < 1100
    ran = await run("raise ValueError('x' * 10_000_000)", output=1000)
    assert len(str(ran.error)) < 1100
    ran = await run(
        "import os; os.write(1, bytes(range(256)) + '\\ud800'.encode('utf-8', 'surrogatepass'))"
    )
    json.dumps(ran.stdout).encode()
    ran.stdout.encode()
    ran = await run("'\\ud800'")
    str(ran.value).encode()


@needs_sandbox
async def test_code_that_is_too_long_is_refused(sandbox: Sandbox) -> None:
    with pytest.raises(InvalidRequest, match="200001 characters"):
        await sandbox.run("#" * 200_001)
    assert (await sandbox.run("#" * 200_000)).ending is Ending.DONE
    assert (await sandbox.run("'\ud800'")).ending is Ending.DONE


# --- Tools ---
@needs_sandbox
async def test_code_calls_tools_and_keeps_their_results(sandbox: Sandbox) -> None:
    seen: list[tuple[str, dict[str, Any]]] = []

    async def call(name: str, arguments: dict[str, Any]) -> Any:
        seen.append((name, arguments))
        if name == "rows":
            return [{"n": n, "text": "x" * 1000} for n in range(arguments["count"])]
        raise CallRefused(f"there is no tool {name!r}")

    ran = await sandbox.run(
        "rows = tools.call('rows', count=2000)\n"
        "from tools import ToolError, call\n"
        "try: call('drop', table='users')\n"
        "except ToolError as error: print(error)\n"
        "sum(row['n'] for row in rows)",
        call,
    )
    assert (ran.value, ran.stdout, ran.calls) == ("1999000", "there is no tool 'drop'\n", 2)
    assert seen == [("rows", {"count": 2000}), ("drop", {"table": "users"})]


@needs_sandbox
async def test_calls_from_threads_get_their_own_answers(sandbox: Sandbox) -> None:
    async def call(name: str, arguments: dict[str, Any]) -> Any:
        await asyncio.sleep(0)
        return arguments["n"] * 2

    ran = await sandbox.run(
        "from concurrent.futures import ThreadPoolExecutor as P\n"
        "with P(8) as pool: found = list(pool.map(lambda n: tools.call('d', n=n), range(50)))\n"
        "found == [2 * n for n in range(50)]",
        call,
    )
    assert ran.value == "True"


@needs_sandbox
async def test_calls_are_bounded() -> None:
    async def call(name: str, arguments: dict[str, Any]) -> Any:
        return "x" * arguments.get("size", 1)

    box = Sandbox(Limits(calls=3, message=100_000))
    ran = await box.run("while True: tools.call('x')", call)
    assert "more than 3 calls" in str(ran.error)
    assert ran.calls == 4
    ran = await box.run("tools.call('x', size=200_000)", call)
    assert "over 100000 bytes" in str(ran.error)
    ran = await box.run("tools.call('x', name='y' * 200_000)", call)
    assert (ran.ending, "over 100000 bytes" in str(ran.error)) == (Ending.KILLED, True)
    ran = await box.run("tools.call('x', value=object())", call)
    assert "not JSON serializable" in str(ran.error)
    ran = await box.run("tools.call('x')")
    assert "there are no tools" in str(ran.error)


@needs_sandbox
async def test_time_of_tools_is_not_the_codes() -> None:
    release = asyncio.Event()

    async def call(name: str, arguments: dict[str, Any]) -> Any:
        await asyncio.wait_for(release.wait(), 60)
        return 1

    running = asyncio.create_task(Sandbox(Limits(seconds=1)).run("tools.call('slow')", call))
    done, _ = await asyncio.wait([running], timeout=1.5)
    assert not done
    release.set()
    assert (await running).value == "1"


@needs_sandbox
async def test_what_the_tool_raises_passes_and_the_process_is_gone(sandbox: Sandbox) -> None:
    class Paused(Exception):
        pass

    async def call(name: str, arguments: dict[str, Any]) -> Any:
        raise Paused

    with pytest.raises(Paused):
        await sandbox.run("tools.call('x')", call)
    assert children() == []


@needs_sandbox
@pytest.mark.parametrize(
    "said",
    [
        b"no JSON\n",
        b"[]\n",
        b'{"call": 1, "arguments": {}}\n',
        b'{"call": "x"}\n',
        b'{"refused": "unshare"}\n',
        b'{"done": 1}\n',
        b"[" * 100_000 + b"\n",
        b"\xff\xfe\n",
        b"x" * 200_000,
    ],
)
async def test_lies_on_the_channel_end_the_run_and_nothing_else(said: bytes) -> None:
    code = f"import os, time\nos.write(tools._channel, {said!r})\ntime.sleep(100)"
    ran = await Sandbox(Limits(seconds=20, message=100_000, code=10**6)).run(code)
    assert (ran.ending, str(ran.error)[:7]) == (Ending.KILLED, "stopped")


@needs_sandbox
async def test_a_false_end_is_no_end(sandbox: Sandbox) -> None:
    """Who says `done` and goes on is waited for, and ended with its time."""
    line = json.dumps({"done": {"value": 5, "error": ["x"]}})
    ran = await sandbox.run(
        f"import os\nos.write(tools._channel, {line!r}.encode() + b'\\n')\nwhile True: pass",
        seconds=1,
    )
    assert ran.ending is Ending.TIME


# --- Ends ---
def children() -> list[int]:
    """Sandboxed processes that live."""
    return [
        process.pid
        for process in psutil.process_iter(["ppid", "cmdline"])
        if process.info["ppid"] == os.getpid()
        and any(word.endswith("jail.py") for word in process.info["cmdline"] or [])
    ]


@needs_sandbox
async def test_a_cancelled_run_leaves_no_process(sandbox: Sandbox) -> None:
    started = asyncio.Event()

    async def call(name: str, arguments: dict[str, Any]) -> Any:
        started.set()

    running = asyncio.create_task(sandbox.run("tools.call('x')\nwhile True: pass", call))
    await asyncio.wait_for(started.wait(), 60)
    assert children()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert children() == []


@needs_sandbox
async def test_a_killed_server_takes_its_runs_along() -> None:
    """The last of the three processes holds a pipe open; it ends when they all have."""
    read, write = os.pipe()
    program = (
        "import asyncio, os\n"
        "from mcp_servers.python import Sandbox\n"
        "async def call(name, arguments):\n"
        f"    os.write({write}, b'running')\n"
        "asyncio.run(Sandbox().run('tools.call(\"x\")\\nwhile True: pass', call))\n"
    )
    server = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", program),
        pass_fds=[write],
        env={"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"]},
    )
    os.close(write)
    try:
        assert await asyncio.to_thread(os.read, read, 10) == b"running"
        (outer,) = psutil.Process(server.pid).children()
        inner = outer.children(recursive=True)
        assert len(inner) == 2
        watched = [os.pidfd_open(process.pid) for process in (outer, *inner)]
        outer.kill()
        for handle in watched:
            await asyncio.wait_for(asyncio.to_thread(ended, handle), 60)
    finally:
        if server.returncode is None:
            server.kill()
        await server.wait()
        os.close(read)


def ended(handle: int) -> None:
    select.select([handle], [], [])
    os.close(handle)


@needs_sandbox
async def test_many_at_once(sandbox: Sandbox) -> None:
    found = await asyncio.gather(*(sandbox.run(f"{n} ** 2") for n in range(12)))
    assert [ran.value for ran in found] == [str(n**2) for n in range(12)]


# --- Where it is not to be had ---
@pytest.mark.parametrize(
    ("name", "value", "told"),
    [("release", "5.10.0-8-amd64", "Linux 5.14"), ("machine", "riscv64", "riscv64")],
)
async def test_other_systems_are_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, told: str
) -> None:
    system = {"release": "6.1.0", "machine": "x86_64"} | {name: value}
    monkeypatch.setattr(sandbox_module.os, "uname", lambda: SimpleNamespace(**system))
    with pytest.raises(SandboxUnavailable, match=told):
        await Sandbox().run("1")


@needs_sandbox
@pytest.mark.parametrize(
    ("before", "step"),
    [
        ("echo 0 > /proc/sys/user/max_user_namespaces", "unshare: No space left"),
        ("echo 0 > /proc/sys/user/max_mnt_namespaces", "unshare: No space left"),
    ],
)
async def test_without_namespaces_nothing_is_run(before: str, step: str) -> None:
    """A container whose limits forbid it, made of a user namespace with such limits."""
    program = (
        "import asyncio\n"
        "from mcp_servers.python import Sandbox, SandboxUnavailable\n"
        "try: print(asyncio.run(Sandbox().run('print(1)')))\n"
        "except SandboxUnavailable as error: print(error.code, error.message, error.hint)\n"
    )
    process = await asyncio.create_subprocess_exec(
        *("unshare", "--user", "--map-root-user", "sh", "-c"),
        f'{before} && exec "$0" -c "$1"',
        sys.executable,
        program,
        env={"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"]},
        stdout=PIPE,
        stderr=PIPE,
    )
    stdout, stderr = await process.communicate()
    if process.returncode:
        pytest.skip(f"no user namespace to try it in: {stderr.decode()}")
    assert stdout.decode().startswith("sandbox_unavailable code is not run here")
    assert step in stdout.decode()
    assert "user namespaces" in stdout.decode()


# --- The server ---
async def test_the_tool_refuses_in_words_where_there_is_no_sandbox(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sandbox_module, "seccomp_filter", lambda machine: None)
    async with Client(build_server()) as client:
        result = await client.call_tool("run_python", {"code": "1"})
    assert result.is_error
    (content,) = result.content
    assert isinstance(content, TextContent)
    assert "does not know the machine" in content.text


@needs_sandbox
async def test_it_serves_over_stdio() -> None:
    parameters = StdioServerParameters(
        command=sys.executable,
        args=["-m", "mcp_servers.python", "--seconds", "5"],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)},
    )
    async with Client(parameters, read_timeout_seconds=60) as client:
        (tool,) = (await client.list_tools()).tools
        assert tool.name == "run_python"
        assert "5 s and 512 MiB" in str(tool.description)
        assert tool.annotations is not None
        assert tool.annotations.read_only_hint
        result = await client.call_tool("run_python", {"code": "print('x')\n1 / 0"})
        assert not result.is_error
        assert result.structured_content is not None
        assert result.structured_content["stdout"] == "x\n"
        assert result.structured_content["ending"] == "raised"
        for arguments in ({}, {"code": "1", "seconds": 6}, {"code": 5}, {"code": "#" * 200_001}):
            assert (await client.call_tool("run_python", arguments)).is_error


@needs_sandbox
async def test_a_server_with_tools_says_so_and_is_not_read_only() -> None:
    async def call(name: str, arguments: dict[str, Any]) -> Any:
        return [name, arguments]

    async with Client(build_server(call_tool=call)) as client:
        (tool,) = (await client.list_tools()).tools
        assert "tools.call" in str(tool.description)
        assert tool.annotations is not None
        assert not tool.annotations.read_only_hint
        result = await client.call_tool("run_python", {"code": "tools.call('a', b=1)"})
        assert result.structured_content is not None
        assert result.structured_content["value"] == "['a', {'b': 1}]"
