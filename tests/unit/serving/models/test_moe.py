"""Mixtures of experts: who takes which, and what is added."""

import torch
from torch import Tensor

from rostra.serving.models.linear import make_linear
from rostra.serving.models.moe import GatedMLP, MixtureOfExperts

HIDDEN, SIZE, EXPERTS = 16, 24, 6


def mixture(
    per_token: int = 2, normalised: bool = True, dtype: torch.dtype = torch.float32
) -> MixtureOfExperts:
    generator = torch.Generator().manual_seed(0)

    def weight(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator).to(dtype)

    return MixtureOfExperts(
        router=make_linear(weight(EXPERTS, HIDDEN), None),
        experts=tuple(
            GatedMLP(
                make_linear(weight(2 * SIZE, HIDDEN), None),
                make_linear(weight(HIDDEN, SIZE), None),
                "silu",
            )
            for _ in range(EXPERTS)
        ),
        per_token=per_token,
        normalised=normalised,
    )


def by_token(block: MixtureOfExperts, x: Tensor) -> Tensor:
    """The same, said the other way round."""
    rows = []
    for row in x:
        likely = block.router(row[None])[0].softmax(-1)
        best = likely.sort(descending=True).indices[: block.per_token].tolist()
        whole = sum(likely[e] for e in best) if block.normalised else 1.0
        rows.append(sum(likely[e] / whole * block.experts[e](row[None])[0] for e in best))
    return torch.stack(rows)


def test_each_token_goes_through_its_best_experts() -> None:
    x = torch.randn(40, HIDDEN, generator=torch.Generator().manual_seed(1))
    for per_token in (1, 2, EXPERTS):
        for normalised in (True, False):
            block = mixture(per_token, normalised)
            assert torch.allclose(block(x), by_token(block, x), rtol=1e-4, atol=1e-4)


def test_weights_sum_to_one_when_normalised() -> None:
    x = torch.randn(40, HIDDEN, generator=torch.Generator().manual_seed(2))
    weights, chosen = mixture().route(x)
    assert weights.dtype == torch.float32
    assert torch.allclose(weights.sum(1), torch.ones(40))
    assert all(len({*row}) == 2 for row in chosen.tolist())
    assert (mixture(normalised=False).route(x)[0].sum(1) < 1).all()


def test_experts_without_tokens_are_not_run() -> None:
    block = mixture(per_token=1)
    x = torch.randn(1, HIDDEN)
    taken = int(block.route(x)[1])

    def untouchable(_: Tensor) -> Tensor:
        raise AssertionError("an expert ran without tokens")

    idle = GatedMLP(untouchable, untouchable, "silu")  # type: ignore[arg-type]
    alone = MixtureOfExperts(
        block.router,
        [expert if n == taken else idle for n, expert in enumerate(block.experts)],
        1,
        True,
    )
    assert torch.equal(alone(x), block(x))


def test_token_weight_bytes_count_the_experts_taken() -> None:
    block = mixture(dtype=torch.float64)  # the format without padding
    expert = 8 * 3 * HIDDEN * SIZE
    router = 8 * EXPERTS * HIDDEN
    assert block.weight_bytes == router + EXPERTS * expert
    assert block.token_weight_bytes == router + 2 * expert
