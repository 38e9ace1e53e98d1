"""The guarded process: slow, greedy, crashing files, and parents that die."""

import asyncio
import os
import select
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from rostra.core import Settings
from rostra.ingest.document import ParsedDocument
from rostra.ingest.errors import CorruptFile, EmptyFile, ParseMemory, ParseTimeout, UnsupportedType
from rostra.ingest.parser_process import ParserProcess, ParserUnavailable

# Far more rows than are read in the times used here.
SLOW = b"a,b\n" + b"1,2\n" * 3_000_000
MIB = 1024 * 1024


@pytest.fixture
def roomy(settings: Settings) -> Settings:
    return settings.model_copy(update={"max_text_chars": 10**9})


async def assert_works(parser: ParserProcess) -> None:
    document = await parser.parse("a.md", b"# Title\n\ntext")
    assert (document.title, document.text) == ("Title", "# Title\n\ntext")


async def test_files_one_after_the_other(settings: Settings) -> None:
    async with ParserProcess(settings) as parser:
        first = parser.pid
        await assert_works(parser)
        with pytest.raises(EmptyFile):
            await parser.parse("a.txt", b"")
        with pytest.raises(UnsupportedType) as caught:
            await parser.parse("a.gif", b"GIF89a")
        assert caught.value.code == "unsupported_type"
        with pytest.raises(CorruptFile):
            await parser.parse("a.docx", b"PK\x03\x04")
        page = await parser.parse("a.html", "<p>é😀</p>".encode())
        assert isinstance(page, ParsedDocument)
        assert page.text == "é😀"
        assert parser.pid == first, "bad files do not cost a process"
    assert parser.pid is None


async def test_files_at_once_take_turns(settings: Settings) -> None:
    async with ParserProcess(settings) as parser:
        tasks = [parser.parse(f"{n}.txt", f"text {n}".encode()) for n in range(20)]
        documents = await asyncio.gather(*tasks)
    assert [document.text for document in documents] == [f"text {n}" for n in range(20)]


async def test_a_slow_file(roomy: Settings) -> None:
    hasty = roomy.model_copy(update={"parse_timeout": 0.3})
    async with ParserProcess(hasty) as parser:
        with pytest.raises(ParseTimeout):
            await parser.parse("slow.csv", SLOW)
        assert parser.pid is None, "a process that hangs is ended"
    async with ParserProcess(roomy) as parser:
        await assert_works(parser)


async def test_a_greedy_file(roomy: Settings) -> None:
    tight = roomy.model_copy(update={"parse_memory_bytes": 320 * MIB})
    async with ParserProcess(tight) as parser:
        with pytest.raises(ParseMemory):
            await parser.parse("greedy.json", b"[" + b"[1]," * 10_000_000 + b"1]")
        await assert_works(parser)


async def test_the_smallest_memory_allowed_is_enough_to_start(settings: Settings) -> None:
    least = settings.model_copy(update={"parse_memory_bytes": 256 * MIB})
    async with ParserProcess(least) as parser:
        await assert_works(parser)


async def test_a_process_that_cannot_start(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", shutil.which("false"))
    async with ParserProcess(settings) as parser:
        with pytest.raises(ParserUnavailable, match="exit status 1"):
            await parser.parse("a.md", b"x")


async def test_a_process_killed_between_files(settings: Settings) -> None:
    async with ParserProcess(settings) as parser:
        await assert_works(parser)
        assert parser.pid is not None
        os.kill(parser.pid, signal.SIGKILL)
        await assert_works(parser)


def resident_bytes(pid: int | None) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


async def wait_until_busy(parser: ParserProcess, idle: int, killed: int | None = None) -> int:
    """The process that has `SLOW` in hand, seen by the memory that it takes."""
    # Nothing tells us but the operating system, so it is asked again and again.
    while parser.pid in (None, killed) or resident_bytes(parser.pid) < idle + len(SLOW):  # noqa: ASYNC110
        await asyncio.sleep(0.001)
    assert parser.pid is not None
    return parser.pid


@pytest.mark.parametrize(
    ("number", "reason"), [(signal.SIGKILL, ParseMemory), (signal.SIGSEGV, CorruptFile)]
)
async def test_a_process_that_dies_on_a_file(
    roomy: Settings, number: signal.Signals, reason: type[Exception]
) -> None:
    async with ParserProcess(roomy) as parser:
        await assert_works(parser)
        idle = resident_bytes(parser.pid)
        task = asyncio.create_task(parser.parse("slow.csv", SLOW))
        # A used process might have died of earlier files, so the file is tried in a new one.
        first = await wait_until_busy(parser, idle)
        os.kill(first, number)
        os.kill(await wait_until_busy(parser, idle, first), number)
        with pytest.raises(reason):
            await task
        await assert_works(parser)


async def test_a_caller_that_is_cancelled(roomy: Settings) -> None:
    async with ParserProcess(roomy) as parser:
        await assert_works(parser)
        idle = resident_bytes(parser.pid)
        task = asyncio.create_task(parser.parse("slow.csv", SLOW))
        await wait_until_busy(parser, idle)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await assert_works(parser)


async def test_modules_in_the_current_folder_are_not_imported(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("lxml", "msgspec", "rostra", "markdown_it"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('imported from the wrong place')")
    monkeypatch.chdir(tmp_path)
    async with ParserProcess(settings) as parser:
        await assert_works(parser)
        assert (await parser.parse("a.html", b"<p>x")).text == "x"


def test_the_process_imports_little() -> None:
    code = "import sys, rostra.ingest.worker; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.split(".")[0] for name in done.stdout.split()}
    heavy = {"torch", "transformers", "sentence_transformers", "faiss", "sqlalchemy", "litestar"}
    later = {"docx", "pypdfium2", "lxml", "markdown_it", "charset_normalizer"}
    assert not loaded & (heavy | later)


def test_no_process_outlives_a_parent_that_is_killed() -> None:
    code = """
import asyncio
from rostra.core import Settings
from rostra.ingest.parser_process import ParserProcess

async def main():
    async with ParserProcess(Settings()) as parser:
        await parser.parse("a.txt", b"x")
        print(parser.pid, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        watched = os.pidfd_open(child)
        parent.kill()
    try:
        ended, _, _ = select.select([watched], [], [], 30)
        assert ended
    finally:
        os.close(watched)
