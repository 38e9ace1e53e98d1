"""Which picker chooses evidence: the trained scorer where it is whole, similarity otherwise.

What always holds: a scorer that is missing, broken or of another encoder never fails a question;
similarity answers, and the log says why, once for each time that loading was tried.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from rostra.answer.evidence import EvidencePicker
from rostra.answer.similar import SimilarityPicker
from rostra.core import ConfigError, Embedder, ModelUnavailable, Settings, get_logger
from rostra.shipped import is_shipped, shipped_folder

if TYPE_CHECKING:
    from rostra.answer.scorer.scorer import EvidenceScorer

log = get_logger(__name__)

_FILE = "model.safetensors"


def scorer_file(settings: Settings) -> Path | None:
    """The evidence scorer that the settings ask for; None when similarity is to pick.

    Raises:
        ModelUnavailable: it is asked for and there is none, or what ships is broken.
    """
    if settings.evidence_picker == "similarity":
        return None
    if settings.evidence_model is not None:
        own = settings.evidence_model / _FILE
        if not own.is_file():
            raise ModelUnavailable(
                f"there is no evidence scorer {own}",
                hint="Correct evidence_model, or leave it out for the shipped one.",
            )
        return own
    if settings.evidence_picker == "auto" and not is_shipped("evidence"):
        return None
    return shipped_folder("evidence") / _FILE


def load_scorer(settings: Settings) -> "EvidenceScorer | None":
    """The scorer, or None when similarity picks; blocks while it loads.

    What is wrong with a scorer goes to the log, not to the caller.
    """
    try:
        path = scorer_file(settings)
        if path is None:
            return None
        from rostra.answer.scorer.scorer import EvidenceScorer

        return EvidenceScorer.load(path, settings.device)
    except (ModelUnavailable, ConfigError) as error:
        log.warning(
            "similarity picks evidence instead of the scorer",
            reason=error.message,
            hint=error.hint,
        )
        return None


def make_picker(
    scorer: "EvidenceScorer | None",
    embedder: Callable[[], Embedder],
    terms: Callable[[str], list[str]],
) -> EvidencePicker:
    """The picker over a scorer, or over similarity without one.

    Args:
        scorer: as `load_scorer` gives it.
        embedder: of the space that passages are found in; it is loaded by then.
        terms: analyses a sentence as the lexical index does.
    """
    if scorer is None:
        return SimilarityPicker(embedder(), terms)
    from rostra.answer.scored import ScorerPicker

    return ScorerPicker(scorer, embedder(), terms)
