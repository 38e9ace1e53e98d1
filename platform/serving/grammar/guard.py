"""The closing guard: no token is taken after which the text could not be completed in the budget.

It follows the text on its own network (`follower`) and knows the shortest end of every state
exactly. What always holds: between calls the shortest end of the text fits what is left of the
budget. Following is put off while an upper bound (see `growth`) says that there is room.
"""

from collections.abc import Sequence

from rostra.serving.errors import InvalidGrammar
from rostra.serving.grammar.automaton import BYTES
from rostra.serving.grammar.follower import Follower, Tables
from rostra.serving.grammar.vocabulary import Vocabulary


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
