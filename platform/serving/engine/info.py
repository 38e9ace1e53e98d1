"""What a loaded engine says about itself."""

import msgspec

from rostra.serving.config import WeightFormat


class EngineInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What was loaded, and what of it was decided at loading.

    Attributes:
        folder: the checkpoint's.
        architecture: as the checkpoint names it.
        dtype: of activations, such as `bfloat16`.
        device: the torch device, such as `cuda:0`.
        device_name: what the device calls itself.
        weights: format of the linear layers.
        vocab_size: rows of the LM head.
        max_context: most tokens of prompt and output together.
        block_size: tokens of one key/value block.
        blocks: key/value blocks.
        weight_bytes: memory of the weights.
        step_weight_bytes: of these, what a step of one token reads.
        kv_bytes: memory of the key/value blocks.
        batch_invariant: whether logits do not depend on what else is in the batch.
    """

    folder: str
    architecture: str
    dtype: str
    device: str
    device_name: str = ""
    weights: WeightFormat = "none"
    vocab_size: int
    max_context: int
    block_size: int
    blocks: int
    weight_bytes: int
    step_weight_bytes: int = 0
    kv_bytes: int
    batch_invariant: bool = False
