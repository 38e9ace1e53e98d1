"""Searches after any history of changes, restarts and crashes equal those of a fresh build."""

import asyncio
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from rank_bm25 import BM25Okapi

from rostra.core import Settings
from rostra.retrieval import Indexes, SearchMode, SearchRequest, collection, indexes
from rostra.retrieval.analysis import EnglishAnalyzer
from rostra.retrieval.dense import DenseOptions, DenseWriter, live
from rostra.retrieval.lexical import LexicalWriter, writer
from rostra.store import changes, open_database
from tests.fakes import FakeEmbedder
from tests.integration.pipeline.conftest import Library

WORDS = ("vacuum", "lock", "tuple", "heap", "buffer")
ANALYZER = EnglishAnalyzer()
QUERIES = ("vacuum", "lock tuple lock", "heap buffer vacuum", "zebra")
texts = st.lists(st.lists(st.sampled_from(WORDS), min_size=1, max_size=5).map(" ".join), max_size=4)
uris = st.sampled_from("abcdef")


class IndexMachine(RuleBasedStateMachine):
    """Documents come and go; what is searched is followed, flushed, killed and opened again."""

    @initialize(kind=st.sampled_from(["flat", "two_stage", "int8", "binary", "hnsw"]))
    def open(self, kind: Any) -> None:
        self.patch = pytest.MonkeyPatch()
        for module, name, value in (
            (changes, "LOGGED", 4),
            (indexes, "_BATCH", 2),
            (indexes, "_CHECKPOINT", 1),
            (collection, "_WORTH_COMPACTING", 1),
            (live, "GATHER", 0),
            (writer, "_MOST_RECENT", 40),
        ):
            self.patch.setattr(module, name, value)
        options = DenseOptions(kind=kind, train_at=5)
        self.patch.setattr(indexes, "dense_options", lambda _: options)
        self.runner = asyncio.Runner()
        self.folder = Path(tempfile.mkdtemp())
        self.database = self.runner.run(open_database(f"sqlite:///{self.folder / 'x.db'}"))
        self.homes = 0
        self.embedder = FakeEmbedder(dimensions=16)
        self.stored: dict[str, tuple[list[str], str]] = {}
        self.start(self.home())
        self.put("a", ["vacuum lock"], "odd")

    def teardown(self) -> None:
        if hasattr(self, "runner"):
            self.runner.run(self.indexes.close())
            self.runner.run(self.database.close())
            self.runner.close()
            self.patch.undo()
            shutil.rmtree(self.folder, ignore_errors=True)

    def home(self) -> Path:
        self.homes += 1
        return self.folder / f"home{self.homes}"

    def start(self, home: Path) -> None:
        self.library = Library(self.database, Settings(home=home), self.embedder)
        self.indexes = self.library.indexes()

    def search(self, of: Indexes, query: str, mode: SearchMode, **asked: Any) -> list[Any]:
        request = SearchRequest(query, **{"k": 60, "mode": mode, **asked})
        searcher = self.library.searcher(of, shortlist=min(100, request.k))
        result = self.runner.run(searcher.search(request))
        return [(hit.uri, hit.start, hit.text, hit.score, hit.metadata) for hit in result.hits]

    # --- What happens ---------------------------------------------------------------------------
    @rule(uri=uris, paragraphs=texts, kind=st.sampled_from(["odd", "even"]))
    def put(self, uri: str, paragraphs: list[str], kind: str) -> None:
        self.runner.run(self.library.put(uri, *paragraphs, metadata={"kind": kind}))
        self.stored[uri] = (paragraphs, kind)

    @precondition(lambda self: self.stored)
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        uri = data.draw(st.sampled_from(sorted(self.stored)))
        self.runner.run(self.library.delete(uri))
        del self.stored[uri]

    @rule()
    def save(self) -> None:
        self.runner.run(self.indexes.save("default"))

    @rule()
    def merge(self) -> None:
        for held in self.indexes._held.values():
            held.writer._lexical.merge(everything=True)

    @rule()
    def restart(self) -> None:
        self.runner.run(self.indexes.close())
        self.start(self.library.settings.home)

    @rule(in_flush_of=st.sampled_from([None, DenseWriter, LexicalWriter]))
    def crash(self, in_flush_of: Any) -> None:
        """What is on disk now is all that the next process finds."""
        if in_flush_of is not None:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(in_flush_of, "flush", _broken)
                self.runner.run(self.indexes.save("default"))
        self.wait()
        home = self.home()
        saved = self.library.settings.home / "indexes"
        if saved.exists():
            shutil.copytree(saved, home / "indexes")
        self.runner.run(self.indexes.close())
        self.start(home)

    # --- What always holds ----------------------------------------------------------------------
    @rule()
    def searches_equal_those_of_a_fresh_build_and_of_a_second_process(self) -> None:
        fresh = Indexes(self.database, Settings(home=self.home()))
        beside = self.library.indexes()
        for query in QUERIES[:3]:
            for mode in SearchMode:
                for k in (2, 60):  # of equals, the same ones get in
                    found = self.search(self.indexes, query, mode, k=k)
                    assert found == self.search(fresh, query, mode, k=k)
                    assert found == self.search(beside, query, mode, k=k)
        self.runner.run(fresh.close())
        self.runner.run(beside.close())

    @rule(query=st.sampled_from(QUERIES), kind=st.sampled_from(["", "odd", "even"]))
    def scores_are_those_of_the_oracles(self, query: str, kind: str) -> None:
        filters = {"kind": kind} if kind else {}
        chunks = self.chunks()
        allowed = {key for key, (_, one) in chunks.items() if kind in ("", one)}
        terms = [ANALYZER.terms(text) for text, _ in chunks.values()]
        bm25 = dict(zip(chunks, _okapi(terms, ANALYZER.terms(query)), strict=True))
        lexical = self.search(self.indexes, query, SearchMode.LEXICAL, filters=filters)
        sharing = {
            key
            for key, words in zip(chunks, terms, strict=True)
            if not set(words).isdisjoint(ANALYZER.terms(query))
        }
        assert {hit[:2] for hit in lexical} == sharing & allowed
        for hit in lexical:
            assert hit[3] == pytest.approx(bm25[hit[:2]], abs=1e-9)
        asked = self.embedder.embed_query(query)
        dense = self.search(self.indexes, query, SearchMode.DENSE, filters=filters)
        assert {hit[:2] for hit in dense} == allowed
        for hit in dense:
            assert hit[3] == pytest.approx(
                float(self.embedder.embed_query(hit[2]) @ asked), abs=1e-5
            )
        for hits in (lexical, dense):
            assert [hit[3] for hit in hits] == sorted((hit[3] for hit in hits), reverse=True)
            assert all(not kind or hit[4] == {"kind": kind} for hit in hits)

    @rule(phrase=st.lists(st.sampled_from(WORDS), min_size=2, max_size=3))
    def a_phrase_is_in_all_that_is_found(self, phrase: list[str]) -> None:
        quoted = " ".join(phrase)
        expected = {key for key, (text, _) in self.chunks().items() if f" {quoted} " in f" {text} "}
        for mode in SearchMode:
            found = self.search(self.indexes, f'"{quoted}"', mode, operators=True)
            assert {hit[:2] for hit in found} == expected

    @invariant()
    def nothing_is_said_to_be_there_that_is_not(self) -> None:
        for held in self.indexes._held.values():
            if held._index is not None:
                index = held._index
                assert len(index.table) == len(index.dense) == len(index.lexical)
                assert np.array_equal(index.dense.live, index.lexical.live)

    def wait(self) -> None:
        """Until nothing is done beside searches: what is copied then is of one moment."""
        for held in self.indexes._held.values():
            if held._thread is not None:
                held._thread.join()
            held.writer.close()

    def chunks(self) -> dict[tuple[str, int], tuple[str, str]]:
        """Text and kind of every chunk by address and place, as they were put."""
        found = {}
        for uri, (paragraphs, kind) in self.stored.items():
            start = 0
            for text in paragraphs:
                found[uri, start] = (text, kind)
                start += len(text) + 2
        return found


def _okapi(rows: Sequence[list[str]], query: list[str]) -> list[float]:
    if not any(rows):
        return [0.0] * len(rows)
    return [float(score) for score in BM25Okapi(rows).get_scores(query)]


def _broken(*_: object) -> None:
    raise OSError(28, "No space left on device")


TestIndexHistories = IndexMachine.TestCase
TestIndexHistories.settings = hypothesis.settings(
    max_examples=10, stateful_step_count=16, deadline=None
)
