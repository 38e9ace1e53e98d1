"""Kernels that cut texts into pieces and number them; see `rostra.retrieval.lexical.compiling`."""

import numpy as np
import numpy.typing as npt

from rostra.retrieval.lexical.compiling import compiled

Octets = npt.NDArray[np.uint8]
Numbers = npt.NDArray[np.int32]
Offsets = npt.NDArray[np.int64]
Hashes = npt.NDArray[np.uint64]


@compiled
def number_pieces(
    text: Octets,
    starts: Offsets,
    kinds: Octets,
    row: int,
    known: int,
    slots: Numbers,
    hashes: Hashes,
    spelled: Octets,
    ends: Offsets,
    pieces: Numbers,
    piece_starts: Offsets,
) -> tuple[int, int]:
    """Numbers the pieces of texts from `row` on, until there is no room for all of one more.

    Args:
        text: UTF-8 of all texts, one after another.
        starts: where each starts.
        kinds: what each byte becomes; 0 where it stands between pieces.
        row: the first text to be cut.
        known: how many pieces have a number.
        slots: open addressing by hash, twice as many as pieces at least, a power of two; -1 is
            nothing.
        hashes: of the pieces.
        spelled: their bytes, one after another.
        ends: [known + 1], where each ends, after a leading 0.
        pieces: what the texts are made of, by number.
        piece_starts: where each text's begin.

    Returns:
        The first text that was not cut, and how many pieces are known by then.
    """
    last = len(slots) - 1
    while row < len(starts) - 1:
        begin, stop = starts[row], starts[row + 1]
        most = known + (stop - begin + 1) // 2
        if 2 * most > len(slots) or most + 1 > len(ends) or most > len(hashes):
            break
        if ends[known] + stop - begin > len(spelled):
            break
        written = piece_starts[row]
        at = begin
        while at < stop:
            if kinds[text[at]] == 0:
                at += 1
                continue
            # Spelled where a new one would stand: it stays there if it is one.
            to = ends[known]
            value = np.uint64(14695981039346656037)  # FNV-1a
            while at < stop:
                octet = kinds[text[at]]
                if octet == 0:
                    break
                spelled[to] = octet
                value = (value ^ np.uint64(octet)) * np.uint64(1099511628211)
                to += 1
                at += 1
            width = to - ends[known]
            value ^= value >> np.uint64(32)
            slot = np.int64(value & np.uint64(last))
            number = -1
            while slots[slot] >= 0:
                other = slots[slot]
                if hashes[other] == value and ends[other + 1] - ends[other] == width:
                    same = True
                    for offset in range(width):
                        if spelled[ends[other] + offset] != spelled[ends[known] + offset]:
                            same = False
                            break
                    if same:
                        number = other
                        break
                slot = (slot + 1) & last
            if number < 0:
                number = known
                slots[slot] = number
                hashes[number] = value
                ends[number + 1] = to
                known += 1
            pieces[written] = number
            written += 1
        row += 1
        piece_starts[row] = written
    return row, known


@compiled
def fill_slots(hashes: Hashes, known: int, slots: Numbers) -> None:
    """Enters the first pieces into an empty table."""
    last = len(slots) - 1
    for number in range(known):
        slot = np.int64(hashes[number] & np.uint64(last))
        while slots[slot] >= 0:
            slot = (slot + 1) & last
        slots[slot] = number


@compiled
def count_tokens(
    pieces: Numbers, piece_starts: Offsets, first_term: Offsets, starts: Offsets
) -> None:
    """Where each text's tokens start.

    Args:
        first_term: [pieces + 1], where each piece's terms start.
    """
    total = 0
    for row in range(len(piece_starts) - 1):
        for at in range(piece_starts[row], piece_starts[row + 1]):
            piece = pieces[at]
            total += first_term[piece + 1] - first_term[piece]
        starts[row + 1] = total


@compiled
def write_tokens(
    pieces: Numbers,
    total: int,
    first_term: Offsets,
    terms: Numbers,
    places: Numbers,
    seen: Numbers,
    tokens: Numbers,
) -> int:
    """The texts' tokens, by places in a list of the terms that occur, as they come.

    Args:
        total: pieces.
        first_term: [pieces + 1], where each piece's terms start in `terms`.
        terms: the pieces' terms.
        places: by term, -1 at first: its place in that list.
        seen: that list.
        tokens: to be written.

    Returns:
        How long the list is.
    """
    distinct = 0
    to = 0
    for at in range(total):
        piece = pieces[at]
        for entry in range(first_term[piece], first_term[piece + 1]):
            term = terms[entry]
            if places[term] < 0:
                places[term] = distinct
                seen[distinct] = term
                distinct += 1
            tokens[to] = places[term]
            to += 1
    return distinct
