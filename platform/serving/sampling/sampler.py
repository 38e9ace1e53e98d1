"""The sampler: a batch of logits and what each row asks for -> one token a row.

What always holds: a row's token depends on its logits, its parameters, its own tokens and (seed,
position), never on the other rows. Order: logit_bias, min_tokens, penalties, grammar mask,
temperature, top_k, top_p, min_p, draw. A row that cannot be sampled fails alone. On CUDA nothing
waits for the device until a result is read.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
import xgrammar
from torch import Tensor

from rostra.core import RostraError
from rostra.serving.request import SamplingParams, TokenLogprobs
from rostra.serving.sampling import draw, filters, penalties
from rostra.serving.sampling.draw import GREEDY_BELOW, Outcome
from rostra.serving.sampling.filters import upload
from rostra.serving.sampling.logprobs import RowLogprobs, Snapshot
from rostra.serving.sampling.noise import signed
from rostra.serving.sampling.penalties import TokenCounts


class SamplingFailed(RostraError):
    """One sequence has no next token: its logits are not finite, or nothing is allowed."""

    code = "sampling_failed"


@dataclass(slots=True)
class SamplingRow:
    """What one row of logits is sampled with.

    Attributes:
        params: checked by `check_params`; the same object in every step of a sequence.
        seed: of this sequence.
        position: index of the token that is drawn, counted over prompt and output.
        prompt: token ids; read for its length (min_tokens) and by the repetition penalty.
        output: token ids so far; read by penalties only, may stay empty without them.
        eos_token_ids: the model's end tokens, empty when they do not end this sequence.
        mask: whether the row of the grammar bitmask applies.
    """

    params: SamplingParams
    seed: int
    position: int
    prompt: Sequence[int]
    output: Sequence[int]
    eos_token_ids: Sequence[int] = ()
    mask: bool = False


@dataclass(slots=True)
class Sampled:
    """One step's tokens, on the device until read.

    Attributes:
        packed: [2, N] int64, tokens over `Outcome`s: what to copy to the host, in one piece.
    """

    packed: Tensor
    _reported: Sequence[int] = ()
    _tops: Sequence[int] = ()
    _row_logprobs: RowLogprobs | None = None

    @property
    def tokens(self) -> Tensor:
        """[N] int64 on the device; 0 where the row failed."""
        return self.packed[0]

    def read(self) -> tuple[list[int], dict[int, SamplingFailed]]:
        """Tokens, and the errors of the rows that failed; waits for the device."""
        tokens, outcome = self.packed.tolist()
        errors = {row: failure(Outcome(code)) for row, code in enumerate(outcome) if code}
        return tokens, errors

    @property
    def logprobs(self) -> list[TokenLogprobs | None]:
        """For each row, None where none were asked for; waits for the device."""
        result: list[TokenLogprobs | None] = [None] * self.packed.shape[1]
        if self._row_logprobs is not None:
            rows = zip(self._reported, self._tops, self._row_logprobs.read(), strict=True)
            for row, top, value in rows:
                result[row] = TokenLogprobs(value.token, value.logprob, value.top[:top])
        return result


def failure(outcome: Outcome) -> SamplingFailed:
    if outcome is Outcome.NOTHING_ALLOWED:
        return SamplingFailed("no token is allowed here: every one is masked or forbidden")
    return SamplingFailed(
        "the model's logits are not finite",
        hint="float16 overflows in some models: use bfloat16 or float32",
    )


@dataclass(frozen=True, slots=True)
class Plan:
    """What a batch asks for that does not change from step to step, as tensors of its device.

    Rows of `top_k`, `top_p` and `min_p` count within `sampled`; all others within the batch.
    """

    params: tuple[SamplingParams, ...]
    seed_values: tuple[int, ...]
    sampled: tuple[int, ...]
    sampled_index: Tensor | None  # None when every row is sampled
    temperature: Tensor
    seeds: Tensor
    top_k: tuple[tuple[int, ...], tuple[int, ...]]
    top_p: tuple[tuple[int, ...], tuple[float, ...]]
    min_p: Tensor | None
    biased: penalties.Spots | None
    bias: Tensor
    least: tuple[int, ...]  # rows with min_tokens
    penalized: tuple[int, ...]
    reported: tuple[int, ...]
    reported_index: Tensor
    tops: tuple[int, ...]

    def fits(self, rows: Sequence[SamplingRow]) -> bool:
        """Whether the plan was made for rows of these very parameters and seeds."""
        return len(rows) == len(self.params) and all(
            row.params is params and row.seed == seed
            for row, params, seed in zip(rows, self.params, self.seed_values, strict=True)
        )


def make_plan(rows: Sequence[SamplingRow], vocab_size: int, device: torch.device) -> Plan:
    """Sorts out who needs what."""
    params = [row.params for row in rows]
    sampled = [i for i, p in enumerate(params) if p.temperature >= GREEDY_BELOW]
    drawing = [params[i] for i in sampled]
    top_k = [(i, p.top_k) for i, p in enumerate(drawing) if 0 < p.top_k < vocab_size]
    top_p = [(i, p.top_p) for i, p in enumerate(drawing) if p.top_p < 1.0]
    biases = [
        (i, token, value) for i, p in enumerate(params) for token, value in p.logit_bias.items()
    ]
    reported = [i for i, p in enumerate(params) if p.logprobs is not None]
    return Plan(
        params=tuple(params),
        seed_values=tuple(row.seed for row in rows),
        sampled=tuple(sampled),
        sampled_index=(None if len(sampled) == len(rows) else upload(sampled, torch.int64, device)),
        temperature=upload([p.temperature for p in drawing], torch.float32, device),
        seeds=upload([signed(rows[i].seed) for i in sampled], torch.int64, device),
        top_k=(tuple(i for i, _ in top_k), tuple(k for _, k in top_k)),
        top_p=(tuple(i for i, _ in top_p), tuple(p for _, p in top_p)),
        min_p=(
            upload([p.min_p for p in drawing], torch.float64, device)
            if any(p.min_p > 0 for p in drawing)
            else None
        ),
        biased=penalties.spots([(i, t) for i, t, _ in biases], device) if biases else None,
        bias=upload([value for _, _, value in biases], torch.float32, device),
        least=tuple(i for i, p in enumerate(params) if p.min_tokens > 0),
        penalized=tuple(i for i, p in enumerate(params) if penalties.needs_counts(p)),
        reported=tuple(reported),
        reported_index=upload(reported, torch.int64, device),
        tops=tuple(params[i].logprobs or 0 for i in reported),
    )


def is_plain(params: SamplingParams) -> bool:
    """Whether a row needs nothing but `draw_plain`, and so may be sampled in a CUDA graph.

    A row with min_tokens is plain once it has them, and one with a grammar mask never is; both are
    the caller's to know.
    """
    return (
        (params.temperature < GREEDY_BELOW or (params.top_k == 0 and params.top_p >= 1.0))
        and (params.temperature < GREEDY_BELOW or params.min_p == 0.0)
        and not params.logit_bias
        and not penalties.needs_counts(params)
        and params.logprobs is None
    )


@dataclass(slots=True)
class Sampler:
    """Samples batch after batch; remembers what stays the same between steps.

    One sampler serves one engine loop; it is not safe to share between threads.
    """

    _plan: Plan | None = field(init=False, default=None)
    _counts: dict[tuple[int, int], TokenCounts] = field(init=False, default_factory=dict)

    def sample(
        self, logits: Tensor, rows: Sequence[SamplingRow], bitmask: Tensor | None = None
    ) -> Sampled:
        """Takes one token for each row.

        Args:
            logits: [N, vocab] float32, contiguous; written over.
            rows: N of them.
            bitmask: [N, ceil(vocab / 32)] int32, bit i of word i // 32 allows token i; rows
                without `mask` are not looked at.

        Raises:
            ValueError: if the shapes do not belong together; never for what is in the logits.
        """
        if logits.shape[0] != len(rows):
            raise ValueError(f"{logits.shape[0]} rows of logits for {len(rows)} sequences")
        plan = self._plan
        if plan is None or plan.temperature.device != logits.device or not plan.fits(rows):
            plan = self._plan = make_plan(rows, logits.shape[1], logits.device)
        snapshot = None
        if plan.reported:
            raw = logits.index_select(0, plan.reported_index)
            snapshot = Snapshot(raw, max(plan.tops))
        self._process(logits, rows, plan, bitmask)
        tokens, best = draw.likeliest(logits)
        if plan.sampled:
            drawn = self._draw(logits, best, rows, plan)
            if plan.sampled_index is None:
                tokens = drawn
            else:
                tokens.index_copy_(0, plan.sampled_index, drawn)
        packed = draw.pack(tokens, best)
        if snapshot is None:
            return Sampled(packed)
        taken = packed[0].index_select(0, plan.reported_index)
        return Sampled(packed, plan.reported, plan.tops, snapshot.of(taken))

    def _process(
        self, logits: Tensor, rows: Sequence[SamplingRow], plan: Plan, bitmask: Tensor | None
    ) -> None:
        """Everything that comes before the temperature, in place."""
        if plan.biased is not None:
            penalties.add_bias(logits, plan.biased, plan.bias)
        if plan.least:
            penalties.forbid(logits, too_early(rows, plan.least))
        if plan.penalized:
            counts = self._count(rows, plan.penalized)
            penalties.penalize(
                logits,
                ((i, rows[i].params, held) for i, held in zip(plan.penalized, counts, strict=True)),
            )
        masked = [i for i, row in enumerate(rows) if row.mask]
        if masked:
            if bitmask is None:
                raise ValueError("a row asks for a grammar mask, and there is none")
            apply_bitmask(logits, bitmask, masked)

    def _count(self, rows: Sequence[SamplingRow], wanted: Sequence[int]) -> list[TokenCounts]:
        """Token counts of the wanted rows; those of rows that are gone are forgotten.

        A sequence is known again by its prompt object and seed; that its output goes on where the
        counts stopped is checked, so a mistaken identity costs time, not correctness.
        """
        known, self._counts = self._counts, {}
        result = []
        for i in wanted:
            row = rows[i]
            prompt = row.prompt if row.params.repetition_penalty != 1.0 else ()
            key = (id(row.prompt), row.seed)
            counts = known.get(key)
            if counts is None or counts.prompt is not prompt or not counts.follows(row.output):
                counts = TokenCounts(prompt)
            counts.extend(row.output)
            self._counts[key] = counts
            result.append(counts)
        return result

    def _draw(
        self, logits: Tensor, best: Tensor, rows: Sequence[SamplingRow], plan: Plan
    ) -> Tensor:
        """[S] int64: tokens of the sampled rows."""
        if plan.sampled_index is not None:
            logits = logits.index_select(0, plan.sampled_index)
            best = best.index_select(0, plan.sampled_index)
        weights = draw.to_weights(logits, best, plan.temperature)
        if plan.top_k[0]:
            filters.keep_top_k(weights, *plan.top_k)
        if plan.top_p[0]:
            filters.keep_top_p(weights, *plan.top_p)
        if plan.min_p is not None:
            filters.keep_min_p(weights, plan.min_p)
        positions = upload([rows[i].position for i in plan.sampled], torch.int64, logits.device)
        return draw.draw(weights, plan.seeds, positions)


def too_early(rows: Sequence[SamplingRow], wanted: Sequence[int]) -> list[tuple[int, int]]:
    """(row, token) of the end tokens of rows that have not reached their min_tokens."""
    places: dict[tuple[int, int], None] = {}
    for i in wanted:
        row = rows[i]
        if row.position - len(row.prompt) < row.params.min_tokens:
            ends = (*row.eos_token_ids, *row.params.stop_token_ids)
            places |= dict.fromkeys((i, token) for token in ends)
    return list(places)


def apply_bitmask(logits: Tensor, bitmask: Tensor, rows: Sequence[int]) -> None:
    """Forbids what the bitmask does not allow, in the given rows, in place.

    Tokens that the bitmask has no bit for are forbidden too: a checkpoint may pad its vocabulary.
    """
    vocab_size = logits.shape[1]
    covered = min(vocab_size, bitmask.shape[1] * 32)
    xgrammar.apply_token_bitmask_inplace(
        logits,
        bitmask.to(logits.device, non_blocking=True),
        vocab_size=covered,
        indices=None if len(rows) == logits.shape[0] else list(rows),
    )
    if covered < vocab_size:
        where = upload(rows, torch.int64, logits.device)
        logits[:, covered:].index_fill_(0, where, -torch.inf)
