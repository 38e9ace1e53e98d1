"""The decoder against transformers, for every family."""

from random import Random

import pytest
import torch

from rostra.serving.models.decoder import Decoder
from rostra.serving.models.load import load_decoder
from tests.checkpoints import BOS_ID, FAMILIES, VOCAB_SIZE
from tests.unit.serving.conftest import Checkpoint
from tests.unit.serving.models.reference import DenseAttention, greedy, peer, peer_logits, run

CPU = torch.device("cpu")


def tokens(count: int, seed: int = 0) -> list[int]:
    random = Random(seed)
    return [BOS_ID, *(random.randrange(12, VOCAB_SIZE) for _ in range(count - 1))]


@pytest.fixture(params=FAMILIES)
def family(request: pytest.FixtureRequest) -> str:
    return request.param


def load(checkpoint: Checkpoint, family: str, dtype: torch.dtype = torch.float32) -> Decoder:
    return load_decoder(checkpoint(family), dtype=dtype, device=CPU)


def test_float32_logits(checkpoint: Checkpoint, family: str) -> None:
    # Longer than every sliding window, within every trained context.
    text = tokens(60)
    wanted = peer_logits(peer(checkpoint(family)), text)
    decoder = load(checkpoint, family)
    assert decoder.logits(torch.zeros(1, decoder.config.hidden_size)).dtype == torch.float32
    for chunks in ([60], [17, 1, 25, 9, 1, 1, 1, 5]):
        assert (run(decoder, text, chunks) - wanted).abs().max() < 1e-4


def test_float64_logits(checkpoint: Checkpoint, family: str) -> None:
    text = tokens(60, seed=1)
    wanted = peer_logits(peer(checkpoint(family), torch.float64), text)
    decoder = load(checkpoint, family, torch.float64)
    for chunks in ([60], [31, *[1] * 29]):
        assert (run(decoder, text, chunks) - wanted).abs().max() < 1e-9


def test_greedy_tokens(checkpoint: Checkpoint, family: str) -> None:
    model, decoder = peer(checkpoint(family)), load(checkpoint, family)
    for seed, length in ((2, 1), (3, 7), (4, 38)):
        prompt = tokens(length, seed)
        ids = torch.tensor([prompt])
        whole = model.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=25, do_sample=False
        )
        assert greedy(decoder, prompt, 25) == whole[0, length:].tolist()


def test_sequences_beside_each_other(checkpoint: Checkpoint, family: str) -> None:
    decoder = load(checkpoint, family, torch.float64)
    texts = [tokens(length, seed=length) for length in (30, 1, 44)]
    alone = [run(decoder, text, [len(text)]) for text in texts]
    attention = DenseAttention(decoder.config)
    starts = [0, 0, 0]
    found: list[list[torch.Tensor]] = [[], [], []]
    for counts in ([10, 0, 1], [0, 1, 40], [1, 0, 3], [19, 0, 0]):
        attention.counts = counts
        ids, positions = [], []
        for text, start, count in zip(texts, starts, counts, strict=True):
            ids += text[start : start + count]
            positions += range(start, start + count)
        hidden = decoder.forward(torch.tensor(ids), torch.tensor(positions), attention)
        parts = decoder.logits(hidden).split(counts)
        for index, part in enumerate(parts):
            found[index].append(part)
            starts[index] += counts[index]
    for mine, wanted in zip(found, alone, strict=True):
        assert (torch.cat(mine) - wanted).abs().max() < 1e-9


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_stays_near(checkpoint: Checkpoint, family: str, dtype: torch.dtype) -> None:
    text = tokens(40, seed=5)
    exact = run(load(checkpoint, family, torch.float64), text, [40])
    decoder = load(checkpoint, family, dtype)
    mine = run(decoder, text, [40])
    theirs = peer_logits(peer(checkpoint(family), dtype), text)
    assert mine.dtype == torch.float32

    def error(logits: torch.Tensor) -> float:
        return float((logits.double() - exact).square().mean().sqrt())

    # As near to the exact result as transformers comes, give or take.
    assert error(mine) < 1.5 * error(theirs)


class TestTextsThatOutgrowTheContext:
    def test_longrope_is_short_or_long_from_the_first_token(self, checkpoint: Checkpoint) -> None:
        folder = checkpoint("phi4")
        decoder = load_decoder(folder, dtype=torch.float64, device=CPU)
        model = peer(folder, torch.float64)
        for length in (127, 128, 129, 200):  # trained for 128
            text = tokens(length, seed=length)
            difference = run(decoder, text, [100, length - 100]) - peer_logits(model, text)
            assert difference.abs().max() < 1e-9
        assert decoder.first_position(128) == 0
        assert decoder.first_position(129) == decoder.max_context == 1024

    def test_longrope_generates_alike_on_either_side(self, checkpoint: Checkpoint) -> None:
        model, decoder = peer(checkpoint("phi4")), load(checkpoint, "phi4")
        for length in (100, 140):
            prompt = tokens(length, seed=length)
            ids = torch.tensor([prompt])
            whole = model.generate(
                ids, attention_mask=torch.ones_like(ids), max_new_tokens=20, do_sample=False
            )
            assert greedy(decoder, prompt, 20) == whole[0, length:].tolist()

    def test_dynamic_stretches_for_the_longest_text(self, checkpoint: Checkpoint) -> None:
        folder = checkpoint("llama_dynamic")
        decoder = load_decoder(folder, dtype=torch.float64, device=CPU)
        assert decoder.max_context == 256  # 4 times 64
        text = tokens(256)
        wanted = peer_logits(peer(folder, torch.float64), text)
        # transformers computes the base in float32 here.
        assert (run(decoder, text, [256]) - wanted).abs().max() < 1e-3
        assert decoder.first_position(64) == 0

    def test_a_limit_within_the_trained_context_needs_no_second_part(
        self, checkpoint: Checkpoint
    ) -> None:
        decoder = load_decoder(checkpoint("phi4"), dtype=torch.float32, device=CPU, max_context=128)
        assert decoder.first_position(10**6) == 0

    def test_other_models_always_count_from_0(self, checkpoint: Checkpoint) -> None:
        assert load(checkpoint, "qwen3_yarn").first_position(10**6) == 0


def test_weight_bytes(checkpoint: Checkpoint) -> None:
    for family in ("llama3", "llama3_tied", "mixtral"):
        # In float64, since other formats are padded and keep a tied head apart.
        decoder = load(checkpoint, family, torch.float64)
        model = peer(checkpoint(family), torch.float64)
        matrices = sum(p.nbytes for p in model.parameters() if p.dim() > 1)
        assert decoder.weight_bytes == matrices
    # Half of the experts, and one row of the embedding.
    assert decoder.token_weight_bytes < matrices - 8 * 3 * 2 * 3 * 64 * 64 - 8 * 511 * 64


def test_only_fixed_shapes_are_capturable(checkpoint: Checkpoint) -> None:
    assert load(checkpoint, "llama3").capturable
    assert not load(checkpoint, "mixtral").capturable


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_batch_invariant_rows(checkpoint: Checkpoint, family: str, dtype: torch.dtype) -> None:
    """Bit for bit: alone, beside others and in chunks; attention here is of one row at a time."""
    decoder = load_decoder(checkpoint(family), dtype=dtype, device=CPU, batch_invariant=True)
    torch.set_num_threads(2)
    text = torch.tensor(tokens(40))
    positions = torch.arange(40)

    class Itself:
        """Attention to nobody else: what remains must be the same for every row."""

        def attend(
            self, layer: int, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor
        ) -> torch.Tensor:
            group = decoder.config.heads // decoder.config.kv_heads
            return (q + k.repeat_interleave(group, 1) + v.repeat_interleave(group, 1)).flatten(1)

    def logits(rows: slice) -> torch.Tensor:
        return decoder.logits(decoder.forward(text[rows], positions[rows], Itself()))

    whole = logits(slice(0, 40))
    for rows in (slice(0, 1), slice(7, 8), slice(3, 20), slice(39, 40)):
        assert torch.equal(logits(rows), whole[rows])
