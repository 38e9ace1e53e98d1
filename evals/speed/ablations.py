"""What each mechanism of the engine buys on this machine: the same work with and without it.

What always holds: both sides run in one process on one set of weights, alternating; a figure is the
median over rounds, and what is given is their ratio. Texts are random tokens: nothing here depends
on what a model says.
"""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import torch
from safetensors import safe_open

from evals.speed.decode import run_batch
from evals.speed.drive import Arrival, Trace, drive
from evals.speed.prompts import endless, random_prompts
from rostra.core import JsonSchema
from rostra.serving import (
    EngineConfig,
    EngineCore,
    EngineRequest,
    SamplingParams,
    WeightFormat,
    load_front,
    make_linear,
)

# Tokens of a step with chunked prefill: a step that long is little longer than one that decodes.
_CHUNK = 128
# Keys and values of an engine that runs beside others: each would take half of what is free.
_SHARED_KV_BYTES = 2**30
_SCHEMA = """{"type": "object", "properties": {"name": {"type": "string"}, "tags": {"type": "array",
"items": {"type": "string"}}, "count": {"type": "integer"}}, "required": ["name", "tags", "count"],
"additionalProperties": false}"""


@dataclass(frozen=True, slots=True)
class Ablation:
    """One line of the table.

    Attributes:
        mechanism: what is switched.
        measure: what is measured, with its unit.
        without, with_it: medians.
        ratio: how many times better it is with the mechanism; above 1 it pays.
    """

    mechanism: str
    measure: str
    without: float
    with_it: float
    ratio: float

    def to_dict(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Size:
    """How much work: the defaults take some minutes on two cores with 335M weights."""

    requests: int = 24
    batch: int = 8
    prompt: int = 256
    shortest: int = 8
    longest: int = 96
    long_prompt: int = 1536
    decoding: int = 4
    steady: int = 160
    shared: int = 1024
    rounds: int = 3


SIZES = {
    "full": Size(),
    "small": Size(
        requests=8,
        batch=4,
        prompt=24,
        shortest=2,
        longest=16,
        long_prompt=192,
        decoding=2,
        steady=24,
        shared=64,
        rounds=1,
    ),
}

Progress = Callable[[str], None]


def run_ablations(
    model: Path,
    config: EngineConfig,
    size: Size,
    progress: Progress = lambda _: None,
    *,
    only: str | None = None,
) -> list[Ablation]:
    """The table's rows in order.

    Args:
        model: checkpoint folder.
        size: how much work.
        progress: told what runs now.
        only: part of a mechanism's name; None runs all.
    """
    runs = {
        "continuous batching": _continuous_batching,
        "paged memory": _paged_memory,
        "chunked prefill": _chunked_prefill,
        "prefix cache": _prefix_cache,
        "grammar": _grammar,
        "batch invariance": _batch_invariant,
        "int8 and int4 weights": _weights,
    }
    rows: list[Ablation] = []
    for name, run in runs.items():
        if only is None or only in name:
            progress(name)
            rows += run(model, config, size)
    return rows


def _tokens(traces: Sequence[Trace]) -> int:
    return sum(len(trace.times) for trace in traces)


def _row(
    mechanism: str, measure: str, without: list[float], with_it: list[float], *, more: bool = False
) -> Ablation:
    """`more`: larger figures are better."""
    a, b = statistics.median(without), statistics.median(with_it)
    return Ablation(mechanism, measure, a, b, b / a if more else a / b)


def _mixed(core: EngineCore, size: Size, turn: int) -> list[EngineRequest]:
    """Requests of equal prompts' length and very different outputs'."""
    random = Random(turn)
    vocab = core.describe().vocab_size
    prompts = random_prompts(size.requests, size.prompt, vocab, seed=turn)
    return [
        endless(f"mixed-{turn}-{i}", prompt, random.randint(size.shortest, size.longest))
        for i, prompt in enumerate(prompts)
    ]


def _continuous_batching(model: Path, config: EngineConfig, size: Size) -> list[Ablation]:
    """A static batch waits for its longest text before the next batch begins."""
    core = EngineCore(model, _with(config, max_running=size.batch, prefix_cache=False))
    static: list[float] = []
    continuous: list[float] = []
    for turn in range(size.rounds + 1):
        requests = _mixed(core, size, turn)
        batches = [requests[i : i + size.batch] for i in range(0, len(requests), size.batch)]
        spent, made = 0.0, 0
        for batch in batches:
            traces = drive(core, [Arrival(0, request) for request in batch])
            spent += max(trace.ended for trace in traces)
            made += _tokens(traces)
        traces = drive(core, [Arrival(0, request) for request in requests])
        if turn:  # the first round warms up
            static.append(made / spent)
            continuous.append(_tokens(traces) / max(trace.ended for trace in traces))
    core.close()
    return [_row("continuous batching", "new tokens/s", static, continuous, more=True)]


def _paged_memory(model: Path, config: EngineConfig, size: Size) -> list[Ablation]:
    """Waste: memory held and not filled, over memory held. Reserved memory holds, for each running
    text, room for its longest possible length.
    """
    core = EngineCore(model, _with(config, max_running=size.batch, prefix_cache=False))
    reserved: list[float] = []
    paged: list[float] = []
    block = core.describe().block_size

    def look() -> None:
        usage = core.memory_use()
        if usage.sequences:
            paged.append(1 - usage.tokens / (usage.blocks * block))
            reserved.append(1 - usage.tokens / (usage.sequences * (size.prompt + size.longest)))

    drive(core, [Arrival(0, request) for request in _mixed(core, size, 1)], after_step=look)
    core.close()
    waste = statistics.fmean(reserved), statistics.fmean(paged)
    return [
        Ablation("paged memory", "KV memory wasted, %", waste[0] * 100, waste[1] * 100,
                 waste[0] / waste[1])
    ]  # fmt: skip


def _chunked_prefill(model: Path, config: EngineConfig, size: Size) -> list[Ablation]:
    """Texts that are being generated while long prompts arrive, one after another."""
    gaps: dict[bool, list[float]] = {False: [], True: []}
    for turn in range(size.rounds):
        for chunked in (False, True):
            budget = _CHUNK if chunked else size.long_prompt + size.decoding
            core = EngineCore(
                model,
                _with(config, chunked_prefill=chunked, max_step_tokens=budget, prefix_cache=False),
            )
            vocab = core.describe().vocab_size
            short = random_prompts(size.decoding, 16, vocab, seed=turn)
            long = random_prompts(3, size.long_prompt, vocab, seed=100 + turn)
            arrivals = [
                Arrival(0, endless(f"steady-{i}", prompt, size.steady))
                for i, prompt in enumerate(short)
            ]
            arrivals += [
                Arrival(1.0 + 2.5 * i, endless(f"long-{i}", prompt, 1))
                for i, prompt in enumerate(long)
            ]
            traces = drive(core, arrivals)
            core.close()
            steady = [gap for trace in traces[: size.decoding] for gap in trace.gaps]
            gaps[chunked].append(statistics.quantiles(steady, n=100)[-1] * 1000)
    return [_row("chunked prefill", "p99 between tokens, ms", gaps[False], gaps[True])]


def _prefix_cache(model: Path, config: EngineConfig, size: Size) -> list[Ablation]:
    """Two prompts that share their first tokens and differ in the last 32."""
    core = EngineCore(model, config)
    vocab = core.describe().vocab_size
    first: list[float] = []
    second: list[float] = []
    for turn in range(size.rounds + 1):
        shared = random_prompts(1, size.shared, vocab, seed=turn)[0]
        tails = random_prompts(2, 32, vocab, seed=500 + turn)
        for spent, tail, name in zip((first, second), tails, ("first", "second"), strict=True):
            request = endless(f"{name}-{turn}", shared + tail, 2)
            spent.append(drive(core, [Arrival(0, request)])[0].ttft * 1000)
    core.close()
    return [
        _row("prefix cache", f"to the first token, {size.shared:,} + 32, ms", first[1:], second[1:])
    ]


def _grammar(model: Path, config: EngineConfig, size: Size) -> list[Ablation]:
    """Sampled texts, free and held to a JSON schema, while all are written; below 1 is the cost.

    Random weights hardly ever close a string, so constrained texts are about as long as free ones.
    """
    core = EngineCore(model, _with(config, prefix_cache=False))
    front = load_front(model)
    builder = front.builder(core.describe())
    vocab = core.describe().vocab_size
    free = SamplingParams(max_tokens=size.longest, temperature=1.0, ignore_eos=True, seed=1)
    held = SamplingParams(
        max_tokens=size.longest, temperature=1.0, seed=1, constraint=JsonSchema(_SCHEMA)
    )
    speeds: dict[bool, list[float]] = {False: [], True: []}
    for turn in range(2 * size.rounds + 1):
        prompts = random_prompts(16, size.prompt, vocab, seed=turn)
        for constrained, sampling in ((False, free), (True, held)):
            requests = [builder.build_now(prompt, sampling) for prompt in prompts]
            traces = drive(core, [Arrival(0, request) for request in requests])
            if turn:
                speeds[constrained].append(_steady_rate(traces))
    core.close()
    front.compiler.close_now()
    return [
        _row("grammar", "new tokens/s, batch 16", speeds[False], speeds[True], more=True),
    ]


def _steady_rate(traces: Sequence[Trace]) -> float:
    """New tokens per second while all texts are being written."""
    began = max(trace.times[0] for trace in traces)
    ended = min(trace.times[-1] for trace in traces)
    made = sum(began < time <= ended for trace in traces for time in trace.times)
    return made / (ended - began)


def _batch_invariant(model: Path, config: EngineConfig, size: Size) -> list[Ablation]:
    """What bitwise equal logits cost; a ratio below 1 is the cost."""
    cores = [
        EngineCore(model, _beside(config, batch_invariant=value, prefix_cache=False))
        for value in (False, True)
    ]
    vocab = cores[0].describe().vocab_size
    rows: list[Ablation] = []
    for batch in (1, 16):
        speeds: tuple[list[float], list[float]] = ([], [])
        for turn in range(size.rounds + 1):
            prompts = random_prompts(batch, size.prompt, vocab, seed=turn)
            for core, found in zip(cores, speeds, strict=True):
                speed = run_batch(core, prompts, 32).decode_tok_s
                if turn:
                    found.append(speed)
        rows.append(_row("batch invariance", f"new tokens/s, batch {batch}", *speeds, more=True))
    for core in cores:
        core.close()
    return rows


def _weights(model: Path, config: EngineConfig, size: Size) -> list[Ablation]:
    """Quantized weights against the plain ones, at batch 1."""
    formats: tuple[WeightFormat, ...] = ("none", "int8", "int4")
    cores = {name: EngineCore(model, _beside(config, weights=name)) for name in formats}
    vocab = cores["none"].describe().vocab_size
    speeds: dict[str, list[float]] = {name: [] for name in formats}
    for turn in range(size.rounds + 1):
        prompts = random_prompts(1, size.prompt, vocab, seed=turn)
        for name, core in cores.items():
            speed = run_batch(core, prompts, 64).decode_tok_s
            if turn:
                speeds[name].append(speed)
    for core in cores.values():
        core.close()
    rows = [
        _row(f"{name} weights", "new tokens/s, batch 1", speeds["none"], speeds[name], more=True)
        for name in ("int8", "int4")
    ]
    kinds: tuple[WeightFormat, ...] = ("int8", "int4")
    for name in kinds:
        plain, quantized = (_linear_error(model, one) for one in ("none", name))
        rows.append(
            Ablation(
                f"{name} weights", "largest error of a linear, %", plain, quantized,
                plain / quantized,
            )
        )  # fmt: skip
    return rows


def _linear_error(model: Path, weights: WeightFormat) -> float:
    """Largest relative error, in percent of the exact product's norm, of a linear of layer 0."""
    random = torch.Generator().manual_seed(0)
    largest = 0.0
    for file in sorted(model.glob("*.safetensors")):
        with safe_open(file, "pt") as stored:
            names = [name for name in stored.keys() if ".layers.0." in name]  # noqa: SIM118
            for name in names:
                weight = stored.get_tensor(name)
                if weight.ndim != 2:
                    continue
                x = torch.randn(64, weight.shape[1], generator=random).to(weight.dtype)
                exact = x.double() @ weight.double().T
                found = make_linear(weight, None, weights=weights)(x).double()
                largest = max(largest, float((found - exact).norm() / exact.norm()))
    return 100 * largest


def _with(config: EngineConfig, **changes: Any) -> EngineConfig:
    return msgspec.structs.replace(config, **changes)


def _beside(config: EngineConfig, **changes: Any) -> EngineConfig:
    return _with(config, kv_memory_bytes=config.kv_memory_bytes or _SHARED_KV_BYTES, **changes)
