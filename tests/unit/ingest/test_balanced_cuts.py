"""How a section that does not fit is cut: evenly, at good places, and where its words change."""

import math
import random
from collections.abc import Callable, Sequence
from itertools import combinations, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rostra.core import Tokenizer
from rostra.ingest.builder import make_document
from rostra.ingest.chunking import Chunk, chunk_document
from rostra.ingest.chunking.balance import best_runs, grouped
from rostra.ingest.chunking.cohesion import cohesions
from rostra.ingest.document import ParsedDocument
from rostra.ingest.tokens import TokenIndex

Parse = Callable[[bytes | str, str], ParsedDocument]
TOPICS = {
    "cats": ["cats", "purr", "fish", "claws", "whiskers", "milk", "mouse", "basket"],
    "stars": ["stars", "orbit", "comet", "light", "dust", "planet", "gravity", "moon"],
}


def texts(document: ParsedDocument, chunks: Sequence[Chunk]) -> list[str]:
    return [document.text[chunk.start : chunk.end] for chunk in chunks]


def about(topic: str, count: int) -> list[str]:
    """Sentences of equal length, each with words of one topic."""
    drawn = random.Random(topic)
    return [" ".join(["The", *drawn.sample(TOPICS[topic], 5), "went", "on."]) for _ in range(count)]


@st.composite
def rows_of_units(
    draw: st.DrawFn,
) -> tuple[list[int], list[int], list[int], list[float], float]:
    sizes = draw(st.lists(st.integers(1, 12), min_size=1, max_size=9))
    begins = [sum(sizes[:at]) for at in range(len(sizes))]
    ends = [begin + size for begin, size in zip(begins, sizes, strict=True)]
    rooms = draw(st.lists(st.integers(1, 30), min_size=len(sizes), max_size=len(sizes)))
    prices = draw(st.lists(st.integers(-8, 8), min_size=len(sizes) - 1, max_size=len(sizes) - 1))
    return begins, ends, rooms, [price / 8 for price in prices], draw(st.integers(1, 30)) * 1.0


def cost(
    runs: Sequence[tuple[int, int]],
    row: tuple[list[int], list[int], list[int], list[float], float],
) -> float:
    begins, ends, rooms, prices, aim = row
    total = 0.0
    for first, last in runs:
        size = ends[last - 1] - begins[first]
        if last - first > 1 and size > rooms[first]:
            return math.inf
        total += size / aim + aim / size - 2 + (prices[first - 1] if first else 0)
    return total


@given(rows_of_units())
def test_the_best_of_all_ways_to_cut_is_found(
    row: tuple[list[int], list[int], list[int], list[float], float],
) -> None:
    count = len(row[0])
    runs = best_runs(*row)
    assert [first for first, _ in runs] == [0, *(last for _, last in runs[:-1])]
    assert runs[-1][1] == count
    ways = [
        list(pairwise([0, *cuts, count]))
        for number in range(count)
        for cuts in combinations(range(1, count), number)
    ]
    assert cost(runs, row) == pytest.approx(min(cost(way, row) for way in ways))


@given(st.lists(st.integers(0, 9), max_size=40), st.integers(1, 300))
def test_small_units_are_put_together_to_a_bounded_number(sizes: list[int], room: int) -> None:
    runs = grouped(sizes, room)
    assert [at for first, last in runs for at in range(first, last)] == list(range(len(sizes)))
    whole = [sum(sizes[first:last]) for first, last in runs]
    for (first, last), size in zip(runs, whole, strict=True):
        assert last - first == 1 or size <= room // 32
    assert all(one + other > room // 32 for one, other in pairwise(whole))


def test_cohesion_is_least_where_the_words_change(toy: Tokenizer) -> None:
    sentences = about("cats", 6) + about("stars", 6)
    text = " ".join(sentences)
    units = [(text.index(one), text.index(one) + len(one)) for one in sentences]
    found = cohesions(text, TokenIndex(text, toy), units)
    assert len(found) == 11
    assert found.index(min(found)) == 5
    assert all(-2 <= one <= 2 for one in found)


def test_what_is_alike_has_nowhere_to_be_cut(toy: Tokenizer) -> None:
    text = "the same " * 8
    units = [(at, at + 8) for at in range(0, len(text), 9)]
    assert cohesions(text, TokenIndex(text, toy), units) == [0.0] * 7
    assert cohesions(text, TokenIndex(text, toy), units[:1]) == []
    assert cohesions("", TokenIndex("", toy), []) == []


def test_a_section_is_cut_where_its_words_change(toy: Tokenizer) -> None:
    # At equal sizes the cut would be one sentence later.
    cats, stars = about("cats", 5), about("stars", 7)
    document = make_document(" ".join(cats + stars), "t", "text/plain", [])
    size = len(toy.offsets(document.text))
    chunks = chunk_document(document, toy, max_tokens=int(size / 1.2), window=400)
    assert texts(document, chunks) == [" ".join(cats), " ".join(stars)]


def test_a_section_is_rather_cut_at_the_end_of_a_paragraph(toy: Tokenizer) -> None:
    same = "One more thing was said of it here."
    first, second = " ".join([same] * 5), " ".join([same] * 7)
    document = make_document(f"{first}\n\n{second}", "t", "text/plain", [])
    size = len(toy.offsets(document.text))
    chunks = chunk_document(document, toy, max_tokens=int(size / 1.2), window=400)
    assert texts(document, chunks) == [first, second]


@pytest.mark.parametrize("count", range(11, 60, 3))
def test_the_last_part_of_a_section_is_as_large_as_the_others(
    parse: Parse, toy: Tokenizer, count: int
) -> None:
    body = " ".join(["One more thing was said of it here."] * count)
    document = parse(f"# Top\n\n{body}\n\n# Next\n\nShort.", "a.md")
    sizes = [
        len(toy.offsets(part))
        for part in texts(document, chunk_document(document, toy, max_tokens=100, window=200))
    ]
    # The section after it is drawn into its last part where there is room.
    assert max(sizes) <= 100
    assert min(sizes[: count // 11]) >= 40


def test_rows_of_a_table_are_cut_evenly(parse: Parse, toy: Tokenizer) -> None:
    # The words of the rows change once, near the beginning.
    names = ["apple"] * 3 + ["stone"] * 21
    rows = "\n".join(f"{name},{name},{at:02}" for at, name in enumerate(names))
    document = parse(f"what,same,number\n{rows}", "a.csv")
    chunks = chunk_document(document, toy, max_tokens=100, window=200)
    counts = [text.count("\n") + 1 for text in texts(document, chunks)]
    assert max(counts) - min(counts) <= 2


def test_a_table_under_a_heading_is_cut_into_few_parts(parse: Parse, toy: Tokenizer) -> None:
    rows = "\n".join(f"| name {at:02} | of a thing |" for at in range(18))
    document = parse(f"# Top\n\n| what | which |\n|---|---|\n{rows}\n", "a.md")
    size = len(toy.offsets(document.text))
    chunks = chunk_document(document, toy, max_tokens=120, window=200)
    assert len(chunks) == math.ceil(size / 110)
