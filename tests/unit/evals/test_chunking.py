"""Chunkers compared: what overlaps is counted in tokens, as it would be by hand."""

import json
from pathlib import Path

import pytest

from evals.chunking import SpanScorer, overlap, read_chunking_set
from evals.core import Passage, Sample, State
from evals.errors import DatasetError
from rostra.core import Settings
from rostra.ingest import TokenIndex


class Words:
    """A token each word."""

    def offsets(self, text: str) -> list[tuple[int, int]]:
        found, at = [], 0
        for word in text.split(" "):
            found.append((at, at + len(word)))
            at += len(word) + 1
        return found


@pytest.mark.parametrize(
    ("wanted", "read", "expected"),
    [
        ([(0, 10)], [("d", (0, 10))], (1, 1, 1)),
        ([(0, 10)], [("d", (5, 25))], (5 / 25, 5 / 10, 5 / 20)),
        ([(0, 10)], [("other", (0, 10))], (0, 0, 0)),
        # What is read twice is found once.
        ([(0, 10)], [("d", (0, 10)), ("d", (0, 10))], (10 / 20, 1, 10 / 20)),
        ([(0, 4), (6, 10)], [("d", (2, 8)), ("d", (20, 24))], (4 / 14, 4 / 8, 4 / 10)),
        ([(0, 10)], [], (0, 0, 0)),
    ],
)
def test_overlap_by_hand(
    wanted: list[tuple[int, int]],
    read: list[tuple[str, tuple[int, int]]],
    expected: tuple[float, float, float],
) -> None:
    assert overlap("d", wanted, read) == pytest.approx(expected)


async def test_scores_of_a_state() -> None:
    text = " ".join(f"w{number:03}" for number in range(100))  # five code points a token
    scorer = SpanScorer({"d": TokenIndex(text, Words())}, k=1, budget=15)
    sample = Sample(id="1", input="?", group="d", data={"spans": [[50, 99], [95, 149]]})
    state = State(
        sample=sample,
        passages=[Passage("d", start=0, end=74), Passage("d", start=75, end=149)],
    )
    scores = {one.name: one.value for one in await scorer(state, 0)}
    # Wanted are tokens 10 to 29; the first passage holds 0 to 14.
    assert scores == pytest.approx(
        {"iou@1": 5 / 30, "recall@1": 5 / 20, "precision@1": 5 / 15, "recall in 15 tokens": 5 / 20}
    )


def write(folder: Path, rows: list[tuple[str, str, str]]) -> Path:
    (folder / "corpora").mkdir(parents=True)
    (folder / "corpora" / "one.md").write_text("# Top\n\nSome text é here.\n", encoding="utf-8")
    quoted = [",".join('"' + cell.replace('"', '""') + '"' for cell in row) for row in rows]
    lines = ["question,references,corpus_id", *quoted]
    (folder / "questions_df.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def reference(start: int, end: int, said: str) -> str:
    return json.dumps([{"content": said, "start_index": start, "end_index": end}])


async def test_a_set_is_read_and_what_is_wrong_is_counted(
    settings: Settings, tmp_path: Path
) -> None:
    good = reference(12, 18, "text é")
    folder = write(
        tmp_path / "set",
        [
            ("What?", good, "one"),
            ("Where?", reference(12, 18, "other."), "one"),
            ("Who?", good, "two"),
            ("How?", "no json", "one"),
        ],
    )
    judged = await read_chunking_set(folder, settings)
    (sample,) = judged.dataset.samples
    assert (sample.input, sample.group, sample.data) == ("What?", "one", {"spans": [[12, 18]]})
    assert sum(problem.count for problem in judged.dataset.problems) == 3


async def test_a_folder_that_is_no_set_is_refused(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no documents"):
        await read_chunking_set(tmp_path, settings)
    folder = write(tmp_path / "set", [])
    (folder / "questions_df.csv").unlink()
    with pytest.raises(DatasetError, match="questions_df"):
        await read_chunking_set(folder, settings)
