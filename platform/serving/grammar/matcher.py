"""The state of one constrained sequence: which tokens may come next, and what a token leads to.

What always holds: after every `take` the text so far can still be completed within the budget of
new tokens, and when `finished` is set it is complete. Sampled, forced and closing tokens all count;
an end token does not. A matcher belongs to one sequence and survives its preemption.
"""

from collections.abc import Collection
from hashlib import blake2b
from typing import NamedTuple, Protocol

import msgspec
import torch
import xgrammar

from rostra.serving.errors import InvalidGrammar
from rostra.serving.grammar.compiled import Compiled, compile_text
from rostra.serving.grammar.guard import ClosingGuard, NoWay, Tables
from rostra.serving.grammar.quotes import QuoteMatcher, QuoteTables
from rostra.serving.grammar.vocabulary import Vocabulary

MIN_FORCED_TOKENS = 2
# A forced run of one token saves no step worth the retokenising.


class GrammarBroken(RuntimeError):
    """Matcher and guard disagree, which is a defect of ours; the request ends with an error."""


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
        """

    def take(self, token: int) -> list[int]:
        """Goes on by a sampled token.

        Returns:
            The tokens to append to the sequence in its place. Mostly `[token]` and what the
            grammar forces after it; the shortest end of the text if the token would have made
            that end miss the budget; nothing for an end token.

        Raises:
            ValueError: if the token is not allowed; the matcher is unchanged.
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
        guard.require(max_tokens)
        self._settle()

    def fill(self, bitmask: torch.Tensor, row: int) -> None:
        if self.finished:
            raise ValueError("the text is complete: nothing may follow")
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
        if token in self._eos:
            return self._end(token)
        if not self._matcher.accept_token(token):
            raise ValueError(f"token {token} is not allowed here")
        try:
            admitted = self._guard.admits(token, self._remaining)
        except NoWay as error:
            self._matcher.rollback(1)
            return self._within_bounds(error)
        if not admitted:
            self._matcher.rollback(1)
            return self._close()
        self._guard.accept(token)
        self._remaining -= 1
        taken = [token]
        if not self._settle() and self._jump_forward:
            taken += self._forced()
        return taken

    def _end(self, token: int) -> list[int]:
        if not self._matcher.is_completed():
            raise ValueError(f"end token {token} before the text is complete")
        if self._guard.exact and not self._guard.complete():
            return self._within_bounds(NoWay("the text is not complete"))
        self.finished = True
        return []

    def _within_bounds(self, error: NoWay) -> list[int]:
        """The first token of the shortest end, where the sampled one exceeds a bound.

        Long bounds are not in the masks (see `ebnf`), so a text reaches them by sampling a token
        too much; it goes on as if the mask had left only its end.
        """
        if not self._guard.exact:
            raise GrammarBroken(f"the guard does not follow the grammar: {error}")
        closing = self._guard.closing()
        if not closing:
            self.finished = True
            return []
        token = closing[0]
        if not self._matcher.accept_token(token):
            raise GrammarBroken(f"closing token {token} is not allowed")
        if not self._guard.admits(token, self._remaining):
            raise GrammarBroken(f"closing token {token} does not fit")
        self._guard.accept(token)
        self._remaining -= 1
        self._settle()
        return [token]

    def _close(self) -> list[int]:
        """The shortest end of the text."""
        self.finished = True
        closing = self._guard.closing()
        if len(closing) > self._remaining:
            raise GrammarBroken(f"closing takes {len(closing)} of {self._remaining} tokens")
        for token in closing:
            if not self._matcher.accept_token(token):
                raise GrammarBroken(f"closing token {token} is not allowed")
        if not self._matcher.is_completed():
            raise GrammarBroken("the text is incomplete after its closing")
        self._remaining -= len(closing)
        return closing

    def _forced(self) -> list[int]:
        """Tokens that must come now, as the tokenizer would cut their text.

        The last one is left to the model unless it ends the text, since what follows may merge
        with it.
        """
        text = self._matcher.find_jump_forward_string()
        if not text:
            return []
        tokens = self._vocabulary.encode(text)
        if len(tokens) < MIN_FORCED_TOKENS:
            return []
        taken: list[int] = []
        for token in tokens[:-1]:
            if not self._matcher.accept_token(token):
                raise GrammarBroken(f"forced token {token} is not allowed")
            try:
                fits = self._guard.admits(token, self._remaining)
            except NoWay as error:
                raise GrammarBroken(f"forced token {token}: {error}") from error
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
    """
    loaded = _loaded(compiled, vocabulary)
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
    """
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
