"""The evidence scorer's net: MiniLM over question and passage, a score for each sentence.

What always holds: a sentence's score is its logit less the passage's own logit of "nothing here
answers", which puts sentences of different passages on one scale; word and position embeddings are
those of the packaged encoder and are never trained.

A sentence's logit is a perceptron over the mean of its tokens' states beside the first token's, as
in span-free readers of whole sentences (e.g. BERTSum's inter-sentence classifier, Liu 2019); the
logit of nothing is linear in the first token's state.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from rostra.answer.scorer.features import Batch
from rostra.core import import_transformers, quiet_loading

if TYPE_CHECKING:
    from transformers import BertConfig

_ABSENT = -1e4  # the logit of a sentence that is not there


class EvidenceNet(nn.Module):
    """See this module.

    Args:
        config: of the encoder; its dropout is switched off.
    """

    def __init__(self, config: "BertConfig") -> None:
        super().__init__()
        import_transformers()
        from transformers import BertModel

        config.hidden_dropout_prob = config.attention_probs_dropout_prob = 0.0
        width = config.hidden_size
        self.trunk = BertModel(config, add_pooling_layer=False)
        self.trunk.embeddings.requires_grad_(False)
        self.sent = nn.Linear(2 * width, width)
        self.out = nn.Linear(width, 1)
        self.null = nn.Linear(width, 1)

    def forward(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits of sentences, float32 [B, S], and of "nothing here answers", float32 [B]."""
        states = self.trunk(
            input_ids=batch.ids, attention_mask=batch.mask, token_type_ids=batch.types
        ).last_hidden_state.to(self.null.weight.dtype)
        means = torch.bmm(batch.pool.to(states.dtype), states)
        both = torch.cat([means, states[:, :1].expand_as(means)], -1)
        logits = self.out(nn.functional.gelu(self.sent(both)))[..., 0].float()
        nothing: torch.Tensor = self.null(states[:, 0])[..., 0].float()
        return logits.masked_fill(~batch.scored, _ABSENT), nothing

    def own_state(self) -> dict[str, torch.Tensor]:
        """Weights that are not the packaged encoder's embeddings, by name."""
        return {
            name: weight for name, weight in self.state_dict().items() if not _is_borrowed(name)
        }


def _is_borrowed(name: str) -> bool:
    return name.startswith("trunk.embeddings.")


def new_net(encoder: Path) -> EvidenceNet:
    """The net before any training: the encoder's weights and random heads.

    Args:
        encoder: the packaged encoder's folder; see `rostra.answer.scorer_encoder`.
    """
    import_transformers()
    from transformers import BertConfig, BertModel

    with quiet_loading():
        config = BertConfig.from_pretrained(encoder)
        net = EvidenceNet(config)
        trunk: Any = BertModel.from_pretrained(encoder, add_pooling_layer=False)
        net.trunk.load_state_dict(trunk.state_dict())
    return net
