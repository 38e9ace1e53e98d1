"""Quote mode: whatever the documents say, quotes are verbatim and the stream adds up."""

from collections.abc import Sequence
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from rostra.answer import NOT_FOUND, AnswerEvent, AnswerMode, Cited, Done, TextDelta
from rostra.answer.evidence import Evidence, Sentence
from rostra.answer.quote import quote_events
from rostra.answer.similar import SimilarityPicker
from rostra.retrieval import Hit, SearchResult
from rostra.retrieval.analysis import EnglishAnalyzer
from tests.fakes import FakeEmbedder
from tests.unit.answer.conftest import hit

EMBEDDER = FakeEmbedder(dimensions=16)
TERMS = EnglishAnalyzer().terms
QUESTION = "How does vacuum reclaim the storage of dead tuples?"

words = st.sampled_from(
    ["vacuum", "storage", "dead", "tuples", "Größe", "日本語", "e.g.", "3.5", "🙂", "this", "- a"]
)
ends = st.sampled_from([". ", "? ", ".\n", "\n\n", ":\n", "\n- ", "; ", " ", "\n    "])
texts = st.lists(st.tuples(st.lists(words, min_size=1, max_size=9), ends), max_size=12).map(
    lambda parts: "".join(" ".join(some) + end for some, end in parts)
)


@st.composite
def results(draw: st.DrawFn) -> tuple[dict[UUID, str], list[Hit]]:
    """Documents by id, and hits that are slices of them; slices may overlap."""
    documents = {
        uuid4(): draw(texts | st.text(max_size=60)) for _ in range(draw(st.integers(0, 3)))
    }
    hits = []
    for document_id, text in documents.items():
        for _ in range(draw(st.integers(0, 3))):
            start, end = sorted((draw(st.integers(0, len(text))), draw(st.integers(0, len(text)))))
            score = draw(st.floats(-1, 1))
            hits.append(hit(text, start, end, document_id=document_id, score=score))
    hits.sort(key=lambda one: -one.score)
    return documents, hits


def pick(hits: Sequence[Hit], most: int = 4) -> Evidence:
    weights = dict.fromkeys(TERMS(QUESTION), 1.0)
    found = SearchResult(QUESTION, list(hits), {}, weights)
    return SimilarityPicker(EMBEDDER, TERMS).pick(QUESTION, found, most=most)


def quoted(evidence: Evidence, threshold: float = float("-inf")) -> list[AnswerEvent]:
    pages = [one.hit.page for one in evidence.sentences]
    return list(quote_events(evidence, pages, threshold, {"search": 1.0}))


@given(results(), st.integers(1, 5))
@hypothesis_settings(max_examples=150)
def test_every_quote_is_verbatim_and_the_deltas_are_the_answer(
    given_: tuple[dict[UUID, str], list[Hit]], most: int
) -> None:
    documents, hits = given_
    events = quoted(pick(hits, most))
    *before, last = events
    assert isinstance(last, Done)
    assert not any(isinstance(event, Done) for event in before)
    answer = last.answer
    assert answer.mode is AnswerMode.QUOTE
    assert answer.timings_ms == {"search": 1.0}
    assert "".join(event.text for event in before if isinstance(event, TextDelta)) == answer.answer
    assert [event.citation for event in before if isinstance(event, Cited)] == answer.citations
    assert answer.found == bool(answer.citations)
    assert len(answer.citations) <= most
    if not answer.found:
        assert answer.answer == NOT_FOUND
    for citation in answer.citations:
        text = documents[citation.document_id]
        assert text[citation.start : citation.end] == citation.quote != ""
        assert answer.answer[citation.answer_start : citation.answer_end] == citation.quote
        assert (citation.uri, citation.title, citation.page) == ("test:/a", "Title", None)
    assert len({citation.quote for citation in answer.citations}) == len(answer.citations)


@given(results())
@hypothesis_settings(max_examples=60)
def test_a_citation_comes_after_its_statement(
    given_: tuple[dict[UUID, str], list[Hit]],
) -> None:
    said = ""
    for event in quoted(pick(given_[1])):
        if isinstance(event, TextDelta):
            said += event.text
        if isinstance(event, Cited):
            citation = event.citation
            assert citation.answer_end == len(said)
            assert said[citation.answer_start :] == citation.quote


PASSAGE = (
    "Vacuum reclaims the storage of dead tuples. The weather was fine that day in May. "
    "It rained a lot in the week after."
)


def test_the_sentence_that_answers_is_quoted_and_no_other() -> None:
    events = quoted(pick([hit(PASSAGE)], most=1))
    assert events[0] == TextDelta("Vacuum reclaims the storage of dead tuples.")
    assert isinstance(events[-1], Done)
    assert events[-1].answer.found


def test_evidence_under_the_threshold_is_not_found() -> None:
    evidence = pick([hit(PASSAGE)])
    assert len(quoted(evidence, evidence.score)) == 2 * len(evidence.sentences) + 1
    events = quoted(evidence, evidence.score + 1e-6)
    assert events[0] == TextDelta(NOT_FOUND)
    (done,) = events[1:]
    assert isinstance(done, Done)
    assert (done.answer.found, done.answer.citations) == (False, [])
    assert done.answer.answer == NOT_FOUND


def test_without_hits_nothing_is_found() -> None:
    done = quoted(pick([]))[-1]
    assert isinstance(done, Done)
    assert not done.answer.found


def test_a_good_passage_makes_better_evidence_than_a_bad_one() -> None:
    good = pick([hit(PASSAGE, score=0.5)]).score
    bad = pick([hit("Cats sleep for most of the day, mostly on sofas.", score=0.1)]).score
    assert good > bad


def test_sentences_stand_as_they_do_in_their_document() -> None:
    text = (
        "Dead tuples take storage until vacuum comes. Vacuum reclaims the storage of dead tuples.\n"
        "\nVacuum can reclaim storage of dead tuples by itself."
    )
    other = "Storage of dead tuples: vacuum reclaims it."
    evidence = pick([hit(text, score=1.0), hit(other, score=0.9)], most=4)
    places = [(one.hit.document_id, one.start) for one in evidence.sentences]
    by_document: dict[UUID, list[int]] = {}
    for document_id, start in places:
        by_document.setdefault(document_id, []).append(start)
    assert all(starts == sorted(starts) for starts in by_document.values())
    # One document after the other, not mixed.
    runs = [
        document_id
        for at, (document_id, _) in enumerate(places)
        if at == 0 or places[at - 1][0] != document_id
    ]
    assert len(runs) == len(by_document)


@pytest.mark.parametrize(
    ("first", "second", "separator"),
    [((0, 7), (8, 15), " "), ((0, 7), (16, 22), "\n\n"), ((8, 15), (0, 7), "\n\n")],
)
def test_what_stands_side_by_side_is_quoted_on_one_line(
    first: tuple[int, int], second: tuple[int, int], separator: str
) -> None:
    passage = hit("One is. Two are. Three.")
    evidence = Evidence([Sentence(passage, *first), Sentence(passage, *second)], 1.0)
    done = quoted(evidence)[-1]
    assert isinstance(done, Done)
    one, other = (citation.quote for citation in done.answer.citations)
    assert done.answer.answer == one + separator + other


def test_a_citation_has_its_sentences_page_not_its_passages() -> None:
    passage = hit(PASSAGE, page=3)
    evidence = pick([passage], most=2)
    events = list(quote_events(evidence, [7 + at for at in range(len(evidence.sentences))], 0, {}))
    pages = [event.citation.page for event in events if isinstance(event, Cited)]
    assert pages == [7 + at for at in range(len(evidence.sentences))]
