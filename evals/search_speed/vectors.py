"""Vectors like those of a large collection: real passages' with noise added, and what is nearest.

Real passages are paragraphs of the descriptions of the Python packages that are installed, embedded
by the model of the settings. Many noisy copies stand around each, so that the nearest ten are
decided by small differences. Questions are noisy copies of passages that have no other copies.
"""

import importlib.metadata
import re

import numpy as np

from evals.search_speed.child import Tell
from rostra.core import FloatMatrix, Settings
from rostra.retrieval import load_embedder, truncate

# Standard deviation of the noise, over all dimensions together; a passage has length 1.
NOISE = 0.5
MOST_PASSAGES = 1_000
_LONGEST = 500  # code points of one
_FEWEST_WORDS = 25
_LETTERS = 0.7  # of a passage, at least: no tables, no links
_WORD = re.compile(r"[A-Za-z]{2,}")


def passages(most: int) -> list[str]:
    """Paragraphs of prose, each once, spread over all packages."""
    found: dict[str, None] = {}
    packages = importlib.metadata.distributions()
    for package in sorted(packages, key=lambda one: str(one.metadata["Name"])):
        # Both are where a description may stand, by the version of the format.
        body = package.metadata.get_payload() or package.metadata.get("Description")  # type: ignore[attr-defined]
        for paragraph in re.split(r"\n\s*\n", str(body or "")):
            text = " ".join(paragraph.split())
            letters = sum(map(len, _WORD.findall(text)))
            if "://" in text or len(text.split()) < _FEWEST_WORDS:
                continue
            if letters > _LETTERS * len(text.replace(" ", "")):
                found[text[:_LONGEST]] = None
    spread = np.linspace(0, len(found) - 1, min(most, len(found))).astype(int)
    texts = list(found)
    return [texts[at] for at in spread]


def passage_vectors(settings: Settings, most: int, tell: Tell) -> FloatMatrix:
    """Their vectors, float32 [passages, dimensions of the model], unit length.

    Raises:
        ModelUnavailable: the settings' model cannot be loaded.
    """
    texts = passages(most)
    embedder = load_embedder(settings)
    done = 0

    def on_batch(count: int) -> None:
        nonlocal done
        done += count
        tell("embed passages", done, len(texts))

    return embedder.embed_documents(texts, on_batch)


class NoisyVectors:
    """Draws vectors around passages'.

    Args:
        passages: float32 [passages, dimensions], unit length; some are kept for questions.
    """

    def __init__(self, passages: FloatMatrix, questions: int, seed: int = 0) -> None:
        self._random = np.random.default_rng(seed)
        order = self._random.permutation(len(passages))
        kept = max(1, min(questions, len(passages) // 4))
        self._asked, self._known = passages[order[:kept]], passages[order[kept:]]

    def draw(self, count: int) -> FloatMatrix:
        """Float32 [count, dimensions], unit length."""
        return self._noisy(self._known[self._random.integers(0, len(self._known), count)])

    def questions(self, count: int) -> FloatMatrix:
        """The same, of other passages."""
        return self._noisy(self._asked[np.arange(count) % len(self._asked)])

    def _noisy(self, rows: FloatMatrix) -> FloatMatrix:
        noise = self._random.standard_normal(rows.shape, dtype=np.float32)
        return truncate(rows + noise * np.float32(NOISE / rows.shape[1] ** 0.5), rows.shape[1])


class Nearest:
    """The nearest of all vectors that it was shown, exactly.

    Args:
        questions: float32 [questions, dimensions].
        k: how many of each.
    """

    def __init__(self, questions: FloatMatrix, k: int = 10) -> None:
        self._questions = questions
        self._k = k
        self._scores = np.full((len(questions), k), -np.inf, np.float32)
        self.found = np.full((len(questions), k), -1, np.int64)

    def show(self, vectors: FloatMatrix, first: int) -> None:
        """Looks at vectors whose numbers rise from `first`."""
        scores = np.concatenate([self._scores, self._questions @ vectors.T], axis=1)
        numbers = np.broadcast_to(
            np.arange(first, first + len(vectors)), (len(scores), len(vectors))
        )
        best = np.argpartition(-scores, self._k - 1, axis=1)[:, : self._k]
        self.found = np.take_along_axis(np.concatenate([self.found, numbers], axis=1), best, 1)
        self._scores = np.take_along_axis(scores, best, 1)
