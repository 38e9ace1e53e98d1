"""Chunks: what always holds, for any text and spans, and what good chunks look like."""

import re
from collections.abc import Callable, Sequence
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rostra.core import Tokenizer
from rostra.ingest.builder import make_document
from rostra.ingest.chunking import Chunk, chunk_document
from rostra.ingest.document import ParsedDocument, Span, SpanKind
from rostra.ingest.tokens import TokenIndex

Parse = Callable[[bytes | str, str], ParsedDocument]
WINDOW = 40


class Toy:
    """Words in pieces of up to four letters, and each other character that is no whitespace."""

    def offsets(self, text: str) -> list[tuple[int, int]]:
        return [found.span() for found in re.finditer(r"\w{1,4}|[^\w\s]", text)]


def check(
    document: ParsedDocument,
    chunks: Sequence[Chunk],
    tokenizer: Tokenizer,
    max_tokens: int,
    overlap: int,
    window: int,
) -> None:
    text = document.text
    reached = 0
    for chunk in chunks:
        part = text[chunk.start : chunk.end]
        assert part
        assert part == part.strip()
        assert chunk.end > reached, "chunks are in order"
        assert not text[reached : chunk.start].strip(), "nothing is left out"
        if chunk.start < reached:
            assert overlap
            assert len(tokenizer.offsets(text[chunk.start : reached])) <= overlap
        reached = chunk.end
        count = len(tokenizer.offsets(part))
        assert count <= max_tokens or ("\n" not in part and count <= window)
        assert len(tokenizer.offsets(chunk.context)) <= 40
        assert "\n" not in chunk.context
    assert not text[reached:].strip()


WORDS = st.sampled_from(
    ["a", "word", "longerword", "Dr.", "End.", "one, two", "|", "x" * 70, "é😀", "今日は。", "#"]
) | st.sampled_from(["- i", "\n", "\n\n", " ", "    ", ". ", "\t"])


@st.composite
def documents(draw: st.DrawFn) -> ParsedDocument:
    text = "".join(draw(st.lists(WORDS, max_size=80)))
    spans = []
    for _ in range(draw(st.integers(0, 8))):
        start = draw(st.integers(0, len(text)))
        end = draw(st.integers(start, len(text)))
        kind = draw(st.sampled_from([kind for kind in SpanKind if kind != SpanKind.PAGE]))
        level = draw(st.integers(1, 6)) if kind == SpanKind.HEADING else 0
        spans.append(Span(kind, start, end, level))
    return make_document(text, draw(st.sampled_from(["T", "a title"])), "text/plain", spans)


@settings(max_examples=400)
@given(documents(), st.integers(4, 30), st.integers(0, 15))
def test_what_always_holds(document: ParsedDocument, max_tokens: int, overlap: int) -> None:
    overlap = min(overlap, max_tokens // 2)
    toy = Toy()
    chunks = chunk_document(document, toy, max_tokens=max_tokens, overlap=overlap, window=WINDOW)
    check(document, chunks, toy, max_tokens, overlap, WINDOW)
    again = chunk_document(document, toy, max_tokens=max_tokens, overlap=overlap, window=WINDOW)
    assert chunks == again


@settings(max_examples=50)
@given(document=documents())
@example(document=make_document("x" * 5000 + " " + "ab_" * 400, "t", "text/plain", []))
@example(document=make_document("\u200b" * 3000, "t", "text/plain", []))
@example(document=make_document("unbelievable" * 8 + "é" * 99, "t", "text/plain", []))
def test_what_always_holds_for_the_default_tokenizer(
    document: ParsedDocument, minilm: Tokenizer
) -> None:
    chunks = chunk_document(document, minilm, max_tokens=16, overlap=4, window=32)
    check(document, chunks, minilm, 16, 4, 32)


def texts(document: ParsedDocument, chunks: Sequence[Chunk]) -> list[str]:
    return [document.text[chunk.start : chunk.end] for chunk in chunks]


def sentence(words: int, name: str = "word") -> str:
    return " ".join(["The", *[name] * (words - 2), "end."])


def test_a_short_document_is_one_chunk(parse: Parse, toy: Tokenizer) -> None:
    document = parse("# Title\n\nOne.\n\n## Sub\n\nTwo.", "a.md")
    (chunk,) = chunk_document(document, toy, max_tokens=100, window=200)
    assert (chunk.start, chunk.end) == (0, len(document.text))
    assert (chunk.context, chunk.page) == ("", None)


def test_sections_are_chunks_and_headings_stay_with_their_text(
    parse: Parse, toy: Tokenizer
) -> None:
    body = f"{sentence(15)} {sentence(15)}"
    document = parse(
        f"# Top\n\n{body}\n\n## One\n\n{body}\n\n## Two\n\n### Deep\n\n{body}\n", "a.md"
    )
    chunks = chunk_document(document, toy, max_tokens=40, window=80)
    assert texts(document, chunks) == [
        f"# Top\n\n{body}",
        f"## One\n\n{body}",
        f"## Two\n\n### Deep\n\n{body}",
    ]
    assert [chunk.context for chunk in chunks] == ["", "Top", "Top"]


def test_small_sections_are_put_together(parse: Parse, toy: Tokenizer) -> None:
    small = sentence(5)
    document = parse(
        f"# Top\n\n## One\n\n{small}\n\n## Two\n\n{small}\n\n## Three\n\n{small}", "a.md"
    )
    chunks = chunk_document(document, toy, max_tokens=60, window=80)
    assert len(chunks) == 1
    large = sentence(40)
    document = parse(f"# Top\n\n{small}\n\n# Next\n\n{large}\n\n# Last\n\n{small}", "a.md")
    chunks = chunk_document(document, toy, max_tokens=60, window=80)
    assert [text.split("\n")[0] for text in texts(document, chunks)] == ["# Top", "# Last"]


def test_long_text_is_cut_evenly_at_sentences(parse: Parse, toy: Tokenizer) -> None:
    sentences = [sentence(10, name) for name in ("ab", "cd", "ef", "gh", "ij", "kl")]
    document = parse(" ".join(sentences), "a.txt")
    chunks = chunk_document(document, toy, max_tokens=50, window=80)
    assert texts(document, chunks) == [" ".join(sentences[:3]), " ".join(sentences[3:])]


def test_overlap_repeats_whole_sentences(parse: Parse, toy: Tokenizer) -> None:
    sentences = [sentence(10, name) for name in ("ab", "cd", "ef", "gh", "ij", "kl")]
    document = parse(" ".join(sentences), "a.txt")
    chunks = chunk_document(document, toy, max_tokens=50, overlap=12, window=80)
    parts = texts(document, chunks)
    assert len(parts) > 1
    for before, after in pairwise(parts):
        repeated = next(name for name in sentences if after.startswith(name))
        assert before.endswith(repeated)
    none = chunk_document(document, toy, max_tokens=50, overlap=9, window=80)
    for earlier, later in pairwise(none):
        assert earlier.end <= later.start, "a sentence that does not fit is not cut for it"


def test_rows_are_whole_and_know_their_header(parse: Parse, toy: Tokenizer) -> None:
    rows = "\n".join(f"name {n},{sentence(8)},{n}" for n in range(20))
    document = parse(f"who,what,number\n{rows}", "people.csv")
    chunks = chunk_document(document, toy, max_tokens=50, window=80)
    lines = document.text.split("\n")
    assert [line for text in texts(document, chunks) for line in text.split("\n")] == lines
    assert chunks[0].context == "people.csv"
    assert {chunk.context for chunk in chunks} == {"people.csv"}
    assert {chunk.header for chunk in chunks[1:]} == {"| who | what | number |"}


def test_lines_of_code_are_whole_unless_one_exceeds_the_window(
    parse: Parse, toy: Tokenizer
) -> None:
    long = "x = [" + ", ".join(["1"] * 30) + "]"
    huge = "y = [" + ", ".join(["1"] * 200) + "]"
    document = parse(f"def f():\n    pass\n\n\n{long}\n{huge}\nz = 1\n", "a.py")
    chunks = chunk_document(document, toy, max_tokens=40, window=80)
    parts = texts(document, chunks)
    assert len(toy.offsets(long)) > 40
    assert long in parts
    assert "def f():\n    pass" in parts
    pieces = [part for part in parts if part not in (long, "def f():\n    pass")]
    assert "".join(pieces).replace("\n", "").replace(" ", "") == (huge + "z=1").replace(" ", "")
    assert all(len(toy.offsets(piece)) <= 40 for piece in pieces)


def test_blocks_of_code_are_kept_together(parse: Parse, toy: Tokenizer) -> None:
    functions = [f"def f{n}(a):\n    b = a + {n}\n    return b" for n in range(6)]
    document = parse("\n\n\n".join(functions), "a.py")
    chunks = chunk_document(document, toy, max_tokens=40, window=80)
    for function in functions:
        assert any(function in text for text in texts(document, chunks))


def test_a_chunk_knows_its_page(toy: Tokenizer) -> None:
    first, second = sentence(30), sentence(30)
    text = f"{first}\n\n{second}"
    spans = [
        Span(SpanKind.PAGE, 0, len(first), 1),
        Span(SpanKind.PAGE, len(first) + 2, len(text), 3),
    ]
    document = make_document(text, "t", "application/pdf", spans)
    chunks = chunk_document(document, toy, max_tokens=40, window=80)
    assert [chunk.page for chunk in chunks] == [1, 3]


def test_a_context_is_short_and_says_nothing_twice(parse: Parse, toy: Tokenizer) -> None:
    body = " ".join([sentence(20)] * 4)
    long = " ".join(["heading"] * 30)
    document = parse(f"# Top\n\n## {long}\n\n### top\n\n#### Sub\n\n{body}", "a.md")
    last = chunk_document(document, toy, max_tokens=40, window=80)[-1]
    assert last.context == "Top > Sub"


def test_wrong_sizes_are_refused(parse: Parse, toy: Tokenizer) -> None:
    document = parse("text", "a.txt")
    for max_tokens, overlap in ((0, 0), (10, 10), (10, -1)):
        with pytest.raises(ValueError, match="overlap"):
            chunk_document(document, toy, max_tokens=max_tokens, overlap=overlap, window=80)


class Counting:
    """Counts the code points that it is given."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self.read = 0

    def offsets(self, text: str) -> list[tuple[int, int]]:
        self.read += len(text)
        return self._tokenizer.offsets(text)


@pytest.mark.parametrize("separator", [" ", "\n", "\n\n", ""])
def test_a_text_is_tokenised_a_bounded_number_of_times(toy: Tokenizer, separator: str) -> None:
    text = separator.join(["some words here."] * 20_000)
    document = make_document(text, "t", "text/plain", [])
    counting = Counting(toy)
    chunks = chunk_document(document, counting, max_tokens=100, window=120)
    check(document, chunks, toy, 100, 0, 120)
    assert counting.read < 5 * len(text)


@given(st.text(alphabet="ab \n\u200b😀", max_size=400), st.integers(0, 400), st.integers(0, 400))
def test_counts_are_those_of_the_tokenizer(text: str, start: int, end: int) -> None:
    toy = Toy()
    index = TokenIndex(text, toy)
    assert list(index.starts) == sorted(index.starts)
    inside = [one for one, _ in toy.offsets(text) if start <= one < end]
    if len(text) < 64 and start < end:
        assert index.count(start, end) == max(1, len(inside))
    assert index.count(start, end) >= len(inside)
