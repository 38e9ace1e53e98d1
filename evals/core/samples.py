"""Samples: what is asked, and what would be right."""

from typing import Any

import msgspec


class Sample(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing to do and what counts as right.

    Attributes:
        id: unique within its dataset.
        input: the question or task.
        targets: answers that are right, any of them; empty where none is known or none exists.
        group: what other samples share that makes them alike, such as their document or their
            conversation; empty is a group of its own. Intervals are clustered by it.
        data: whatever the dataset's scorers need beside, such as judgements; JSON.
    """

    id: str
    input: str
    targets: list[str] = []
    group: str = ""
    data: dict[str, Any] = {}


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """Records of a dataset that cannot be used, and why.

    Attributes:
        reason: the same words for the same trouble.
        count: how many records.
        examples: where some of them stand.
    """

    reason: str
    count: int
    examples: list[str] = []
