"""The reader's net while it learns: a Llama decoder over packs, with guides that it loses later.

A pack is material once and many questions behind it. All tokens go through the layers together; in
attention, material sees material before it, and a question's token the material and its own
question's tokens before it. Positions of each question go on from the material's end, so a question
is computed as if it stood there alone.

Guides are losses on what the layers do on the way; they are what makes a net of this size find
sentences within minutes, and need no weights of their own:

- *numbers*: a low layer's state of a sentence's token tells the number of its sentence;
- *words*: a head of the next layer, at a question's tokens, looks at the sentences that answer it;
- *answer*: a head of a layer above that, where a number or a decision is to be given, likewise, or
  at the beginning where nothing answers.

What always holds: names and shapes of the weights are those of `LlamaForCausalLM`, and so are the
logits.
"""

import math
from dataclasses import dataclass

import msgspec
import torch
from torch import Tensor, nn
from torch.nn import functional

# Tokens over which a direction turns once; one that takes longer compares words at any distance.
_STILL = 16_384


class Shape(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Of the net: the table `net` of the configuration.

    Attributes:
        theta: the base of the rotary angles. High, so that more than half of a head's directions
            hardly turn over a prompt and can compare words at any distance.
        numbers_layer: whose output has the guide `numbers`; likewise the next two.
        sharpness: score of two equal words in the guided head of words, to begin with.
        copying: how much of what they look at the guided heads pass on, to begin with.
    """

    vocabulary: int = 16_384
    hidden: int = 384
    layers: int = 6
    heads: int = 6
    intermediate: int = 1024
    theta: float = 10_000_000.0
    eps: float = 1e-5
    context: int = 8192
    numbers_layer: int = 1
    words_layer: int = 2
    answer_layer: int = 4
    sharpness: float = 12.0
    copying: float = 0.3

    @property
    def head_dim(self) -> int:
        return self.hidden // self.heads


@dataclass(frozen=True, slots=True)
class Packs:
    """A batch of B packs: P tokens of material, Q tokens of questions, both padded on the right.

    Attributes:
        material: [B, P] int64.
        owner: [B, P] int64: number of the sentence that a token belongs to, 0 for none.
        questions: [B, Q] int64.
        segment: [B, Q] int64: which question a token belongs to, from 0; -1 is padding.
        blind: [B, Q] bool: a token of a question that does not see the material.
        positions: [B, Q] int64.
        targets: [B, Q] int64: the token to come, -100 where there is nothing to learn.
        gold: [B, S, N + 1] bool: the numbers of the sentences that answer question s; number 0
            stands for the material's first token, which is looked at where nothing does.
        asks: [B, Q] bool: tokens of a question's words, for the guide `words`.
        decides: [B, Q] bool: tokens before a number or a decision, for the guide `answer`.
    """

    material: Tensor
    owner: Tensor
    questions: Tensor
    segment: Tensor
    blind: Tensor
    positions: Tensor
    targets: Tensor
    gold: Tensor
    asks: Tensor
    decides: Tensor

    def to(self, device: str) -> "Packs":
        """The same on a device."""
        return Packs(*(getattr(self, name).to(device) for name in self.__slots__))


class Reader(nn.Module):
    """See this module."""

    def __init__(self, shape: Shape, embedding: Tensor | None = None, seed: int = 0) -> None:
        super().__init__()
        self.shape = shape
        random = torch.Generator().manual_seed(seed)
        self.embed_tokens = nn.Embedding(shape.vocabulary, shape.hidden)
        self.layers = nn.ModuleList(Layer(shape) for _ in range(shape.layers))
        self.norm = nn.RMSNorm(shape.hidden, shape.eps)
        with torch.no_grad():
            for name, weight in self.named_parameters():
                if weight.dim() == 2:
                    deep = name.endswith(("o_proj.weight", "down_proj.weight"))
                    spread = 0.02 / math.sqrt(2 * shape.layers) if deep else 0.02
                    weight.normal_(0, spread, generator=random)
            if embedding is not None:
                self.embed_tokens.weight.copy_(embedding)
            self._compare_words(random)
            self._pass_on(random)

    def _compare_words(self, random: torch.Generator) -> None:
        """Has the guided head of words compare tokens by what they mean.

        Queries and keys are the same projection of the residual stream, which at that depth is
        still mostly the token's embedding, onto the directions that turn least with position.
        """
        shape = self.shape
        attention = self._attention(shape.words_layer)
        half = shape.head_dim // 2
        still = [
            at
            for at in range(half)
            if 2 * math.pi * shape.theta ** (2 * at / shape.head_dim) > _STILL
        ]
        rows = [*still, *(half + at for at in still)]
        if not rows or not shape.sharpness:
            return
        basis = torch.linalg.qr(torch.randn(shape.hidden, len(rows), generator=random)).Q.T
        basis = basis * math.sqrt(shape.sharpness * math.sqrt(shape.head_dim) / len(rows))
        attention.q_proj.weight[rows] = basis
        attention.k_proj.weight[rows] = basis

    def _pass_on(self, random: torch.Generator) -> None:
        """Has the first head of each guided layer pass on a part of what it looks at unchanged.

        A number can then go from its mark to the words of its sentence, from there to the words of
        a question and on to the answer, as soon as the heads look at the right places.
        """
        shape = self.shape
        if not shape.copying:
            return
        for at in sorted({shape.numbers_layer, shape.words_layer, shape.answer_layer}):
            basis = torch.randn(shape.hidden, shape.head_dim, generator=random)
            basis = torch.linalg.qr(basis).Q
            attention = self._attention(at)
            attention.v_proj.weight[: shape.head_dim] = basis.T
            attention.o_proj.weight[:, : shape.head_dim] = shape.copying * basis

    def _attention(self, at: int) -> "Attention":
        layer = self.layers[at]
        if not isinstance(layer, Layer):
            raise TypeError("a layer of another kind")
        return layer.self_attn

    def forward(self, packs: Packs) -> "Passed":
        """All states, of material and questions together."""
        shape = self.shape
        length = packs.material.shape[1]
        tokens = torch.cat([packs.material, packs.questions], 1)
        ahead = torch.arange(length, device=tokens.device).expand(len(tokens), -1)
        cos, sin = angles(shape, torch.cat([ahead, packs.positions], 1))
        mask = question_mask(packs)
        states = self.embed_tokens(tokens)
        numbers = words = answer = None
        for at, layer in enumerate(self.layers):
            states, looks = layer(
                states, cos, sin, length, mask, at in (shape.words_layer, shape.answer_layer)
            )
            if at == shape.numbers_layer:
                numbers = states[:, :length]
            if at == shape.words_layer:
                words = looks
            if at == shape.answer_layer:
                answer = looks
        return Passed(self.norm(states), numbers, words, answer, mask)

    def logits(self, states: Tensor) -> Tensor:
        """Scores of the next token, of states [N, hidden]."""
        return functional.linear(states, self.embed_tokens.weight)


@dataclass(frozen=True, slots=True)
class Passed:
    """What a forward pass gave.

    Attributes:
        states: [B, P + Q, hidden], after the last norm.
        numbers: [B, P, hidden], of the guide's layer.
        words: [B, Q, P + Q], the guided head's scores before the softmax; likewise `answer`.
        mask: [B, Q, P + Q], what a question's token may look at.
    """

    states: Tensor
    numbers: Tensor | None
    words: Tensor | None
    answer: Tensor | None
    mask: Tensor


class Layer(nn.Module):
    """Attention, then a gated feed-forward block, each behind a norm."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.input_layernorm = nn.RMSNorm(shape.hidden, shape.eps)
        self.self_attn = Attention(shape)
        self.post_attention_layernorm = nn.RMSNorm(shape.hidden, shape.eps)
        self.mlp = FeedForward(shape)

    def forward(
        self, states: Tensor, cos: Tensor, sin: Tensor, length: int, mask: Tensor, guided: bool
    ) -> tuple[Tensor, Tensor | None]:
        change, looks = self.self_attn(self.input_layernorm(states), cos, sin, length, mask, guided)
        states = states + change
        return states + self.mlp(self.post_attention_layernorm(states)), looks


class Attention(nn.Module):
    """Over a pack; see this module."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.heads, self.head_dim = shape.heads, shape.head_dim
        self.q_proj = nn.Linear(shape.hidden, shape.hidden, bias=False)
        self.k_proj = nn.Linear(shape.hidden, shape.hidden, bias=False)
        self.v_proj = nn.Linear(shape.hidden, shape.hidden, bias=False)
        self.o_proj = nn.Linear(shape.hidden, shape.hidden, bias=False)

    def forward(
        self, states: Tensor, cos: Tensor, sin: Tensor, length: int, mask: Tensor, guided: bool
    ) -> tuple[Tensor, Tensor | None]:
        batch, total, hidden = states.shape

        def split(projection: nn.Module) -> Tensor:
            made: Tensor = projection(states)
            return made.view(batch, total, self.heads, self.head_dim).transpose(1, 2)

        q = turned(split(self.q_proj), cos, sin)
        k = turned(split(self.k_proj), cos, sin)
        v = split(self.v_proj)
        first = functional.scaled_dot_product_attention(
            q[:, :, :length], k[:, :, :length], v[:, :, :length], is_causal=True
        )
        asked = q[:, :, length:]
        second = functional.scaled_dot_product_attention(asked, k, v, attn_mask=mask[:, None])
        looks = None
        if guided:
            looks = (asked[:, 0] @ k[:, 0].transpose(1, 2)).float() * self.head_dim**-0.5
        seen = torch.cat([first, second], 2).transpose(1, 2).reshape(batch, total, hidden)
        change: Tensor = self.o_proj(seen)
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


def question_mask(packs: Packs) -> Tensor:
    """[B, Q, P + Q] bool: what each token of a question may look at."""
    length = packs.questions.shape[1]
    place = torch.arange(length, device=packs.questions.device)
    own = packs.segment[:, :, None] == packs.segment[:, None, :]
    own = own & (place[:, None] >= place[None, :])
    there = torch.zeros_like(packs.material, dtype=torch.bool)
    there[:] = packs.owner >= 0
    seen = there[:, None, :] & ~packs.blind[:, :, None]
    return torch.cat([seen, own], 2)


def angles(shape: Shape, positions: Tensor) -> tuple[Tensor, Tensor]:
    """Cosine and sine [B, 1, T, head_dim] float32."""
    steps = torch.arange(0, shape.head_dim, 2, device=positions.device).float() / shape.head_dim
    turns = positions[:, None, :, None].float() * (1.0 / shape.theta**steps)
    turns = torch.cat([turns, turns], -1)
    return turns.cos(), turns.sin()


def turned(heads: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary embedding of [B, heads, T, head_dim]."""
    first, second = heads.chunk(2, -1)
    crossed = torch.cat([-second, first], -1)
    return heads * cos.to(heads.dtype) + crossed * sin.to(heads.dtype)


class Guides(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Weights of the losses beside that of the tokens: the table `guides`."""

    numbers: float = 0.3
    words: float = 0.3
    answer: float = 0.5


def losses(net: Reader, packs: Packs, guides: Guides, numbers: Tensor) -> dict[str, Tensor]:
    """The loss of the tokens, `tokens`, and of each guide with a weight.

    Args:
        numbers: [N] int64: the tokens of the numbers from 1 on.
    """
    passed = net(packs)
    length = packs.material.shape[1]
    wanted = packs.targets >= 0
    logits = net.logits(passed.states[:, length:][wanted]).float()
    found = {"tokens": functional.cross_entropy(logits, packs.targets[wanted])}
    if guides.numbers and passed.numbers is not None:
        # Of one token in four, which is enough and four times cheaper.
        owned = packs.owner > 0
        owned[:, torch.arange(length, device=owned.device) % 4 != 0] = False
        states = functional.rms_norm(passed.numbers[owned], (net.shape.hidden,))
        scores = functional.linear(states, net.embed_tokens.weight[numbers]).float()
        found["numbers"] = functional.cross_entropy(scores, packs.owner[owned] - 1)
    if guides.words and passed.words is not None:
        found["words"] = looked(passed.words, packs, passed.mask, packs.asks, answered=True)
    if guides.answer and passed.answer is not None:
        found["answer"] = looked(passed.answer, packs, passed.mask, packs.decides, answered=False)
    return found


def looked(looks: Tensor, packs: Packs, mask: Tensor, where: Tensor, *, answered: bool) -> Tensor:
    """How little a head looks at what answers, as a mean over the tokens `where`.

    Args:
        answered: only where something answers.
    """
    batch, rows = where.nonzero(as_tuple=True)
    gold = packs.gold[batch, packs.segment[batch, rows]]  # [M, N + 1]
    if answered:
        kept = ~gold[:, 0]
        batch, rows, gold = batch[kept], rows[kept], gold[kept]
    if not len(batch):
        return looks.sum() * 0
    scores = looks[batch, rows].masked_fill(~mask[batch, rows], -1e4)
    owner = packs.owner[batch]  # [M, P]
    right = gold.gather(1, owner.clamp(min=0)) & (owner > 0)
    right[:, 0] |= gold[:, 0]
    right = functional.pad(right, (0, scores.shape[1] - right.shape[1]))
    wanted = scores.masked_fill(~right, -1e4).logsumexp(1)
    return (scores.logsumexp(1) - wanted).clamp(max=12).mean()
