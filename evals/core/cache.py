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


class StateCache:
    """States by key, in one SQLite file; for one thread.

    Args:
        path: of the file.
        versions: of whatever else states depend on; a change forgets nothing but matches nothing.
    """

    def __init__(self, path: Path, versions: dict[str, str]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._connection = sqlite3.connect(path, isolation_level=None, timeout=30)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = OFF")
        self._connection.execute(
            "CREATE TABLE IF NOT EXISTS states (key BLOB PRIMARY KEY, state BLOB) WITHOUT ROWID"
        )
        self._versions = versions
        self._decoder = msgspec.json.Decoder(State)

    def key(self, sample: Sample, solver: str, config: dict[str, Any], seed: int) -> bytes:
        """The key of a solver's answer to a sample."""
        parts = [msgspec.to_builtins(sample), solver, config, seed, self._versions]
        return hashlib.sha256(msgspec.json.encode(parts, order="deterministic")).digest()

    def get(self, key: bytes) -> State | None:
        """What is kept under a key; also None for what cannot be read any more."""
        row = self._connection.execute("SELECT state FROM states WHERE key = ?", (key,)).fetchone()
        if row is None:
            return None
        try:
            return self._decoder.decode(row[0])
        except msgspec.DecodeError:
            return None

    def put(self, key: bytes, state: State) -> None:
        """Keeps a state."""
        self._connection.execute(
            "INSERT OR REPLACE INTO states VALUES (?, ?)", (key, msgspec.json.encode(state))
        )

    def close(self) -> None:
        """Ends the connection."""
        self._connection.close()
