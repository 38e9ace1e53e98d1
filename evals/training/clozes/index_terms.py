"""Terms of a book's index, each with the pages that it points to.

Read from the HTML of the documentation packages: PostgreSQL's bookindex.html and Sphinx's
genindex-all.html. What always holds: a term is of one page only, so that it can be asked for.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lxml import html

from evals.training.clozes.words import content_words
from evals.training.holdout import page_name

_INDEXES = ("bookindex.html", "genindex-all.html")
_IN = re.compile(r"\s*\((?:in module |module|class in |built-in )?([\w.]*)[^)]*\)")
_BRACKETS = re.compile(r"\s*\([^)]*\)")
_FEWEST_LETTERS = 4


@dataclass(frozen=True, slots=True)
class IndexTerm:
    """See this module.

    Attributes:
        term: in words, a subentry before the entry it stands under.
        page: its page's name; see `page_name`.
    """

    term: str
    page: str


def read_index_terms(docs: Sequence[Path]) -> list[IndexTerm]:
    """The terms of the indexes in some folders, sorted; folders without an index are left out."""
    pages: dict[str, set[str]] = defaultdict(set)
    for folder in docs:
        for name in _INDEXES:
            path = folder / name
            if not path.is_file():
                continue
            for term, target in _entries(path):
                uri = (folder / target.partition("#")[0]).absolute().as_uri()
                pages[term].add(page_name(uri))
    return sorted(
        (IndexTerm(term, next(iter(found))) for term, found in pages.items() if len(found) == 1),
        key=lambda one: (one.term, one.page),
    )


def _entries(path: Path) -> Iterator[tuple[str, str]]:
    """(term, address) of each entry."""
    tree = html.fromstring(path.read_bytes())
    for link in tree.xpath("//dt//a[@href] | //table//li/a[@href]"):
        address = str(link.get("href"))
        if address.startswith(("#", "http")):
            continue
        own = _own_text(link)
        above = _above(link)
        term = f"{own} {above}".strip() if above else own
        if len(term) >= _FEWEST_LETTERS and content_words(term):
            yield term, address


def _own_text(link: html.HtmlElement) -> str:
    item = link.getparent()
    # DocBook writes the term before the link, Sphinx into it.
    before = (item.text or "") if item is not None and item.tag == "dt" else ""
    return _plain(before or link.text_content())


def _above(link: html.HtmlElement) -> str:
    """The entry under which this one stands."""
    item = link.getparent()
    if item is not None and item.tag == "dt":
        group = item.getparent().getparent()
        if group is not None and group.tag == "dd":
            entry = group.getprevious()
            return _plain(entry.text or "") if entry is not None else ""
        return ""
    group = item.getparent() if item is not None else None
    entry = group.getparent() if group is not None else None
    if entry is None or entry.tag != "li":
        return ""
    first = entry.find("a")
    named = str(first.text_content() if first is not None else entry.text or "")
    # `(socket.socket method)` below `close() (os)` is of that class and not of that module.
    return _plain(_BRACKETS.sub("", named) if link.text_content().startswith("(") else named)


def _plain(text: str) -> str:
    """Without what only says where it is, and without marks."""
    text = _IN.sub(r" \1", text)
    return " ".join(text.replace("()", " ").replace(",", " ").split()).strip()
