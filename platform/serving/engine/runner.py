"""Runs one step of the scheduler on the device: tokens in, sampled tokens out.

What always holds: a step is launched whole and read later; nothing here waits for the device until
`Launched.read`. A token that was sampled in the step before and not read yet goes from one to the
other on the device.
"""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from rostra.core import RostraError
from rostra.serving.attention.backend import AttentionBackend
from rostra.serving.attention.layout import BatchLayout, LayoutRow, make_layout
from rostra.serving.engine.graphed import GraphedDecode
from rostra.serving.grammar.matcher import Matcher
from rostra.serving.models.decoder import Decoder
from rostra.serving.request import TokenLogprobs
from rostra.serving.sampling.logprobs import prompt_logprobs
from rostra.serving.sampling.noise import sequence_seed
from rostra.serving.sampling.penalties import needs_counts
from rostra.serving.sampling.sampler import Sampled, Sampler, SamplingRow
from rostra.serving.scheduler.sequence import Sequence
from rostra.serving.scheduler.step import Chunk, Step


@dataclass(slots=True)
class Draw:
    """What a step brought to one sequence.

    Attributes:
        token: drawn; meaningless when there is an `error`.
        logprobs: of that token, when asked for.
        error: why none could be drawn.
    """

    token: int
    logprobs: TokenLogprobs | None = None
    error: RostraError | None = None


@dataclass(slots=True)
class Launched:
    """A step under way.

    Attributes:
        step: what is computed.
        sequences: that draw a token, in the order of the sampled rows.
        prompt_logprobs: of prompt positions computed in this step, by sequence.
        failures: of grammar masks, by the row that was to draw.
    """

    step: Step
    sequences: tuple[Sequence, ...]
    sampled: Sampled | None
    prompt_logprobs: dict[Sequence, list[TokenLogprobs]] = field(default_factory=dict)
    failures: dict[int, RostraError] = field(default_factory=dict)

    def read(self) -> dict[Sequence, Draw]:
        """What was drawn; waits for the device."""
        if self.sampled is None:
            return {}
        tokens, errors = self.sampled.read()
        failures: dict[int, RostraError] = {**errors, **self.failures}
        rows = zip(self.sequences, tokens, self.sampled.logprobs, strict=True)
        return {
            sequence: Draw(token, logprobs, failures.get(row))
            for row, (sequence, token, logprobs) in enumerate(rows)
        }


class Runner:
    """The model, its cache and the sampler on one device.

    Args:
        decoder: the model.
        backend: of attention; holds the cache.
        block_size: tokens of a block.
        mask_words: int32 words of a grammar mask row.
        graphs: recorded decode steps, where the device has them.
    """

    def __init__(
        self,
        decoder: Decoder,
        backend: AttentionBackend,
        *,
        block_size: int,
        mask_words: int,
        graphs: GraphedDecode | None = None,
    ) -> None:
        self._decoder = decoder
        self._backend = backend
        self._block_size = block_size
        self._mask_words = mask_words
        self._graphs = graphs
        self._sampler = Sampler()
        # Masks are filled by it while the model runs.
        self._filler = ThreadPoolExecutor(1, thread_name_prefix="grammar masks")
        self._last: Launched | None = None

    @torch.inference_mode()
    def launch(
        self,
        step: Step,
        first_positions: Callable[[Sequence], int],
        matchers: Mapping[Sequence, Matcher],
    ) -> Launched:
        """Starts a step.

        Args:
            step: at least one chunk.
            first_positions: the number a sequence counts its positions from.
            matchers: of the sequences that a grammar holds.
        """
        chunks = step.chunks
        layout = make_layout(
            [LayoutRow(chunk.start, chunk.count, chunk.sequence.blocks) for chunk in chunks],
            self._block_size,
            self._decoder.device,
        )
        drawing = [(row, chunk) for row, chunk in enumerate(chunks) if chunk.samples]
        sequences = tuple(chunk.sequence for _, chunk in drawing)
        masked = [
            (row, matchers[sequence])
            for row, sequence in enumerate(sequences)
            if sequence in matchers
        ]
        filling = self._filler.submit(self._fill, len(sequences), masked) if masked else None
        rows = [_sampling_row(s, masked=s in matchers) for s in sequences]
        token_ids = self._token_ids(chunks)
        positions = self._positions(chunks, layout, first_positions)
        launched = Launched(step, sequences, None)
        sampled, logits = None, None
        if self._graphs is not None and len(drawing) == len(chunks) and self._graphs.covers(layout):
            sampled, logits = self._graphs.replay(layout, token_ids, positions, rows)
        else:
            hidden = self._decoder.forward(token_ids, positions, self._backend.bind(layout))
            launched.prompt_logprobs = self._prompt_logprobs(chunks, hidden)
            if drawing:
                logits = self._decoder.logits(self._last_rows(hidden, layout, drawing))
        bitmask = None
        if filling:
            bitmask, launched.failures = filling.result()
        if logits is not None and sampled is None:
            sampled = self._sampler.sample(logits, rows, bitmask)
        launched.sampled = sampled
        self._last = launched
        return launched

    def close(self) -> None:
        """Ends the thread that fills masks."""
        self._filler.shutdown()

    def _last_rows(
        self, hidden: Tensor, layout: BatchLayout, drawing: list[tuple[int, Chunk]]
    ) -> Tensor:
        """[N, hidden]: the last new token of each chunk that draws."""
        if len(drawing) == hidden.shape[0]:
            return hidden
        ends = np.cumsum(layout.query_lengths) - 1
        last = torch.from_numpy(ends[[row for row, _ in drawing]])
        return hidden[last.to(hidden.device, non_blocking=True)]

    def _token_ids(self, chunks: tuple[Chunk, ...]) -> Tensor:
        """[T] int64 on the device, tokens not read yet taken from the step before."""
        ids: list[int] = []
        unread: list[tuple[int, Sequence]] = []
        for chunk in chunks:
            sequence, end = chunk.sequence, chunk.start + chunk.count
            if end <= len(sequence.tokens):
                ids += sequence.tokens[chunk.start : end]
                continue
            ids += sequence.tokens[chunk.start :]
            unread.append((len(ids), sequence))
            ids.append(0)
        host = torch.tensor(ids, dtype=torch.int64)
        tokens = host.to(self._decoder.device, non_blocking=True)
        if unread:
            if self._last is None or self._last.sampled is None:
                raise RuntimeError("a token is awaited from a step that drew none")
            rows = {sequence: row for row, sequence in enumerate(self._last.sequences)}
            where = torch.tensor([place for place, _ in unread]).to(tokens.device)
            source = torch.tensor([rows[sequence] for _, sequence in unread]).to(tokens.device)
            tokens[where] = self._last.sampled.tokens[source]
        return tokens

    def _positions(
        self,
        chunks: tuple[Chunk, ...],
        layout: BatchLayout,
        first_positions: Callable[[Sequence], int],
    ) -> Tensor:
        first = [first_positions(chunk.sequence) for chunk in chunks]
        if not any(first):
            return layout.positions
        shift = torch.tensor(np.repeat(first, layout.query_lengths), dtype=torch.int64)
        return layout.positions + shift.to(layout.positions.device)

    def _fill(
        self, rows: int, masked: list[tuple[int, Matcher]]
    ) -> tuple[Tensor, dict[int, RostraError]]:
        pinned = self._decoder.device.type == "cuda"
        bitmask = torch.full((rows, self._mask_words), -1, dtype=torch.int32, pin_memory=pinned)
        failures: dict[int, RostraError] = {}
        for row, matcher in masked:
            try:
                matcher.fill(bitmask, row)
            except RostraError as error:
                failures[row] = error
        return bitmask, failures

    def _prompt_logprobs(
        self, chunks: tuple[Chunk, ...], hidden: Tensor
    ) -> dict[Sequence, list[TokenLogprobs]]:
        found: dict[Sequence, list[TokenLogprobs]] = {}
        row = 0
        for chunk in chunks:
            sequence = chunk.sequence
            top = sequence.request.sampling.prompt_logprobs
            # The prompt's last position predicts the first new token, which is no part of it.
            count = min(chunk.start + chunk.count, sequence.prompt_length - 1) - chunk.start
            if top is not None and sequence.index == 0 and count > 0:
                targets = sequence.tokens[chunk.start + 1 : chunk.start + 1 + count]
                found[sequence] = prompt_logprobs(
                    hidden[row : row + count],
                    torch.tensor(targets, dtype=torch.int64).to(hidden.device),
                    self._decoder.logits,
                    top,
                )
            row += chunk.count
        return found


def _sampling_row(sequence: Sequence, *, masked: bool) -> SamplingRow:
    request = sequence.request
    counted = needs_counts(request.sampling)
    return SamplingRow(
        params=request.sampling,
        seed=sequence_seed(request.seed, sequence.index),
        # The token to be drawn is counted as pending since the launch.
        position=sequence.total - 1,
        prompt=request.prompt,
        output=sequence.tokens[sequence.prompt_length :] if counted else (),
        eos_token_ids=request.eos_token_ids,
        mask=masked,
    )
