"""Learns a rotation whose first coordinates rank passages as all of them do.

For each question of a batch, the cosines of truncated vectors to a pool of passages, its nearest
ones and some others, are to be distributed as those at full width are: the sum over widths of the
Kullback-Leibler divergences of their softmaxes. The nested widths are those of Kusupati et al.,
"Matryoshka Representation Learning" (2022); nothing but the rotation is learned, as a Cayley
transform (`torch.nn.utils.parametrizations.orthogonal`) times the matrix that is begun from.

What always holds: what is returned is orthogonal to float32 rounding; the same vectors, seed and
number of threads give the same matrix.
"""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import numpy as np
import torch
from torch.nn import functional
from torch.nn.utils.parametrizations import orthogonal

from rostra.core import FloatMatrix

_TOLD = 500  # steps


class Learning(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The table `learn` of a configuration.

    Attributes:
        steps: none keeps what is begun from.
        learning_rate: its highest; it rises for a tenth of the steps and falls to nothing.
        temperature: of the softmaxes; cosines are divided by it.
        batch: questions of a step, all of one kind.
        near: nearest passages of each question in the pool.
        others: passages in the pool that are drawn.
        most_questions: of a kind that are used; `most_passages` likewise.
        widths: that vectors are cut to.
    """

    steps: int = 1500
    learning_rate: float = 3e-3
    temperature: float = 0.05
    batch: int = 32
    near: int = 8
    others: int = 200
    most_questions: int = 3000
    most_passages: int = 6000
    widths: tuple[int, ...] = (32, 64, 128, 192, 256)


def learn_rotation(
    kinds: Sequence[tuple[FloatMatrix, FloatMatrix]],
    start: FloatMatrix,
    learning: Learning,
    seed: int,
    tell: Callable[[str], None] = lambda _: None,
) -> FloatMatrix:
    """An orthogonal matrix, float32 [width, width]; rows are directions.

    Args:
        kinds: questions and the passages that they are asked of, unit vectors; kinds take turns.
        start: an orthogonal matrix to begin from.
        tell: takes a line now and then.
    """
    random = np.random.default_rng(seed)
    drawn = [_drawn(*kind, learning, random) for kind in kinds]
    width = len(start)
    base = torch.from_numpy(np.array(start, np.float32))
    layer = torch.nn.Linear(width, width, bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.eye(width))
    turn: Any = orthogonal(layer, orthogonal_map="cayley")
    optimizer = torch.optim.Adam(turn.parameters(), lr=learning.learning_rate)
    rate: Any = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, learning.learning_rate, total_steps=max(learning.steps, 1), pct_start=0.1
    )
    smooth = 0.0
    for step in range(learning.steps):
        questions, passages, nearest = drawn[step % len(drawn)]
        chosen = torch.from_numpy(random.integers(0, len(questions), learning.batch))
        others = torch.from_numpy(random.integers(0, len(passages), learning.others))
        pool = torch.unique(torch.cat([nearest[chosen].flatten(), others]))
        loss = _loss(questions[chosen], passages[pool], turn.weight @ base, learning)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call] # torch does not annotate it
        optimizer.step()
        rate.step()
        smooth = loss.item() if not step else 0.95 * smooth + 0.05 * loss.item()
        if (step + 1) % _TOLD == 0:
            tell(f"step {step + 1} of {learning.steps}, loss {smooth:.4f}")
    with torch.no_grad():
        learned = (turn.weight @ base).numpy().astype(np.float64)
    # The orthogonal matrix nearest to what rounding has left.
    left, _, right = np.linalg.svd(learned)
    return np.ascontiguousarray(left @ right, dtype=np.float32)


def _drawn(
    questions: FloatMatrix, passages: FloatMatrix, learning: Learning, random: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Some of a kind, and the nearest passages of each question, int64 [questions, near]."""
    questions = questions[random.permutation(len(questions))[: learning.most_questions]]
    passages = passages[random.permutation(len(passages))[: learning.most_passages]]
    near = min(learning.near, len(passages))
    nearest = np.argpartition(-(questions @ passages.T), near - 1, axis=1)[:, :near]
    return (
        torch.from_numpy(np.ascontiguousarray(questions)),
        torch.from_numpy(np.ascontiguousarray(passages)),
        torch.from_numpy(nearest.astype(np.int64)),
    )


def _loss(
    questions: torch.Tensor, passages: torch.Tensor, weight: torch.Tensor, learning: Learning
) -> torch.Tensor:
    wanted = torch.log_softmax(questions @ passages.T / learning.temperature, dim=1)
    turned, searched = questions @ weight.T, passages @ weight.T
    total = torch.zeros(())
    for width in learning.widths:
        cut = functional.normalize(turned[:, :width], dim=1)
        cosines = cut @ functional.normalize(searched[:, :width], dim=1).T
        found = torch.log_softmax(cosines / learning.temperature, dim=1)
        total = total + (wanted.exp() * (wanted - found)).sum(dim=1).mean()
    return total
