"""Lines found in blocks, against splitting the whole text."""

import asyncio
import itertools

from hypothesis import given
from hypothesis import strategies as st

from mcp_servers.knowledge.lines import Reader, count_line_ends, line_starts

texts = st.text(st.sampled_from("ab\n🏺"), max_size=40)


def reader(text: str) -> Reader:
    async def read(start: int, end: int) -> str:
        return text[start:end]

    return read


@given(texts, st.integers(1, 12), st.one_of(st.none(), st.integers(1, 12)), st.integers(1, 9))
def test_line_starts_are_those_of_the_whole_text(
    text: str, first: int, more: int | None, block: int
) -> None:
    past = None if more is None else first + more
    lines = text.splitlines(keepends=True)
    starts = [0, *itertools.accumulate(map(len, lines))]
    expected = [
        len(text) if line is None or line > len(starts) else starts[line - 1]
        for line in (first, past)
    ]
    found = asyncio.run(line_starts(reader(text), len(text), first, past, block=block))
    assert list(found) == expected
    assert text[found[0] : found[1]] == "".join(
        lines[first - 1 : None if past is None else past - 1]
    )


@given(texts, st.integers(0, 40), st.integers(1, 9))
def test_line_ends_are_counted_before_a_code_point(text: str, end: int, block: int) -> None:
    counted = asyncio.run(count_line_ends(reader(text), end, block=block))
    assert counted == text[:end].count("\n")
