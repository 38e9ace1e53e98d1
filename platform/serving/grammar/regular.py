"""Deterministic automata over characters: intersection and complement of regular languages.

A pattern with a length, two patterns, or "any key but these" have no notation in a grammar; as
automata they are a product and a complement. What always holds: every state can be reached and
reaches an accepting one; an automaton has at most `MAX_STATES` states.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from rostra.serving.errors import InvalidGrammar
from rostra.serving.grammar.expr import (
    ANY,
    NEVER,
    Alt,
    Chars,
    Expr,
    Range,
    Repeat,
    Rule,
    Seq,
    Text,
    alt,
    normalise,
    seq,
    subtract,
)

MAX_STATES = 3_000
MAX_NFA_STATES = 60_000
MAX_NESTING = 40

Move = tuple[int, int, int]
# First and last code point, target state.
S = TypeVar("S")


class TooLarge(InvalidGrammar):
    """A language whose automaton is too large to compute with."""

    code = "grammar_too_large"


@dataclass(frozen=True, slots=True)
class Dfa:
    """A deterministic automaton; state 0 is the start, a missing move rejects.

    Attributes:
        moves: for each state its moves, disjoint and sorted.
        accepting: for each state whether a text may end there.
    """

    moves: tuple[tuple[Move, ...], ...]
    accepting: tuple[bool, ...]

    @property
    def empty(self) -> bool:
        """Whether no text is accepted."""
        return not any(self.accepting)

    def accepts(self, text: str) -> bool:
        state = 0
        for char in text:
            point = ord(char)
            for low, high, target in self.moves[state]:
                if low <= point <= high:
                    state = target
                    break
            else:
                return False
        return self.accepting[state]


def from_expr(expr: Expr) -> Dfa:
    """The automaton of an expression without rules and special tokens.

    Raises:
        TooLarge: if it has too many states.
    """
    nfa = _Nfa()
    start, end = nfa.state(), nfa.state()
    nfa.add(expr, start, end)

    def closure(states: Iterable[int]) -> frozenset[int]:
        seen = set(states)
        stack = list(seen)
        while stack:
            for other in nfa.skips[stack.pop()]:
                if other not in seen:
                    seen.add(other)
                    stack.append(other)
        return frozenset(each for each in seen if nfa.reads[each] or each == end)

    def step(states: frozenset[int]) -> list[tuple[int, int, frozenset[int]]]:
        return [
            (low, high, closure(targets))
            for low, high, targets in _split(
                [move for state in states for move in nfa.reads[state]]
            )
        ]

    return _explore(closure([start]), step, lambda states: end in states)


def intersection(a: Dfa, b: Dfa) -> Dfa:
    """What both accept. Raises TooLarge."""

    def step(pair: tuple[int, int]) -> list[tuple[int, int, tuple[int, int]]]:
        return [
            (max(low, other_low), min(high, other_high), (target, other))
            for low, high, target in a.moves[pair[0]]
            for other_low, other_high, other in b.moves[pair[1]]
            if max(low, other_low) <= min(high, other_high)
        ]

    return _explore((0, 0), step, lambda pair: a.accepting[pair[0]] and b.accepting[pair[1]])


def complement(a: Dfa) -> Dfa:
    """What it does not accept. Raises TooLarge."""
    dead = -1

    def step(state: int) -> list[tuple[int, int, int]]:
        moves = list(a.moves[state]) if state != dead else []
        rest = subtract(ANY, normalise((low, high) for low, high, _ in moves))
        return moves + [(low, high, dead) for low, high in rest]

    return _explore(0, step, lambda state: state == dead or not a.accepting[state])


def lengths(least: int, most: int | None) -> Dfa:
    """Texts of so many characters. Raises TooLarge."""
    last = least if most is None else most
    if last >= MAX_STATES:
        raise TooLarge(f"A length of {last:,} beside another condition is too large.")

    def step(state: int) -> list[tuple[int, int, int]]:
        if state == last and most is not None:
            return []
        return [(low, high, min(state + 1, last)) for low, high in ANY]

    return _explore(0, step, lambda state: state >= least)


def words(texts: Iterable[str]) -> Dfa:
    """Exactly these texts. Raises TooLarge."""
    trie: list[dict[str, int]] = [{}]
    ends: set[int] = set()
    for text in texts:
        state = 0
        for char in text:
            if char not in trie[state]:
                trie[state][char] = len(trie)
                trie.append({})
            state = trie[state][char]
        ends.add(state)

    def step(state: int) -> list[tuple[int, int, int]]:
        return [(ord(char), ord(char), to) for char, to in sorted(trie[state].items())]

    return _explore(0, step, lambda state: state in ends)


def rules_of(
    dfa: Dfa, prefix: str, spell: Callable[[tuple[Range, ...]], Expr], end: Expr
) -> dict[str, Expr]:
    """Right-linear rules; the first is the start.

    Args:
        dfa: the language.
        prefix: of the rules' names.
        spell: one character of these ranges, as the text has it.
        end: what follows the language's texts.
    """
    sources: list[set[int]] = [set() for _ in dfa.moves]
    for state, moves in enumerate(dfa.moves):
        for _, _, target in moves:
            sources[target].add(state)
    found: dict[str, Expr] = {f"{prefix}0": NEVER}
    pending = [0]

    def body(state: int, depth: int) -> Expr:
        by_target: dict[int, list[Range]] = {}
        for low, high, target in dfa.moves[state]:
            by_target.setdefault(target, []).append((low, high))
        options = [end] if dfa.accepting[state] else []
        for target, ranges in by_target.items():
            # A state that one other leads to needs no rule; xgrammar is slow with many rules.
            if target and sources[target] == {state} and target != state and depth < MAX_NESTING:
                onward = body(target, depth + 1)
            else:
                onward = Rule(f"{prefix}{target}")
                if onward.name not in found:
                    found[onward.name] = NEVER
                    pending.append(target)
            options.append(seq(spell(normalise(ranges)), onward))
        return alt(*options) if options else NEVER

    while pending:
        state = pending.pop()
        found[f"{prefix}{state}"] = body(state, 0)
    return found


def _explore(
    start: S,
    step: Callable[[S], list[tuple[int, int, S]]],
    accepts: Callable[[S], bool],
) -> Dfa:
    """Numbers the states found from the start and drops those that accept nothing."""
    numbers: dict[S, int] = {start: 0}
    order = [start]
    moves: list[list[Move]] = []
    for state in order:
        here: list[Move] = []
        for low, high, target in sorted(step(state), key=lambda move: move[:2]):
            if target not in numbers:
                if len(order) >= MAX_STATES:
                    raise TooLarge("The pattern's conditions are too large to combine.")
                numbers[target] = len(order)
                order.append(target)
            number = numbers[target]
            if here and here[-1][2] == number and here[-1][1] == low - 1:
                here[-1] = (here[-1][0], high, number)
            else:
                here.append((low, high, number))
        moves.append(here)
    accepting = [accepts(state) for state in order]
    before: list[set[int]] = [set() for _ in order]
    for state_number, leaving in enumerate(moves):
        for _, _, target_number in leaving:
            before[target_number].add(state_number)
    useful = {number for number, ends in enumerate(accepting) if ends}
    stack = list(useful)
    while stack:
        for other in before[stack.pop()]:
            if other not in useful:
                useful.add(other)
                stack.append(other)
    if 0 not in useful:
        return Dfa(((),), (False,))
    kept = {number: index for index, number in enumerate(sorted(useful))}
    return Dfa(
        tuple(
            tuple((low, high, kept[to]) for low, high, to in moves[number] if to in kept)
            for number in kept
        ),
        tuple(accepting[number] for number in kept),
    )


def _split(moves: list[Move]) -> list[tuple[int, int, set[int]]]:
    """Overlapping moves as disjoint ranges with all their targets."""
    changes: dict[int, list[tuple[int, bool]]] = {}
    for low, high, target in moves:
        changes.setdefault(low, []).append((target, True))
        changes.setdefault(high + 1, []).append((target, False))
    found: list[tuple[int, int, set[int]]] = []
    counts: dict[int, int] = {}
    before = 0
    for point in sorted(changes):
        if counts:
            found.append((before, point - 1, set(counts)))
        for target, begins in changes[point]:
            counts[target] = counts.get(target, 0) + (1 if begins else -1)
            if not counts[target]:
                del counts[target]
        before = point
    return found


class _Nfa:
    def __init__(self) -> None:
        self.reads: list[list[Move]] = []
        self.skips: list[list[int]] = []

    def state(self) -> int:
        if len(self.reads) >= MAX_NFA_STATES:
            raise TooLarge("The pattern is too large.")
        self.reads.append([])
        self.skips.append([])
        return len(self.reads) - 1

    def add(self, expr: Expr, start: int, end: int) -> None:
        match expr:
            case Text(text):
                at = start
                for char in text:
                    after = self.state()
                    self.reads[at].append((ord(char), ord(char), after))
                    at = after
                self.skips[at].append(end)
            case Chars(ranges):
                self.reads[start] += [(low, high, end) for low, high in ranges]
            case Seq(parts):
                at = start
                for part in parts:
                    after = self.state()
                    self.add(part, at, after)
                    at = after
                self.skips[at].append(end)
            case Alt(options):
                for option in options:
                    inner = self.state()
                    self.skips[start].append(inner)
                    self.add(option, inner, end)
            case Repeat(item, least, most):
                at = start
                for _ in range(least):
                    after = self.state()
                    self.add(item, at, after)
                    at = after
                if most is None:
                    loop, back = self.state(), self.state()
                    self.skips[at].append(loop)
                    self.add(item, loop, back)
                    self.skips[back].append(loop)
                    at = loop
                else:
                    for _ in range(most - least):
                        self.skips[at].append(end)
                        after = self.state()
                        self.add(item, at, after)
                        at = after
                self.skips[at].append(end)
            case _:
                raise ValueError(f"{type(expr).__name__} is not regular")
