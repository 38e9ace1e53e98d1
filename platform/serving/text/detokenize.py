"""Token ids back to text, as they come.

What always holds: the pieces joined are what decoding all ids at once gives, special tokens left
out; what was returned never changes, so bytes that may still become a character are held back; each
token costs constant time.

A generated text continues its prompt: the leading space that SentencePiece tokenizers take from the
start of a text is taken only where the prompt has no text of its own, special tokens being none.
Bytes of the prompt are never shown: a character begun there and ended here is invalid here.
"""

import codecs
from collections.abc import Iterable, Sequence

from rostra.serving.text.pieces import Pieces

REPLACEMENT = "\ufffd"


class Detokenizer:
    """Decodes one sequence.

    Args:
        pieces: the vocabulary, `TextTokenizer.pieces`.
        prompt: what the generated tokens continue.
    """

    def __init__(self, pieces: Pieces, prompt: Sequence[int] = ()) -> None:
        self._pieces = pieces
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        # Bytes from byte tokens. SentencePiece decodes each run of them as one: if it is not valid
        # as a whole, every byte of it becomes U+FFFD. So a run is shown when it has ended.
        self._run = bytearray()
        at_start = not any(pieces.bytes_of(token) for token in reversed(prompt))
        self._first = at_start and pieces.leading_token
        self._leading = pieces.leading if at_start else 0

    def push(self, token_ids: Iterable[int]) -> str:
        """The text that these tokens add for certain."""
        pieces = self._pieces
        if pieces.byte_level:
            return self._decoder.decode(b"".join(map(pieces.bytes_of, token_ids)))
        parts = []
        for token in token_ids:
            piece = pieces.bytes_of(token)
            if not piece:
                continue
            if token in pieces.single_bytes:
                self._run += piece
                self._first = False
                continue
            if self._run:
                parts.append(self._end_run())
            text = piece.decode()
            if self._first:
                self._first = False
                text = text.replace(" ", "")
            parts.append(text)
        return self._stripped("".join(parts))

    def flush(self) -> str:
        """What was held back, when no more tokens come."""
        if self._pieces.byte_level:
            return self._decoder.decode(b"", final=True)
        return self._stripped(self._end_run())

    def _end_run(self) -> str:
        run = bytes(self._run)
        self._run.clear()
        try:
            return run.decode()
        except UnicodeDecodeError:
            return REPLACEMENT * len(run)

    def _stripped(self, text: str) -> str:
        while self._leading and text:
            if not text.startswith(" "):
                self._leading = 0
                break
            text = text[1:]
            self._leading -= 1
        return text
