"""The tokens that the heads set by hand go by.

What always holds: each of them is in the vocabulary, and is one token.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from tokenizers import Tokenizer
from torch import Tensor

from evals.training.reader.layout import (
    ASKED,
    BEGIN,
    CALCULATE,
    CALL_CALCULATE,
    CALL_SEARCH,
    COMPUTED,
    END_CALL,
    EVIDENCE,
    FOUND,
    MARKERS,
    PAD,
    PASSAGE,
    REACT,
    SCAFFOLDS,
    SEARCH,
    SPECIAL,
    STEP,
    STOP,
)
from evals.training.reader.sequences import Marks


@dataclass(frozen=True, slots=True)
class Words:
    """See this module.

    Attributes:
        rarity: [vocabulary] float32, 0 to 1; 1 for what is no word.
        questions: tokens that a question begins with; `react` is the one of them for a step.
        marks: tokens before sentences, by number from 1 on; likewise `numbers` in answers.
        wants: tokens that are followed by an answer's first number.
        tools: tokens that a task comes after.
        calls: tokens that a query comes after; `end_call` is what comes after the query.
        breaks: tokens that a task ends before.
        silent: tokens that are no words.
        answers: the token whose vector stands for "this answers": one that is never read.
    """

    rarity: Tensor
    begin: int
    questions: Sequence[int]
    react: int
    passage: int
    end: int
    marks: Sequence[int]
    numbers: Sequence[int]
    wants: Sequence[int]
    tools: Sequence[int]
    calls: Sequence[int]
    breaks: Sequence[int]
    silent: Sequence[int]
    end_call: int
    answers: int

    @classmethod
    def of(cls, tokenizer: Tokenizer, rarity: Tensor) -> "Words":
        """Of a vocabulary that knows the layout's tokens.

        Raises:
            ValueError: it does not.
        """
        found = {name: tokenizer.token_to_id(name) for name in (*SPECIAL, *SCAFFOLDS)}
        ids = {name: token for name, token in found.items() if token is not None}
        if len(ids) < len(found):
            raise ValueError("the vocabulary lacks tokens of the layout")
        opening = tokenizer.encode("[1]", add_special_tokens=False).ids[0]
        return cls(
            rarity=rarity,
            begin=ids[BEGIN],
            questions=(ids[EVIDENCE], ids[REACT]),
            react=ids[REACT],
            passage=ids[PASSAGE],
            end=ids[STOP],
            marks=[ids[one] for one in MARKERS],
            numbers=Marks.of(tokenizer).numbers,
            wants=(ids[FOUND], ids[COMPUTED], opening),
            tools=(ids[SEARCH], ids[CALCULATE]),
            calls=(ids[CALL_SEARCH], ids[CALL_CALCULATE]),
            breaks=(ids[STEP], ids[ASKED]),
            silent=list(ids.values()),
            end_call=ids[END_CALL],
            answers=ids[PAD],
        )
