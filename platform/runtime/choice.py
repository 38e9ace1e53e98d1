"""Which model answers questions, which runs agents, and why.

What always holds: a model that somebody set does both. The reader, the small model that comes with
Rostra, does what the setting `reader` lets it, and only where no other model is set; where it does
not answer, answers quote the documents.
"""

from dataclasses import dataclass
from enum import StrEnum

from rostra.core import Settings
from rostra.shipped import ShippedModelBroken, is_shipped

# Whether the reader's row is the best of the table of answers in docs/performance.md. It changes
# with that table and with nothing else.
READER_ANSWERS_BEST = False


class Maker(StrEnum):
    """Who makes something."""

    MODEL = "model"
    READER = "reader"
    QUOTES = "quotes"
    NOBODY = "nobody"


@dataclass(frozen=True, slots=True)
class Choice:
    """Who does what.

    Attributes:
        answers: a model, the reader, or quotes alone.
        agents: whose model runs them: a set one, the reader, or nobody's.
        why_answers: in words for people, to be read after a colon; likewise `why_agents`.
        advice: what would change it; empty where a model is set.
    """

    answers: Maker
    agents: Maker
    why_answers: str
    why_agents: str
    advice: str = ""


def choose(settings: Settings, *, generator: bool) -> Choice:
    """Who answers and who runs agents under these settings.

    Args:
        generator: a model is set as the main one, or was handed in.
    """
    if generator:
        why = "it is set, and a model that is set wins"
        return Choice(Maker.MODEL, Maker.MODEL, why, why)
    if settings.chat_models:
        why = "chat_models are set, and none of them is the main one"
        return Choice(Maker.QUOTES, Maker.NOBODY, why, why, "Set chat_roles.main or chat_route.")
    advice = "Set ROSTRA_MODEL, or ROSTRA_CHAT_URL and ROSTRA_CHAT_MODEL, for another model."
    if settings.reader == "never":
        why = "no model is set, and ROSTRA_READER=never"
        return Choice(Maker.QUOTES, Maker.NOBODY, why, why, advice)
    if not _ships():
        why = "no model is set, and this version ships no reader"
        return Choice(Maker.QUOTES, Maker.NOBODY, why, why, advice)
    agents = "no model is set, and the reader comes with Rostra"
    if settings.reader == "always":
        return Choice(Maker.READER, Maker.READER, "ROSTRA_READER=always", agents, advice)
    if settings.reader == "agents":
        why = "no model is set, and ROSTRA_READER=agents leaves answers to quotes"
        return Choice(Maker.QUOTES, Maker.READER, why, agents, advice)
    if READER_ANSWERS_BEST:
        why = "no model is set, and of what ships the reader was measured best"
        return Choice(Maker.READER, Maker.READER, why, agents, advice)
    why = "no model is set, and of what ships quoting was measured best"
    return Choice(Maker.QUOTES, Maker.READER, why, agents, advice)


def _ships() -> bool:
    try:
        return is_shipped("reader")
    except ShippedModelBroken:
        # Nobody can tell; who asks it is told what restores the manifest.
        return True
