"""A cache of solved samples, keyed by all that the answer depends on.

What always holds: a key is a digest of sample, solver, configuration, seed and versions, so that a
hit is what the solver would give again; failed samples are never kept. Losing the file loses time.
"""

import hashlib
import sqlite3
from pathlib import Path
from typing import Any

import msgspec

from evals.core.samples import Sample
from evals.core.states import State
from rostra.core import get_logger

log = get_logger(__name__)


class StateCache:
    """States by key, in one SQLite file; for one thread.

    What goes wrong with the file is logged, and it is done without from then on.

    Args:
        path: of the file; one that is damaged is begun anew.
        versions: of whatever else states depend on; a change forgets nothing but matches nothing.
    """

    def __init__(self, path: Path, versions: dict[str, str]) -> None:
        self._path = path
        self._versions = versions
        self._decoder = msgspec.json.Decoder(State)
        self._connection: sqlite3.Connection | None = None
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._connection = _opened(path)
        except sqlite3.OperationalError as error:
            self._give_up(error)
        except sqlite3.DatabaseError as error:
            log.warning("the cache is damaged and begun anew", path=str(path), reason=str(error))
            path.unlink(missing_ok=True)
            try:
                self._connection = _opened(path)
            except sqlite3.Error as again:
                self._give_up(again)

    def key(self, sample: Sample, solver: str, config: dict[str, Any], seed: int) -> bytes:
        """The key of a solver's answer to a sample."""
        parts = [msgspec.to_builtins(sample), solver, config, seed, self._versions]
        return hashlib.sha256(msgspec.json.encode(parts, order="deterministic")).digest()

    def get(self, key: bytes) -> State | None:
        """What is kept under a key; also None for what cannot be read any more."""
        if self._connection is None:
            return None
        try:
            row = self._connection.execute(
                "SELECT state FROM states WHERE key = ?", (key,)
            ).fetchone()
            return None if row is None else self._decoder.decode(row[0])
        except sqlite3.Error as error:
            self._give_up(error)
            return None
        except msgspec.DecodeError:
            return None

    def put(self, key: bytes, state: State) -> None:
        """Keeps a state, if it can be written down."""
        if self._connection is None:
            return
        try:
            encoded = msgspec.json.encode(state)
        except (ValueError, TypeError, RecursionError):
            return  # The run's file will say so.
        try:
            self._connection.execute("INSERT OR REPLACE INTO states VALUES (?, ?)", (key, encoded))
        except sqlite3.Error as error:
            self._give_up(error)

    def close(self) -> None:
        """Ends the connection."""
        if self._connection is not None:
            self._connection.close()

    def _give_up(self, error: sqlite3.Error) -> None:
        log.warning("it goes on without the cache", path=str(self._path), reason=str(error))
        self.close()
        self._connection = None


def _opened(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, timeout=30)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute(
            "CREATE TABLE IF NOT EXISTS states (key BLOB PRIMARY KEY, state BLOB) WITHOUT ROWID"
        )
    except BaseException:
        connection.close()
        raise
    return connection
