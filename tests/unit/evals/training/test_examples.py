"""Examples: what is cut out, what is a negative, what a folder of them must be."""

import json
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.training.clozes import IndexTerm
from evals.training.errors import ExamplesMissing, SourcesMissing
from evals.training.examples import Example, ExampleSet, read_examples, write_examples
from evals.training.examples.drafts import heading_drafts, prose_of, term_drafts
from evals.training.examples.negatives import choose_negatives
from evals.training.examples.reading import read_reading_set
from evals.training.examples.records import without_sentences
from evals.training.pages import Passage
from rostra.core import sentence_spans


def passage(text: str, page: str = "p", *, context: str = "", held: bool = False) -> Passage:
    return Passage(page, context, text, sentence_spans(text), held)


SAID = [
    "The pump moves water from the deep well.",
    "It needs new oil every single month.",
    "The boiler heats the water to ninety degrees.",
]


@given(st.sets(st.integers(0, 2)))
def test_a_sentence_that_is_cut_out_is_gone_and_the_others_stay(cut: set[int]) -> None:
    whole = passage("  " + " ".join(SAID) + "\n")
    assert len(whole.spans) == len(SAID)
    left = without_sentences(whole, sorted(cut))
    kept = [sentence for number, sentence in enumerate(SAID) if number not in cut]
    assert [left.sentence(number) for number in range(len(left.spans))] == kept
    assert not [SAID[number] for number in cut if SAID[number] in left.text]


def test_negatives_lack_the_answer_and_are_of_its_side() -> None:
    passages = [
        passage("one. " + SAID[0], "a"),
        passage("two. " + SAID[0], "b"),  # it answers as well
        passage("three.", "b"),
        passage("four.", "c", held=True),
        passage("five.", "a"),
        passage("six.", "d"),
        passage("one. " + SAID[0], "e"),  # a copy
    ]
    gold = [len(passages[0].spans) - 1]
    found = [1, 0, 3, 5, 6, 2, 5]
    for seed in range(10):
        chosen = choose_negatives(passages, 0, gold, found, 9, random.Random(seed))
        assert chosen == [5, 2]
    assert choose_negatives(passages, 0, gold, found, 1, random.Random(0)) == [5]


def test_a_neighbour_on_the_page_is_the_first_negative() -> None:
    passages = [passage(f"text {number}.", "a") for number in range(4)] + [passage("far.", "b")]
    chosen = choose_negatives(passages, 0, [], [4], 2, random.Random(0))
    assert chosen[0] in (1, 2)
    assert chosen[1] == 4


def test_headings_and_terms_have_the_sentences_that_answer() -> None:
    passages = [
        passage(" ".join(SAID), "pumps", context="House > Pumps and oil"),
        passage(SAID[2], "pumps", context="House > Pumps and oil"),
        passage(SAID[1], "oil", context="House > Oil"),
    ]
    prose = prose_of(passages)
    drafts = heading_drafts(passages, prose, 9, random.Random(0))
    assert {(one.place, tuple(one.gold)) for one in drafts} == {(0, (0, 1)), (2, (0,))}
    terms = [
        IndexTerm("Water degrees", "pumps"),
        IndexTerm("water oil", "pumps"),  # in no one sentence
        IndexTerm("oil month", "oil"),
        IndexTerm("oil month", "elsewhere"),
    ]
    drafts = term_drafts(passages, prose, terms, 9, random.Random(0))
    assert {(one.question, one.place, *one.gold) for one in drafts} == {
        ("water degrees", 0, 2),
        ("oil month", 2, 0),
    }


def test_a_reading_set_keeps_what_its_passages_answer(tmp_path: Path) -> None:
    text = " ".join(SAID)
    rows = [
        {"question": "How hot?", "passage": text, "answers": ["ninety degrees", ""], "source": "s"},
        {"question": "When, and how hot?", "passage": text, "answers": ["month", "degrees"]},
        {"question": "Who?", "passage": text, "answers": ["nobody"]},
    ]
    path = tmp_path / "reading.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows))
    found = read_reading_set(path)
    assert len(found.passages) == 1
    assert found.questions == [("How hot?", 0, [2]), ("When, and how hot?", 0, [1, 2])]
    assert found.names == ["reading", "s"]


@pytest.mark.parametrize("text", ["", '{"question": "q"}', "no json"])
def test_a_reading_set_that_is_none(tmp_path: Path, text: str) -> None:
    path = tmp_path / "reading.jsonl"
    path.write_text(text)
    with pytest.raises(SourcesMissing):
        read_reading_set(path)
    with pytest.raises(SourcesMissing):
        read_reading_set(tmp_path / "none.jsonl")


@pytest.fixture
def examples() -> ExampleSet:
    passages = [passage(one, f"page{number}") for number, one in enumerate(SAID)]
    train = [Example("cloze", "what moves", [0, 1], [0]), Example("term", "é", [2], [])]
    return ExampleSet(passages, train, [Example("cloze", "oil", [1], [0])])


def test_what_is_written_is_read_and_equal_examples_are_equal_bytes(
    tmp_path: Path, examples: ExampleSet
) -> None:
    one = write_examples(tmp_path / "one", examples, "recipe", {"of": "tests"})
    other = write_examples(tmp_path / "other", examples, "recipe", {"of": "tests"})
    assert one == other
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "other" / path.name).read_bytes()
    manifest, read = read_examples(tmp_path / "one", "recipe")
    assert read == examples
    assert manifest.fingerprint == one.fingerprint
    assert manifest.counts["train.jsonl"] == {"cloze": 1, "term": 1}


def test_examples_that_are_not_what_was_built_are_refused(
    tmp_path: Path, examples: ExampleSet
) -> None:
    with pytest.raises(ExamplesMissing):
        read_examples(tmp_path)
    write_examples(tmp_path, examples, "recipe", {})
    with pytest.raises(ExamplesMissing, match="another recipe"):
        read_examples(tmp_path, "other")
    path = tmp_path / "train.jsonl"
    path.write_bytes(path.read_bytes() + b"\n")
    with pytest.raises(ExamplesMissing, match="train"):
        read_examples(tmp_path)
    write_examples(tmp_path, examples, "recipe", {})
    (tmp_path / "manifest.json").unlink()  # killed before it was written
    with pytest.raises(ExamplesMissing):
        read_examples(tmp_path)
