"""How often the trained reader prefers the tool that a task is for.

What always holds: only tasks count that hold a digit and whose first step offers both tools, since
a run offers `calculate` for no others; that something is called is taken for granted.
"""

import string
from collections.abc import Sequence
from dataclasses import dataclass

from tokenizers import Tokenizer

from evals.training.reader.decisions import decisions
from evals.training.reader.layout import CALCULATE, CALL_CALCULATE, CALL_SEARCH, SEARCH
from evals.training.reader.net import Reader
from evals.training.reader.sequences import Marks, StoredSequences, TokenSequence
from evals.training.reader.vocabulary import first_id


@dataclass(frozen=True, slots=True)
class Calls:
    """Tasks of one kind, and for how many of them the right tool is preferred."""

    right: int
    tasks: int

    @property
    def share(self) -> float:
        """0 where there are no tasks."""
        return self.right / max(1, self.tasks)


def right_calls(
    net: Reader, tokenizer: Tokenizer, held: Sequence[StoredSequences], device: str = "cpu"
) -> tuple[Calls, Calls]:
    """What a net prefers in held-out first steps: of tasks to search for, and of sums."""
    marks = Marks.of(tokenizer)
    offered = {first_id(tokenizer, SEARCH), first_id(tokenizer, CALCULATE)}

    def counts(one: TokenSequence) -> bool:
        prompt = one.tokens[: (one.tokens == marks.step).argmax()]
        return offered <= set(prompt.tolist()) and any(
            letter in string.digits for letter in tokenizer.decode(prompt.tolist())
        )

    searches, calculates = (first_id(tokenizer, text) for text in (CALL_SEARCH, CALL_CALCULATE))
    states, right = decisions(net, marks, (searches, calculates), held, device, counts)
    table = net.embed_tokens.weight.detach().double().cpu()
    searched = states @ (table[searches] - table[calculates]) > 0
    return (
        Calls(int(searched[right].sum()), int(right.sum())),
        Calls(int((~searched[~right]).sum()), int((~right).sum())),
    )
