"""What an example is."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from evals.training.pages import Passage


class Example(msgspec.Struct, frozen=True):
    """A question over passages.

    Attributes:
        kind: how it was made, e.g. `cloze`, `heading`, `reading`.
        question: in words.
        passages: places in the set's passages; the first one answers, unless `gold` is empty.
        gold: sentences of the first passage, any of which answers.
    """

    kind: str
    question: str
    passages: list[int]
    gold: list[int]


@dataclass(frozen=True, slots=True)
class ExampleSet:
    """Examples over shared passages.

    Attributes:
        train: none of them has a passage that is held out.
        validation: all of them have only passages that are held out.
    """

    passages: list[Passage]
    train: list[Example]
    validation: list[Example]


def first_of_each_kind(examples: Sequence[Example], most: int) -> list[Example]:
    """At most so many examples of each kind, in their order."""
    seen: Counter[str] = Counter()
    kept = []
    for one in examples:
        seen[one.kind] += 1
        if seen[one.kind] <= most:
            kept.append(one)
    return kept


def without_sentences(passage: Passage, numbers: list[int]) -> Passage:
    """A passage with some of its sentences cut out; the spans are those of the others."""
    kept: list[str] = []
    spans: list[tuple[int, int]] = []
    at = length = 0
    for number, (start, end) in enumerate(passage.spans):
        kept.append(passage.text[at:start])
        length += start - at
        if number not in numbers:
            kept.append(passage.text[start:end])
            spans.append((length, length + end - start))
            length += end - start
        at = end
    kept.append(passage.text[at:])
    return msgspec.structs.replace(passage, text="".join(kept), spans=spans)
