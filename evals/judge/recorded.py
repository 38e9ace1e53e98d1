"""Judges whose verdicts were recorded, replayed: LLMBar's `evaluators/MODEL/PROMPT/result.json`.

A record holds `"results"`, whose last entry is `{"swap = False": {"winner": "1" | "2" | null,
"completion": [text, ...]}, "swap = True": ...}`. Winners are by the set's order in both.

What always holds: a verdict is found by the texts of its pair, so a recording of other pairs, or of
pairs in another order, is never taken for one of these; what is not recorded, or was recorded
without a winner, is no verdict.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from evals.errors import DatasetError
from evals.judge.compare import Ballot
from evals.judge.pairs import Pair, Winner

UNPARSEABLE = "the recorded answer has no verdict"
UNKNOWN = "nothing was recorded for this pair"

_MOST_BYTES = 500_000_000
_MOST_JUDGES = 500
_MOST_REASON = 2000
_WINNERS: Mapping[Any, Winner] = {"1": "first", "2": "second", 1: "first", 2: "second"}
_ORDERS = {False: "swap = False", True: "swap = True"}


@dataclass(frozen=True)
class RecordedJudge:
    """See this module.

    Attributes:
        path: of the recording.
        digest: of the file.
    """

    judge: str
    path: Path
    digest: str
    ballots: Mapping[tuple[str, bool], Ballot]

    @property
    def name(self) -> str:
        """Model and prompt, as the folders are called."""
        return f"{self.judge} (recorded)"

    def config(self) -> dict[str, Any]:
        """See `PairJudge`."""
        return {"judge": "recorded", "name": self.judge, "digest": self.digest}

    async def compare(self, pair: Pair, *, swapped: bool, seed: int) -> Ballot:
        """See `PairJudge.compare`."""
        return self.ballots.get((_key(pair.question, pair.first, pair.second), swapped), _UNKNOWN)

    @cached_property
    def published(self) -> dict[str, Any] | None:
        """The statistics that were published beside the recording; None where there are none."""
        path = self.path.with_name("statistics.json")
        try:
            found = json.loads(path.read_bytes())
        except (OSError, ValueError, RecursionError):
            return None
        return found if isinstance(found, dict) else None


_UNKNOWN = Ballot(None, unscored=UNKNOWN)


def find_recorded(folder: Path) -> list[RecordedJudge]:
    """The recordings beside a set, in the order of their names.

    Args:
        folder: of the set's `dataset.json`.

    Raises:
        DatasetError: one of them cannot be read.
    """
    root = folder / "evaluators"
    paths = sorted(path for path in root.rglob("result.json") if path.is_file())
    if len(paths) > _MOST_JUDGES:
        raise DatasetError(f"{root}: more than {_MOST_JUDGES} recordings")
    return [read_recorded(path, "/".join(path.parent.relative_to(root).parts)) for path in paths]


def read_recorded(path: Path, judge: str) -> RecordedJudge:
    """A recording.

    Raises:
        DatasetError: it is none.
    """
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise DatasetError(f"{path}: larger than {_MOST_BYTES:,} bytes")
        data = path.read_bytes()
        records = json.loads(data)
    except OSError as error:
        raise DatasetError(f"{path}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise DatasetError(f"{path}: {error}") from None
    if not isinstance(records, list):
        raise DatasetError(f"{path}: not a list of verdicts")
    ballots: dict[tuple[str, bool], Ballot] = {}
    for number, record in enumerate(records):
        try:
            key = _key(record["input"], record["output_1"], record["output_2"])
            last = record["results"][-1]
            for swapped, order in _ORDERS.items():
                ballots.setdefault((key, swapped), _ballot(last[order]))
        except (KeyError, TypeError, IndexError, AttributeError) as error:
            raise DatasetError(f"{path}, record {number}: {error!r}") from None
    return RecordedJudge(judge, path, hashlib.sha256(data).hexdigest()[:16], ballots)


def _ballot(said: Mapping[str, Any]) -> Ballot:
    winner = _WINNERS.get(said["winner"])
    completion = said.get("completion")
    text = completion[0] if isinstance(completion, list) and completion else ""
    reason = text[:_MOST_REASON] if isinstance(text, str) else ""
    return Ballot(winner, reason, unscored="" if winner else UNPARSEABLE)


def _key(*texts: str) -> str:
    known = "\0".join(texts).encode("utf-8", "replace")
    return hashlib.sha256(known).hexdigest()
