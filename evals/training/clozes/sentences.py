"""A question made of a sentence, which is then its answer.

What always holds: the question has words of the sentence, or words near to them, in their order;
what it asks for (a number, a year) is not in it. Hardness 0 keeps exact phrases and most words,
hardness 1 keeps few and replaces half of them.

Sources: the inverse cloze task (Lee et al. 2019, "Latent Retrieval for Weakly Supervised Open
Domain Question Answering"); word frames as in Lewis et al. 2019, "Unsupervised Question Answering
by Cloze Translation".
"""

import math
import random
import re
from collections.abc import Callable, Mapping

import numpy as np

from evals.training.clozes.words import content_words, words

_FRAMES = (
    "what is",
    "how does",
    "what are",
    "when",
    "why",
    "how to",
    "which",
    "what happens with",
    "explain",
    "where is",
    "who",
    "does",
    "can",
    "",
)
_COUNTS = ("how many", "how much", "what number of", "what is the number of")
_DEFINES = ("what is {}", "what does {} mean", "define {}", "{}", "what are {}")

_DEFINITION = re.compile(
    r"(?:An?|The)?\s*([\w\- ]{3,40}?)\s+(?:is|are)\s+(?:an?|the|used|called|known)\b"
)
_YEAR = re.compile(r"\b(?:in|on|since|until) (\d{4})\b")
_NUMBER = re.compile(r"\b(\d[\d,.]*)\b")
_REASON = re.compile(r"\b(?:because|since|so that)\b")
_PURPOSE = re.compile(r"\b(?:used|allows?|possible) to \w+\b")
_HEADINGS = re.compile(r" > | — ")

_SHORTEST_PHRASE, _LONGEST_PHRASE = 4, 8
_FEWEST_WORDS = 3


class ClozeMaker:
    """Makes questions; see this module.

    Args:
        counts: in how many passages a word occurs; rare words are kept more often.
        passages: how many there are.
        substitute: gives a word that may stand in another's place.
    """

    def __init__(
        self,
        counts: Mapping[str, int],
        passages: int,
        substitute: Callable[[str, random.Random], str],
    ) -> None:
        self._counts = counts
        self._passages = passages
        self._substitute = substitute

    def make(
        self,
        sentence: str,
        context: str,
        rng: random.Random,
        hardness: float,
        *,
        exact: bool = True,
    ) -> str | None:
        """A question that the sentence answers; None if it says too little.

        Args:
            context: the headings above it, of which words may come in.
            hardness: 0 to 1; see this module.
            exact: the question may be a phrase of the sentence.
        """
        content = content_words(sentence)
        if len(content) < _FEWEST_WORDS:
            return None
        if exact and rng.random() < 0.15 * (1 - hardness) + 0.03:
            return _phrase(sentence, rng)
        defined = _DEFINITION.match(sentence)
        if defined is not None and rng.random() < 0.5:
            return rng.choice(_DEFINES).format(defined.group(1).strip().lower())
        frame, content = _framed(sentence, content, rng)
        if len(content) < 2:
            return None
        kept = self._kept(content, rng, hardness)
        share = 0.15 + 0.35 * hardness
        kept = [self._substitute(one, rng) if rng.random() < share else one for one in kept]
        if context and rng.random() < 0.3:
            heading = content_words(_HEADINGS.split(context)[-1])
            if heading:
                kept += rng.sample(heading, min(len(heading), rng.randint(1, 2)))
        asked = " ".join([frame, *kept]).strip().lower()
        return asked + ("?" if rng.random() < 0.3 else "")

    def _kept(self, content: list[str], rng: random.Random, hardness: float) -> list[str]:
        """Some of the words, in their order, rare ones sooner."""
        rarity = np.array([max(0.1, self._rarity(word)) for word in content])
        most = min(7 if hardness < 0.5 else 5, len(content))
        count = rng.randint(2, most)
        drawn = np.random.default_rng(rng.getrandbits(32)).choice(
            len(content), size=count, replace=False, p=rarity / rarity.sum()
        )
        return [content[at] for at in sorted(drawn)]

    def _rarity(self, word: str) -> float:
        return math.log(self._passages / (1 + self._counts.get(word.lower(), 0)))


def _phrase(sentence: str, rng: random.Random) -> str:
    """Some words that stand side by side."""
    said = words(sentence)
    count = min(len(said), rng.randint(_SHORTEST_PHRASE, _LONGEST_PHRASE))
    at = rng.randint(0, len(said) - count)
    return " ".join(said[at : at + count]).lower()


def _framed(sentence: str, content: list[str], rng: random.Random) -> tuple[str, list[str]]:
    """What opens the question, and the words without what it asks for."""
    year = _YEAR.search(sentence)
    if year is not None and rng.random() < 0.6:
        return "when", [word for word in content if word != year.group(1)]
    number = _NUMBER.search(sentence) if year is None else None
    if number is not None and rng.random() < 0.6:
        asked_for = number.group(1).rstrip(".,")
        return rng.choice(_COUNTS), [word for word in content if word != asked_for]
    if _REASON.search(sentence) and rng.random() < 0.5:
        return "why", content
    if _PURPOSE.search(sentence) and rng.random() < 0.5:
        return "how to", content
    return rng.choice(_FRAMES), content
