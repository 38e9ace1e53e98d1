"""Pickers of evidence: what is quoted is verbatim whoever picks, and one always can."""

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from rostra.answer import Calibration, Mixture, load_scorer, scorer_file
from rostra.answer.evidence import Evidence, candidate_sentences
from rostra.answer.pickers import make_picker
from rostra.answer.scored import ScorerPicker, headings
from rostra.answer.scorer.weights import probability
from rostra.core import ModelUnavailable, Settings
from rostra.retrieval import Hit, SearchResult
from rostra.retrieval.analysis import EnglishAnalyzer
from rostra.shipped import ShippedModelBroken
from tests.fakes import FakeEmbedder
from tests.unit.answer.conftest import hit
from tests.unit.answer.scorer_parts import WordScorer, small_scorer

TERMS = EnglishAnalyzer().terms
QUESTION = "how does vacuum reclaim storage of dead tuples"


def found(hits: list[Hit]) -> SearchResult:
    return SearchResult(QUESTION, hits, {}, dict.fromkeys(TERMS(QUESTION), 1.0))


def pick(hits: list[Hit], calibration: Calibration | None = None, most: int = 4) -> Evidence:
    picker = ScorerPicker(WordScorer(calibration=calibration), TERMS)
    return picker.pick(QUESTION, found(hits), most=most)


words = st.sampled_from(["vacuum", "storage", "dead", "tuples", "Größe", "this", "- a", "| x |"])
ends = st.sampled_from([". ", "? ", ".\n", "\n\n", ":\n", "\n- ", " ", "\n    "])
texts = st.lists(st.tuples(st.lists(words, min_size=1, max_size=9), ends), max_size=12).map(
    lambda parts: "".join(" ".join(some) + end for some, end in parts)
)


@given(st.lists(texts, max_size=4), st.integers(1, 5))
@hypothesis_settings(max_examples=40, deadline=None)
def test_what_the_scorer_picks_can_be_quoted(some: list[str], most: int) -> None:
    hits = [hit("x" + text, 1) for text in some]
    evidence = ScorerPicker(small_scorer(), TERMS).pick(QUESTION, found(hits), most=most)
    candidates = [(one.hit.chunk_id, one.start, one.end) for one in candidate_sentences(hits)]
    chosen = [(one.hit.chunk_id, one.start, one.end) for one in evidence.sentences]
    assert len(set(chosen)) == len(chosen) <= most
    assert set(chosen) <= set(candidates)
    assert bool(chosen) == bool(candidates)
    assert len({one.text for one in evidence.sentences}) == len(chosen)
    assert 0 <= evidence.score <= 1


PASSAGE = (
    "It rained in May and in June. Vacuum reclaims storage of dead tuples. "
    "How storage works is another matter."
)


def test_sentences_far_less_likely_than_the_best_are_left_out() -> None:
    # Words of the question: 4 in the best, 2 in the third, none in the first.
    strict = pick([hit(PASSAGE)], Calibration(cut=0.5))
    assert [one.text for one in strict.sentences] == ["Vacuum reclaims storage of dead tuples."]
    loose = pick([hit(PASSAGE)], Calibration(cut=math.exp(-3)))
    assert len(loose.sentences) == 2
    assert loose.score == strict.score


def test_evidence_is_the_mixed_probability_of_the_best() -> None:
    unmixed = pick([hit(PASSAGE)])
    best = max(sentence.score for sentence in unmixed.sentences)
    assert best == 2.5  # four words less 1.5
    assert unmixed.score == pytest.approx(1 / (1 + math.exp(-2.5)), abs=1e-6)
    mixture = Mixture(bias=-1.0, odds=2.0, share=0.5, rank=0.25, cosine=3.0, threshold=0.7, cut=0.9)
    calibration = Calibration(packaged=mixture, others=Mixture(bias=9.0))
    mixed = pick([hit(PASSAGE, score=0.5)], calibration)
    (sentence,) = mixed.sentences
    share = len({"vacuum", "reclaim", "storag", "dead", "tupl"}) / len(set(TERMS(QUESTION)))
    assert sentence.score == pytest.approx(-1 + 2 * 2.5 + 0.5 * share + 0.25 + 3 * 0.5)
    assert mixed.score == pytest.approx(1 / (1 + math.exp(-sentence.score)), abs=1e-6)
    picker = ScorerPicker(WordScorer(calibration=calibration), TERMS)
    assert picker.threshold == pytest.approx(1 / (1 + math.exp(-0.7)), abs=1e-6)
    other = ScorerPicker(WordScorer(calibration=calibration), TERMS, packaged=False)
    assert other.threshold == 0.5
    for extreme in (-1e6, 1e6):
        assert 0 <= probability(extreme) <= 1


def test_without_hits_there_is_no_evidence() -> None:
    assert pick([]) == Evidence([], 0.0)


def test_lines_that_are_announced_count_with_what_announces_them() -> None:
    text = "These are the steps to take now:\n- vacuum storage of dead tuples\n- rest\n"
    (sentence,) = pick([hit(text)]).sentences
    assert sentence.text == text.strip()
    assert sentence.score == 3.5  # of the line with five of the words


def test_a_passage_is_read_under_its_headings_or_its_title() -> None:
    from dataclasses import replace

    assert headings(replace(hit("Some text."), context="A > B")) == "A > B"
    assert headings(hit("Some text.")) == "Title"
    assert headings(hit("Title\n\nSome text.")) == ""


def test_a_broken_scorer_leaves_the_pick_to_similarity(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = ShippedModelBroken.at(tmp_path / "model.safetensors", "is altered")

    def refuse(name: str) -> Path:
        raise broken

    monkeypatch.setattr("rostra.answer.pickers.is_shipped", lambda name: True)
    monkeypatch.setattr("rostra.answer.pickers.shipped_folder", refuse)
    settings = Settings(home=tmp_path)
    with capture_logs() as logs:
        scorer = load_scorer(settings)
    (line,) = logs
    assert line["log_level"] == "warning"
    assert "model.safetensors is altered" in line["reason"]
    assert "Restore it" in line["hint"]
    picker = make_picker(scorer, lambda: FakeEmbedder(dimensions=8), TERMS)
    assert picker.name == "similarity"
    with pytest.raises(ShippedModelBroken):
        scorer_file(settings)


def test_who_picks_is_a_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rostra.answer.pickers.is_shipped", lambda name: True)
    monkeypatch.setattr("rostra.answer.pickers.shipped_folder", lambda name: tmp_path / name)

    def file(**given: object) -> Path | None:
        return scorer_file(Settings(home=tmp_path, **given))

    assert file() == tmp_path / "evidence" / "model.safetensors"
    assert file(evidence_picker="scorer") == tmp_path / "evidence" / "model.safetensors"
    assert file(evidence_picker="similarity") is None
    with pytest.raises(ModelUnavailable, match="there is no evidence scorer"):
        file(evidence_model=tmp_path / "own")
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "model.safetensors").touch()
    assert file(evidence_model=tmp_path / "own") == tmp_path / "own" / "model.safetensors"
    monkeypatch.undo()
    monkeypatch.setattr("rostra.answer.pickers.is_shipped", lambda name: False)
    with capture_logs() as logs:
        assert load_scorer(Settings(home=tmp_path)) is None
    assert logs == []


def test_a_scorer_that_was_asked_for_and_does_not_ship_is_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(name: str) -> Path:
        raise ModelUnavailable(f"this version ships no {name} model")

    monkeypatch.setattr("rostra.answer.pickers.is_shipped", lambda name: False)
    monkeypatch.setattr("rostra.answer.pickers.shipped_folder", none)
    with capture_logs() as logs:
        assert load_scorer(Settings(home=tmp_path, evidence_picker="scorer")) is None
    assert "ships no evidence model" in logs[0]["reason"]
