"""The human ceiling: what it can say against a judge, and when it is told to say nothing."""

from typing import Any

from evals.judge.agreement import Agreed, HumanAgreement, agreement_among_people, agreement_of
from evals.judge.fitness import JudgeStandard, fitness_of
from evals.judge.pairs import Pair, Winner, sample_of

NOBODY = HumanAgreement(1, 0, Agreed(None, None, None), {}, None)


def among(first: list[Winner | None], second: list[Winner | None]) -> HumanAgreement:
    pairs = [
        sample_of(
            Pair(id=str(n), question=str(n), first="x", second="y", labels=[a, b], label=None)
        )
        for n, (a, b) in enumerate(zip(first, second, strict=True))
    ]
    return agreement_among_people(pairs, seed=0)


def fit_against(people: HumanAgreement, **standard: float) -> Any:
    labels: list[Winner | None] = ["first", "second"] * 60
    agreed = agreement_of(labels, labels, list(map(str, range(120))), seed=0)
    asked = JudgeStandard(**standard)
    return fitness_of(agreed=agreed, people=people, judged=120, lost={}, biases={}, standard=asked)


def test_a_ceiling_under_zero_is_told() -> None:
    people = among(["first", "second"] * 3, ["second", "first", "first"] * 2)
    assert people.items == 6
    assert people.agreed.value is not None
    assert people.agreed.value <= 0
    fitness = fit_against(people)
    assert fitness.ceiling.startswith("people agree no more than by chance (kappa ")
    assert "n 6" in fitness.ceiling
    assert fitness.is_fit  # six pairs are too few to say that the labels show nothing
    assert fit_against(people, min_of_ceiling=0.0).ceiling == ""


def test_people_who_surely_contradict_each_other_make_no_judge_fit() -> None:
    one: list[Winner | None] = ["first", "second"] * 30
    other: list[Winner | None] = ["second", "first"] * 29 + ["first", "second"]
    fitness = fit_against(among(one, other))
    assert not fitness.is_fit
    assert "the labels show nothing: people agree by -0." in fitness.reasons[0]


def test_a_ceiling_of_a_few_pairs_holds_nobody_down() -> None:
    """Three pairs on which people agree are no reason against a judge, and that is told."""
    people = among(["first", "second", "first"], ["first", "second", "first"])
    assert (people.agreed.value, people.items) == (1.0, 3)
    fitness = fit_against(people)
    assert fitness.is_fit
    assert "too few labels for a ceiling" in fitness.ceiling
    assert "n 3" in fitness.ceiling
    many = among(["first", "second"] * 60, ["first", "second"] * 60)
    assert fit_against(many).ceiling == ""


def test_a_ceiling_of_one_label_alone_is_told() -> None:
    fitness = fit_against(among(["first"] * 8, ["first"] * 8))
    assert fitness.ceiling.startswith("how far people agree cannot be told (n 8)")
    assert fit_against(NOBODY).ceiling == ""
