"""Log probabilities of tokens, as chat and completions tell them.

What always holds: one entry for each token reported, whatever characters it is a part of; a token
that is no whole character shows replacement characters as text and its true bytes.
"""

from collections.abc import Iterable

import msgspec

from rostra.api.openai.model import ChatTokenizer
from rostra.serving import TokenLogprobs


class TopLogprob(msgspec.Struct):
    """A token that could have come."""

    token: str
    logprob: float
    bytes: list[int]


class TokenLogprob(msgspec.Struct):
    """A token that came, and the likeliest in its place."""

    token: str
    logprob: float
    bytes: list[int]
    top_logprobs: list[TopLogprob]


class ChoiceLogprobs(msgspec.Struct):
    """Of one choice's tokens; there are no refusals."""

    content: list[TokenLogprob] | None
    refusal: None = None


class CompletionLogprobs(msgspec.Struct):
    """The older form: four lists of one length.

    The likeliest tokens of a place, and the one that came where it is not among them.
    """

    tokens: list[str]
    token_logprobs: list[float]
    top_logprobs: list[dict[str, float]]
    text_offset: list[int]


def token_logprobs(
    tokenizer: ChatTokenizer, found: Iterable[TokenLogprobs] | None
) -> list[TokenLogprob]:
    """As chat tells them."""
    return [
        TokenLogprob(
            *_named(tokenizer, one.token, one.logprob),
            [TopLogprob(*_named(tokenizer, token, logprob)) for token, logprob in one.top],
        )
        for one in found or ()
    ]


class OffsetLogprobs:
    """Collects the older form; offsets count the characters of tokens before."""

    def __init__(self, tokenizer: ChatTokenizer, offset: int = 0) -> None:
        self._tokenizer = tokenizer
        self._offset = offset

    def first(self, token: int) -> CompletionLogprobs:
        """The first token of an echoed prompt, of which nothing is known.

        OpenAI's own schema has no null here, so its probability counts as 1.
        """
        text = self._tokenizer.token_text(token)
        return CompletionLogprobs([text], [0.0], [{}], [self._advance(text)])

    def more(self, found: Iterable[TokenLogprobs]) -> CompletionLogprobs:
        """The next tokens."""
        part = CompletionLogprobs([], [], [], [])
        for one in found:
            text = self._tokenizer.token_text(one.token)
            part.tokens.append(text)
            part.token_logprobs.append(finite(one.logprob))
            top: dict[str, float] = {}
            for token, logprob in (*one.top, (one.token, one.logprob)):
                # Likeliest first: of equal texts the likelier stays.
                top.setdefault(self._tokenizer.token_text(token), finite(logprob))
            part.top_logprobs.append(top)
            part.text_offset.append(self._advance(text))
        return part

    def _advance(self, text: str) -> int:
        at = self._offset
        self._offset += len(text)
        return at


def joined(parts: Iterable[CompletionLogprobs]) -> CompletionLogprobs:
    """Several parts as one."""
    whole = CompletionLogprobs([], [], [], [])
    for part in parts:
        whole.tokens += part.tokens
        whole.token_logprobs += part.token_logprobs
        whole.top_logprobs += part.top_logprobs
        whole.text_offset += part.text_offset
    return whole


def finite(logprob: float) -> float:
    """What JSON can hold: impossible tokens get OpenAI's -9999."""
    return max(logprob, -9999.0)


def _named(tokenizer: ChatTokenizer, token: int, logprob: float) -> tuple[str, float, list[int]]:
    data = tokenizer.token_bytes(token)
    return tokenizer.token_text(token), finite(logprob), list(data)
