"""12 kill -9 during an ingest of 2,000 files: nothing is lost, nothing is twice.

With the real command, the real embedder and the real parser process; the files are small, most of
their text is shared, and nothing but the moment of the kill is left to chance.
"""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, suppress
from pathlib import Path
from random import Random
from typing import Any

import pytest

from rostra.core import Settings
from rostra.retrieval import SearchMode, SearchRequest
from rostra.retrieval.analysis import EnglishAnalyzer
from rostra.runtime import open_runtime

ROOT = Path(__file__).parents[2]
FILES, KILLS = 2_000, 12
WORDS = EnglishAnalyzer().terms(
    "vacuum index lock table tuple page buffer query plan cost join sort merge hash write log"
    " checkpoint column constraint trigger view schema role backup restore replica slot cursor"
)
SETTINGS = {"ROSTRA_DEVICE": "cpu", "ROSTRA_EMBEDDING_DTYPE": "float32"}
DEADLINE_SECONDS = 600.0


def write_files(folder: Path) -> None:
    random = Random(11)
    shared = [" ".join(random.choices(WORDS, k=8)).capitalize() + "." for _ in range(30)]
    folder.mkdir()
    for number in range(FILES):
        own = " ".join(random.choices(WORDS, k=6))
        text = f"{random.choice(shared)} {own.capitalize()} {number}."
        (folder / f"{number:04}.txt").write_text(text)


def command(home: Path, *arguments: str) -> "subprocess.Popen[str]":
    environment = {k: v for k, v in os.environ.items() if not k.startswith("ROSTRA_")}
    return subprocess.Popen(
        [sys.executable, "-m", "rostra.cli", *arguments],
        env=environment | SETTINGS | {"ROSTRA_HOME": str(home), "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def result(home: Path, *arguments: str) -> dict[str, Any]:
    process = command(home, *arguments, "--json")
    out, _ = process.communicate()
    assert process.returncode == 0, out
    found: dict[str, Any] = json.loads(out)
    return found


def rows(home: Path, statement: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(f"file:{home / 'rostra.db'}?mode=ro", uri=True)) as connection:
        return connection.execute(statement).fetchall()


def documents(home: Path) -> int:
    with suppress(sqlite3.OperationalError):
        return int(rows(home, "SELECT count(*) FROM documents")[0][0])
    return 0


def kill_during(home: Path, folder: Path, random: Random) -> None:
    """Kills an ingest after its first commit, a random moment later."""
    before = documents(home)
    process = command(home, "ingest", str(folder), "--json")
    deadline = time.monotonic() + DEADLINE_SECONDS
    try:
        while documents(home) == before:
            assert process.poll() is None, "it ended before it could be killed"
            assert time.monotonic() < deadline
            time.sleep(0.01)
        time.sleep(random.uniform(0, 0.2))
        process.send_signal(signal.SIGKILL)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == -signal.SIGKILL


async def found(home: Path) -> list[Any]:
    """What 50 queries find, in every mode: addresses, places, texts, and scores to 5 digits."""
    random = Random(4)
    results = []
    settings = Settings(home=home, embedding_dtype="float32", device="cpu")
    async with open_runtime(settings) as runtime:
        for _ in range(50):
            query = " ".join(random.choices(WORDS, k=3))
            for mode in SearchMode:
                hits = (await runtime.searcher.search(SearchRequest(query, mode=mode))).hits
                assert len(hits) == 10
                results.append(
                    [(hit.uri, hit.start, hit.end, hit.text, round(hit.score, 5)) for hit in hits]
                )
    return results


@pytest.mark.soak
@pytest.mark.timeout(3600)
async def test_twelve_kills_during_an_ingest_of_two_thousand_files(tmp_path: Path) -> None:
    folder, killed, clean = tmp_path / "files", tmp_path / "killed", tmp_path / "clean"
    write_files(folder)
    random = Random(7)
    for number in range(KILLS):
        kill_during(killed, folder, random)
        assert 0 < documents(killed) < FILES, f"kill {number + 1}"
    left = documents(killed)
    report = result(killed, "ingest", str(folder))
    assert (report["documents"], report["unchanged"], report["failed"]) == (
        FILES - left,
        left,
        [],
    )
    whole = result(clean, "ingest", str(folder))
    assert whole["documents"] == FILES
    for home in (killed, clean):
        assert documents(home) == FILES
        assert rows(home, "SELECT uri FROM documents GROUP BY uri HAVING count(*) > 1") == []
        assert (
            rows(
                home,
                "SELECT document_id, ordinal FROM chunks GROUP BY 1, 2 HAVING count(*) > 1",
            )
            == []
        )
        assert rows(home, "PRAGMA integrity_check") == [("ok",)]
    for statement in (
        "SELECT uri, sha256, recipe, text FROM documents ORDER BY uri",
        "SELECT uri, ordinal, start, end, chunks.text, content_hash FROM chunks "
        "JOIN documents ON documents.id = document_id ORDER BY uri, ordinal",
        "SELECT content_hash, vector FROM vectors ORDER BY content_hash",
    ):
        assert rows(killed, statement) == rows(clean, statement)
    assert await found(killed) == await found(clean)
