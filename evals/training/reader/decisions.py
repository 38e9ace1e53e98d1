"""Held-out examples in which the first token of an answer is one of two, as the net sees them."""

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from evals.training.reader.net import Reader
from evals.training.reader.sequences import Marks, StoredSequences, TokenSequence, padded

_TOKENS = 8192  # of a batch


@torch.no_grad()
def decisions(
    net: Reader,
    marks: Marks,
    pair: tuple[int, int],
    held: Sequence[StoredSequences],
    device: str,
    counts: Callable[[TokenSequence], bool] = lambda _: True,
) -> tuple[Tensor, Tensor]:
    """The states in which it is decided, at the end of the prompt, and what is right.

    Args:
        pair: two tokens; examples that begin with another one are passed over.
        counts: of the examples those that are wanted.

    Returns:
        [N, hidden] float64; [N] bool, whether it is the pair's first.
    """
    states, right = [torch.zeros(0, net.embed_tokens.embedding_dim).double()], []
    for batch in _batches(held, lambda one: _begins(one, marks.step) in pair and counts(one)):
        given = padded(batch).to(device)
        rows = torch.arange(len(batch), device=device)
        places = (given.tokens == marks.step).int().argmax(1)
        states.append(net(given.tokens).states[rows, places].double().cpu())
        right.append((given.targets[rows, places] == pair[0]).cpu())
    return torch.cat(states), torch.cat([torch.zeros(0, dtype=torch.bool), *right])


def _begins(one: TokenSequence, step: int) -> int:
    """The first token of an example's answer."""
    return int(one.targets[(one.tokens == step).argmax()])


def _batches(
    held: Sequence[StoredSequences], counts: Callable[[TokenSequence], bool]
) -> Iterator[list[TokenSequence]]:
    """Neighbours in length, of about `_TOKENS` tokens together."""
    for stored in held:
        batch: list[TokenSequence] = []
        for one in filter(counts, map(stored.__getitem__, range(len(stored)))):
            if batch and (len(batch) + 1) * len(one.tokens) > _TOKENS:
                yield batch
                batch = []
            batch.append(one)
        if batch:
            yield batch
