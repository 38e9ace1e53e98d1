"""How an engine is set up: which weights in which format, how much memory, what limits.

What always holds: a configuration is complete; what depends on the machine (`auto`) is resolved by
the engine when it loads, and told by its `describe()`.
"""

from typing import Literal

import msgspec

DType = Literal["auto", "float32", "bfloat16", "float16"]
WeightFormat = Literal["none", "int8", "int4"]


class EngineConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that an engine's behaviour depends on besides the checkpoint.

    Attributes:
        dtype: of activations and of weights that are not quantized; auto is bfloat16 where the
            device computes it natively, else float32.
        device: torch device; auto is CUDA where there is one.
        weights: weight-only quantization of the linear layers.
        max_context: most tokens of prompt and output together; None takes the model's own.
        kv_memory_bytes: memory for keys and values; None takes a share of what is free.
        block_size: tokens of one key/value block.
        max_running: most sequences in one step.
        max_step_tokens: token budget of one step, prefill and decode together.
        max_waiting: most requests that wait; more are refused with `QueueFull`.
        max_wait_seconds: longest wait before a request's first step.
        prefix_cache: reuse the keys and values of equal prefixes.
        chunked_prefill: let a long prompt span several steps.
        batch_invariant: logits do not depend, bit for bit, on what else is in the batch, on chunks
            or on cache hits; slower.
        overlap: launch the next step before this step's tokens are read; None is on for CUDA.
        cuda_graphs: replay decode steps as CUDA graphs, where there is CUDA.
        threads: intra-op threads of the engine on a CPU; None leaves torch's own choice.
    """

    dtype: DType = "auto"
    device: str = "auto"
    weights: WeightFormat = "none"
    max_context: int | None = None
    kv_memory_bytes: int | None = None
    block_size: int = 16
    max_running: int = 256
    max_step_tokens: int = 2048
    max_waiting: int = 1024
    max_wait_seconds: float = 120.0
    prefix_cache: bool = True
    chunked_prefill: bool = True
    batch_invariant: bool = False
    overlap: bool | None = None
    cuda_graphs: bool = True
    threads: int | None = None
