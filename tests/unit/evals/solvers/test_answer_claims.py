"""An answer's claims; refusals of models; an embedder that remembers."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.core import Sample, State
from evals.solvers.claims import claims_of
from evals.solvers.model import ModelSolver, is_refusal
from evals.solvers.remembered import RememberedEmbedder
from rostra.core import ChatMessage, GenerationOptions, ModelUnavailable
from rostra.models import ScriptedModel
from tests.fakes import FakeEmbedder


def test_statements_that_citations_back_stay_whole() -> None:
    text = "It pumps. It leaks.\n\nIt is old."
    cited = [(0, 19), (21, 31)]
    assert claims_of(text, cited, marked=False) == (["It pumps. It leaks.", "It is old."], [0, 1])


def test_sentences_without_a_citation_are_claims_and_marks_are_not() -> None:
    text = "It pumps water [1][2]. It leaks. It is old [3]."
    cited = [(0, 14), (0, 14), (33, 42)]
    claims, backed = claims_of(text, cited, marked=True)
    assert claims == ["It pumps water", "It leaks.", "It is old"]
    assert backed == [0, 0, 2]


def test_what_lies_within_another_backs_that_claim() -> None:
    assert claims_of("It is old.", [(0, 10), (3, 5)], marked=False) == (["It is old."], [0, 0])


@given(st.text("ab .\n", max_size=40), st.lists(st.tuples(st.integers(0, 40), st.integers(0, 9))))
def test_claims_say_something_and_citations_name_one_of_them(
    text: str, places: list[tuple[int, int]]
) -> None:
    cited = [(at, min(len(text), at + size)) for at, size in places if at + size <= len(text)]
    claims, backed = claims_of(text, cited, marked=False)
    assert len(backed) == len(cited)
    assert all(-1 <= at < len(claims) for at in backed)
    assert all("a" in claim or "b" in claim for claim in claims)


@pytest.mark.parametrize(
    ("text", "refuses"),
    [
        ("I do not know.", True),
        ("i don't know", True),
        ("Not found in these documents.", True),
        (" ", True),
        ("I do not know of any other than Paris.", False),
        ("Paris.", False),
    ],
)
def test_refusals(text: str, refuses: bool) -> None:
    assert is_refusal(text) is refuses


async def test_a_model_by_itself_is_asked_the_question_alone() -> None:
    def answer(messages: Sequence[ChatMessage], options: GenerationOptions) -> str:
        return "Paris. It is large." if "France" in messages[-1].content else "I do not know."

    model = ScriptedModel(answer, name="script")
    solver = ModelSolver(model)
    known = await solver(State(sample=Sample(id="1", input="Capital of France?")), 5)
    unknown = await solver(State(sample=Sample(id="2", input="Of Atlantis?")), 6)
    assert (known.output, known.claims) == ("Paris. It is large.", ["Paris.", "It is large."])
    assert (known.abstained, unknown.abstained, unknown.claims) == (False, True, [])
    assert known.usage.completion_tokens == 4
    assert [messages[-1].content for messages, _ in model.seen] == [
        "Capital of France?",
        "Of Atlantis?",
    ]
    assert [options.seed for _, options in model.seen] == [5, 6]
    assert "script" in str(solver.config())


def test_what_is_remembered_is_what_was_embedded() -> None:
    inner, plain = FakeEmbedder(), FakeEmbedder()
    remembered = RememberedEmbedder(lambda: inner, most=3)
    for texts in (["a", "b", "a"], ["b", "c"], [], ["a", "b", "c", "d", "e"]):
        assert np.array_equal(remembered.embed_documents(texts), plain.embed_documents(texts))
    assert inner.embedded == ["a", "b", "c", "d", "e"]
    assert np.array_equal(remembered.embed_query("a"), plain.embed_query("a"))
    assert remembered.space == inner.space
    remembered.embed_documents(["d", "e"])  # among the last three
    assert inner.embedded[5:] == []
    remembered.embed_documents(["b"])  # forgotten
    assert inner.embedded[5:] == ["b"]


def test_a_failure_to_embed_is_not_remembered() -> None:
    inner = FakeEmbedder()
    remembered = RememberedEmbedder(lambda: inner)

    def fail(_: Sequence[str]) -> None:
        raise ModelUnavailable("gone")

    inner.before_batch = fail
    with pytest.raises(ModelUnavailable):
        remembered.embed_documents(["a"])
    inner.before_batch = lambda _: None
    assert remembered.embed_documents(["a"]).shape == (1, 32)
