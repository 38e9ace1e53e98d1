"""Evidence scorer and reranker learn, with tiny random nets; what they are taught is right."""

import math
from pathlib import Path

import pytest
import torch
from transformers import BertConfig

from evals.training.evidence.items import ItemStream, Mixture, make_items, read_item
from evals.training.evidence.learning import (
    EvidenceTrainee,
    ScoredExample,
    evidence_loss,
    score_examples,
    validation_scores,
)
from evals.training.examples import Example, ExampleSet
from evals.training.loop import Plan, train
from evals.training.loop.training import CHECKPOINT
from evals.training.pages import Passage
from evals.training.reranker.learning import Grouping, RerankerTrainee, taken_out
from evals.training.reranker.net import PairTokens, RerankerNet, save_reranker
from rostra.answer import EvidenceNet, Featuriser, scorer_encoder
from rostra.core import Settings, sentence_spans
from rostra.retrieval import load_reranker

TOPICS = ("pump", "boiler", "moon", "train", "garden", "engine")
FACTS = ("is red and tall", "was sold in spring", "needs much water", "works at night")


def passage(text: str, page: str) -> Passage:
    return Passage(page, "", text, sentence_spans(text), False)


@pytest.fixture(scope="module")
def examples() -> ExampleSet:
    passages = [
        passage(" ".join(f"The {topic} {fact}." for fact in FACTS), topic) for topic in TOPICS
    ]
    asked = [
        Example("cloze", f"{topic} {fact}", [place, (place + 1) % len(TOPICS)], [number])
        for place, topic in enumerate(TOPICS)
        for number, fact in enumerate(FACTS)
    ]
    return ExampleSet(passages, asked[::2], asked[1::2])


@pytest.fixture(scope="module")
def featuriser() -> Featuriser:
    return Featuriser(scorer_encoder())


def small() -> BertConfig:
    return BertConfig(
        vocab_size=30522,
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=512,
    )


def plan(**given: float) -> Plan:
    return Plan(learning_rate=3e-3, batch=8, warmup_steps=2, precision="float32", **given)


def evidence(examples: ExampleSet, featuriser: Featuriser) -> EvidenceTrainee:
    torch.manual_seed(0)
    stream = ItemStream(examples, featuriser, Mixture(weights={"cloze": 1.0}, cut=0.3), 8, 1)
    return EvidenceTrainee(EvidenceNet(small()), stream, examples, featuriser, "cpu")


def reranker(examples: ExampleSet, inverse: float = 0.0) -> RerankerTrainee:
    torch.manual_seed(0)
    grouping = Grouping(weights={"cloze": 1.0}, passages=2, inverse=inverse)
    tokens = PairTokens(scorer_encoder())
    return RerankerTrainee(RerankerNet(small()), tokens, examples, grouping, 8, 1, "cpu")


def run(folder: Path, trainee, given: Plan, minutes: float | None = None):
    ticks = iter(range(0, 100_000, 5))  # five seconds a look
    return train(
        trainee,
        given,
        folder,
        "a",
        device="cpu",
        minutes=minutes,
        tell=lambda line: None,
        clock=lambda: float(next(ticks)),
    )


@pytest.mark.parametrize("kind", ["evidence", "reranker"])
def test_a_few_steps_in_pieces_are_the_same_few_steps(
    tmp_path: Path, examples: ExampleSet, featuriser: Featuriser, kind: str
) -> None:
    def made():
        return evidence(examples, featuriser) if kind == "evidence" else reranker(examples)

    whole = run(tmp_path / "whole", made(), plan(steps=12))
    while not run(tmp_path / "pieces", made(), plan(steps=12), minutes=1).is_done:
        pass
    first, second = (
        torch.load(tmp_path / name / CHECKPOINT, weights_only=True)["weights"]
        for name in ("whole", "pieces")
    )
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert whole.step == 12
    assert all(0 <= score <= 1 for score in whole.scores.values())
    assert not [name for name in first if "embeddings" in name]  # frozen


def test_the_evidence_scorer_learns(
    tmp_path: Path, examples: ExampleSet, featuriser: Featuriser
) -> None:
    trainee = evidence(examples, featuriser)
    early = run(tmp_path / "early", evidence(examples, featuriser), plan(steps=2)).loss
    late = run(tmp_path / "late", trainee, plan(steps=80)).loss
    assert late < early


def test_the_loss_by_hand() -> None:
    sentences = torch.tensor([[1.0, 2.0, -1e4], [0.0, 0.0, 0.0]])
    nothing = torch.tensor([0.0, 3.0])
    gold = torch.tensor([[True, True, False], [False, False, False]])
    total = [1 + math.e + math.e**2, math.e**3 + 3]
    right = [math.e + math.e**2, math.e**3]
    expected = sum(math.log(a) - math.log(b) for a, b in zip(total, right, strict=True)) / 2
    assert evidence_loss(sentences, nothing, gold).item() == pytest.approx(expected, abs=1e-5)


def test_what_answers_is_marked_in_the_row_that_has_it(featuriser: Featuriser) -> None:
    filler = " ".join(f"Sentence number {at} says little of any use to us." for at in range(60))
    long = passage(filler + " The boiler burns gas.", "p")
    last = len(long.spans) - 1
    item = read_item(featuriser, "what does the boiler burn", long, [last])
    assert item is not None
    assert item.gold == [last]
    assert item.row.sentences[last]
    made = make_items([item])
    assert made.gold.sum() == 1
    assert (made.gold <= made.batch.scored).all()


def test_steps_are_the_same_in_any_order(examples: ExampleSet, featuriser: Featuriser) -> None:
    def stream() -> ItemStream:
        return ItemStream(examples, featuriser, Mixture(weights={"cloze": 1.0}), 8, 1)

    there, back = stream(), stream()
    ahead = [there.step(step) for step in range(20)]
    assert [back.step(step) for step in reversed(range(20))] == ahead[::-1]
    assert all(len(items) == 8 for items in ahead)
    assert any(item.gold for items in ahead for item in items)
    assert any(not item.gold for items in ahead for item in items)


def test_every_sentence_of_every_passage_is_scored(
    examples: ExampleSet, featuriser: Featuriser
) -> None:
    net = EvidenceNet(small()).eval()
    scored = score_examples(net, featuriser, examples.validation, examples.passages, "cpu")
    assert [len(one.scores) for one in scored] == [2] * len(examples.validation)
    assert all(abs(score) < 100 for one in scored for of in one.scores for score in of)


def test_scores_by_hand() -> None:
    one = Example("a", "q", [0, 1], [1])
    other = Example("a", "q", [0, 1], [0])
    scored = [
        ScoredExample(one, [[-1.0, 4.0], [0.0]]),  # right
        ScoredExample(other, [[2.0, 1.9], [3.0]]),  # the wrong passage is best
    ]
    assert validation_scores(scored) == {
        "a/sentence": 0.5,
        "a/passage": 1.0,
        "a/auc": 0.75,  # of 4 and 2 against 0 and 3
    }


def test_a_sentence_asks_for_the_rest_of_its_passage(examples: ExampleSet) -> None:
    trainee = reranker(examples, inverse=1.0)
    tokens = PairTokens(scorer_encoder())
    ways = []
    for example in examples.train:
        question, rest = taken_out(examples.passages[example.passages[0]], example.gold[0])
        assert question in examples.passages[example.passages[0]].text
        assert question not in rest
        assert len(rest.split(". ")) == len(FACTS) - 1
        ways.append(tokens.pairs([(question, [rest])]).ids[0].tolist())
    batch = trainee.batch(0, 0.0)
    for row in batch.ids[:: batch.passages].tolist():  # those that answer
        assert [one for one in row if one] in ways


def test_what_stands_beside_an_inverse_cloze_on_its_page_is_no_negative() -> None:
    texts = ("The pump is red. It needs water.", "The pump was sold. It works.", "A moon. A train.")
    pages = [passage(text, page) for text, page in zip(texts, ("one", "one", "two"), strict=True)]
    only = Example("cloze", "red pump", [0, 1, 2], [0])
    batch = reranker(ExampleSet(pages, [only], []), inverse=1.0).batch(0, 0.0)
    wrong = PairTokens(scorer_encoder()).pairs([("The pump is red.", [texts[2]])]).ids[0].tolist()
    for row in batch.ids[1::2].tolist():
        assert [one for one in row if one] == wrong


def test_an_exported_reranker_is_one_that_the_platform_reads(
    tmp_path: Path, examples: ExampleSet
) -> None:
    trainee = reranker(examples)
    save_reranker(trainee.net, scorer_encoder(), tmp_path / "out")
    read = load_reranker(Settings(reranker_model=str(tmp_path / "out"), device="cpu"))
    assert read is not None
    texts = [one.text for one in examples.passages]
    pairs = PairTokens(scorer_encoder()).pairs([("the pump", texts)])
    with torch.no_grad():
        own = trainee.net.eval()(pairs)[0].tolist()
    # Half precision on disk, perhaps bfloat16 in use.
    assert read.scores("the pump", texts).tolist() == pytest.approx(own, abs=0.02)
