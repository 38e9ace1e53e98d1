"""All chunkers by what always holds, and each by what it is for."""

from collections.abc import Callable, Sequence
from hashlib import sha256

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rostra.core import EmbeddingSpace, FloatMatrix, FloatVector, Part, Settings, Tokenizer
from rostra.ingest.builder import make_document
from rostra.ingest.chunking import (
    Chunk,
    Chunker,
    StructureChunker,
    chunk_inputs,
    chunking_facts,
    late_part,
    make_chunker,
)
from rostra.ingest.chunking.code import CodeChunker
from rostra.ingest.chunking.fixed import FixedChunker
from rostra.ingest.chunking.parents import ParentChunker
from rostra.ingest.chunking.recursive import RecursiveChunker
from rostra.ingest.chunking.semantic import SemanticChunker
from rostra.ingest.document import ParsedDocument, Span, SpanKind
from rostra.ingest.tokens import TokenIndex

Parse = Callable[[bytes | str, str], ParsedDocument]
WINDOW = 60


class ToyEmbedder:
    """A vector by a text's first words; counts like the toy tokenizer."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        self.max_tokens = WINDOW

    @property
    def space(self) -> EmbeddingSpace:
        return EmbeddingSpace("toy", "0", 8)

    def embed_documents(
        self, texts: Sequence[str], on_batch: Callable[[int], None] | None = None
    ) -> FloatMatrix:
        rows = [self.embed_query(text) for text in texts]
        return np.stack(rows) if rows else np.zeros((0, 8), np.float32)

    def embed_query(self, text: str) -> FloatVector:
        """The same for texts that begin with the same topic, else a hash's."""
        topic = text.split(" ")[0]
        seed = int.from_bytes(sha256(topic.encode()).digest()[:4], "big")
        vector = np.random.default_rng(seed).standard_normal(8)
        unit: FloatVector = (vector / np.linalg.norm(vector)).astype(np.float32)
        return unit


@pytest.fixture(scope="module")
def embedder(toy: Tokenizer) -> ToyEmbedder:
    return ToyEmbedder(toy)


def chunkers(embedder: ToyEmbedder, size: int, overlap: int) -> dict[str, tuple[Chunker, int]]:
    """Every chunker, with the most tokens that it may repeat."""
    toy = embedder.tokenizer
    structure = StructureChunker(toy, size, 0, WINDOW)
    return {
        "fixed": (FixedChunker(toy, size, overlap), overlap),
        "recursive": (RecursiveChunker(toy, size, overlap), overlap),
        "semantic": (SemanticChunker(embedder, size), 0),
        "code": (CodeChunker(toy, size, structure), 0),
        "parents": (ParentChunker(structure, StructureChunker(toy, 50, 0, WINDOW)), 0),
    }


def check(
    document: ParsedDocument,
    chunks: Sequence[Chunk],
    tokenizer: Tokenizer,
    size: int,
    overlap: int,
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
            assert len(tokenizer.offsets(text[chunk.start : reached])) <= overlap
        reached = chunk.end
        count = len(tokenizer.offsets(part))
        assert count <= size or ("\n" not in part and count <= WINDOW)
        assert len(tokenizer.offsets(chunk.context)) <= 40
        if chunk.parent is not None:
            assert chunk.parent[0] <= chunk.start
            assert chunk.parent[1] >= chunk.end
            assert chunk.parent != (chunk.start, chunk.end)
    assert not text[reached:].strip()


PIECES = st.sampled_from(
    ["a", "word", "longerword", "End.", "one, two", "x" * 70, "é😀", "今日は。", "def f(x):",
     "class A:", "return {", "}", "# note", "@mark", '"""', "(", ";"]
) | st.sampled_from(["\n", "\n\n", " ", "    ", "\n    ", ". "])  # fmt: skip
LANGUAGES = ["text/plain", *(f"text/x-source-{one}" for one in ("python", "cpp", "go", "klingon"))]


@settings(max_examples=60, deadline=None)
@given(st.lists(PIECES, max_size=60), st.sampled_from(LANGUAGES), st.integers(4, 30))
@example(["x" * 3000, " ", "ab_" * 400], "text/plain", 16)
@example(["{" * 500], "text/x-source-cpp", 8)
@example(["def f(x):", "\n    ", "x" * 300, "\n"], "text/x-source-python", 10)
def test_what_always_holds(
    embedder: ToyEmbedder, pieces: list[str], media_type: str, size: int
) -> None:
    text = "".join(pieces)
    spans = [] if media_type == "text/plain" else [Span(SpanKind.CODE, 0, len(text))]
    document = make_document(text, "a title", media_type, spans)
    overlap = size // 3
    for name, (chunker, repeated) in chunkers(embedder, size, overlap).items():
        chunks = chunker.chunk(document)
        check(document, chunks, embedder.tokenizer, size, repeated)
        assert chunks == chunker.chunk(document), name


def texts(document: ParsedDocument, chunks: Sequence[Chunk]) -> list[str]:
    return [document.text[chunk.start : chunk.end] for chunk in chunks]


def test_fixed_windows_are_full_and_overlap(toy: Tokenizer) -> None:
    words = [f"w{number:03}" for number in range(100)]
    document = make_document(" ".join(words), "t", "text/plain", [])
    chunks = FixedChunker(toy, 20, 5).chunk(document)
    starts = [text.split(" ")[0] for text in texts(document, chunks)]
    assert starts == [f"w{number:03}" for number in range(0, 91, 15)]
    assert all(len(text.split(" ")) == 20 for text in texts(document, chunks)[:-1])


def test_recursive_prefers_the_coarsest_separator(toy: Tokenizer) -> None:
    one, two, three = ("The one thing. " * 2).strip(), "Short two.", "And a third part here."
    document = make_document(f"{one}\n\n{two}\n\n{three}", "t", "text/plain", [])
    found = texts(document, RecursiveChunker(toy, 15).chunk(document))
    assert found == [f"{one}\n\n{two}", three]


def test_semantic_cuts_where_the_topic_changes(embedder: ToyEmbedder) -> None:
    sentences = [f"Cats eat {n} fish." for n in range(6)]
    sentences += [f"Stars shine {n} times." for n in range(6)]
    document = make_document(" ".join(sentences), "t", "text/plain", [])
    chunks = SemanticChunker(embedder, 60).chunk(document)
    assert texts(document, chunks) == [" ".join(sentences[:6]), " ".join(sentences[6:])]


PYTHON = '''"""A module."""

import os


@cached
def first(value):
    """Doubles é."""
    return value * 2


class Store:
    """Keeps things."""

    def __init__(self, path):
        self.path = path

    def get(self, key):
        # Looked up anew.
        with open(os.path.join(self.path, key)) as file:
            return file.read()
'''


def test_code_keeps_functions_whole_and_says_what_they_are_in(parse: Parse, toy: Tokenizer) -> None:
    document = parse(PYTHON, "store.py")
    chunker = CodeChunker(toy, 50, StructureChunker(toy, 50, 0, 80))
    chunks = chunker.chunk(document)
    found = texts(document, chunks)
    (first,) = (one for one in found if "def first" in one)
    assert "@cached\ndef first" in first
    assert first.endswith("return value * 2")
    (get,) = (chunk for chunk in chunks if "def get" in document.text[chunk.start : chunk.end])
    assert document.text[get.start : get.end].startswith("def get")
    assert document.text[get.start : get.end].endswith("file.read()")
    assert get.context == "store.py > class Store"


@pytest.mark.parametrize(
    ("name", "source", "whole", "scope"),
    [
        ("a.ts", "class A {\n  one() { return 1 + 1 }\n\n  two() {\n    return [2, 2]\n  }\n}\n",
         "two() {\n    return [2, 2]\n  }", "class A"),
        ("a.go", "package a\n\nfunc One() int {\n\treturn 1\n}\n\n// Two it is.\nfunc Two() int "
         "{\n\treturn 2\n}\n", "// Two it is.\nfunc Two() int {\n\treturn 2\n}", ""),
        ("a.rs", "impl Thing {\n    fn one(&self) -> i32 { 1 }\n\n    fn two(&self) -> i32 {\n"
         "        22222222\n    }\n}\n", "fn two(&self) -> i32 {\n        22222222\n    }",
         "impl Thing"),
        ("a.rb", f"class A\n  def one\n    {'1' * 28}\n  end\n\n  def two\n    {'2' * 28}\n"
         "  end\nend\n", f"def two\n    {'2' * 28}\n  end", "class A"),
    ],
)  # fmt: skip
def test_code_in_other_languages(
    parse: Parse, toy: Tokenizer, name: str, source: str, whole: str, scope: str
) -> None:
    document = parse(source, name)
    chunks = CodeChunker(toy, 22, StructureChunker(toy, 22, 0, 80)).chunk(document)
    (found,) = (c for c in chunks if whole.split("\n")[0] in document.text[c.start : c.end])
    assert whole in document.text[found.start : found.end]
    assert found.context == " > ".join(filter(None, (name, scope)))


def test_code_without_a_grammar_is_cut_by_structure(parse: Parse, toy: Tokenizer) -> None:
    structure = StructureChunker(toy, 20, 0, 60)
    document = parse("prose about nothing. " * 30, "a.txt")
    assert CodeChunker(toy, 20, structure).chunk(document) == structure.chunk(document)


def test_parents_hold_their_chunks(parse: Parse, toy: Tokenizer) -> None:
    document = parse("\n\n".join(f"Paragraph {n} has a few words." for n in range(12)), "a.txt")
    chunker = ParentChunker(StructureChunker(toy, 12, 0, 60), StructureChunker(toy, 45, 0, 60))
    chunks = chunker.chunk(document)
    parents = {chunk.parent for chunk in chunks}
    assert None not in parents
    assert 1 < len(parents) < len(chunks)


WORDS = st.sampled_from(
    ["a", "word", "longerword", "End.", "x" * 30, "é😀", "\n\n", " ", "# Top\n\n"]
)


@settings(max_examples=60, deadline=None)
@given(st.lists(WORDS, max_size=60), st.integers(4, 20), st.booleans())
def test_a_late_chunk_is_read_with_its_headings_and_neighbours(
    toy: Tokenizer, pieces: list[str], size: int, headers: bool
) -> None:
    document = make_document(" ".join(pieces), "a title", "text/plain", [])
    chosen = Settings(chunker="late", chunk_tokens=max(16, size), chunk_headers=headers)
    embedder = ToyEmbedder(toy)
    chunks = chunk_inputs(document, chosen, embedder)
    for one in chunks:
        part = one.content
        assert isinstance(part, Part)
        own = document.text[one.chunk.start : one.chunk.end]
        assert part.text[part.start : part.end] == own
        head = f"{one.chunk.context}\n" if one.chunk.context else ""
        assert part.text.startswith(head)
        assert part.text[len(head) :] in document.text
        assert len(toy.offsets(part.text)) <= max(WINDOW, len(toy.offsets(own)))
    if chunks and len(toy.offsets("a title\n" + document.text)) <= WINDOW:
        for one in chunks:
            assert isinstance(one.content, Part)
            read = one.content.text.strip()
            assert read.endswith(document.text.strip()), "what fits is read whole"


def test_a_late_chunk_stands_in_the_middle(toy: Tokenizer) -> None:
    words = [f"w{number:02}" for number in range(90)]
    document = make_document(" ".join(words), "", "text/plain", [])
    chunk = Chunk(40 * 4, 50 * 4 - 1, None, "")
    part = late_part(document.text, TokenIndex(document.text, toy), chunk, toy, 30)
    assert part.text.split() == words[30:60]
    first = Chunk(0, 39, None, "")
    part = late_part(document.text, TokenIndex(document.text, toy), first, toy, 30)
    assert part.text.split() == words[:30]


def test_keys_of_late_chunks_depend_on_what_stands_beside_them(
    settings: Settings, embedder: ToyEmbedder
) -> None:
    late = settings.model_copy(update={"chunker": "late", "chunk_tokens": 16})
    made = [
        chunk_inputs(make_document(text, "t", "text/plain", []), late, embedder)
        for text in ("It is red and it is round. " * 4, "It is red and it is round. " * 4 + "End.")
    ]
    assert made[0][0].chunk == made[1][0].chunk
    assert made[0][0].key != made[1][0].key


@pytest.mark.parametrize(
    "changed",
    [
        {"chunker": "recursive"},
        {"chunk_headers": False},
        {"chunk_parent_tokens": 400},
        {"chunker": "late"},
    ],
)
def test_what_decides_chunks_is_in_the_recipe(
    settings: Settings, embedder: ToyEmbedder, changed: dict[str, object]
) -> None:
    other = settings.model_copy(update=changed)
    assert chunking_facts(other, embedder) != chunking_facts(settings, embedder)


def test_headers_can_be_left_out(settings: Settings, embedder: ToyEmbedder, parse: Parse) -> None:
    document = parse("# Top\n\n" + "Some words here. " * 40, "a.md")
    plain = settings.model_copy(update={"chunk_headers": False, "chunk_tokens": 30})
    assert {one.chunk.context for one in chunk_inputs(document, plain, embedder)} == {""}
    headed = settings.model_copy(update={"chunk_tokens": 20})
    assert "Top" in {one.chunk.context for one in chunk_inputs(document, headed, embedder)}


@pytest.mark.parametrize("name", ["structure", "code", "recursive", "fixed", "semantic", "late"])
def test_every_name_is_a_chunker(
    settings: Settings, embedder: ToyEmbedder, parse: Parse, name: str
) -> None:
    chosen = settings.model_copy(update={"chunker": name, "chunk_tokens": 20})
    document = parse("Words that fill a few lines. " * 20, "a.txt")
    chunks = make_chunker(chosen, embedder).chunk(document)
    check(document, chunks, embedder.tokenizer, 20, 0)
