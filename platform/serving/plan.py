"""What fits a machine, from a checkpoint's config.json alone: nothing of the weights is read.

What always holds: sizes are those that the engine allocates, layout and padding included, since
the same functions decide on both.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch

from rostra.core import ConfigError, pick_device, pick_dtype
from rostra.serving.attention.backend import bytes_per_block
from rostra.serving.config import EngineConfig, WeightFormat
from rostra.serving.engine.memory import Memory, activation_bytes, device_memory, kv_blocks
from rostra.serving.models.config import ModelConfig, read_config
from rostra.serving.models.linear import PlainLinear, make_linear

# Every layout of a linear layer comes in panels of rows, of which this is a multiple.
_PANEL_ROWS = 64


@dataclass(frozen=True, slots=True)
class Machine:
    """Where a model is to run.

    Attributes:
        device: torch device.
        name: of the device, for people.
        memory: of it, in bytes.
    """

    device: torch.device
    name: str
    memory: Memory


@dataclass(frozen=True, slots=True)
class Plan:
    """What a model takes on a machine. Sizes are bytes.

    Attributes:
        architecture: as the checkpoint names it.
        device: torch device.
        device_name: what it calls itself.
        dtype: of activations.
        weights: format of the linear layers.
        total_bytes: memory of the device.
        free_bytes: of it, before anything is loaded.
        weight_bytes: of all weights.
        activation_bytes: what the largest step needs beside weights, keys and values.
        max_context: most tokens of a sequence.
        kv_bytes_per_token: keys and values of one token, in all layers.
        kv_bytes_per_sequence: of a sequence that fills the context, in whole blocks.
        block_size: tokens of a block.
        blocks: that the engine will allocate; 0 when the model does not fit.
        kv_bytes: of all blocks.
        sequences: that run at the same time when each fills the context.
        problem: why the model does not fit; None when it does.
    """

    architecture: str
    device: str
    device_name: str
    dtype: str
    weights: WeightFormat
    total_bytes: int
    free_bytes: int
    weight_bytes: int
    activation_bytes: int
    max_context: int
    kv_bytes_per_token: int
    kv_bytes_per_sequence: int
    block_size: int
    blocks: int
    kv_bytes: int
    sequences: int
    problem: str | None

    @property
    def fits(self) -> bool:
        """Whether the engine can be loaded."""
        return self.problem is None

    @property
    def kv_tokens(self) -> int:
        """Tokens that all blocks hold."""
        return self.blocks * self.block_size


def this_machine(device: str = "auto") -> Machine:
    """The machine that this runs on.

    Raises:
        ConfigError: it has no such device.
    """
    chosen = torch.device(pick_device(device))
    name = torch.cuda.get_device_name(chosen) if chosen.type == "cuda" else "processor"
    return Machine(chosen, name, device_memory(chosen))


def make_plan(folder: Path, config: EngineConfig, machine: Machine | None = None) -> Plan:
    """What a checkpoint takes, and how much of it fits.

    Args:
        folder: with config.json.
        config: how the engine would be set up.
        machine: where; by default the one that this runs on, and the device of `config`.

    Raises:
        UnsupportedModel: an architecture or feature that the decoder does not know.
        BrokenCheckpoint: config.json is missing, or wrong.
        ConfigError: this machine has no such device, or more context is asked for than the model
            has.
    """
    model = read_config(folder)
    context = config.max_context or model.max_context
    if context > model.max_context:
        raise ConfigError(
            f"max_context: the model's context is {model.max_context} tokens, {context} were "
            "asked for",
            hint="Lower ROSTRA_MAX_CONTEXT or --context, or unset it to take all of it.",
        )
    machine = machine or this_machine(config.device)
    dtype = pick_dtype(config.dtype, machine.device.type)
    weights = weight_bytes(
        model,
        dtype,
        machine.device,
        weights=config.weights,
        batch_invariant=config.batch_invariant,
    )
    activations = activation_bytes(model, config, dtype)
    block = bytes_per_block(model, dtype, config.block_size)
    left = machine.memory.free - weights - activations
    blocks, problem = 0, None
    if machine.memory.free < weights:
        problem = f"the weights take {weights:,} bytes, and {machine.memory.free:,} are free"
    else:
        try:
            blocks = kv_blocks(
                model,
                config,
                dtype,
                max(0, left),
                max_context=context,
                device=machine.device.type,
            )
        except ConfigError as error:
            problem = error.message
    per_sequence = -(-context // config.block_size)
    return Plan(
        architecture=model.architecture,
        device=str(machine.device),
        device_name=machine.name,
        dtype=str(dtype).removeprefix("torch."),
        weights=config.weights,
        total_bytes=machine.memory.total,
        free_bytes=machine.memory.free,
        weight_bytes=weights,
        activation_bytes=activations,
        max_context=context,
        kv_bytes_per_token=block // config.block_size,
        kv_bytes_per_sequence=per_sequence * block,
        block_size=config.block_size,
        blocks=blocks,
        kv_bytes=blocks * block,
        sequences=min(config.max_running, blocks // per_sequence),
        problem=problem,
    )


def weight_bytes(
    model: ModelConfig,
    dtype: torch.dtype,
    device: torch.device,
    *,
    weights: WeightFormat = "none",
    batch_invariant: bool = False,
) -> int:
    """Memory of a model's weights as the decoder lays them out on this device.

    Norms and rotary tables, less than a thousandth of it, are left out here and there.
    """

    @cache
    def rows_of(count: int, inputs: int, kind: WeightFormat) -> tuple[int, bool]:
        """Bytes of a layer of few rows, and whether they are as the checkpoint stores them."""
        zeros = torch.zeros(count, inputs, dtype=dtype, device=device)
        made = make_linear(zeros, None, weights=kind, batch_invariant=batch_invariant)
        return made.weight_bytes, isinstance(made, PlainLinear)

    def linear(outputs: int, inputs: int, bias: bool = False, kind: WeightFormat = weights) -> int:
        panels, rest = divmod(outputs, _PANEL_ROWS)
        total = outputs * dtype.itemsize if bias else 0
        if panels:
            total += panels * rows_of(_PANEL_ROWS, inputs, kind)[0]
        if rest:
            total += rows_of(rest, inputs, kind)[0]
        return total

    embedding = model.vocab_size * model.hidden_size * dtype.itemsize
    plain = rows_of(_PANEL_ROWS, model.hidden_size, weights)[1]
    shared = model.tied_embeddings and plain
    head = 0 if shared else linear(model.vocab_size, model.hidden_size)
    layers = sum(_layer_bytes(model, layer, linear) for layer in range(model.layers))
    return embedding + head + layers


def _layer_bytes(model: ModelConfig, layer: int, linear: Callable[..., int]) -> int:
    hidden = model.hidden_size
    queries, keys = model.heads * model.head_dim, model.kv_heads * model.head_dim
    attention = linear(queries + 2 * keys, hidden, model.qkv_bias) + linear(
        hidden, queries, model.output_bias
    )

    def mlp(inner: int) -> int:
        return linear(2 * inner, hidden, model.mlp_bias) + linear(hidden, inner, model.mlp_bias)

    experts = model.experts
    if experts is None or not experts.layers[layer]:
        return attention + mlp(model.intermediate_size)
    router = linear(experts.count, hidden, False, "none")
    return attention + router + experts.count * mlp(experts.intermediate_size)
