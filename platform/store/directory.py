"""Who works in a data directory: a lock on a file there that names its holder.

What always holds: at most one process holds a lock; it ends with its process, however that ends;
readers need none. Advisory, and between processes of one machine: a folder that several machines
mount is not guarded.
"""

import fcntl
import os
import sys
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from rostra.core import Conflict, Settings, StoreUnavailable

_MAX_HOLDER_BYTES = 4096


class DirectoryInUse(Conflict):
    """Another process does in this data directory what only one can do at a time."""

    code = "directory_in_use"


class DirectoryLock:
    """One purpose in one data directory, for one process at a time.

    Args:
        home: the data directory; made when missing.
        purpose: one word, the name of the lock's file.
        doing: what the holder does, for the message of who is refused.
    """

    def __init__(self, home: Path, purpose: str, doing: str) -> None:
        self._path = home / f"{purpose}.lock"
        self._doing = doing
        self._file: int | None = None

    def acquire(self) -> None:
        """Takes the lock.

        Raises:
            DirectoryInUse: another process has it; the message names that process.
            StoreUnavailable: the directory cannot be written to.
        """
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            # Never removed: who waits for a removed file's lock would hold a lock on nothing.
            file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise StoreUnavailable(
                f"cannot lock the data directory {self._path.parent}: {error.strerror}",
                hint="Set ROSTRA_HOME to a folder you may write to.",
            ) from None
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = _holder(file)
            os.close(file)
            raise self._refusal(holder) from None
        except BaseException:
            os.close(file)
            raise
        self._file = file
        mine = {
            "pid": os.getpid(),
            "command": " ".join(["rostra", *sys.argv[1:]])[:500],
            "doing": self._doing,
            "since": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        os.ftruncate(file, 0)
        os.pwrite(file, msgspec.json.encode(mine), 0)

    def release(self) -> None:
        """Lets go; does nothing when it is not held."""
        if self._file is not None:
            os.ftruncate(self._file, 0)
            os.close(self._file)
            self._file = None

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()

    def _refusal(self, holder: dict[str, Any]) -> DirectoryInUse:
        if not holder:
            who = "another process"
        else:
            who = (
                f"process {holder.get('pid')} ({holder.get('command')}), "
                f"which {holder.get('doing')} since {holder.get('since')},"
            )
        return DirectoryInUse(
            f"{who} has the data directory {self._path.parent}",
            hint="End that process first, or set ROSTRA_HOME to another folder. Searching, asking "
            "and ingesting from the command line work beside it.",
            holder=holder,
        )


def one_worker(settings: Settings) -> AbstractContextManager[object]:
    """Held by a process while it does jobs: on SQLite by one, on PostgreSQL by any number.

    Raises:
        DirectoryInUse: on entering; another process does jobs in this data directory.
    """
    # Not parsed: what is wrong with the URL is for the database to say.
    if settings.resolved_database_url.startswith("postgresql"):
        return nullcontext()
    return DirectoryLock(settings.home, "worker", "does its jobs")


def _holder(file: int) -> dict[str, Any]:
    """What the lock's file says; empty while its holder has yet to write it."""
    try:
        return msgspec.json.decode(os.pread(file, _MAX_HOLDER_BYTES, 0), type=dict[str, Any])
    except (OSError, msgspec.MsgspecError):
        return {}
