"""Prefill and decode speed of the engine at given batch sizes, beside peers in the same run.

What always holds: every engine does the same work on the same weights: `batch` prompts of
`prompt_tokens` random tokens, `new_tokens` each, greedy, no early end. Rounds alternate between the
engines, since shared machines drift; the figures are medians over rounds.
"""

import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import msgspec

from evals.speed.drive import Arrival, drive
from evals.speed.memory import read_bandwidth
from evals.speed.peers import PEERS, Peer, Speed
from evals.speed.prompts import endless, random_prompts
from rostra.core import InvalidRequest
from rostra.serving import EngineConfig, EngineCore, read_config

# Room for the prompts of a whole batch in one step, so that prefill and decode do not mix.
_STEP_TOKENS = 16_384


@dataclass(frozen=True, slots=True)
class DecodeRow:
    """The engine at one batch size.

    Attributes:
        prefill_tok_s: prompt tokens per second, from the first request to the last first token.
        decode_tok_s: new tokens per second after that, of the whole batch.
        ttft_ms: mean time to the first token.
        tpot_ms: mean time between a sequence's tokens.
        roofline_fraction: bytes that a decode step must read (weights, and keys and values at the
            middle of the generation) at the memory's measured speed, over the step's time.
    """

    batch: int
    prefill_tok_s: float
    decode_tok_s: float
    ttft_ms: float
    tpot_ms: float
    roofline_fraction: float


@dataclass(frozen=True, slots=True)
class DecodeReport:
    """All rows, the peers' by name, and what the machine can do."""

    results: list[DecodeRow]
    peers: dict[str, list[dict[str, Any]]]
    device: str
    dtype: str
    bandwidth_gb_s: float

    def to_dict(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return asdict(self)


def measure_decode(
    model: Path,
    *,
    batches: Sequence[int],
    prompt_tokens: int,
    new_tokens: int,
    config: EngineConfig | None = None,
    compare: Sequence[str] = (),
    rounds: int = 3,
    progress: Callable[[str], None] = lambda _: None,
) -> DecodeReport:
    """Runs the benchmark.

    Args:
        model: checkpoint folder.
        compare: names of `PEERS`.
        progress: told what runs now.

    Raises:
        InvalidRequest: prompt and new tokens exceed the context.
        ModelUnavailable: the checkpoint, or a peer's library, cannot be loaded.
    """
    _check_context(model, config or EngineConfig(), prompt_tokens, new_tokens)
    config = _with_room(config or EngineConfig(), max(batches), prompt_tokens)
    progress("loading the engine")
    core = EngineCore(model, config)
    info = core.describe()
    kv_per_token = info.kv_bytes / (info.blocks * info.block_size)
    peers: dict[str, Peer] = {}
    for name in compare:
        progress(f"loading {name}")
        length = prompt_tokens + new_tokens
        peers[name] = PEERS[name](model, max(batches), length, info.dtype, info.device)
    bandwidth = read_bandwidth(info.device)
    results: list[DecodeRow] = []
    others: dict[str, list[dict[str, Any]]] = {name: [] for name in compare}
    for batch in batches:
        own: list[Speed] = []
        theirs: dict[str, list[Speed]] = {name: [] for name in compare}
        for turn in range(rounds + 1):
            progress(f"batch {batch}, round {turn} of {rounds}")
            prompts = random_prompts(
                batch, prompt_tokens, info.vocab_size, seed=1000 * batch + turn
            )
            speeds = {"": run_batch(core, prompts, new_tokens)}
            for name, peer in peers.items():
                speeds[name] = peer.run(prompts, new_tokens)
            if turn == 0:
                continue  # the first round warms caches and compiles kernels
            own.append(speeds.pop(""))
            for name, speed in speeds.items():
                theirs[name].append(speed)
        ours = _median(own)
        middle = prompt_tokens + new_tokens // 2
        read = info.step_weight_bytes + batch * middle * kv_per_token
        step_seconds = batch / ours.decode_tok_s
        results.append(
            DecodeRow(
                batch=batch,
                prefill_tok_s=round(ours.prefill_tok_s, 1),
                decode_tok_s=round(ours.decode_tok_s, 1),
                ttft_ms=round(ours.ttft_ms, 2),
                tpot_ms=round(ours.tpot_ms, 3),
                roofline_fraction=round(read / bandwidth / step_seconds, 3),
            )
        )
        for name, speeds_of_peer in theirs.items():
            middle_speed = _median(speeds_of_peer)
            others[name].append(
                {
                    "batch": batch,
                    "prefill_tok_s": round(middle_speed.prefill_tok_s, 1),
                    "decode_tok_s": round(middle_speed.decode_tok_s, 1),
                    "ttft_ms": round(middle_speed.ttft_ms, 2),
                    "tpot_ms": round(middle_speed.tpot_ms, 3),
                    "decode_ratio": round(ours.decode_tok_s / middle_speed.decode_tok_s, 2),
                    "prefill_ratio": round(ours.prefill_tok_s / middle_speed.prefill_tok_s, 2),
                }
            )
    core.close()
    for peer in peers.values():
        peer.close()
    return DecodeReport(
        results=results,
        peers=others,
        device=info.device,
        dtype=info.dtype,
        bandwidth_gb_s=round(bandwidth / 1e9, 1),
    )


def run_batch(core: EngineCore, prompts: Sequence[Sequence[int]], new_tokens: int) -> Speed:
    """One batch through the engine, which is idle before and after."""
    batch = len(prompts)
    arrivals = [
        Arrival(0, endless(f"batch-{i}", prompt, new_tokens)) for i, prompt in enumerate(prompts)
    ]
    traces = drive(core, arrivals)
    prefilled = max(trace.times[0] for trace in traces)
    ended = max(trace.times[-1] for trace in traces)
    # Tokens that came before the last prompt was done belong to neither phase.
    decoded = sum(time > prefilled for trace in traces for time in trace.times)
    return Speed(
        prefill_tok_s=sum(map(len, prompts)) / prefilled,
        decode_tok_s=decoded / (ended - prefilled),
        ttft_ms=statistics.fmean(trace.ttft for trace in traces) * 1000,
        tpot_ms=(ended - prefilled) / (decoded / batch) * 1000,
    )


def _check_context(model: Path, config: EngineConfig, prompt_tokens: int, new_tokens: int) -> None:
    context = min(config.max_context or sys.maxsize, read_config(model).max_context)
    if prompt_tokens + new_tokens > context:
        raise InvalidRequest(
            f"--prompt-tokens {prompt_tokens} and --new-tokens {new_tokens} together exceed the "
            f"context of {context} tokens",
            hint="Lower one of them, or take a model of a longer context.",
        )


def _with_room(config: EngineConfig, batch: int, prompt_tokens: int) -> EngineConfig:
    return msgspec.structs.replace(
        config,
        max_step_tokens=min(_STEP_TOKENS, max(config.max_step_tokens, batch * prompt_tokens)),
        prefix_cache=False,
    )


def _median(speeds: Sequence[Speed]) -> Speed:
    return Speed(
        *(
            statistics.median(getattr(speed, name) for speed in speeds)
            for name in ("prefill_tok_s", "decode_tok_s", "ttft_ms", "tpot_ms")
        )
    )
