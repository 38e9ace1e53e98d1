"""Cuts where the text turns to something else: at drops in similarity between sentence windows.

Before and after each boundary between two sentences stand windows of three sentences; the cosine
of the sums of their sentences' vectors says how much they have in common. Of all ways to cut, the
one is taken whose cuts have the smallest sum of (cosine - threshold), where the threshold is the
document's mean less its standard deviation: a cut at a drop below it is worth making, any other is
made only where a chunk would get too large. The best way is found exactly, by dynamic programming
over the boundaries.

What always holds: see `Chunker`. Nothing is repeated. Every document is embedded once more,
sentence by sentence, into vectors that are stored nowhere.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rostra.core import Embedder, sentence_spans
from rostra.ingest.chunking.chunk import Chunk
from rostra.ingest.chunking.cuts import Cuts
from rostra.ingest.chunking.places import Places
from rostra.ingest.chunking.tables import TableHeaders
from rostra.ingest.document import ParsedDocument

WINDOW_SENTENCES = 3
# Cosines are rounded before they are compared, so that number formats agree on the cuts.
_DECIMALS = 3
Similarities = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class SemanticChunker:
    """See this module.

    Args:
        embedder: of the sentences; its tokenizer counts.
        max_tokens: most tokens of a chunk.
    """

    embedder: Embedder
    max_tokens: int

    def chunk(self, document: ParsedDocument) -> list[Chunk]:
        """See `Chunker`."""
        text = document.text
        headers = TableHeaders(document, self.embedder.tokenizer, self.max_tokens)
        cuts = Cuts(text, self.embedder.tokenizer, headers)
        sentences = [
            piece
            for start, end in sentence_spans(text)
            for piece in cuts.pieces(start, end, self.max_tokens)
        ]
        if not sentences:
            return []
        whole = cuts.fits(sentences[0][0], sentences[-1][1], self.max_tokens)
        similar = np.ones(0) if whole else self._similarities(text, sentences)
        places = Places(document, self.embedder.tokenizer, headers)
        chunks = []
        for first, last in self._runs(cuts, sentences, similar):
            start, end = sentences[first][0], sentences[last - 1][1]
            chunks.append(places.chunk(start, end, places.path(start, end)))
        return chunks

    def _similarities(self, text: str, sentences: list[tuple[int, int]]) -> Similarities:
        """Cosine across the boundary after each sentence but the last."""
        vectors = self.embedder.embed_documents([text[start:end] for start, end in sentences])
        summed = np.concatenate(
            ([np.zeros(vectors.shape[1])], np.cumsum(vectors, axis=0, dtype=np.float64))
        )
        count = len(sentences)
        border = np.arange(1, count)
        before = summed[border] - summed[np.maximum(border - WINDOW_SENTENCES, 0)]
        after = summed[np.minimum(border + WINDOW_SENTENCES, count)] - summed[border]
        lengths = np.linalg.norm(before, axis=1) * np.linalg.norm(after, axis=1)
        cosines = np.einsum("ij,ij->i", before, after) / np.maximum(lengths, 1e-12)
        rounded: Similarities = np.round(cosines, _DECIMALS)
        return rounded

    def _runs(
        self, cuts: Cuts, sentences: list[tuple[int, int]], similar: Similarities
    ) -> list[tuple[int, int]]:
        """The best way to cut, as `[first, last)` of the sentences of each chunk."""
        count = len(sentences)
        if not len(similar):
            return [(0, count)]
        price = similar - (similar.mean() - similar.std())
        # Windows overlap, so a drop shows at its neighbours too: only its lowest place is worth a
        # cut.
        beside = np.pad(similar, 1, constant_values=np.inf)
        lowest = (similar <= beside[:-2]) & (similar <= beside[2:])
        price = np.where(lowest, price, np.maximum(price, 0.0))
        # best[i]: least price of cutting the first i sentences; came[i]: where the last chunk of
        # those begins. Of equal prices the longer chunk stays.
        best = np.zeros(count + 1)
        came = [0] * (count + 1)
        for end in range(1, count + 1):
            least = np.inf
            for first in range(end - 1, -1, -1):
                if first < end - 1 and not cuts.fits(
                    sentences[first][0], sentences[end - 1][1], self.max_tokens
                ):
                    break
                cost = best[first] + (price[first - 1] if first else 0.0)
                if cost <= least:
                    least, came[end] = cost, first
            best[end] = least
        runs = []
        end = count
        while end:
            runs.append((came[end], end))
            end = came[end]
        return runs[::-1]
