"""One process at a time does what only one can."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from rostra.core import Settings, StoreUnavailable
from rostra.store import DirectoryInUse, DirectoryLock, one_worker

ROOT = Path(__file__).parents[3]
HOLD = """
import sys
from pathlib import Path
from rostra.store import DirectoryLock
with DirectoryLock(Path(sys.argv[1]), "worker", "does its jobs"):
    print("held", flush=True)
    sys.stdin.read()
"""


def hold(home: Path) -> "subprocess.Popen[str]":
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(home)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_a_second_process_is_refused_until_the_first_has_ended(
    tmp_path: Path, how: signal.Signals
) -> None:
    lock = DirectoryLock(tmp_path, "worker", "does its jobs")
    with hold(tmp_path) as process:
        for _ in range(2):
            with pytest.raises(DirectoryInUse, match=f"process {process.pid} ") as caught:
                lock.acquire()
        assert caught.value.status == 409
        assert caught.value.details["holder"]["pid"] == process.pid
        assert str(tmp_path) in caught.value.message
        with DirectoryLock(tmp_path, "other", "does something else"):
            pass
        process.send_signal(how)
        process.wait()
    with lock:
        pass


def test_a_lock_can_be_had_again_and_is_its_holders_alone(tmp_path: Path) -> None:
    first, second = (DirectoryLock(tmp_path / "home", "worker", "works") for _ in range(2))
    with first, pytest.raises(DirectoryInUse, match=str(os.getpid())):
        second.acquire()
    second.release()
    with second:
        pass


def test_a_holder_that_has_yet_to_sign(tmp_path: Path) -> None:
    with hold(tmp_path) as process:
        (tmp_path / "worker.lock").write_text("{")
        with pytest.raises(DirectoryInUse, match="another process"):
            DirectoryLock(tmp_path, "worker", "works").acquire()
        process.kill()


def test_a_directory_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreUnavailable):
        DirectoryLock(tmp_path / "file", "worker", "works").acquire()


def test_on_postgresql_there_are_any_number_of_workers(tmp_path: Path) -> None:
    url = "postgresql://nobody@localhost/nothing"
    settings = Settings(home=tmp_path, database_url=url)
    with one_worker(settings), one_worker(settings):
        pass
    alone = Settings(home=tmp_path)
    with one_worker(alone), pytest.raises(DirectoryInUse), one_worker(alone):
        pass
