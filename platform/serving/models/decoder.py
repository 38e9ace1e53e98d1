"""The decoder: one forward pass for all families, over tokens of any sequences at once.

Tokens of different sequences lie one after the other in one dimension; only attention knows which
belong together. What always holds: everything else works row by row, and nothing here depends on
the family's name.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from rostra.serving.attention.backend import Attention
from rostra.serving.models.config import ModelConfig
from rostra.serving.models.linear import Linear, PlainLinear
from rostra.serving.models.moe import FeedForward
from rostra.serving.models.ops import add_rms_norm, rms_norm, rotary, softcap
from rostra.serving.models.rope import RotaryTable, table_parts


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer's weights. Norms: [hidden], or [head_dim] for those of queries and keys.

    Attributes:
        attention_norm: before attention.
        qkv: hidden -> query heads, key heads, value heads.
        q_norm: over each query head, where the family has it.
        k_norm: likewise for keys.
        output: heads -> hidden.
        post_attention_norm: over what attention adds to the residual stream, where there is one.
        mlp_norm: before the feed-forward block.
        mlp: that block.
        post_mlp_norm: over what it adds, where there is one.
    """

    attention_norm: Tensor
    qkv: Linear
    q_norm: Tensor | None
    k_norm: Tensor | None
    output: Linear
    post_attention_norm: Tensor | None
    mlp_norm: Tensor
    mlp: FeedForward
    post_mlp_norm: Tensor | None


class Decoder:
    """A model ready to run; made by `load_decoder`.

    Attributes:
        config: of the model.
        dtype: of activations.
        device: of weights and inputs.
        max_context: positions go up to it.
    """

    def __init__(
        self,
        config: ModelConfig,
        *,
        embedding: Tensor,
        layers: Sequence[Layer],
        final_norm: Tensor,
        head: Linear,
        max_context: int,
    ) -> None:
        self.config = config
        self.dtype = embedding.dtype
        self.device = embedding.device
        self.max_context = max_context
        self._embedding = embedding  # [vocab, hidden]
        self._layers = tuple(layers)
        self._final_norm = final_norm
        self._head = head
        # Rounded to the dtype before the product, as the reference does: 55.4256 is 55.5 then.
        self._scale = torch.tensor(config.embedding_scale, dtype=torch.float32).to(embedding)
        parts = max(table_parts(rope, max_context) for rope in config.ropes)
        self._rotary_parts = parts
        self._tables = [RotaryTable(rope, max_context, parts, self.device) for rope in config.ropes]

    @property
    def weight_bytes(self) -> int:
        """Bytes that all weights take; of a tied head only what is kept in another format."""
        blocks = sum(layer.mlp.weight_bytes for layer in self._layers) + self._attention_bytes
        shared = self.config.tied_embeddings and isinstance(self._head, PlainLinear)
        return blocks + self._embedding.nbytes + (0 if shared else self._head.weight_bytes)

    @property
    def token_weight_bytes(self) -> int:
        """Bytes of weights that one token's step reads: of the embedding, next to nothing."""
        experts = sum(layer.mlp.token_weight_bytes for layer in self._layers)
        return experts + self._attention_bytes + self._head.weight_bytes

    @property
    def _attention_bytes(self) -> int:
        return sum(layer.qkv.weight_bytes + layer.output.weight_bytes for layer in self._layers)

    @property
    def capturable(self) -> bool:
        """Whether a step's shapes and launches are the same for equal T, as CUDA graphs need."""
        return self.config.experts is None

    def first_position(self, peak: int) -> int:
        """The number that a sequence counts its positions from, for `forward`.

        Models with dynamic NTK or LongRoPE rotate texts that outgrow the trained context in
        another way, from the first token on; for them it is not always 0. Sequences with different
        first positions cannot share cached keys.

        Args:
            peak: tokens that the sequence may reach, prompt and output together.
        """
        outgrown = any(
            table_parts(rope, self.max_context) > 1 and peak > rope.original_context
            for rope in self.config.ropes
        )
        return self.max_context if outgrown else 0

    @torch.inference_mode()
    def forward(self, token_ids: Tensor, positions: Tensor, attention: Attention) -> Tensor:
        """Computes the last hidden states of new tokens.

        Args:
            token_ids: [T] int64.
            positions: [T] int64, each within its sequence, plus the sequence's `first_position`.
            attention: bound to this step.

        Returns:
            [T, hidden], after the last norm.
        """
        residual = functional.embedding(token_ids, self._embedding)
        if self.config.embedding_scale != 1:
            residual = residual * self._scale
        inputs = [residual, *(table(positions) for table in self._tables)]
        # On a CPU small steps are replayed from a recording (`kernels.cpu_replay`).
        replay = getattr(attention, "replay", None)
        if replay is None:
            return self._run_layers(inputs, attention)
        hidden: Tensor = replay(self, inputs, self._run_layers)
        return hidden

    def _run_layers(self, inputs: Sequence[Tensor], attention: Attention) -> Tensor:
        """From embeddings [T, hidden] and each table's angles [T, rotary_dim] to the last norm."""
        config = self.config
        eps, offset = config.norm_eps, config.norm_offset
        residual, *angles = inputs
        next_norms = [*(layer.attention_norm for layer in self._layers[1:]), self._final_norm]
        normed = rms_norm(residual, self._layers[0].attention_norm, eps, offset)
        for number, (layer, next_norm) in enumerate(zip(self._layers, next_norms, strict=True)):
            cos_sin = angles[config.layer_ropes[number]]
            change = self._attend(layer, number, normed, cos_sin, attention)
            if layer.post_attention_norm is not None:
                change = rms_norm(change, layer.post_attention_norm, eps, offset)
            normed, residual = add_rms_norm(change, residual, layer.mlp_norm, eps, offset)
            change = layer.mlp(normed)
            if layer.post_mlp_norm is not None:
                change = rms_norm(change, layer.post_mlp_norm, eps, offset)
            normed, residual = add_rms_norm(change, residual, next_norm, eps, offset)
        return normed

    def _attend(
        self, layer: Layer, number: int, normed: Tensor, cos_sin: Tensor, attention: Attention
    ) -> Tensor:
        config = self.config
        heads = layer.qkv(normed).view(len(normed), -1, config.head_dim)
        q, k, v = heads.split_with_sizes([config.heads, config.kv_heads, config.kv_heads], dim=1)
        if layer.q_norm is not None and layer.k_norm is not None:
            q = rms_norm(q, layer.q_norm, config.norm_eps, config.norm_offset)
            k = rms_norm(k, layer.k_norm, config.norm_eps, config.norm_offset)
        q, k = rotary(q, k, cos_sin)
        return layer.output(attention.attend(number, q, k, v))

    @torch.inference_mode()
    def logits(self, hidden: Tensor) -> Tensor:
        """Scores of the next token.

        Args:
            hidden: [N, hidden], of `forward`.

        Returns:
            [N, vocab] float32; float64 for a decoder in float64.
        """
        wide = torch.promote_types(hidden.dtype, torch.float32)
        return softcap(self._head(hidden).to(wide), self.config.softcap_logits)
