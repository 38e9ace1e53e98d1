"""The closing guard: no token is taken after which the text could not be completed in the budget.

It follows the text on its own network (`automaton`), with a graph-structured stack (Scott and
Johnstone, "GLL parsing", 2010), and knows the shortest end of every state exactly. What always
holds: between calls the shortest end of the text fits what is left of the budget. Following costs
about ten microseconds a byte, so it is put off while an upper bound (see `automaton.growth`) says
that there is room.
"""

from collections.abc import Sequence
from heapq import heappop, heappush
from random import Random

from rostra.serving.errors import InvalidGrammar
from rostra.serving.grammar.automaton import BYTES, Automaton
from rostra.serving.grammar.vocabulary import Vocabulary

MAX_CONFIGURATIONS = 500
MAX_STEPS = 5_000
# Ambiguous grammars keep several readings at once; so many, or so much to look at for one symbol
# (some milliseconds), is an attack.
_WALKS = 4
_WALK_SYMBOLS = 40
_TRIED = 4


class NoWay(Exception):
    """The text so far is no beginning of a text of the grammar."""


class Frame:
    """A call that began at one place of the text, and where it may return to."""

    __slots__ = ("finished", "returns", "rule")

    def __init__(self, rule: int) -> None:
        self.rule = rule
        self.returns: list[tuple[int, Frame]] = []
        # Returned already at the place where it began; only asked while at that place.
        self.finished = False


Configuration = tuple[int, Frame]


class Follower:
    """All readings of a text so far; a value: `after` makes a new one.

    Args:
        automaton: the grammar's network.
    """

    __slots__ = ("_automaton", "_tables", "complete", "configurations")

    def __init__(self, automaton: Automaton, tables: "Tables") -> None:
        self._automaton = automaton
        self._tables = tables
        self.configurations: list[Configuration] = []
        self.complete = False

    @classmethod
    def start(cls, tables: "Tables") -> "Follower":
        automaton = tables.automaton
        follower = cls(automaton, tables)
        root = Frame(automaton.root)
        follower._close([(automaton.starts[automaton.root], root)])
        return follower

    def after(self, symbols: Sequence[int]) -> "Follower":
        """The readings after more symbols.

        Raises:
            NoWay: if there is none.
            InvalidGrammar: if there are too many.
        """
        follower = self
        targets = self._tables.targets
        for symbol in symbols:
            moved: dict[Configuration, None] = {}
            for state, frame in follower.configurations:
                for target in targets(state, symbol):
                    moved[(target, frame)] = None
            if not moved:
                raise NoWay(f"symbol {symbol} leads nowhere")
            follower = Follower(self._automaton, self._tables)
            follower._close(list(moved))
        return follower

    def _close(self, work: list[Configuration]) -> None:
        """Adds what is reached without reading."""
        closures, calls, accepts = (
            self._tables.closures,
            self._automaton.calls,
            self._tables.accepts,
        )
        starts = self._automaton.starts
        called: dict[int, Frame] = {}
        seen: set[Configuration] = set(work)
        reading: dict[Configuration, None] = {}
        steps = 0
        while work:
            state, frame = work.pop()
            steps += len(closures(state)) + len(frame.returns)
            if steps > MAX_STEPS or len(reading) > MAX_CONFIGURATIONS:
                raise _too_ambiguous()
            for each in closures(state):
                if accepts[each]:
                    frame.finished = frame is called.get(frame.rule)
                    if not frame.returns:
                        self.complete = True
                    for back in frame.returns:
                        if back not in seen:
                            seen.add(back)
                            work.append(back)
                for rule, after in calls[each]:
                    if accepts[after]:
                        # Nothing is left to do after this call: its end is the caller's end. It
                        # keeps right recursion from growing the stack.
                        entered = (starts[rule], frame)
                        if entered not in seen:
                            seen.add(entered)
                            work.append(entered)
                        continue
                    inner = called.get(rule)
                    if inner is None:
                        inner = called[rule] = Frame(rule)
                    back = (after, frame)
                    if back not in inner.returns:
                        inner.returns.append(back)
                        if inner.finished and back not in seen:
                            seen.add(back)
                            work.append(back)
                    entered = (starts[rule], inner)
                    if entered not in seen:
                        seen.add(entered)
                        work.append(entered)
                if self._tables.reading[each]:
                    reading[each, frame] = None
        if len(reading) > MAX_CONFIGURATIONS:
            raise _too_ambiguous()
        self.configurations = list(reading)

    def some_symbols(self, most: int, rng: Random) -> set[int]:
        """Up to so many symbols that may come next, at random."""
        reads = self._automaton.reads
        found: set[int] = set()
        for _ in range(most if self.configurations else 0):
            edge = rng.choice(reads[rng.choice(self.configurations)[0]])
            found.add(rng.randint(edge.low, edge.high))
        return found

    def ceiling(self) -> int | None:
        """Most symbols that any single reading needs at least; None if nothing bounds it.

        A later symbol may rule out the reading with the shortest end, so this, not the length of
        the shortest end, is what grows by at most `growth`.
        """
        distance = self._automaton.distance
        outside: dict[int, int] = {}
        pending: list[tuple[Frame, bool]] = [(frame, False) for _, frame in self.configurations]
        open_frames: set[int] = set()
        while pending:
            frame, entered = pending.pop()
            key = id(frame)
            if entered:
                open_frames.discard(key)
                outside[key] = max(
                    (distance[after] + outside[id(outer)] for after, outer in frame.returns),
                    default=0,
                )
            elif key not in outside:
                if key in open_frames:
                    return None
                open_frames.add(key)
                pending.append((frame, True))
                for _, outer in frame.returns:
                    if id(outer) in open_frames:
                        return None
                    pending.append((outer, False))
        return max(
            (distance[state] + outside[id(frame)] for state, frame in self.configurations),
            default=0,
        )

    def shortest_end(self) -> list[int]:
        """Symbols of a shortest way to a complete text.

        Dijkstra over the frames: from the readings outwards to the root.
        """
        if self.complete:
            return []
        automaton = self._automaton
        distance = automaton.distance
        heap: list[tuple[int, int, int, Frame, int]] = []
        # (symbols so far, tie break, state, its frame, index of the step before)
        steps: list[tuple[int, int]] = []
        order = 0
        for state, frame in self.configurations:
            heappush(heap, (distance[state], order, state, frame, -1))
            order += 1
        done: set[int] = set()
        while heap:
            length, _, state, frame, before = heappop(heap)
            # Popped means: this frame's end is reached at this cost, through `state`.
            if id(frame) in done:
                continue
            done.add(id(frame))
            steps.append((state, before))
            here = len(steps) - 1
            if not frame.returns:
                symbols: list[list[int]] = []
                while here >= 0:
                    at, here = steps[here]
                    symbols.append(automaton.shortest(at))
                return [symbol for part in reversed(symbols) for symbol in part]
            for after, outer in frame.returns:
                if id(outer) not in done:
                    heappush(heap, (length + distance[after], order, after, outer, here))
                    order += 1
        raise NoWay("no reading leads to an end")


def _too_ambiguous() -> InvalidGrammar:
    return InvalidGrammar(
        "The grammar is too ambiguous: a text has too many readings at once.",
        hint="Look for repetitions in repetitions, and for options that begin alike.",
    )


def probe(tables: "Tables") -> None:
    """Walks through some texts of a grammar, the first towards where most readings are.

    Raises:
        InvalidGrammar: if one of them has too many readings.
    """
    rng = Random(0)
    for walk in range(_WALKS):
        follower = Follower.start(tables)
        for _ in range(_WALK_SYMBOLS):
            symbols = follower.some_symbols(_TRIED if walk == 0 else 1, rng)
            if not symbols:
                break
            follower = max(
                (follower.after([symbol]) for symbol in symbols),
                key=lambda each: len(each.configurations),
            )


class Tables:
    """What following derives from a network, worked out where the text comes by."""

    def __init__(self, automaton: Automaton) -> None:
        self.automaton = automaton
        ends = set(automaton.ends)
        states = len(automaton.reads)
        self.accepts = [state in ends for state in range(states)]
        self.reading = [bool(edges) for edges in automaton.reads]
        self._closures: dict[int, tuple[int, ...]] = {}
        self._targets: dict[tuple[int, int], tuple[int, ...]] = {}

    def closures(self, state: int) -> tuple[int, ...]:
        """The states that skips lead to which read, call or end; itself included."""
        found = self._closures.get(state)
        if found is None:
            skips, calls = self.automaton.skips, self.automaton.calls
            seen = {state}
            stack = [state]
            while stack:
                for other in skips[stack.pop()]:
                    if other not in seen:
                        seen.add(other)
                        stack.append(other)
            found = self._closures[state] = tuple(
                each
                for each in sorted(seen)
                if self.reading[each] or calls[each] or self.accepts[each]
            )
        return found

    def targets(self, state: int, symbol: int) -> tuple[int, ...]:
        """Where reading a symbol leads."""
        key = (state, symbol)
        found = self._targets.get(key)
        if found is None:
            found = self._targets[key] = tuple(
                target for low, high, target in self.automaton.reads[state] if low <= symbol <= high
            )
        return found


class ClosingGuard:
    """Follows one text and keeps its end within reach.

    Args:
        tables: of the grammar; shared by all its texts.
        vocabulary: of the model.
        exact: follow every token at once, because the masks leave out long bounds.
    """

    def __init__(self, tables: Tables, vocabulary: Vocabulary, *, exact: bool = False) -> None:
        self.exact = exact
        self._vocabulary = vocabulary
        self._growth = tables.automaton.growth
        self._special_growth = tables.automaton.special_growth
        self._follower = Follower.start(tables)
        # Taken, but not yet followed.
        self._behind: list[int] = []
        self._bound: int | None = None
        self._closing: list[int] | None = None
        # The state after the token last asked for, when it had to be looked at.
        self._ahead: tuple[int, Follower, list[int] | None, int | None] | None = None
        self.closing()

    def require(self, max_tokens: int) -> None:
        """Checks that the shortest text fits.

        Raises:
            InvalidGrammar: if it does not.
        """
        shortest = len(self.closing())
        if shortest > max_tokens:
            raise InvalidGrammar(
                f"The shortest text that satisfies this grammar takes {shortest} tokens; "
                f"max_tokens is {max_tokens}.",
                hint=f"Ask for at least {shortest} tokens, or loosen the grammar.",
                field="max_tokens",
            )

    def admits(self, token: int, remaining: int) -> bool:
        """Whether the text can still end in time after this token.

        Args:
            token: allowed by the grammar, not yet accepted.
            remaining: budget before the token.

        Raises:
            NoWay: if the grammar, with all its bounds, does not allow the token.
        """
        self._ahead = None
        symbols = self._symbols(token)
        if (
            not self.exact
            and self._bound is not None
            and self._bound + self._grows(symbols) < remaining
        ):
            return True
        self._catch_up()
        ahead = self._follower.after(symbols)
        end = ahead.shortest_end()
        closing: list[int] | None = None
        # A symbol takes at most one token, so the tokens matter only where the symbols do not fit.
        if len(end) >= remaining:
            closing = self._spell(end)
            if len(closing) >= remaining:
                return False
        self._ahead = (token, ahead, closing, self._ceiling(ahead))
        return True

    def accept(self, token: int) -> None:
        """Goes on by a token that was admitted."""
        if self._ahead is not None and self._ahead[0] == token:
            _, self._follower, self._closing, self._bound = self._ahead
            self._ahead = None
            return
        symbols = self._symbols(token)
        if self._bound is not None:
            self._bound = max(0, self._bound + self._grows(symbols))
        self._behind.extend(symbols)
        self._closing = None

    def complete(self) -> bool:
        """Whether the text may end here."""
        self._catch_up()
        return self._follower.complete

    def closing(self) -> list[int]:
        """The fewest tokens that spell a shortest end of the text."""
        self._catch_up()
        if self._closing is None:
            self._closing = self._spell(self._follower.shortest_end())
            self._bound = self._ceiling(self._follower)
        return self._closing

    def _catch_up(self) -> None:
        if self._behind:
            self._follower = self._follower.after(self._behind)
            self._behind.clear()
            self._closing = None

    def _ceiling(self, follower: Follower) -> int | None:
        return follower.ceiling() if self._growth else None

    def _grows(self, symbols: Sequence[int]) -> int:
        growth = self._growth
        return sum(growth[each] if each < BYTES else self._special_growth for each in symbols)

    def _symbols(self, token: int) -> Sequence[int]:
        return self._vocabulary.tokens[token] or (BYTES + token,)

    def _spell(self, symbols: Sequence[int]) -> list[int]:
        """Tokens of symbols; special ones stand for themselves.

        Raises:
            InvalidGrammar: if the vocabulary lacks the bytes.
        """
        tokens: list[int] = []
        run = bytearray()
        for symbol in [*symbols, None]:
            if symbol is not None and symbol < BYTES:
                run.append(symbol)
                continue
            cut = self._vocabulary.segment(bytes(run))
            if cut is None:
                raise InvalidGrammar(
                    f"The model's vocabulary cannot spell {bytes(run)!r}, which the grammar needs."
                )
            tokens.extend(cut)
            run.clear()
            if symbol is not None:
                tokens.append(symbol - BYTES)
        return tokens
