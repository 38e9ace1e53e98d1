"""Reranking: a cross-encoder reads query and passage together.

What always holds: reranking reorders the hits it is given and never adds or drops one.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np

from rostra.core import (
    ModelUnavailable,
    Settings,
    import_transformers,
    pick_device,
    pick_dtype,
    quiet_loading,
)
from rostra.retrieval.lexical import Scores
from rostra.retrieval.models import find_model, first_line

if TYPE_CHECKING:
    from sentence_transformers import CrossEncoder

_BATCH = 16


class Reranker(Protocol):
    """Scores passages against a query. Calls block; use a thread."""

    @property
    def name(self) -> str: ...

    def scores(self, query: str, passages: Sequence[str]) -> Scores:
        """float64 [passages]; higher answers better."""
        ...


class CrossEncoderReranker:
    """A `Reranker` over sentence-transformers' CrossEncoder."""

    def __init__(self, name: str, model: "CrossEncoder") -> None:
        self._name = name
        self._model = model

    @property
    def name(self) -> str:
        return self._name

    def scores(self, query: str, passages: Sequence[str]) -> Scores:
        if not passages:
            return np.zeros(0)
        predicted = self._model.predict(
            [(query, passage) for passage in passages],
            batch_size=_BATCH,
            show_progress_bar=False,
            convert_to_numpy=False,
            convert_to_tensor=True,
        )
        return np.asarray(predicted.float().cpu().numpy(), np.float64).reshape(len(passages))


def load_reranker(settings: Settings) -> Reranker | None:
    """The cross-encoder that the settings name; None when they name none.

    Raises:
        ModelUnavailable: it cannot be loaded, or gives more than one score a pair.
    """
    if not settings.reranker_model:
        return None
    source = find_model(settings.reranker_model)
    device = pick_device(settings.device)
    import_transformers()
    from sentence_transformers import CrossEncoder

    with quiet_loading():
        try:
            model = CrossEncoder(
                source.location,
                device=device,
                local_files_only=source.is_local,
                model_kwargs={"dtype": pick_dtype("auto", device)},
            )
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            raise ModelUnavailable(
                f"reranker {source.name} cannot be loaded: {first_line(error)}",
                hint="Set reranker_model to a folder with a cross-encoder, or leave it empty.",
            ) from error
    if model.num_labels != 1:
        raise ModelUnavailable(
            f"reranker {source.name} gives {model.num_labels} scores a pair, one is needed"
        )
    return CrossEncoderReranker(source.name, model)
