"""Follows a collection's changes: adds, removes, keeps them on disk, merges what has become many.

What always holds:
- positions only grow; a removed row keeps its own and is never found again;
- statistics are those of the live rows, exactly, after every call;
- what `flush` returned from survives a crash at any point; what came after the last one is lost,
  and `state` says where to go on. A merge changes nothing of what was flushed but its files;
- a snapshot never waits: not for a writer, not for a merge.

One writer owns a folder. Its methods may be called from any thread; they take turns.
"""

import threading
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np

from rostra.core import get_logger
from rostra.retrieval.analysis import TermRows
from rostra.retrieval.lexical.delta import Delta
from rostra.retrieval.lexical.manifest import FORMAT, Manifest, named_files, open_manifest
from rostra.retrieval.lexical.merging import due, fits, merge, scattered
from rostra.retrieval.lexical.reader import LexicalReader, Part, decoded, encoded
from rostra.retrieval.lexical.runs import counted
from rostra.retrieval.lexical.scoring import Bm25, Mask, Positions, Statistics
from rostra.retrieval.lexical.segment import Ids, Segment, SegmentEntry, open_segment, write_segment
from rostra.retrieval.lexical.storage import (
    Sections,
    reading,
    remove_others,
    sync_folder,
    write_manifest,
    writing,
)

log = get_logger(__name__)

# Terms in memory beyond which they become a segment; a search looks through all of them.
_MOST_RECENT = 1 << 18
# The same while more is to come before anybody searches: few segments that are large need little
# merging. 32 MB, and twice as much while they are written.
_MOST_AT_ONCE = 1 << 23


class LexicalWriter:
    """See this module.

    Args:
        folder: of its files; made if it is missing. One writer at a time.
        analyzer: the name of the analyzer that makes the terms; kept with the files.
        ordered: whether rows keep the order of their terms, for phrases.
        background: whether merges run in a thread of their own after `flush`.

    Raises:
        DamagedIndex: a file is missing, damaged, or made by another analyzer or format. Empty the
            folder and add the rows anew.
        OSError: the folder cannot be made or read.
    """

    def __init__(
        self, folder: Path, analyzer: str, *, ordered: bool = True, background: bool = False
    ) -> None:
        self._folder = folder
        self._analyzer = analyzer
        self._ordered = ordered
        self._background = background
        self._lock = threading.RLock()
        # Held by the one merge there is; taken before the other.
        self._merging = threading.Lock()
        self._thread: threading.Thread | None = None
        # Files that a merge is writing, which no manifest names yet.
        self._pending: set[str] = set()
        folder.mkdir(parents=True, exist_ok=True)
        self._manifest = open_manifest(folder, analyzer, ordered)
        self._dead_rows = self._read_dead()
        self._parts: list[Part] = []
        for entry in self._manifest.segments:
            segment = open_segment(folder, entry)
            part = Part(segment)
            dead = self._dead_rows[entry.first : entry.first + entry.rows]
            self._parts.append(_removed(part, np.flatnonzero(dead)) if dead.any() else part)
        self._histogram = dict(self._manifest.histogram)
        self._chunks = int(len(self._dead_rows) - np.count_nonzero(self._dead_rows))
        self._total_length = self._manifest.total_length
        self._next_file = self._manifest.next_file
        self._delta = Delta(self._manifest.rows)
        self._dead_changed = False
        remove_others(folder, named_files(self._manifest))
        self._publish()

    # --- Reading --------------------------------------------------------------------------------
    def __len__(self) -> int:
        """Positions, dead ones included."""
        return self._delta.first + self._delta.rows

    @property
    def state(self) -> str:
        """What the last `flush` was given; empty before the first."""
        return self._manifest.state

    @property
    def flushed(self) -> int:
        """Positions that survive a crash."""
        return self._manifest.rows

    def snapshot(self, model: Bm25 | None = None) -> LexicalReader:
        """What there is now, as it will stay for whoever holds it. Never waits.

        Args:
            model: the form of BM25; Okapi by default.
        """
        reader = self._reader
        return (
            reader
            if model is None
            else LexicalReader(reader.parts, reader.delta, reader.statistics, model)
        )

    def verify(self) -> None:
        """Reads every file and compares it with what was written.

        Raises:
            DamagedIndex: one is damaged.
        """
        for part in self._reader.parts:
            part.segment.verify()

    # --- Writing --------------------------------------------------------------------------------
    def add(self, rows: TermRows | Sequence[Sequence[str]], *, more: bool = False) -> Positions:
        """Appends rows of analysed terms; their positions. Durable after `flush`.

        Many rows at once are much cheaper than one by one.

        Args:
            rows: their terms.
            more: more are to come before anybody searches.
        """
        if not isinstance(rows, TermRows):
            rows = TermRows.of(rows)
        with self._lock:
            first = len(self)
            numbers, before, counts = self._delta.add(rows)
            before = before + self._delta.elsewhere(numbers, self._in_segments)
            self._shift(before, before + counts)
            self._chunks += len(rows)
            self._total_length += len(rows.tokens)
            self._publish()
            if self._delta.tokens > (_MOST_AT_ONCE if more else _MOST_RECENT):
                try:
                    self._spill()
                except OSError as error:
                    # The rows are in; searching them is slower, and `flush` will say it.
                    log.warning(
                        "no room for a segment", folder=str(self._folder), reason=str(error)
                    )
            return np.arange(first, first + len(rows), dtype=np.int64)

    def remove(self, positions: Positions) -> int:
        """Takes rows out for good; those that are out already are left alone. How many went.

        Raises:
            IndexError: there is no such position.
        """
        with self._lock:
            wanted, _ = counted(np.asarray(positions, np.int64))
            if len(wanted) and not 0 <= wanted[0] <= wanted[-1] < len(self):
                raise IndexError(f"positions are 0 to {len(self) - 1}")
            went = 0
            for at, part in enumerate(self._parts):
                segment = part.segment
                rows = wanted[(wanted >= segment.first) & (wanted < segment.first + segment.rows)]
                rows = rows - segment.first
                if part.dead is not None:
                    rows = rows[~part.dead[rows]]
                if not len(rows):
                    continue
                places, counts = segment.counts_of(rows)
                spelled = [decoded(segment.term(place)) for place in places.tolist()]
                before = self._in_segments(spelled) + self._delta.frequencies(spelled)
                self._parts[at] = _removed(part, rows)
                self._delta.forget_elsewhere()
                self._shift(before, before - counts)
                self._total_length -= int(segment.lengths[rows].sum())
                went += len(rows)
            rows = wanted[wanted >= self._delta.first] - self._delta.first
            rows = rows[~self._delta.is_dead(rows)]
            if len(rows):
                recent, counts, total = self._delta.remove(rows)
                after = self._delta.frequencies(recent) + self._in_segments(recent)
                self._shift(after + counts, after)
                self._total_length -= total
                went += len(rows)
            if went:
                self._chunks -= went
                self._dead_changed = True
                self._publish()
            return went

    def flush(self, state: str = "") -> None:
        """Makes everything so far durable, together with the owner's note of what that is.

        Raises:
            OSError: the disk is full or not writable; what was flushed before stands, and this can
                be tried again.
        """
        with self._lock:
            self._spill()
            manifest = self._manifest
            dead_file, dead_sections = manifest.dead_file, manifest.dead_sections
            if self._dead_changed or (dead_file and len(self) != manifest.rows):
                dead_file, dead_sections = self._write_dead()
            entries = [part.segment.entry for part in self._parts]
            self._commit(
                self._manifest_of(
                    state, len(self), (dead_file, dead_sections), self._next_file, entries
                )
            )
            self._dead_rows = ~self._reader.live
            self._dead_changed = False
            if self._background and self._due() is not None:
                self._start_merging()

    def merge(self, everything: bool = False) -> bool:
        """Merges segments once, if the policy asks for it; whether it did.

        Only what was flushed is merged, and readers and writers go on meanwhile.

        Args:
            everything: into one segment, whatever the policy says.

        Raises:
            OSError: the disk is full or not writable; the older segments stand.
        """
        with self._merging:
            with self._lock:
                count = len(self._manifest.segments)
                chosen = range(count) if everything and count > 1 else self._due()
                if chosen is None:
                    return False
                sources = [self._parts[at].segment for at in chosen]
                if not fits(sum(one.rows for one in sources)):
                    return False
                dead = [self._dead_rows[one.first : one.first + one.rows].copy() for one in sources]
                name = self._new_file("seg")
                self._pending.add(name)
            try:
                merged = merge(self._folder, name, sources, dead)
                with self._lock:
                    self._replace(chosen, merged)
            finally:
                self._pending.discard(name)
        return True

    @property
    def is_scattered(self) -> bool:
        """Whether `gather` would pay."""
        with self._lock:
            return fits(self.flushed) and scattered(self._sizes())

    def gather(self) -> None:
        """Makes one segment of all that were flushed. Reading and writing go on meanwhile.

        For when there is time: everything is written anew, a second or two for 10^8 postings.

        Raises:
            OSError: the disk is full or not writable; the older segments stand.
        """
        if self.is_scattered:
            self.merge(everything=True)

    def compact(self, folder: Path, state: str = "") -> Positions:
        """Writes the live rows, renumbered, into a folder of their own; this one stays as it is.

        Reading and writing go on meanwhile; what they change is not in it. Open the new folder with
        a writer of its own.

        Args:
            folder: new or empty.
            state: what the new folder's `state` is.

        Returns:
            int64, the old positions of the new ones.

        Raises:
            OSError: the disk is full or not writable; the new folder is worth nothing.
        """
        with self._merging:
            with self._lock:
                self._spill()
                live = self._reader.live
                segments = [part.segment for part in self._parts]
                manifest = self._manifest_of(state, self._chunks, ("", {}), 1, [])
            folder.mkdir(parents=True, exist_ok=True)
            if live.any():
                dead = [~live[one.first : one.first + one.rows] for one in segments]
                merged = merge(folder, "00000001.seg", segments, dead, renumber=True)
                manifest = msgspec.structs.replace(manifest, segments=[merged.entry])
            sync_folder(folder)
            write_manifest(folder, msgspec.json.encode(manifest))
            return np.flatnonzero(live)

    def close(self) -> None:
        """Waits for a merge in the background; nothing is flushed."""
        thread = self._thread
        if thread is not None:
            thread.join()

    # --- Within ---------------------------------------------------------------------------------
    def _publish(self) -> None:
        statistics = Statistics(self._chunks, self._total_length, dict(self._histogram))
        self._reader = LexicalReader(tuple(self._parts), self._delta.view(), statistics)

    def _in_segments(self, terms: Sequence[str]) -> Ids:
        """In how many live rows of segments each term occurs."""
        total = np.zeros(len(terms), np.int64)
        if not self._parts or not len(terms):
            return total
        # Characters sort as their UTF-8 does.
        order = sorted(range(len(terms)), key=terms.__getitem__)
        rising = [encoded(terms[at]) for at in order]
        for part in self._parts:
            total[order] += part.frequencies(part.segment.find(rising))
        return total

    def _shift(self, before: Ids, after: Ids) -> None:
        """Moves terms in the histogram, from the frequencies they had to those they have."""
        for frequencies, sign in ((before, -1), (after, 1)):
            values, counts = counted(frequencies[frequencies > 0])
            for value, count in zip(values.tolist(), counts.tolist(), strict=True):
                left = self._histogram.get(value, 0) + sign * count
                if left:
                    self._histogram[value] = left
                else:
                    del self._histogram[value]

    def _spill(self) -> None:
        """Makes the delta a segment; it is nobody's file until the next `flush`."""
        delta = self._delta
        if not delta.rows:
            return
        vocabulary, starts, tokens = delta.live()
        segment = write_segment(
            self._folder,
            self._new_file("seg"),
            delta.first,
            vocabulary,
            starts,
            tokens,
            self._ordered,
        )
        dead = np.flatnonzero(delta.view().dead)
        self._parts.append(_removed(Part(segment), dead) if len(dead) else Part(segment))
        self._delta = Delta(delta.first + delta.rows)
        self._publish()

    def _write_dead(self) -> tuple[str, Sections]:
        live = self._reader.live
        if live.all():
            return "", {}
        bits = np.packbits(~live)
        name = self._new_file("dead")
        with writing(self._folder / name, {"dead": (np.uint8, len(bits))}) as (out, sections):
            out["dead"][:] = bits
        return name, sections

    def _read_dead(self) -> Mask:
        """bool [positions], rows that were removed before the last flush."""
        manifest = self._manifest
        if not manifest.dead_file:
            return np.zeros(manifest.rows, np.bool_)
        arrays = reading(self._folder / manifest.dead_file, manifest.dead_sections, ("dead",))
        return np.unpackbits(arrays["dead"], count=manifest.rows).astype(np.bool_)

    def _manifest_of(
        self,
        state: str,
        rows: int,
        dead: tuple[str, Sections],
        next_file: int,
        entries: list[SegmentEntry],
    ) -> Manifest:
        """A manifest with the statistics that there are now."""
        return Manifest(
            format=FORMAT,
            analyzer=self._analyzer,
            ordered=self._ordered,
            state=state,
            rows=rows,
            total_length=self._total_length,
            histogram=sorted(self._histogram.items()),
            dead_file=dead[0],
            dead_sections=dead[1],
            next_file=next_file,
            segments=entries,
        )

    def _commit(self, manifest: Manifest) -> None:
        sync_folder(self._folder)
        write_manifest(self._folder, msgspec.json.encode(manifest))
        self._manifest = manifest
        named = named_files(manifest) | {part.segment.entry.file for part in self._parts}
        remove_others(self._folder, named | self._pending)

    def _replace(self, chosen: range, merged: Segment) -> None:
        """Puts a merged segment in the place of its sources, first on disk, then in memory."""
        entries = list(self._manifest.segments)
        entries[chosen.start : chosen.stop] = [merged.entry]
        manifest = msgspec.structs.replace(
            self._manifest, segments=entries, next_file=self._next_file
        )
        old = {part.segment.entry.file for part in self._parts[chosen.start : chosen.stop]}
        try:
            self._commit(manifest)
        except OSError:
            merged.path.unlink(missing_ok=True)
            raise
        # Rows may have died while the merge ran.
        dead = np.flatnonzero(~self._reader.live[merged.first : merged.first + merged.rows])
        part = _removed(Part(merged), dead) if len(dead) else Part(merged)
        self._parts[chosen.start : chosen.stop] = [part]
        self._publish()
        for name in old:
            (self._folder / name).unlink(missing_ok=True)

    def _due(self) -> range | None:
        flushed = self._parts[: len(self._manifest.segments)]
        return due(self._sizes(), [_dead_share(one) for one in flushed])

    def _sizes(self) -> list[int]:
        """Postings of the segments that were flushed."""
        return [len(one.segment.docs) for one in self._parts[: len(self._manifest.segments)]]

    def _new_file(self, kind: str) -> str:
        self._next_file += 1
        return f"{self._next_file:08d}.{kind}"

    def _start_merging(self) -> None:
        if self._thread is not None and self._thread.is_alive():
            return
        self._thread = threading.Thread(
            target=self._merge_all, name=f"merge {self._folder.name}", daemon=True
        )
        self._thread.start()

    def _merge_all(self) -> None:
        try:
            while self.merge():
                pass
        except OSError as error:
            # The older segments stand; the next flush tries again.
            log.warning("segments not merged", folder=str(self._folder), reason=str(error))


def _removed(part: Part, rows: Ids) -> Part:
    """The part without these rows, which it still had."""
    segment = part.segment
    dead = np.zeros(segment.rows, np.bool_) if part.dead is None else part.dead.copy()
    gone = np.zeros(segment.terms, np.int32) if part.gone is None else part.gone.copy()
    dead[rows] = True
    places, counts = segment.counts_of(rows)
    gone[places] += counts.astype(np.int32)
    return Part(segment, dead, gone)


def _dead_share(part: Part) -> float:
    """Share of a segment's rows that died since it was written."""
    if part.dead is None:
        return 0.0
    return float((part.dead & (part.segment.lengths > 0)).mean())
