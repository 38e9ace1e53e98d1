"""Questions that take two pages: read, placed, scored; and that the documentation says so."""

import json
from pathlib import Path

import pytest

from evals.core import Passage, Sample, State
from evals.errors import DatasetError
from evals.graph.evaluate import DEPTHS, DOCS, EvidenceScorer
from evals.graph.questions import (
    EVIDENCE,
    QUESTIONS,
    Page,
    pages_of,
    places_of,
    read_questions,
    two_hop_samples,
)
from rostra.core import Settings
from rostra.ingest.limits import ParseLimits
from rostra.ingest.parsers import parse_bytes

DEVELOPMENT = QUESTIONS.with_name("development.jsonl")


def test_there_are_twenty_questions_about_two_pages_each() -> None:
    questions = read_questions()
    assert len({one.id for one in questions}) == len(questions) == 20
    assert all(len({piece.page for piece in one.evidence}) == 2 for one in questions)


def test_weights_were_chosen_on_others() -> None:
    pairs = {frozenset(e.page for e in one.evidence) for one in read_questions()}
    pieces = {e.quote for one in read_questions() for e in one.evidence}
    for one in read_questions(DEVELOPMENT):
        assert {e.quote for e in one.evidence} - pieces
        assert frozenset(e.page for e in one.evidence) not in pairs


@pytest.mark.parametrize("file", [QUESTIONS, DEVELOPMENT])
def test_the_documentation_has_every_quote(file: Path) -> None:
    if not all(folder.is_dir() for folder in DOCS):
        pytest.skip("the packages postgresql-doc-15 and python3.11-doc are not installed")
    questions = read_questions(file)
    limits = ParseLimits.of(Settings())
    texts: dict[str, Page] = {}
    for page in pages_of(questions):
        (path,) = [
            folder.parent.parent / page
            for folder in DOCS
            if page.startswith(f"{folder.parent.name}/")
        ]
        texts[page] = Page(page, parse_bytes(path.read_bytes(), path.name, limits).text)
    dataset = two_hop_samples(questions, texts.get)
    assert [one.id for one in dataset.samples] == [one.id for one in questions]
    assert dataset.problems == ()


def test_a_quote_is_found_whatever_the_white_space() -> None:
    text = "The\n  default is\u00a0four ¶. the default is four."
    assert places_of("default is four", text) == [[6, 21], [29, 44]]
    assert places_of("default is  five", text) == places_of(" \n", text) == []
    assert [text[a:b] for a, b in places_of("four.", text)] == ["four ¶.", "four."]


def line(id_: str, *pages: str) -> str:
    evidence = [{"page": page, "quote": "said"} for page in pages]
    return json.dumps({"id": id_, "question": f"{id_}?", "evidence": evidence})


def test_what_is_missing_leaves_a_question_out_and_is_counted(tmp_path: Path) -> None:
    file = tmp_path / "questions.jsonl"
    file.write_text("\n".join([line("a", "x", "y"), "", line("b", "x", "z"), line("c", "x", "w")]))
    pages = {name: Page(f"file:/{name}", "as is said") for name in ("x", "y")}
    pages["w"] = Page("file:/w", "nothing")
    dataset = two_hop_samples(read_questions(file), pages.get)
    assert [one.id for one in dataset.samples] == ["a"]
    assert sorted((problem.reason, problem.count) for problem in dataset.problems) == [
        ("a page that was not taken in", 1),
        ("a quote that its page does not have", 1),
    ]
    with pytest.raises(DatasetError):
        two_hop_samples(read_questions(file), {}.get)


@pytest.mark.parametrize("text", ["{", '{"id": "a"}', line("a", "x"), line("a", "x", "y", "z")])
def test_a_line_that_is_no_question_is_told_by_its_number(text: str, tmp_path: Path) -> None:
    file = tmp_path / "questions.jsonl"
    file.write_text(line("first", "x", "y") + "\n" + text)
    with pytest.raises(DatasetError, match="line 2"):
        read_questions(file)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"none\.jsonl"):
        read_questions(tmp_path / "none.jsonl")


async def scores(*passages: Passage) -> dict[str, float | None]:
    pieces = [{"uri": "a", "spans": [[10, 20], [90, 100]]}, {"uri": "b", "spans": [[0, 10]]}]
    sample = Sample(id="q", input="?", data={EVIDENCE: pieces})
    state = State(sample=sample, passages=list(passages))
    return {one.name: one.value for one in await EvidenceScorer()(state, 0)}


OTHER = [Passage("c", start=0, end=5)] * 30


async def test_evidence_counts_where_half_of_it_is_read() -> None:
    found = await scores(Passage("a", start=95, end=200), Passage("b", start=6, end=50))
    assert found["recall@5"] == 0.5
    assert found["both@5"] == 0
    found = await scores(Passage("a", start=0, end=15), Passage("b", start=5, end=50))
    assert {found[f"both@{depth}"] for depth in DEPTHS} == {1.0}


async def test_only_the_first_places_count() -> None:
    found = await scores(Passage("a", start=0, end=50), *OTHER[:6], Passage("b", start=0, end=50))
    assert (found["both@5"], found["recall@5"]) == (0, 0.5)
    assert found["both@10"] == found["recall@20"] == 1
    found = await scores(*OTHER)
    assert set(found.values()) == {0}
