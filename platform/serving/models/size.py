"""How many numbers a model has, from config.json alone: for plans, before anything is loaded."""

from dataclasses import dataclass

from rostra.serving.models.config import ModelConfig


@dataclass(frozen=True, slots=True)
class ParameterCounts:
    """Of a model, by what becomes of them.

    Attributes:
        embedding: kept in the decoder's dtype.
        head: quantized with the linear layers; when tied, the embedding's numbers once more.
        linear: of all layers, biases included.
        token_linear: those of them that one token goes through; fewer in a mixture of experts.
        rest: norms and routers, never quantized.
        tied: the head stores nothing of its own in the checkpoint.
    """

    embedding: int
    head: int
    linear: int
    token_linear: int
    rest: int
    tied: bool

    @property
    def total(self) -> int:
        """What a model card states."""
        return self.embedding + self.linear + self.rest + (0 if self.tied else self.head)


def count_parameters(config: ModelConfig) -> ParameterCounts:
    """Counts what `load_decoder` would read."""
    hidden = config.hidden_size
    queries, keys = config.heads * config.head_dim, config.kv_heads * config.head_dim
    qkv = queries + 2 * keys
    attention = qkv * (hidden + config.qkv_bias) + hidden * (queries + config.output_bias)

    def mlp(size: int) -> int:
        return 2 * size * (hidden + config.mlp_bias) + hidden * (size + config.mlp_bias)

    names = config.family.names
    norms = 2 + (names.post_attention_norm is not None) + (names.post_mlp_norm is not None)
    rest = hidden + config.layers * (norms * hidden + 2 * config.head_dim * config.qk_norm)
    linear = token_linear = config.layers * attention
    experts = config.experts
    for layer in range(config.layers):
        if experts is not None and experts.layers[layer]:
            linear += experts.count * mlp(experts.intermediate_size)
            token_linear += experts.per_token * mlp(experts.intermediate_size)
            rest += experts.count * hidden
        else:
            linear += mlp(config.intermediate_size)
            token_linear += mlp(config.intermediate_size)
    embedding = config.vocab_size * hidden
    return ParameterCounts(embedding, embedding, linear, token_linear, rest, config.tied_embeddings)
