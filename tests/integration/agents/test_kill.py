"""kill -9 at every moment of a run: it is finished by others, or waits for a person."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[3]
ALL = Counter(["read a", "write b", "read c", "idempotent d", "write e"])


def test_killed_at_every_moment(database_url: str, tmp_path: Path) -> None:
    folder = tmp_path / "moments"
    folder.mkdir()
    # Every moment on one engine takes long enough.
    stride = 1 if database_url.startswith("sqlite") else 6
    program = [sys.executable, "-m", "tests.integration.agents.killing"]
    ran = subprocess.run(
        [*program, database_url, str(folder), str(stride)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    moments = [json.loads(line) for line in ran.stdout.splitlines() if line[:1] == "{"]
    assert len(moments) > 20 // stride
    finished = paused = again = 0
    for moment in moments:
        done = Counter(moment["done"])
        # What changes the world each time is done once for each time that it was allowed; what
        # may be repeated may be.
        starts, allowed = moment["starts"], moment["allowed"]
        again += any(most > 1 for most in allowed.values())
        assert all(starts[act] <= allowed[act] for act in starts), moment
        assert all(done[act] <= starts[act] for act in done if act.startswith("write")), moment
        assert set(done) <= set(ALL), moment
        assert moment["replay"] is None, moment
        if moment["last"] == "RunEnded":
            finished += 1
            assert (moment["status"], moment["ends"]) == ("completed", 1), moment
            assert (moment["steps"], moment["calls"]) == (5, 5), moment
            assert set(done) == set(ALL), moment
        else:
            paused += 1
            assert (moment["last"], moment["reason"]) == ("Paused", "outcome_unknown"), moment
            assert moment["ends"] == 0
    # Both must have been met, or this would show nothing.
    assert finished > 10 // stride
    assert again > 2 // stride
    # Killed once more after somebody's word, some wait for another one.
    assert stride > 1 or again > paused > 2
