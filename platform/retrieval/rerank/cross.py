"""A cross-encoder reads query and passage together.

What always holds: pairs of several searches that wait at the same time are read in shared batches,
by one thread, the oldest first; a search that gave up is not read to its end; one that fails fails
alone.
"""

import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

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

Pair = tuple[str, str]


class CrossEncoderReranker:
    """A `Reranker` over sentence-transformers' CrossEncoder."""

    def __init__(self, name: str, model: "CrossEncoder") -> None:
        self._name = name
        self._model = model
        self._batches = PairBatches(self._predict)

    @property
    def name(self) -> str:
        return self._name

    def scores(self, query: str, passages: Sequence[str]) -> Scores:
        return self._batches.submit([(query, passage) for passage in passages]).result()

    def submit(self, query: str, passages: Sequence[str]) -> "Future[Scores]":
        """The same without waiting; a cancelled one is not read."""
        return self._batches.submit([(query, passage) for passage in passages])

    def _predict(self, pairs: list[Pair]) -> Scores:
        predicted = self._model.predict(
            pairs,
            batch_size=_BATCH,
            show_progress_bar=False,
            convert_to_numpy=False,
            convert_to_tensor=True,
        )
        return np.asarray(predicted.float().cpu().numpy(), np.float64).reshape(len(pairs))


@dataclass(eq=False)
class _Waiting:
    """One search's pairs, and how many of them are read."""

    pairs: list[Pair]
    scores: Scores
    future: "Future[Scores]" = field(default_factory=Future)
    read: int = 0


class PairBatches:
    """Reads pairs of all who ask in batches that they share.

    Args:
        predict: scores of pairs, float64 [pairs]; called by one thread, `size` pairs at most.
        size: pairs of a batch.
    """

    def __init__(self, predict: Callable[[list[Pair]], Scores], size: int = _BATCH) -> None:
        self._predict = predict
        self._size = size
        self._inbox: queue.SimpleQueue[_Waiting] = queue.SimpleQueue()
        self._start = threading.Lock()
        self._thread: threading.Thread | None = None

    def submit(self, pairs: Sequence[Pair]) -> "Future[Scores]":
        """Their scores, float64 [pairs], later. What `predict` raises, the future raises."""
        waiting = _Waiting(list(pairs), np.zeros(len(pairs)))
        if not pairs:
            waiting.future.set_result(waiting.scores)
            return waiting.future
        self._inbox.put(waiting)
        with self._start:
            if self._thread is None:
                # A daemon: it holds nothing that has to be closed.
                self._thread = threading.Thread(target=self._work, name="rerank", daemon=True)
                self._thread.start()
        return waiting.future

    def _work(self) -> None:
        waiting: list[_Waiting] = []
        while True:
            if not waiting:
                waiting.append(self._inbox.get())
            with suppress(queue.Empty):
                while True:
                    waiting.append(self._inbox.get_nowait())
            waiting = [one for one in waiting if not one.future.done()]
            self._read(waiting)
            waiting = [one for one in waiting if not one.future.done()]

    def _read(self, waiting: Sequence[_Waiting]) -> None:
        """Reads one batch: the next pairs, those of the oldest searches first."""
        places = [(one, at) for one in waiting for at in range(one.read, len(one.pairs))]
        places = places[: self._size]
        if not places:
            return
        try:
            scores = self._predict([one.pairs[at] for one, at in places])
        except Exception as error:  # whatever it was, those who wait must hear of it
            searches = list(dict.fromkeys(one for one, _ in places))
            if len(searches) == 1:
                with suppress(InvalidStateError):  # it gave up meanwhile
                    searches[0].future.set_exception(error)
                return
            for one in searches:  # each alone, so that none fails for another's sake
                self._read([one])
            return
        for (one, at), score in zip(places, scores, strict=True):
            one.scores[at] = score
            one.read += 1
            if one.read == len(one.pairs):
                with suppress(InvalidStateError):
                    one.future.set_result(one.scores)


def load_reranker(settings: Settings) -> CrossEncoderReranker | None:
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
