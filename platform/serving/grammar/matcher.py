"""The state of one constrained sequence: which tokens may come next, and what a token leads to.

What always holds: after every `take` the text so far can still be completed within the budget of
new tokens, and when `finished` is set it is complete. Sampled, forced and closing tokens all count;
an end token does not. A matcher belongs to one sequence and survives its preemption.
"""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from hashlib import blake2b
from typing import NamedTuple, Protocol

import msgspec
import torch
import xgrammar

from rostra.serving.errors import GrammarBroken, InvalidGrammar
from rostra.serving.grammar.compiled import Compiled, compile_text
from rostra.serving.grammar.follower import NoWay, Tables
from rostra.serving.grammar.guard import ClosingGuard
from rostra.serving.grammar.quotes import QuoteMatcher, QuoteTables
from rostra.serving.grammar.vocabulary import WORD_BITS, Vocabulary

MIN_FORCED_TOKENS = 2
# A forced run of one token saves no step worth the retokenising.


class Matcher(Protocol):
    """What the engine's loop asks of a constraint.

    Attributes:
        finished: the text is complete and nothing may follow it; the sequence ends with reason
            `stop`, without a further token.
    """

    finished: bool

    def fill(self, bitmask: torch.Tensor, row: int) -> None:
        """Writes the allowed next tokens: bit `t % 32` of word `t // 32` is set for token `t`.

        Args:
            bitmask: [rows, words] int32 on the CPU; `words * 32` is at least the vocabulary.
            row: the row to write; all its words are overwritten.

        Raises:
            ValueError: if the sequence is finished.
            GrammarBroken: if no mask can be made, by a defect of ours.
        """

    def take(self, token: int) -> list[int]:
        """Goes on by a sampled token.

        Returns:
            The tokens to append to the sequence in its place. Mostly `[token]` and what the
            grammar forces after it; the shortest end of the text if the token would have made
            that end miss the budget; the first token of that end where `fill` allowed a token that
            the grammar does not; nothing for an end token.

        Raises:
            ValueError: if `fill` does not allow the token; the matcher is unchanged.
            GrammarBroken: if the text has no end, by a defect of ours.
            InvalidGrammar: if the text has too many readings to follow.
        """


class XGrammarMatcher:
    """A matcher over a grammar that xgrammar compiled, with a closing guard beside it.

    Args:
        compiled: the grammar, for this vocabulary.
        guard: knows the shortest end of the text; at its start.
        vocabulary: of the model.
        max_tokens: budget of new tokens.
        eos_token_ids: tokens that end a complete text.
        jump_forward: append text that the grammar forces without sampling it; off where log
            probabilities are reported.

    Raises:
        InvalidGrammar: if even the shortest text exceeds `max_tokens`.
    """

    def __init__(
        self,
        compiled: xgrammar.CompiledGrammar,
        guard: ClosingGuard,
        vocabulary: Vocabulary,
        *,
        max_tokens: int,
        eos_token_ids: Collection[int],
        jump_forward: bool = True,
    ) -> None:
        self._vocabulary = vocabulary
        self._eos = frozenset(eos_token_ids)
        # xgrammar needs one; the vocabulary's stand-in is a token that is never sampled as text.
        stops = sorted(self._eos) or [vocabulary.stop_token]
        self._matcher = xgrammar.GrammarMatcher(compiled, override_stop_tokens=stops)
        self._guard = guard
        self._remaining = max_tokens
        self._jump_forward = jump_forward
        self._ends_alone = not self._eos
        self._scratch = torch.zeros((1, vocabulary.words), dtype=torch.int32)
        self._stop_words = vocabulary.bits(stops)
        self.finished = False
        with _defects():
            guard.require(max_tokens)
            self._settle()

    def fill(self, bitmask: torch.Tensor, row: int) -> None:
        if self.finished:
            raise GrammarBroken("The text is complete: nothing may follow.")
        with _defects():
            self._fill(bitmask, row)

    def _fill(self, bitmask: torch.Tensor, row: int) -> None:
        words = self._vocabulary.words
        if bitmask.shape[1] == words:
            self._matcher.fill_next_token_bitmask(bitmask, row)
            return
        self._matcher.fill_next_token_bitmask(self._scratch, 0)
        bitmask[row].zero_()
        bitmask[row, :words] = self._scratch[0]

    def take(self, token: int) -> list[int]:
        if self.finished:
            raise ValueError("the text is complete: nothing may follow")
        with _defects():
            return self._take(token)

    def _take(self, token: int) -> list[int]:
        if token in self._eos:
            return self._end(token)
        if not self._matcher.accept_token(token):
            if not self._in_mask(token):
                raise ValueError(f"token {token} is not allowed here")
            # xgrammar 0.2.8: masks now and then hold tokens that the matcher then refuses.
            return self._instead()
        try:
            admitted = self._guard.admits(token, self._remaining)
        except NoWay:
            self._matcher.rollback(1)
            return self._instead()
        if not admitted:
            self._matcher.rollback(1)
            return self._close()
        self._guard.accept(token)
        self._remaining -= 1
        taken = [token]
        if not self._settle() and self._jump_forward:
            taken += self._forced()
        return taken

    def _in_mask(self, token: int) -> bool:
        if not 0 <= token < len(self._vocabulary):
            return False
        self._matcher.fill_next_token_bitmask(self._scratch, 0)
        return bool(self._scratch[0, token // WORD_BITS] >> (token % WORD_BITS) & 1)

    def _end(self, token: int) -> list[int]:
        if not self._matcher.is_completed():
            if not self._in_mask(token):
                raise ValueError(f"end token {token} before the text is complete")
            return self._instead()
        if self._guard.exact and not self._guard.complete():
            return self._instead()
        self.finished = True
        return []

    def _instead(self) -> list[int]:
        """The first token of the shortest end, for a sampled one that the grammar does not allow.

        Masks may hold such tokens: long bounds are not in them (see `ebnf`), so a text reaches
        those by sampling a token too much. It goes on as if the mask had left only its end. Where
        the matcher refuses that too, the text ends: the guard alone knows it.
        """
        closing = self._guard.closing()
        if not closing:
            self.finished = True
            return []
        token = closing[0]
        if not self._matcher.accept_token(token):
            return self._close()
        if not self._guard.admits(token, self._remaining):
            return self._close()
        self._guard.accept(token)
        self._remaining -= 1
        self._settle()
        return [token]

    def _close(self) -> list[int]:
        """The shortest end of the text, as the guard has it; nothing is asked after it."""
        self.finished = True
        closing = self._guard.closing()
        if len(closing) > self._remaining:
            raise GrammarBroken(f"Closing takes {len(closing)} of {self._remaining} tokens.")
        self._remaining -= len(closing)
        return closing

    def _forced(self) -> list[int]:
        """Tokens that must come now, as the tokenizer would cut their text.

        The last one is left to the model unless it ends the text, since what follows may merge
        with it.
        """
        try:
            text = self._matcher.find_jump_forward_string()
        except UnicodeDecodeError:
            # What is forced begins or ends inside a character.
            return []
        tokens = self._vocabulary.encode(text)
        if len(tokens) < MIN_FORCED_TOKENS:
            return []
        taken: list[int] = []
        for token in tokens[:-1]:
            if not self._matcher.accept_token(token):
                break
            try:
                fits = self._guard.admits(token, self._remaining)
            except NoWay:
                fits = False
            if not fits:
                # Cut as the tokenizer does it takes more tokens than are left.
                self._matcher.rollback(1)
                break
            self._guard.accept(token)
            self._remaining -= 1
            taken.append(token)
        self._settle()
        return taken

    def _settle(self) -> bool:
        """Finishes a text that is complete and cannot, or must not, go on."""
        if not self._matcher.is_completed() or (self._guard.exact and not self._guard.complete()):
            return False
        if self._remaining == 0 or self._ends_alone:
            self.finished = True
        else:
            self._matcher.fill_next_token_bitmask(self._scratch, 0)
            self.finished = not bool((self._scratch[0] & ~self._stop_words).any())
        return self.finished


@contextmanager
def _defects() -> Iterator[None]:
    """Turns what can only be a defect of matcher or guard into an error of this request."""
    try:
        yield
    except (NoWay, RuntimeError) as error:
        raise GrammarBroken(f"The text left its grammar: {error}") from error


def start_matcher(
    compiled: bytes,
    vocabulary: Vocabulary,
    *,
    max_tokens: int,
    eos_token_ids: Collection[int],
    jump_forward: bool = True,
) -> Matcher:
    """A matcher at the start of a text.

    Args:
        compiled: from `GrammarCompiler`, for this vocabulary; what is read from it is kept for the
            next sequences.
        vocabulary: of the model.
        max_tokens: budget of new tokens.
        eos_token_ids: tokens that end a complete text; empty lets it end where it first can.
        jump_forward: append text that the grammar forces without sampling it.

    Raises:
        InvalidGrammar: if even the shortest text exceeds `max_tokens`, or the grammar was compiled
            for another vocabulary.
        GrammarBroken: if it cannot be started, by a defect of ours.
    """
    with _defects():
        return _started(
            _loaded(compiled, vocabulary), vocabulary, max_tokens, eos_token_ids, jump_forward
        )


def _started(
    loaded: "_Loaded | QuoteTables",
    vocabulary: Vocabulary,
    max_tokens: int,
    eos_token_ids: Collection[int],
    jump_forward: bool,
) -> Matcher:
    if isinstance(loaded, QuoteTables):
        return QuoteMatcher(loaded, vocabulary, max_tokens=max_tokens, eos_token_ids=eos_token_ids)
    return XGrammarMatcher(
        loaded.grammar,
        ClosingGuard(loaded.tables, vocabulary, exact=loaded.exact),
        vocabulary,
        max_tokens=max_tokens,
        eos_token_ids=eos_token_ids,
        jump_forward=jump_forward,
    )


def prepare(compiled: bytes, vocabulary: Vocabulary) -> None:
    """Reads a compiled grammar, so that the next `start_matcher` for it costs microseconds.

    Takes milliseconds to, for very large grammars, a second; safe in another thread.

    Raises:
        InvalidGrammar: if it was compiled for another vocabulary.
        GrammarBroken: if it cannot be read, by a defect of ours.
    """
    with _defects():
        _loaded(compiled, vocabulary)


class _Loaded(NamedTuple):
    grammar: xgrammar.CompiledGrammar
    tables: Tables
    exact: bool


def _loaded(compiled: bytes, vocabulary: Vocabulary) -> _Loaded | QuoteTables:
    key = blake2b(compiled, digest_size=16).digest()
    return vocabulary.remember(key, lambda: _load(compiled, vocabulary))


def _load(compiled: bytes, vocabulary: Vocabulary) -> _Loaded | QuoteTables:
    value = msgspec.msgpack.decode(compiled, type=Compiled)
    if value.vocabulary != vocabulary.fingerprint:
        raise InvalidGrammar("The grammar was compiled for another vocabulary.")
    if value.quotes is not None:
        return QuoteTables(value.quotes)
    if value.source is not None:
        grammar = compile_text(value.source, vocabulary)
    elif value.grammar is not None:
        grammar = xgrammar.CompiledGrammar.deserialize_json(value.grammar, vocabulary.info)
    else:
        raise InvalidGrammar("The compiled grammar is incomplete.")
    if value.automaton is None:
        raise InvalidGrammar("The compiled grammar is incomplete.")
    return _Loaded(grammar, Tables(value.automaton), value.exact)
