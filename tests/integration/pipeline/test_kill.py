"""An ingest that is killed, and killed again, ends where an undisturbed one ends.

With the real command, the real embedder and the real parser process.
"""

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import psutil
import pytest

from rostra.core import Settings
from rostra.ingest import IngestReport, list_sources
from rostra.retrieval import SearchMode, SearchRequest
from rostra.retrieval.analysis import EnglishAnalyzer
from rostra.runtime import Runtime, open_runtime, runtime
from tests.fakes import packaged_embedder

ROOT = Path(__file__).parents[3]
FILES = 45
WORDS = EnglishAnalyzer().terms(
    "vacuum index lock table tuple page buffer query plan cost join sort merge hash write log"
    " checkpoint column constraint trigger view schema role backup"
)
POLL_SECONDS = 0.02
DEADLINE_SECONDS = 90


def write_files(folder: Path) -> None:
    """Small files, in all three batches of an ingest; much of their text is the same."""
    random = Random(3)
    shared = [" ".join(random.choices(WORDS, k=12)) for _ in range(40)]
    folder.mkdir()
    for number in range(FILES):
        own = [" ".join(random.choices(WORDS, k=11)) + f" {number}" for _ in range(2)]
        paragraphs = random.sample(shared, 6) + own
        random.shuffle(paragraphs)
        body = "\n\n".join(f"{text.capitalize()}." for text in paragraphs)
        (folder / f"{number:03}.md").write_text(f"# Notes\n\n{body}")


def settings_of(home: Path) -> Settings:
    # Float32, so that the processor's choice of format has no part in what is compared.
    return Settings(home=home, chunk_tokens=16, embedding_dtype="float32", device="cpu")


@contextmanager
def running(home: Path, folder: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """`rostra ingest` of the folder, in a process of its own."""
    given = {
        "ROSTRA_HOME": str(home),
        "ROSTRA_CHUNK_TOKENS": "16",
        "ROSTRA_EMBEDDING_DTYPE": "float32",
        "ROSTRA_DEVICE": "cpu",
        "PYTHONPATH": str(ROOT),
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "rostra.cli", "ingest", str(folder), "--json"],
        env=os.environ | given,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def count(home: Path, table: str) -> int:
    """Committed rows of a table; 0 while there is no such table."""
    with contextlib.suppress(sqlite3.OperationalError):
        connection = sqlite3.connect(f"file:{home / 'rostra.db'}?mode=ro", uri=True)
        with contextlib.closing(connection):
            return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])
    return 0


def wait_for(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not what():
        assert time.monotonic() < deadline
        time.sleep(POLL_SECONDS)


def has_ended(process: psutil.Process) -> bool:
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def kill_when(home: Path, folder: Path, moment: Callable[[], bool]) -> None:
    with running(home, folder) as process:
        wait_for(lambda: moment() or process.poll() is not None)
        assert process.poll() is None, process.communicate()[0].decode()
        children = psutil.Process(process.pid).children()
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        wait_for(lambda: all(map(has_ended, children)))


async def ingest(runtime: Runtime, folder: Path) -> IngestReport:
    sources = list_sources([folder], runtime.settings).items
    return await runtime.ingester.ingest(sources, "default")


Found = list[tuple[str, int, int, str]]


async def results(runtime: Runtime) -> tuple[list[Found], list[float]]:
    """Places and texts of the hits of 20 queries in every mode, and all their scores."""
    random = Random(4)
    places, scores = list[Found](), list[float]()
    for _ in range(20):
        query = " ".join(random.choices(WORDS, k=3))
        for mode in SearchMode:
            hits = (await runtime.searcher.search(SearchRequest(query, mode=mode))).hits
            assert len(hits) == 10
            places.append([(hit.uri, hit.start, hit.end, hit.text) for hit in hits])
            scores += [hit.score for hit in hits]
    return places, scores


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_killed_at_several_points_and_run_again_it_equals_a_clean_ingest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, real_parser: None
) -> None:
    monkeypatch.setattr(runtime, "load_embedder", lambda _: packaged_embedder("float32"))
    folder, home = tmp_path / "files", tmp_path / "killed"
    write_files(folder)
    # After the first batch, and, when that is there and left alone, after the next.
    kill_when(home, folder, lambda: count(home, "documents") > 0)
    before = count(home, "documents")
    assert 0 < before < FILES
    kill_when(home, folder, lambda: count(home, "documents") > before)
    after = count(home, "documents")
    assert before < after < FILES

    async with (
        open_runtime(settings_of(home)) as killed,
        open_runtime(settings_of(tmp_path / "clean")) as clean,
    ):
        # What is there is whole, and searched while the rest is missing.
        assert (await killed.searcher.search(SearchRequest("vacuum"))).hits
        report = await ingest(killed, folder)
        assert (report.documents, report.unchanged) == (FILES - after, after)
        whole = await ingest(clean, folder)
        assert (whole.documents, whole.unchanged) == (FILES, 0)
        for table in ("documents", "chunks", "vectors"):
            assert count(home, table) == count(tmp_path / "clean", table)
        places, scores = await results(killed)
        expected_places, expected_scores = await results(clean)
        assert places == expected_places
        assert scores == pytest.approx(expected_scores, abs=1e-6)
    async with open_runtime(settings_of(home)) as restarted:
        assert (await results(restarted)) == (places, scores)
        again = await ingest(restarted, folder)
        assert (again.documents, again.unchanged) == (0, FILES)
