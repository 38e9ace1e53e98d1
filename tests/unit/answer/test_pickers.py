"""Pickers of evidence: what is quoted is verbatim whoever picks, and one always can."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from rostra.answer import Calibration, SimilarityPicker, load_scorer, scorer_file
from rostra.answer.evidence import Evidence, candidate_sentences
from rostra.answer.pickers import make_picker
from rostra.answer.scored import ScorerPicker, headings, log_odds
from rostra.core import ModelUnavailable, Settings
from rostra.retrieval import Hit, SearchResult
from rostra.retrieval.analysis import EnglishAnalyzer
from rostra.shipped import ShippedModelBroken
from tests.fakes import FakeEmbedder, packaged_embedder
from tests.unit.answer.conftest import hit
from tests.unit.answer.scorer_parts import WordScorer, small_scorer

TERMS = EnglishAnalyzer().terms
EMBEDDER = FakeEmbedder(dimensions=8)
QUESTION = "how does vacuum reclaim storage of dead tuples"


def found(hits: list[Hit]) -> SearchResult:
    return SearchResult(QUESTION, hits, {}, dict.fromkeys(TERMS(QUESTION), 1.0))


def pick(hits: list[Hit], calibration: Calibration | None = None, most: int = 4) -> Evidence:
    picker = ScorerPicker(WordScorer(calibration=calibration), EMBEDDER, TERMS)
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
    picker = ScorerPicker(small_scorer(), EMBEDDER, TERMS)
    evidence = picker.pick(QUESTION, found(hits), most=most)
    candidates = [(one.hit.chunk_id, one.start, one.end) for one in candidate_sentences(hits)]
    chosen = [(one.hit.chunk_id, one.start, one.end) for one in evidence.sentences]
    assert len(set(chosen)) == len(chosen) <= most
    assert set(chosen) <= set(candidates)
    assert bool(chosen) == bool(candidates)
    assert len({one.text for one in evidence.sentences}) == len(chosen)


PASSAGE = (
    "It rained in May and in June. Vacuum reclaims storage of dead tuples. "
    "How storage works is another matter."
)


def test_log_odds_decide_as_far_as_they_are_calibrated_to() -> None:
    # Words of the question: 4 in the second sentence, 2 in the third, none in the first.
    strict = pick([hit(PASSAGE)], Calibration(sentence=10.0))
    assert [one.text for one in strict.sentences] == ["Vacuum reclaims storage of dead tuples."]
    similar = SimilarityPicker(EMBEDDER, TERMS).pick(QUESTION, found([hit(PASSAGE)]), most=4)
    same = pick([hit(PASSAGE)], Calibration(sentence=0.0, evidence=0.0))
    assert [(one.text, one.score) for one in same.sentences] == [
        (one.text, one.score) for one in similar.sentences
    ]
    assert same.score == similar.score


def test_scores_are_similaritys_and_a_share_of_the_log_odds() -> None:
    plain = pick([hit(PASSAGE)], Calibration(sentence=0.0, evidence=0.0))
    mixed = pick([hit(PASSAGE)], Calibration(sentence=0.5, evidence=0.25))
    (best,) = (one for one in mixed.sentences if one.text.startswith("Vacuum"))
    (same,) = (one for one in plain.sentences if one.text.startswith("Vacuum"))
    assert best.score == pytest.approx(same.score + 0.5 * 2.5)  # four words less 1.5
    assert mixed.score == pytest.approx(plain.score + 0.25 * 2.5, abs=1e-6)


def test_log_odds_without_measure_say_no_more_than_sure_ones() -> None:
    plain = pick([hit(PASSAGE)], Calibration(sentence=0.0, evidence=0.0))
    scorer = WordScorer(null=-1e6, calibration=Calibration(evidence=1.0))
    found_ = ScorerPicker(scorer, EMBEDDER, TERMS).pick(QUESTION, found([hit(PASSAGE)]), most=4)
    assert found_.score == pytest.approx(plain.score + 8.0, abs=1e-6)


def test_the_threshold_is_for_the_packaged_embedder() -> None:
    scorer = WordScorer(calibration=Calibration(threshold=0.7))
    assert ScorerPicker(scorer, EMBEDDER, TERMS).threshold == float("-inf")
    assert ScorerPicker(scorer, packaged_embedder("float32"), TERMS).threshold == 0.7


def test_without_hits_there_is_no_evidence() -> None:
    assert pick([]) == Evidence([], 0.0)


def test_lines_that_are_announced_count_with_what_announces_them() -> None:
    text = "These are the steps to take now:\n- vacuum storage of dead tuples\n- rest\n"
    hits = [hit(text)]
    (sentence,) = candidate_sentences(hits)
    assert sentence.text == text.strip()
    # Of the line with five of the words.
    assert log_odds(WordScorer(), QUESTION, [sentence]).tolist() == [3.5]


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
