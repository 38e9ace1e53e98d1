"""Several neighbouring segments become one; which ones, and how.

Tiered: segments of about the same size wait until there are `_FAN` of them, so that each chunk is
rewritten a logarithmic number of times. Positions never change: a row that was dead keeps its place
and holds nothing.

Source of the policy: O'Neil et al., "The log-structured merge-tree", 1996, with the tiers of
Lucene's TieredMergePolicy held to neighbours.
"""

import errno
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from rostra.retrieval.lexical.runs import spread
from rostra.retrieval.lexical.scoring import Mask
from rostra.retrieval.lexical.segment import (
    BLOCK,
    Segment,
    SegmentEntry,
    block_starts,
    just_written,
)
from rostra.retrieval.lexical.storage import Array, writing

# Segments of one tier that are merged, and how much larger the next tier's are.
_FAN = 8
# Smaller ones count as this large, in postings and rows.
_FLOOR = 1 << 16
# A segment of which more than this share is dead is written anew.
_MOST_DEAD = 0.2
# When the largest segment has less than all but this share, and all have so many postings and rows,
# searches become a third quicker, and adding too, by writing all of them into one.
_SCATTERED = 1 / 8
_WORTH_GATHERING = 1 << 20
# Postings name rows by int32.
_MOST_ROWS = 2**31 - 1


def due(sizes: Sequence[int], dead: Sequence[float]) -> range | None:
    """Which neighbouring segments should be merged next; None when none should.

    Args:
        sizes: rows and live postings of each segment, oldest first.
        dead: share of each one's rows that died since it was written.
    """
    tiers = [_tier(size) for size in sizes]
    for tier in sorted(set(tiers)):
        begin = 0
        while begin < len(tiers):
            end = begin
            # Smaller ones in between go along.
            while end < len(tiers) and tiers[end] <= tier:
                end += 1
            if tiers[begin:end].count(tier) >= _FAN:
                return range(begin, end)
            begin = end + 1
    for at, share in enumerate(dead):
        if share > _MOST_DEAD:
            return range(at, at + 1)
    return None


def scattered(sizes: Sequence[int]) -> bool:
    """Whether segments should become one when there is time.

    Args:
        sizes: rows and live postings of each.
    """
    total = sum(sizes)
    return total >= _WORTH_GATHERING and total - max(sizes) > _SCATTERED * total


def fits(rows: int) -> bool:
    """Whether one segment can have so many rows."""
    return rows <= _MOST_ROWS


def _tier(size: int) -> int:
    tier = 0
    limit = _FLOOR
    while size > limit:
        limit *= _FAN
        tier += 1
    return tier


def merge(
    folder: Path,
    name: str,
    segments: Sequence[Segment],
    dead: Sequence[Mask],
    renumber: bool = False,
) -> Segment:
    """Writes one segment with the live rows of several neighbours.

    Args:
        folder: where.
        name: of the file.
        segments: at least one, by position.
        dead: bool [rows] of each; these rows keep their place and hold nothing.
        renumber: dead rows have no place either; the others move up, to position 0 on.

    Raises:
        OSError: the disk is full or not writable, or these are too many rows for one; nothing is
            left.
    """
    from rostra.retrieval.lexical import merge_kernels as kernels

    term_starts, places = _join(segments)
    frequencies = np.zeros(len(term_starts) - 1, np.int64)
    gone = np.concatenate(dead)
    taken = ~gone if renumber else np.ones(len(gone), np.bool_)
    moved = np.where(gone, -1, np.cumsum(taken) - 1)
    if not fits(int(np.count_nonzero(taken))):
        raise OSError(errno.EFBIG, "too many rows for one segment", str(folder / name))
    bounds = spread(np.array([segment.rows for segment in segments]))
    moves = [moved[bounds[at] : bounds[at + 1]] for at in range(len(segments))]
    for segment, move, place in zip(segments, moves, places, strict=True):
        kernels.count_live(segment.starts, segment.docs, move, place, frequencies)
    # Terms that no live row has are left out.
    kept = np.cumsum(frequencies > 0) - 1
    places = [np.where(frequencies[at] > 0, kept[at], -1).astype(np.int32) for at in places]
    widths = np.diff(term_starts)[frequencies > 0]
    frequencies = frequencies[frequencies > 0]
    starts = spread(frequencies)
    new_term_starts = spread(widths)
    blocks = block_starts(frequencies)
    lengths = np.where(gone, 0, np.concatenate([one.lengths for one in segments]))[taken]
    row_sizes = np.where(gone, 0, np.concatenate([np.diff(one.row_starts) for one in segments]))
    row_starts = spread(row_sizes[taken])
    rows = len(lengths)
    wide = any(segment.tfs.dtype != np.uint8 for segment in segments)
    plan: dict[str, tuple[npt.DTypeLike, int]] = {
        "lengths": (np.int32, rows),
        "term_text": (np.uint8, int(new_term_starts[-1])),
        "term_starts": (np.int64, len(new_term_starts)),
        "starts": (np.int64, len(starts)),
        "docs": (np.int32, int(starts[-1])),
        "tfs": (np.int32 if wide else np.uint8, int(starts[-1])),
        "blocks": (np.int64, len(blocks)),
        "block_last": (np.int32, int(blocks[-1])),
        "block_tf": (np.int32, int(blocks[-1])),
        "block_length": (np.int32, int(blocks[-1])),
        "row_starts": (np.int64, rows + 1),
        "row_terms": (np.int32, int(row_starts[-1])),
    }
    first = 0 if renumber else segments[0].first
    with writing(folder / name, plan) as (out, sections):
        out["term_starts"][:] = new_term_starts
        out["starts"][:] = starts
        out["blocks"][:] = blocks
        cursor = starts[:-1].copy()
        out["lengths"][:] = lengths
        out["row_starts"][:] = row_starts
        entry = 0
        for segment, move, place in zip(segments, moves, places, strict=True):
            kernels.copy_terms(
                segment.term_text,
                segment.term_starts,
                place,
                out["term_text"],
                new_term_starts,
            )
            kernels.copy_live(
                segment.starts,
                segment.docs,
                segment.tfs,
                move,
                place,
                cursor,
                out["docs"],
                out["tfs"],
            )
            entry = kernels.copy_rows(
                segment.row_starts,
                segment.row_terms,
                move,
                place,
                entry,
                out["row_terms"],
            )
        kernels.bound_blocks(
            starts,
            blocks,
            out["docs"],
            out["tfs"],
            out["lengths"],
            out["block_last"],
            out["block_tf"],
            out["block_length"],
            BLOCK,
        )
    entry_of = SegmentEntry(name, first, rows, segments[0].entry.ordered, sections)
    return just_written(folder, entry_of)


def _join(segments: Sequence[Segment]) -> tuple[Array, list[Array]]:
    """Where all terms of segments, sorted, start; and where each segment's terms stand in them."""
    from rostra.retrieval.lexical import merge_kernels as kernels

    text, starts = segments[0].term_text, segments[0].term_starts
    places: list[Array] = [np.arange(segments[0].terms, dtype=np.int32)]
    for segment in segments[1:]:
        old, new, terms, octets = kernels.join_terms(
            text, starts, segment.term_text, segment.term_starts
        )
        widths = np.zeros(terms, np.int64)
        kernels.place_terms(starts, old, widths)
        kernels.place_terms(segment.term_starts, new, widths)
        joined_starts = spread(widths)
        joined = np.zeros(octets, np.uint8)
        kernels.copy_terms(text, starts, old, joined, joined_starts)
        kernels.copy_terms(segment.term_text, segment.term_starts, new, joined, joined_starts)
        # Kernels are compiled for arrays that cannot be written to, as mapped ones are.
        joined.flags.writeable = joined_starts.flags.writeable = False
        text, starts = joined, joined_starts
        places = [old[at] for at in places] + [new]
    return starts, places
