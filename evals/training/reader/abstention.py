"""How soon the trained reader says that nothing answers.

It learns of more questions with an answer than without, so it would answer when in doubt. Here the
scores of the tokens that abstain are raised on held-out examples until a given share of the
questions with an answer is refused.

What always holds: no other token's score changes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import torch
from tokenizers import Tokenizer

from evals.training.reader.decisions import decisions
from evals.training.reader.layout import FOUND, NOTHING, numbers_answer
from evals.training.reader.net import Reader
from evals.training.reader.sequences import Marks, StoredSequences
from evals.training.reader.vocabulary import first_id

_KEPT = 1e-3  # ridge, beside the states' mean square


class Abstention(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The table `abstention`.

    Attributes:
        refused: share of the questions with an answer that may be refused.
    """

    refused: float = 0.07


@dataclass(frozen=True, slots=True)
class Choice:
    """Two tokens between which it is decided, in prompts of one kind."""

    name: str
    answers: int
    abstains: int

    @classmethod
    def all_of(cls, tokenizer: Tokenizer) -> "tuple[Choice, ...]":
        """Of a vocabulary: in answers that are numbers, and in an agent's steps."""
        some, none, found, nothing = (
            first_id(tokenizer, text)
            for text in (numbers_answer([1]), numbers_answer([]), FOUND, NOTHING)
        )
        return cls("evidence", some, none), cls("step", found, nothing)


@dataclass(frozen=True, slots=True)
class Refusals:
    """Shares that are refused after calibration, of both kinds of questions."""

    answerable: float
    unanswerable: float


@torch.no_grad()
def calibrate_abstention(
    net: Reader,
    marks: Marks,
    choice: Choice,
    held: Sequence[StoredSequences],
    refused: float,
    device: str = "cpu",
) -> Refusals:
    """Changes the vector of `choice.abstains`.

    Args:
        held: held-out examples; those of other prompts are passed over.

    Raises:
        ValueError: there are none with an answer, or none without.
    """
    pair = choice.answers, choice.abstains
    states, right = decisions(net, marks, pair, held, device)
    if bool(right.all()) or not bool(right.any()):
        raise ValueError("examples with an answer and without are needed")
    table = net.embed_tokens.weight
    margins = states @ (table[choice.abstains] - table[choice.answers]).double().cpu()
    least = float(torch.quantile(margins[right], 1 - refused))
    # A vector that has the same product, 1, with every state in which it is decided.
    square = states.T @ states / len(states)
    ridge = _KEPT * square.trace() / len(square) * torch.eye(len(square), dtype=square.dtype)
    same = torch.linalg.solve(square + ridge, states.mean(0))
    table[choice.abstains] += (-least * same).to(table)
    refuses = margins - least * (states @ same) > 0
    return Refusals(float(refuses[right].double().mean()), float(refuses[~right].double().mean()))
