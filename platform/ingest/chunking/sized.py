"""What chunkers share that know text by its size alone."""

from dataclasses import dataclass

from rostra.core import Tokenizer
from rostra.ingest.chunking.cuts import Cuts, check_sizes
from rostra.ingest.chunking.places import Places
from rostra.ingest.chunking.tables import TableHeaders
from rostra.ingest.document import ParsedDocument


@dataclass(frozen=True, slots=True)
class SizedChunker:
    """A chunker's measure.

    Args:
        tokenizer: the embedder's.
        max_tokens: most tokens of a chunk.
        overlap: most tokens repeated from the chunk before.

    Raises:
        ValueError: if the sizes do not go together; see `check_sizes`.
    """

    tokenizer: Tokenizer
    max_tokens: int
    overlap: int = 0

    def __post_init__(self) -> None:
        check_sizes(self.max_tokens, self.overlap)

    def prepared(self, document: ParsedDocument) -> tuple[Cuts, Places]:
        """What cuts a document, and what makes chunks of the parts."""
        headers = TableHeaders(document, self.tokenizer, self.max_tokens)
        cuts = Cuts(document.text, self.tokenizer, headers)
        return cuts, Places(document, self.tokenizer, headers)
