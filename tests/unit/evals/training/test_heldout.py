"""The question set over held-out pages."""

import random
from pathlib import Path

import pytest

from evals.rag.clapnq import read_clapnq
from evals.rag.samples import gold_documents, gold_sentences
from evals.training.clozes import ClozeMaker, IndexTerm, content_words
from evals.training.errors import SourcesMissing
from evals.training.examples.reading import ReadingSet
from evals.training.heldout import HeldOutSize, held_out_questions, write_held_out
from evals.training.heldout.questions import HeldOutQuestions, held_out_reading
from evals.training.pages import Passage
from rostra.core import sentence_spans

NOUNS = ("pump", "boiler", "moon", "garden", "engine", "river", "castle", "letter", "bridge")
VERBS = ("moves", "heats", "lights", "feeds", "drives", "floods", "guards", "carries")


def pages(count: int) -> list[Passage]:
    rng = random.Random(1)
    found = []
    for number in range(count):
        name = f"thing{number}"
        sentences = [
            f"The {name} {rng.choice(VERBS)} every {rng.choice(NOUNS)} of the old town {at} times."
            for at in range(3)
        ]
        text = " ".join(sentences)
        context = f"About {name} > Using the {name}"
        spans = sentence_spans(text)
        found.append(Passage(f"page{number}", context, text, spans, number % 3 > 0))
    return found


def make(count: int = 60, seed: int = 5) -> HeldOutQuestions:
    terms = [IndexTerm(f"thing{number} town", f"page{number}") for number in range(count)]
    maker = ClozeMaker({}, count, lambda word, rng: word)
    return held_out_questions(pages(count), terms, maker, HeldOutSize(30, 20), seed)


def test_only_held_out_pages_and_nothing_that_answers_the_unanswerable() -> None:
    made = make()
    assert len(made.answerable) == 30
    assert len(made.unanswerable) == 20
    assert all(one.is_held_out for one in made.passages)
    known = [set(content_words(f"{one.context} {one.text}".lower())) for one in made.passages]
    for draft in made.unanswerable:
        wanted = set(content_words(draft.question))
        assert not any(wanted <= words for words in known), draft
    kinds = {one.kind for one in made.answerable}
    assert kinds == {"heading", "term", "cloze"}


def test_answerable_questions_have_sentences_that_are_there() -> None:
    made = make()
    for draft in made.answerable:
        one = made.passages[draft.place]
        assert draft.gold
        assert all("thing" in one.sentence(number) for number in draft.gold)
    assert {one.page for one in made.passages} < {f"page{n}" for n in range(60) if n % 3 > 0}


def test_the_same_seed_makes_the_same_set_and_another_another() -> None:
    assert make() == make()
    assert make(seed=6) != make()


def test_it_is_read_as_clapnq_is(tmp_path: Path) -> None:
    made = make()
    told = write_held_out(tmp_path, made, seed=5)
    assert sum(told.values()) == 50
    read = read_clapnq(tmp_path)
    assert read.dataset.problems == ()
    assert len(read.sources) == len({(one.context, one.text) for one in made.passages})
    by_id = {sample.id: sample for sample in read.dataset.samples}
    for number, draft in enumerate(made.answerable):
        sample = by_id[f"held-{number}"]
        assert sample.input == draft.question
        assert len(gold_documents(sample)) == 1
        assert len(gold_sentences(sample)) == len(draft.gold)
    answerable = [sample for sample in read.dataset.samples if sample.data["answerable"]]
    assert len(answerable) == 30
    first = (tmp_path / "answerable.jsonl").read_bytes()
    write_held_out(tmp_path, make(), seed=5)
    assert (tmp_path / "answerable.jsonl").read_bytes() == first


def test_peoples_questions_are_of_held_out_passages() -> None:
    passages = pages(60)
    questions = [
        (f"how often is thing{number} of use?", number, [1]) for number in range(len(passages))
    ]
    reading = ReadingSet(passages, questions, "", ["test"])
    made = held_out_reading(reading, HeldOutSize(20, 10), 5)
    assert (len(made.answerable), len(made.unanswerable)) == (20, 10)
    assert made == held_out_reading(reading, HeldOutSize(20, 10), 5)
    for draft in made.answerable:
        own = made.passages[draft.place]
        assert own.is_held_out
        assert draft.question.split()[3] in own.text.split()
        assert draft.gold == [1]
    texts = " ".join(one.text for one in made.passages).split()
    for draft in made.unanswerable:
        assert draft.question.split()[3] not in texts
    # What was trained on lies beside them.
    assert any(not one.is_held_out for one in made.passages)


def test_pages_that_give_no_questions(tmp_path: Path) -> None:
    with pytest.raises(SourcesMissing):
        write_held_out(tmp_path, HeldOutQuestions([], [], []), seed=0)
