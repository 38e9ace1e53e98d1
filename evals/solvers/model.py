"""A model by itself, without documents: the one that is set, or any OpenAI-compatible endpoint.

What always holds: it is asked the question alone, a follow-up after what was said before, greedily;
what it says is its answer unless it says that it does not know, in the words that it was told to
use or in the platform's own.
"""

import hashlib
from typing import Any

import msgspec

from evals.core.states import State, usage_of
from evals.rag.samples import said_before
from evals.solvers.claims import claims_of
from rostra.answer import NOT_FOUND, read_turns
from rostra.core import ChatMessage, ChatModel, GenerationOptions, Role
from rostra.models import complete

UNKNOWN = "I do not know."
_SYSTEM = f"""Answer the question in a few sentences, without an introduction.
If you do not know the answer, write exactly: {UNKNOWN}"""


class ModelSolver:
    """See this module.

    Args:
        name: of the system, as reports show it.
        at: where the model is, such as its URL; only a digest of it is kept.
        max_tokens: of an answer.
        system: what the model is told; by default to be short and to say what it does not know.
    """

    def __init__(
        self,
        model: ChatModel,
        *,
        name: str = "model",
        at: str = "",
        max_tokens: int = 512,
        system: str = _SYSTEM,
    ) -> None:
        self._model = model
        self._name = name
        self._max_tokens = max_tokens
        self._system = system
        # A URL may hold a password.
        self._at = hashlib.sha256(at.encode()).hexdigest()[:16] if at else ""

    @property
    def name(self) -> str:
        """As it was given."""
        return self._name

    def config(self) -> dict[str, Any]:
        """See `Solver.config`."""
        return {
            "model": self._model.name,
            "at": self._at,
            "max_tokens": self._max_tokens,
            "system": self._system,
        }

    async def __call__(self, state: State, seed: int) -> State:
        """See `Solver`."""
        messages = [
            ChatMessage(Role.SYSTEM, self._system),
            *read_turns(said_before(state.sample)),
            ChatMessage(Role.USER, state.sample.input),
        ]
        options = GenerationOptions(max_tokens=self._max_tokens, seed=seed)
        said = await complete(self._model, messages, options)
        text = said.text.strip()
        abstained = is_refusal(text)
        return msgspec.structs.replace(
            state,
            output=text,
            claims=[] if abstained else claims_of(text, (), marked=False)[0],
            abstained=abstained,
            steps=1,
            usage=usage_of(said.usage),
        )


def is_refusal(text: str) -> bool:
    """Whether an answer says that there is none: it is empty, or it is one of the two phrases."""
    said = _plain(text)
    return not said or said in (_plain(UNKNOWN), _plain(NOT_FOUND))


def _plain(text: str) -> str:
    return " ".join(text.replace("don't", "do not").lower().split()).strip(" .!\"'`*")
