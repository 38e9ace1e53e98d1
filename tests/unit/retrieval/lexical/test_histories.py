"""Any history of adds, removals, flushes, merges and restarts gives rank-bm25's scores."""

import contextlib
import shutil
import tempfile
from pathlib import Path
from unittest import mock

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from rostra.retrieval.analysis import TermRows
from rostra.retrieval.lexical import (
    LexicalWriter,
    heap,
    inverting,
    merging,
    reader,
    segment,
    writer,
)
from tests.unit.retrieval.lexical.oracle import check

TERMS = ("a", "b", "c", "d", "é", "日本", "ab")
rows = st.lists(st.lists(st.sampled_from(TERMS), max_size=7), max_size=6)
queries = st.lists(
    st.lists(st.sampled_from((*TERMS, "unknown")), max_size=5), min_size=1, max_size=2
)


class Histories(RuleBasedStateMachine):
    """`rows` is what the writer should hold, `flushed` what it should after a crash."""

    # Segments of so few rows are read by kernels, not by numpy.
    small = 0

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.patches = contextlib.ExitStack()
        for module, name, value in (
            (reader, "SMALL", self.small),
            (segment, "SMALL", self.small),
            (segment, "BLOCK", 2),
            (merging, "BLOCK", 2),
            (heap, "BLOCK", 2),
            (merging, "_FAN", 2),
            (merging, "_FLOOR", 4),
            (merging, "_WORTH_GATHERING", 8),
            (writer, "_MOST_RECENT", 20),
            (writer, "_MOST_AT_ONCE", 50),
            (inverting, "_MANY", self.small),
        ):
            self.patches.enter_context(mock.patch.object(module, name, value))

    @initialize(ordered=st.booleans())
    def begin(self, ordered: bool) -> None:
        self.ordered = ordered
        self.rows: list[list[str] | None] = []
        self.flushed: list[list[str] | None] = []
        self.flushes = 0
        self.state = ""
        self.open()

    def open(self) -> None:
        self.writer = LexicalWriter(self.folder, "test-1", ordered=self.ordered)

    @rule(added=rows, more=st.booleans(), counted=st.booleans())
    def add(self, added: list[list[str]], more: bool, counted: bool) -> None:
        positions = self.writer.add(TermRows.of(added) if counted else added, more=more)
        assert positions.tolist() == list(range(len(self.rows), len(self.rows) + len(added)))
        self.rows += added

    @precondition(lambda self: self.rows)
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        gone = data.draw(st.lists(st.sampled_from(range(len(self.rows))), max_size=8))
        went = self.writer.remove(np.array(gone, np.int64))
        assert went == sum(self.rows[at] is not None for at in set(gone))
        for at in gone:
            self.rows[at] = None

    @rule()
    def flush(self) -> None:
        self.flushes += 1
        self.state = f"after {self.flushes}"
        self.writer.flush(self.state)
        self.flushed = list(self.rows)

    @rule(everything=st.booleans())
    def merge(self, everything: bool) -> None:
        self.writer.merge(everything)

    @rule()
    def gather(self) -> None:
        scattered = self.writer.is_scattered
        self.writer.gather()
        assert not self.writer.is_scattered
        if scattered:
            assert (
                sum(one.segment.first < len(self.flushed) for one in self.writer.snapshot().parts)
                == 1
            )

    @rule()
    def crash(self) -> None:
        """What is in memory is dropped."""
        self.open()
        self.rows = list(self.flushed)
        assert self.writer.state == self.state
        assert self.writer.flushed == len(self.rows)

    @rule()
    def compact(self) -> None:
        folder = Path(tempfile.mkdtemp())
        self.state = "compacted"
        kept = self.writer.compact(folder, self.state)
        self.rows = [self.rows[at] for at in kept]
        assert None not in self.rows
        shutil.rmtree(self.folder)
        self.folder = folder
        self.open()
        self.flushed = list(self.rows)

    @invariant()
    def scores_are_rank_bm25s(self) -> None:
        if self.rows:
            check(self.writer.snapshot(), self.rows, [["a", "b", "b"], ["é", "日本", "zz", "ab"]])

    @rule(asked=queries)
    def search(self, asked: list[list[str]]) -> None:
        check(self.writer.snapshot(), self.rows, asked)

    @rule()
    def verify(self) -> None:
        self.writer.verify()

    def teardown(self) -> None:
        self.patches.close()
        shutil.rmtree(self.folder, ignore_errors=True)


class SmallHistories(Histories):
    """The same, with segments that are read by numpy."""

    small = 4096


_FEW = settings(max_examples=12, stateful_step_count=14, deadline=None)
TestKernels = Histories.TestCase
TestKernels.settings = _FEW
TestNumpy = SmallHistories.TestCase
TestNumpy.settings = _FEW
