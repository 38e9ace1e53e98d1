"""Decode steps replayed as graphs: model, LM head and plain sampling in one launch.

What always holds: a replayed step gives what the same step gives launch by launch. Rows that ask
for more than temperature sampling are drawn from the replayed step's logits afterwards.
"""

import torch
from torch import Tensor

from rostra.serving.attention.backend import AttentionBackend
from rostra.serving.attention.graphs import (
    Capture,
    DecodeGraphs,
    StaticInputs,
    default_buckets,
)
from rostra.serving.attention.layout import BatchLayout
from rostra.serving.models.decoder import Decoder
from rostra.serving.sampling.draw import draw_plain
from rostra.serving.sampling.noise import signed
from rostra.serving.sampling.sampler import Sampled, SamplingRow, is_plain

# Longer contexts are launched one by one: a recorded step is laid out for its longest context, and
# in so long a step launches cost little beside the work.
_MAX_CONTEXT = 4096


class GraphedDecode:
    """Recorded when it is made.

    Args:
        decoder: a `capturable` one.
        backend: of attention.
        max_batch: most sequences of a step.
        max_context: most tokens of a sequence.
        block_size: tokens of a block.
        capture: what records; None is what the device has.
    """

    def __init__(
        self,
        decoder: Decoder,
        backend: AttentionBackend,
        *,
        max_batch: int,
        max_context: int,
        block_size: int,
        capture: Capture | None = None,
    ) -> None:
        self._decoder = decoder
        self._backend = backend
        # All graphs leave their logits here.
        self._logits = torch.empty(
            (max_batch, decoder.config.vocab_size), dtype=torch.float32, device=decoder.device
        )
        with torch.inference_mode():
            self._graphs = DecodeGraphs(
                self._step,
                default_buckets(max_batch),
                max_context=min(max_context, _MAX_CONTEXT),
                block_size=block_size,
                device=decoder.device,
                capture=capture,
                extras={
                    "temperature": torch.tensor(0.0, dtype=torch.float32),
                    "seed": torch.tensor(0, dtype=torch.int64),
                    "draw_position": torch.tensor(0, dtype=torch.int64),
                },
            )

    def covers(self, layout: BatchLayout) -> bool:
        """Whether this step was recorded: one token of each sequence, not too long."""
        return layout.max_query == 1 and self._graphs.covers(layout.sequences, layout.max_context)

    def replay(
        self,
        layout: BatchLayout,
        token_ids: Tensor,
        positions: Tensor,
        rows: list[SamplingRow],
    ) -> tuple[Sampled | None, Tensor]:
        """Computes a step.

        Args:
            layout: one that `covers` approves.
            token_ids: [S] int64.
            positions: [S] int64.
            rows: what each sequence draws with.

        Returns:
            What was drawn, None if a row asks for more than plain sampling; and the logits
            [S, vocab] float32, the caller's to write over until the next step.
        """
        device = token_ids.device
        extras = {
            "temperature": _upload([row.params.temperature for row in rows], torch.float32, device),
            "seed": _upload([signed(row.seed) for row in rows], torch.int64, device),
            "draw_position": _upload([row.position for row in rows], torch.int64, device),
        }
        packed = self._graphs.replay(layout, token_ids, positions=positions, extras=extras)
        plain = all(_is_plain_now(row) for row in rows)
        return Sampled(packed.T) if plain else None, self._logits[: len(rows)]

    def _step(self, inputs: StaticInputs) -> Tensor:
        """[N, 2] int64: tokens and outcomes."""
        hidden = self._decoder.forward(
            inputs.token_ids, inputs.layout.positions, self._backend.bind(inputs.layout)
        )
        logits = self._decoder.logits(hidden)
        self._logits[: logits.shape[0]].copy_(logits)
        extras = inputs.extras
        return draw_plain(logits, extras["temperature"], extras["seed"], extras["draw_position"]).T


def _is_plain_now(row: SamplingRow) -> bool:
    early = row.position - len(row.prompt) < row.params.min_tokens
    return is_plain(row.params) and not row.mask and not early


def _upload(values: list[float] | list[int], dtype: torch.dtype, device: torch.device) -> Tensor:
    host = torch.tensor(values, dtype=dtype, pin_memory=device.type == "cuda")
    return host.to(device, non_blocking=True)
