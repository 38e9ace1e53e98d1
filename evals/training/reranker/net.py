"""The reranker's net: the packaged encoder with its pooler, and one number for a pair.

What always holds: embeddings are those of the packaged encoder and are not trained; dropout is off,
without which attention has no fast path on a CPU.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from rostra.core import import_transformers, quiet_loading

if TYPE_CHECKING:
    from transformers import BertConfig

PAIR_TOKENS = 384


@dataclass(frozen=True, slots=True)
class Pairs:
    """Pairs as tensors; G groups of P pairs of at most T tokens.

    Attributes:
        ids: int64 [G * P, T]; so are `mask` and `types`.
        passages: P; the first of a group is the one that answers.
    """

    ids: torch.Tensor
    mask: torch.Tensor
    types: torch.Tensor
    passages: int

    def to(self, device: str) -> "Pairs":
        """The same on another device."""
        return Pairs(
            self.ids.to(device), self.mask.to(device), self.types.to(device), self.passages
        )


class RerankerNet(nn.Module):
    """See this module.

    Args:
        config: of the encoder.
    """

    def __init__(self, config: "BertConfig") -> None:
        super().__init__()
        import_transformers()
        from transformers import BertForSequenceClassification

        config.hidden_dropout_prob = config.attention_probs_dropout_prob = 0.0
        config.num_labels = 1
        self.model = BertForSequenceClassification(config)
        self.model.bert.embeddings.requires_grad_(False)

    def forward(self, pairs: Pairs) -> torch.Tensor:
        """Scores, float32 [G, P]."""
        logits: torch.Tensor = self.model(
            input_ids=pairs.ids, attention_mask=pairs.mask, token_type_ids=pairs.types
        ).logits
        return logits[:, 0].float().view(-1, pairs.passages)


def new_reranker(encoder: Path, begun: nn.Module | None = None) -> RerankerNet:
    """The net before training: the encoder's weights and a random head.

    Args:
        begun: of the encoder's form too; layers that were trained to read pairs, in place of the
            encoder's.
    """
    import_transformers()
    from transformers import BertConfig, BertModel

    with quiet_loading():
        net = RerankerNet(BertConfig.from_pretrained(encoder))
        trunk: Any = BertModel.from_pretrained(encoder)
        net.model.bert.load_state_dict(trunk.state_dict())
    if begun is not None:
        net.model.bert.load_state_dict(begun.state_dict(), strict=False)  # it has no pooler
    return net


class PairTokens:
    """Makes pairs by the encoder's tokenizer, cut as sentence-transformers cuts them.

    Args:
        encoder: its folder.
    """

    def __init__(self, encoder: Path) -> None:
        from tokenizers import Tokenizer

        self._tokenizer: Any = Tokenizer.from_file(str(encoder / "tokenizer.json"))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(PAIR_TOKENS, strategy="longest_first")

    def pairs(self, groups: Sequence[tuple[str, Sequence[str]]]) -> Pairs:
        """Groups of a question and passages, as many of each; at least one."""
        texts = [(question, passage) for question, passages in groups for passage in passages]
        read = self._tokenizer.encode_batch(texts)
        longest = max(len(one.ids) for one in read)
        ids = torch.zeros(len(read), longest, dtype=torch.int64)
        mask, types = torch.zeros_like(ids), torch.zeros_like(ids)
        for at, one in enumerate(read):
            length = len(one.ids)
            ids[at, :length] = torch.tensor(one.ids)
            mask[at, :length] = 1
            types[at, :length] = torch.tensor(one.type_ids)
        return Pairs(ids, mask, types, len(groups[0][1]))


def save_reranker(net: RerankerNet, encoder: Path, folder: Path) -> None:
    """Writes a folder that sentence-transformers' CrossEncoder reads, in float16.

    Scores are the logits themselves: behind a sigmoid the best ones could not be told apart.
    """
    import_transformers()
    from transformers import AutoTokenizer

    folder.mkdir(parents=True, exist_ok=True)
    config: Any = net.model.config
    config.sentence_transformers = {"activation_fn": "torch.nn.modules.linear.Identity"}
    with quiet_loading():
        net.model.half().save_pretrained(folder)
        tokenizer: Any = AutoTokenizer.from_pretrained(encoder)
        tokenizer.model_max_length = PAIR_TOKENS
        tokenizer.save_pretrained(folder)
    net.model.float()
