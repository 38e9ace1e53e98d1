"""A heading as a question."""

import random
import re

from evals.training.clozes.words import content_words

_SEPARATOR = re.compile(r" > ")
_SITE = re.compile(r"\s+—\s+Python .*documentation$")
_NUMBER = re.compile(r"^(?:Chapter\s+)?[\dA-Z]{1,3}(?:\.\d+)*\.\s+")
_FRAMES = ("{}", "what is {}", "how does {} work", "explain {}", "{} in {above}", "how to use {}")
_MOST_WORDS = 12
# Headings that every page has say nothing of their own.
_COMMON_WORDS = """
description synopsis examples example notes parameters see also compatibility return value values
introduction overview options usage arguments outputs summary features history
"""
_COMMON = frozenset(_COMMON_WORDS.split())


def heading_question(context: str, rng: random.Random) -> str | None:
    """A question after the innermost heading; None where it says too little.

    Args:
        context: headings, the outermost first, separated by " > ".
    """
    parts = [_NUMBER.sub("", _SITE.sub("", part)).strip() for part in _SEPARATOR.split(context)]
    parts = [part for part in parts if part]
    if not parts:
        return None
    own = parts[-1]
    above = parts[-2] if len(parts) > 1 else ""
    said = content_words(own)
    if not said or len(said) > _MOST_WORDS or "|" in own:  # a table's head is no title
        return None
    if all(word.lower() in _COMMON for word in said):
        return f"{above} {own}".lower() if above else None
    frame = rng.choice(_FRAMES if above else [one for one in _FRAMES if "{above}" not in one])
    return frame.format(own, above=above).lower()
