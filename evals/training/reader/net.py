"""The reader's net while it learns: a Llama decoder, with guides that it loses later.

Guides are losses on what the layers do on the way, and need no weights of their own:

- *sentences*: a middle layer's state at the end of a sentence tells whether the sentence answers;
- *answer*: a head above it, where a number or a decision is to be given, looks at the ends of the
  sentences that answer, or at the beginning where nothing does.

What always holds: names and shapes of the weights are those of `LlamaForCausalLM`, and so are the
logits.
"""

import math
from dataclasses import dataclass

import msgspec
import torch
from torch import Tensor, nn
from torch.nn import functional


class Shape(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Of the net: the table `net` of the configuration.

    Attributes:
        theta: the base of the rotary angles. High, so that more than half of a head's directions
            hardly turn over a prompt and can compare words at any distance.
        sentences_layer: whose output has the guide `sentences`.
        answer_layer: whose first head has the guide `answer`.
    """

    vocabulary: int = 16_384
    hidden: int = 384
    layers: int = 6
    heads: int = 4
    head_dim: int = 128
    intermediate: int = 1024
    theta: float = 1e12
    eps: float = 1e-5
    context: int = 8192
    sentences_layer: int = 2
    answer_layer: int = 3


@dataclass(frozen=True, slots=True)
class Batch:
    """B prompts with their answers, T tokens, padded on the right.

    Attributes:
        tokens: [B, T] int64.
        targets: [B, T] int64: the token to come, -100 where there is nothing to learn.
        ends: [B, T] int64: at the end of a sentence its number, else 0.
        gold: [B, N + 1] bool: numbers of the sentences that answer; number 0 where none does.
        decides: [B, T] bool: tokens before a number or a decision.
        lengths: [B] int64, without padding.
    """

    tokens: Tensor
    targets: Tensor
    ends: Tensor
    gold: Tensor
    decides: Tensor
    lengths: Tensor

    def to(self, device: str) -> "Batch":
        """The same on a device."""
        return Batch(*(getattr(self, name).to(device) for name in self.__slots__))


class Reader(nn.Module):
    """See this module. Weights are drawn; `begin_by_hand` gives it something to begin with."""

    def __init__(self, shape: Shape, embedding: Tensor | None = None, seed: int = 0) -> None:
        super().__init__()
        self.shape = shape
        random = torch.Generator().manual_seed(seed)
        self.embed_tokens = nn.Embedding(shape.vocabulary, shape.hidden)
        self.layers = nn.ModuleList(Layer(shape) for _ in range(shape.layers))
        self.norm = nn.RMSNorm(shape.hidden, shape.eps)
        with torch.no_grad():
            for weight in self.parameters():
                if weight.dim() == 2:
                    weight.normal_(0, 0.02, generator=random)
            if embedding is not None:
                self.embed_tokens.weight.copy_(embedding)

    def attention(self, at: int) -> "Attention":
        """Of a layer."""
        layer = self.layers[at]
        if not isinstance(layer, Layer):
            raise TypeError("a layer of another kind")
        return layer.self_attn

    def forward(self, tokens: Tensor, looked_from: tuple[Tensor, Tensor] | None = None) -> "Passed":
        """All states.

        Args:
            tokens: [B, T] int64.
            looked_from: rows and places [M] of which `Passed.looks` is wanted.
        """
        shape = self.shape
        cos, sin = angles(shape, torch.arange(tokens.shape[1], device=tokens.device))
        states = self.embed_tokens(tokens)
        middle = states
        looks = None
        for at, layer in enumerate(self.layers):
            wanted = looked_from if at == shape.answer_layer else None
            states, found = layer(states, cos, sin, wanted)
            looks = found if found is not None else looks
            if at == shape.sentences_layer:
                middle = states
        return Passed(self.norm(states), middle, looks)

    def logits(self, states: Tensor) -> Tensor:
        """Scores of the next token, of states [N, hidden]."""
        return functional.linear(states, self.embed_tokens.weight)


@dataclass(frozen=True, slots=True)
class Passed:
    """What a forward pass gave.

    Attributes:
        states: [B, T, hidden], after the last norm.
        middle: [B, T, hidden], of the layer with the guide `sentences`.
        looks: [M, T] float32, the guided head's scores before mask and softmax.
    """

    states: Tensor
    middle: Tensor
    looks: Tensor | None


class Layer(nn.Module):
    """Attention, then a gated feed-forward block, each behind a norm."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.input_layernorm = nn.RMSNorm(shape.hidden, shape.eps)
        self.self_attn = Attention(shape)
        self.post_attention_layernorm = nn.RMSNorm(shape.hidden, shape.eps)
        self.mlp = FeedForward(shape)

    def forward(
        self, states: Tensor, cos: Tensor, sin: Tensor, looked_from: tuple[Tensor, Tensor] | None
    ) -> tuple[Tensor, Tensor | None]:
        change, looks = self.self_attn(self.input_layernorm(states), cos, sin, looked_from)
        states = states + change
        return states + self.mlp(self.post_attention_layernorm(states)), looks


class Attention(nn.Module):
    """Causal, of several heads."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.heads, self.head_dim = shape.heads, shape.head_dim
        wide = shape.heads * shape.head_dim
        self.q_proj = nn.Linear(shape.hidden, wide, bias=False)
        self.k_proj = nn.Linear(shape.hidden, wide, bias=False)
        self.v_proj = nn.Linear(shape.hidden, wide, bias=False)
        self.o_proj = nn.Linear(wide, shape.hidden, bias=False)

    def forward(
        self, states: Tensor, cos: Tensor, sin: Tensor, looked_from: tuple[Tensor, Tensor] | None
    ) -> tuple[Tensor, Tensor | None]:
        batch, total, _ = states.shape

        def split(projection: nn.Module) -> Tensor:
            made: Tensor = projection(states)
            return made.view(batch, total, self.heads, self.head_dim).transpose(1, 2)

        q = turned(split(self.q_proj), cos, sin)
        k = turned(split(self.k_proj), cos, sin)
        v = split(self.v_proj)
        seen = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        looks = None
        if looked_from is not None:
            rows, places = looked_from
            asking, asked = q[rows, 0, places].float(), k[:, 0].float()
            looks = (asked[rows] * asking[:, None]).sum(-1) * self.head_dim**-0.5
        change: Tensor = self.o_proj(seen.transpose(1, 2).flatten(2))
        return change, looks


class FeedForward(nn.Module):
    """SwiGLU."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(shape.hidden, shape.intermediate, bias=False)
        self.up_proj = nn.Linear(shape.hidden, shape.intermediate, bias=False)
        self.down_proj = nn.Linear(shape.intermediate, shape.hidden, bias=False)

    def forward(self, states: Tensor) -> Tensor:
        made: Tensor = self.down_proj(
            functional.silu(self.gate_proj(states)) * self.up_proj(states)
        )
        return made


def turn_lengths(shape: Shape) -> list[float]:
    """Tokens over which each pair of a head's directions turns once, shortest first."""
    half = shape.head_dim // 2
    return [2 * math.pi * shape.theta ** (at / half) for at in range(half)]


def angles(shape: Shape, positions: Tensor) -> tuple[Tensor, Tensor]:
    """Cosine and sine [T, head_dim] float32 of positions [T]."""
    steps = torch.arange(0, shape.head_dim, 2, device=positions.device).float() / shape.head_dim
    turns = positions[:, None].float() * (1.0 / shape.theta**steps)
    turns = torch.cat([turns, turns], -1)
    return turns.cos(), turns.sin()


def turned(heads: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary embedding of [B, heads, T, head_dim]."""
    first, second = heads.chunk(2, -1)
    crossed = torch.cat([-second, first], -1)
    return heads * cos.to(heads.dtype) + crossed * sin.to(heads.dtype)


class Guides(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Weights of the losses beside that of the tokens: the table `guides`."""

    sentences: float = 0.7
    answer: float = 0.3


def losses(net: Reader, batch: Batch, answers: int) -> dict[str, Tensor]:
    """The loss of the tokens, `tokens`, and of each guide.

    Args:
        answers: the token whose vector stands for "this answers".
    """
    passed = net(batch.tokens, batch.decides.nonzero(as_tuple=True))
    wanted = batch.targets >= 0
    logits = net.logits(passed.states[wanted]).float()
    return {
        "tokens": functional.cross_entropy(logits, batch.targets[wanted]),
        "sentences": _none_or(sentence_scores(net, passed.middle, answers), batch),
        "answer": _looked(passed, batch),
    }


def sentence_scores(net: Reader, middle: Tensor, answers: int) -> Tensor:
    """Log-odds [B, T] float32 that the sentence which ends at a token answers."""
    states = functional.rms_norm(middle.float(), (net.shape.hidden,))
    return states @ net.embed_tokens.weight[answers].float()


def _none_or(scores: Tensor, batch: Batch) -> Tensor:
    """The sentences that answer against all of the material and "none", whose score is 0."""
    right = batch.gold.gather(1, batch.ends) & (batch.ends > 0)
    reads = batch.gold.any(1)
    if not reads.any():
        return scores.sum() * 0
    scores = scores.masked_fill(batch.ends == 0, -1e4)
    scores = functional.pad(scores, (1, 0))
    right = torch.cat([batch.gold[:, :1], right], 1)
    return _missed(scores[reads], right[reads])


def _looked(passed: Passed, batch: Batch) -> Tensor:
    """How little the guided head looks at what answers."""
    rows, places = batch.decides.nonzero(as_tuple=True)
    if passed.looks is None or not len(rows):
        return passed.states.sum() * 0
    ahead = torch.arange(batch.tokens.shape[1], device=rows.device)[None] > places[:, None]
    right = batch.gold.gather(1, batch.ends) & (batch.ends > 0)
    right[:, 0] |= batch.gold[:, 0]
    return _missed(passed.looks.masked_fill(ahead, -1e4), right[rows])


def _missed(scores: Tensor, right: Tensor) -> Tensor:
    """Mean negative log-likelihood of all that is right together, of scores [M, S]."""
    wanted = scores.masked_fill(~right, -1e4)
    return (scores.logsumexp(1) - wanted.logsumexp(1)).clamp(max=12).mean()
