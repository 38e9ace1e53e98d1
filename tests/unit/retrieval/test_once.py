"""Near duplicates: keys that meet, exact resemblance, and results that show each text once."""

from uuid import UUID, uuid5

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from rostra.retrieval import (
    Hit,
    HitScores,
    band_keys,
    once_each,
    resemblance,
    shingles,
)

NAMES = UUID(int=7)
WORDS = [f"word{number}" for number in range(60)]


def text(*changed: int) -> str:
    return " ".join(f"other{at}" if at in changed else word for at, word in enumerate(WORDS))


def hit(name: str, said: str) -> Hit:
    return Hit(
        chunk_id=uuid5(NAMES, name), document_id=uuid5(NAMES, name), collection="c", uri=name,
        title=name, context="", text=said, start=0, end=len(said), page=None, metadata={},
        score=1.0, scores=HitScores(),
    )  # fmt: skip


@settings(max_examples=60)
@given(st.lists(st.sampled_from("abcde"), max_size=30), st.lists(st.sampled_from("abcde")))
def test_resemblance_is_the_jaccard_index_of_runs_of_three_words(
    one: list[str], other: list[str]
) -> None:
    def runs(words: list[str]) -> set[tuple[str, ...]]:
        return {tuple(words[at : at + 3]) for at in range(max(1, len(words) - 2))}

    expected = len(runs(one) & runs(other)) / len(runs(one) | runs(other))
    assert resemblance(shingles(" ".join(one)), shingles(" ".join(other))) == expected


def test_keys_are_the_same_everywhere() -> None:
    keys = band_keys(shingles("The quick brown fox jumps over the lazy dog."))
    assert keys == band_keys(shingles("the QUICK brown fox, jumps over the lazy dog"))
    assert keys[:2] == KNOWN
    assert len(set(keys)) == 8
    assert all(-(2**63) <= key < 2**63 for key in keys)


KNOWN = [-8421258747425589675, -1543781163410402036]


def test_texts_of_any_kind_have_keys() -> None:
    for said in ("", "...", "one", "two words", "今日は", "a" * 10_000):
        assert len(band_keys(shingles(said))) == 8
    assert resemblance(shingles("..."), shingles("!!!")) == 0


def test_like_texts_meet_under_a_key_and_others_seldom_do() -> None:
    rng = np.random.default_rng(5)
    base = [f"w{number}" for number in rng.integers(0, 5000, 120)]
    met = {2: 0, 60: 0}
    for number in range(200):
        for changes in met:
            other = list(base)
            for at in rng.choice(120, changes, replace=False):
                other[at] = f"x{number}{at}"
            mine, its = shingles(" ".join(base)), shingles(" ".join(other))
            met[changes] += bool(set(band_keys(mine)) & set(band_keys(its)))
    # Resemblances of about 0.9 and 0.07: probabilities of 0.999 and 0.00001.
    assert met[2] >= 197
    assert met[60] <= 2


def test_a_result_shows_each_text_once_and_names_the_others() -> None:
    group, own = UUID(int=1), UUID(int=2)
    hits = [hit("a", text()), hit("b", text(1)), hit("c", "unlike"), hit("d", text(2))]
    groups = {hits[0].chunk_id: group, hits[1].chunk_id: group, hits[3].chunk_id: group,
              hits[2].chunk_id: own}  # fmt: skip
    shown = once_each(hits, groups, 0.8)
    assert [one.hit.uri for one in shown] == ["a", "c"]
    assert [other.uri for other in shown[0].others] == ["b", "d"]


def test_what_is_linked_over_others_alone_is_shown() -> None:
    group = UUID(int=1)
    hits = [hit("a", text()), hit("z", text(*range(0, 60, 4)))]
    shown = once_each(hits, {one.chunk_id: group for one in hits}, 0.8)
    assert [one.hit.uri for one in shown] == ["a", "z"]


def test_what_is_not_linked_is_shown() -> None:
    hits = [hit("a", text()), hit("b", text())]
    assert [one.hit for one in once_each(hits, {}, 0.8)] == hits
    linked = {one.chunk_id: UUID(int=1) for one in hits}
    assert [one.hit for one in once_each(hits, linked, 0)] == hits


@settings(max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), max_size=12))
def test_nothing_is_lost_and_nothing_is_there_twice(made: list[tuple[int, int]]) -> None:
    hits = [hit(f"h{at}", text(*range(what))) for at, (what, _) in enumerate(made)]
    groups = {
        one.chunk_id: UUID(int=group) for one, (_, group) in zip(hits, made, strict=True) if group
    }
    shown = once_each(hits, groups, 0.8)
    named = [name.uri for one in shown for name in (one.hit, *one.others)]
    assert sorted(named) == sorted(one.uri for one in hits)
    places = [hits.index(one.hit) for one in shown]
    assert places == sorted(places)
