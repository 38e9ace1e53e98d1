"""Makes a set for `rostra eval run chunking` of reading-comprehension questions.

`python scripts/reading_chunks.py READING.jsonl FOLDER` reads lines of question, passage, answers
and source. Passages of one source that overlap, end to beginning, are put together again into the
document that they were taken from; paragraphs of xquad, five to an article, into articles. A
reference is the sentences that the first answer stands in. A document that shares text with a
longer one is left out, so that no answer stands in two places.
"""

import csv
import json
import sys
from collections.abc import Iterator
from pathlib import Path

from rostra.core import sentence_spans

_LEAST_CHARS = 1200
_BEGINNING = 50
_SHINGLE = 40
_ARTICLE_PARAGRAPHS = 5
_LONGEST_REFERENCE = 700
Document = tuple[str, dict[str, int]]  # its text, and where each passage begins in it


def articles(passages: list[str]) -> list[Document]:
    """Documents of some paragraphs each, in the order given."""
    made = []
    for first in range(0, len(passages), _ARTICLE_PARAGRAPHS):
        text, starts = "", {}
        for passage in passages[first : first + _ARTICLE_PARAGRAPHS]:
            text += "\n\n" if text else ""
            starts[passage] = len(text)
            text += passage
        made.append((text, starts))
    return made


def stitched(passages: list[str]) -> list[Document]:
    """Documents of passages that overlap, the longest first."""
    by_beginning: dict[str, list[str]] = {}
    for passage in passages:
        by_beginning.setdefault(passage[:_BEGINNING], []).append(passage)
    after: dict[str, tuple[str, int]] = {}
    for passage in passages:
        for at in range(1, len(passage) - 30):
            begun = by_beginning.get(passage[at : at + _BEGINNING], ())
            fits = [
                one for one in begun if one != passage and one.startswith(passage[at:][: len(one)])
            ]
            if fits:
                after[passage] = (fits[0], at)
                break
    followers = {one for one, _ in after.values()}
    chains = [chain(first, after) for first in passages if first not in followers]
    known: set[str] = set()
    made = []
    for text, starts in sorted(chains, key=lambda one: -len(one[0])):
        shingles = {text[at : at + _SHINGLE] for at in range(len(text) - _SHINGLE)}
        if len(text) >= _LEAST_CHARS and len(shingles & known) <= 0.01 * len(shingles):
            known |= shingles
            made.append((text, starts))
    return made


def chain(first: str, after: dict[str, tuple[str, int]]) -> Document:
    """A passage and what follows it, as one text."""
    text, starts, base, passage = first, {first: 0}, 0, first
    while passage in after and after[passage][0] not in starts:
        passage, shift = after[passage]
        base += shift
        starts[passage] = base
        if base + len(passage) > len(text):
            text = text[:base] + passage
    return text, starts


def questions(
    name: str, document: Document, rows: list[dict[str, str]]
) -> Iterator[dict[str, str]]:
    """The questions about a document, each once."""
    text, starts = document
    sentences = sentence_spans(text)
    asked = set()
    for row in rows:
        base = starts.get(row["passage"])
        if base is None or row["question"] in asked:
            continue
        asked.add(row["question"])
        at = row["passage"].find(row["answers"][0])
        start, end = base + at, base + at + len(row["answers"][0])
        if at < 0 or text[start:end] != row["answers"][0]:
            continue
        around = [one for one in sentences if one[1] > start and one[0] < end]
        wide = min(start, around[0][0]), max(end, around[-1][1])
        if wide[1] - wide[0] <= _LONGEST_REFERENCE:
            start, end = wide
        reference = {"content": text[start:end], "start_index": start, "end_index": end}
        yield {
            "question": row["question"],
            "references": json.dumps([reference]),
            "corpus_id": name,
        }


def main(source: Path, folder: Path) -> None:
    rows = [json.loads(line) for line in source.read_text(encoding="utf-8").splitlines()]
    (folder / "corpora").mkdir(parents=True)
    is_article = {row["passage"]: row["source"].startswith("xquad") for row in rows}
    made = {
        "x": articles([passage for passage, whole in is_article.items() if whole]),
        "c": stitched([passage for passage, whole in is_article.items() if not whole]),
    }
    with (folder / "questions_df.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ["question", "references", "corpus_id"])
        writer.writeheader()
        for kind, documents in made.items():
            digits = len(str(len(documents)))
            for number, document in enumerate(documents):
                name = f"{kind}{number:0{digits}}"
                (folder / "corpora" / f"{name}.md").write_text(document[0], encoding="utf-8")
                writer.writerows(questions(name, document, rows))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
