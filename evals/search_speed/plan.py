"""What a run of the benchmark is of, and where its parts lie in a folder."""

import shutil
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

FORMAT = 1
COLLECTION = "bench"
SAMPLE = "sample"
# Texts that are compared with rank-bm25, which keeps a dictionary for each; at most.
SAMPLE_TEXTS = 4_000


class Plan(msgspec.Struct, frozen=True):
    """What is asked for, and what was built.

    Attributes:
        format: of everything in the folder.
        chunks: how many.
        dimensions: of their vectors.
        texts: the questions.
        nearest: of each question, the places (uri, start) of its exact nearest chunks.
        facts: what building told.
    """

    format: int
    chunks: int
    dimensions: int
    texts: list[str]
    nearest: list[list[tuple[str, int]]]
    facts: dict[str, float]


@dataclass(frozen=True, slots=True)
class Places:
    """Files of a benchmark in its folder."""

    folder: Path
    plan: Path = field(init=False)
    home: Path = field(init=False)
    passages: Path = field(init=False)
    questions: Path = field(init=False)
    vectors: Path = field(init=False)
    postings: Path = field(init=False)

    def __post_init__(self) -> None:
        for name, file in (
            ("plan", "bench.json"),
            ("home", "home"),
            ("passages", "passages.npy"),
            ("questions", "questions.npy"),
            ("vectors", "vectors.npy"),
            ("postings", "postings.npz"),
        ):
            object.__setattr__(self, name, self.folder / file)

    def clear(self) -> None:
        """Removes all but passages' vectors, which are the same for any numbers."""
        for path in self.folder.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            elif path != self.passages:
                path.unlink()

    def read_plan(self) -> Plan | None:
        """What was built here; None where nothing whole was."""
        try:
            found = msgspec.json.decode(self.plan.read_bytes(), type=Plan)
        except (OSError, msgspec.MsgspecError):
            return None
        return found if found.format == FORMAT else None
