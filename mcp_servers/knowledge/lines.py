"""Lines of a stored text, found by reading it in blocks: code points from line numbers and back.

What always holds: lines count from 1 and end at a newline; a text that ends with one has no line
after it; no more than a block of the text is held at once.
"""

from collections.abc import Awaitable, Callable

Reader = Callable[[int, int], Awaitable[str]]
"""Gives the code points `[start, end)` of a text."""

_BLOCK = 1_000_000


async def line_starts(
    read: Reader, length: int, first: int, past: int | None, *, block: int = _BLOCK
) -> tuple[int, int]:
    """Where two lines begin, in code points; `length` for a line past the last.

    Args:
        read: the text.
        length: its code points.
        first: a line.
        past: a line after it; None for the end of the text.
        block: code points read at once.
    """
    wanted = [line - 1 for line in (first, past) if line is not None]
    starts: list[int] = []
    at, seen = 0, 0  # code points read, and the line ends among them
    while len(starts) < len(wanted) and at <= length:
        text = await read(at, at + block)
        ends = text.count("\n")
        while len(starts) < len(wanted) and wanted[len(starts)] <= seen + ends:
            starts.append(at + _after_line_end(text, wanted[len(starts)] - seen))
        at, seen = at + block, seen + ends
    starts += [length] * (2 - len(starts))
    return starts[0], starts[1]


async def count_line_ends(read: Reader, end: int, *, block: int = _BLOCK) -> int:
    """The line ends before a code point."""
    count = 0
    for at in range(0, end, block):
        count += (await read(at, min(end, at + block))).count("\n")
    return count


def _after_line_end(text: str, number: int) -> int:
    """Where the text goes on after its n-th line end; 0 for n = 0."""
    at = 0
    for _ in range(number):
        at = text.index("\n", at) + 1
    return at
