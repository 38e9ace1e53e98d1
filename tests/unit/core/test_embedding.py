"""An embedding space's fingerprint: the same exactly for spaces whose vectors are the same."""

from dataclasses import replace
from typing import Any

import pytest

from rostra.core import EmbeddingSpace

SPACE = EmbeddingSpace("some/model", "ab" * 32, 384, "cd" * 32, "query: ", "passage: ")


def test_the_name_of_the_model_is_no_part() -> None:
    assert replace(SPACE, model="/elsewhere").fingerprint == SPACE.fingerprint


@pytest.mark.parametrize(
    "change",
    [
        {"revision": "ef" * 32},
        {"dimensions": 256},
        {"rotation": ""},
        {"query_prompt": ""},
        {"document_prompt": "query: "},
        {"query_prompt": "passage: ", "document_prompt": "query: "},
    ],
)
def test_everything_else_is(change: dict[str, Any]) -> None:
    assert replace(SPACE, **change).fingerprint != SPACE.fingerprint


def test_it_is_stable_across_versions() -> None:
    assert SPACE.fingerprint == "84a8cc7aa96ff0be9a86181c0ab594d6"
