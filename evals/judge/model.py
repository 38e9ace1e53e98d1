"""A judge that is a model: asked several times if told so, and again where it answers nonsense.

What always holds: a verdict costs at most `samples * attempts` questions; chance comes from the
seed alone. A vote that could not be had in `attempts` questions is counted as lost; there is a
verdict as long as one vote is left.
"""

import hashlib
from collections import Counter
from dataclasses import replace
from typing import Any

import msgspec

from evals.core.scores import Unscored
from evals.core.states import Usage, usage_of
from evals.judge.ask import FRAME_VERSION, NONSENSE, Question, messages_of, options_of, read_answer
from evals.judge.seeds import derived_seed
from evals.judge.verdicts import Rule, Verdict, combine
from rostra.core import ChatModel, InvalidRequest
from rostra.models import RemoteRefused, UnsupportedConstraint, complete

MAX_TOKENS = 400
_FORM_REFUSED = frozenset({400, 415, 422})  # how endpoints say that a field is not theirs
_RETRY_TEMPERATURE = 0.5  # a greedy judge would only say the same nonsense again


class ModelJudge:
    """See this module.

    Args:
        model: any generator; it is held to a schema where it can be.
        name: as reports show it; the model's by default.
        samples: votes for a verdict.
        temperature: of the first attempt at each vote.
        attempts: most questions for a vote.
        rule: how votes become a verdict.
        max_tokens: of an answer; its reason has up to 400 characters.
        at: where the model is, such as its URL; only a digest of it is kept. Models of one name in
            two places are two judges.

    Raises:
        InvalidRequest: a number is out of its range.
    """

    def __init__(
        self,
        model: ChatModel,
        *,
        name: str = "",
        samples: int = 1,
        temperature: float = 0.0,
        attempts: int = 3,
        rule: Rule = "majority",
        max_tokens: int = MAX_TOKENS,
        at: str = "",
    ) -> None:
        if not (1 <= samples <= 100 and 1 <= attempts <= 20 and 0 <= temperature <= 10):
            raise InvalidRequest(
                f"a judge takes 1 to 100 samples, 1 to 20 attempts and a temperature of 0 to 10, "
                f"not {samples}, {attempts} and {temperature}"
            )
        self._model = model
        self._name = name or model.name
        self._samples = samples
        self._temperature = temperature
        self._attempts = attempts
        self._rule: Rule = rule
        self._max_tokens = max_tokens
        self._at = hashlib.sha256(at.encode()).hexdigest()[:16] if at else ""
        self._is_constrained = True

    @property
    def name(self) -> str:
        """As it was given."""
        return self._name

    def config(self) -> dict[str, Any]:
        """See `Judge.config`."""
        told = {"at": self._at} if self._at else {}
        return told | {
            "judge": "model",
            "frame": FRAME_VERSION,
            "model": self._model.name,
            "samples": self._samples,
            "temperature": self._temperature,
            "attempts": self._attempts,
            "rule": self._rule,
            "max_tokens": self._max_tokens,
        }

    async def decide(self, question: Question, seed: int) -> Verdict:
        """See `Judge.decide`."""
        cast = [await self._vote(question, seed, number) for number in range(self._samples)]
        attempts = sum(vote.attempts for vote in cast)
        usage = sum((vote.usage for vote in cast), Usage())
        votes = [vote for vote in cast if isinstance(vote, Verdict)]
        lost = Counter(vote.reason for vote in cast if isinstance(vote, JudgeSaidNothing))
        if not votes:
            details = [vote.detail for vote in cast if isinstance(vote, JudgeSaidNothing)]
            raise JudgeSaidNothing(NONSENSE, details[-1], usage, attempts)
        verdict = combine(votes, question.rubric.verdicts, self._rule)
        return msgspec.structs.replace(verdict, lost=dict(lost), attempts=attempts, usage=usage)

    async def _vote(
        self, question: Question, seed: int, number: int
    ) -> "Verdict | JudgeSaidNothing":
        """One vote, asked for as often as need be."""
        usage, detail = Usage(), ""
        for attempt in range(self._attempts):
            own = derived_seed(seed, number, attempt)
            text, used = await self._answer(question, own, is_retry=attempt > 0)
            usage += used
            try:
                said = read_answer(text, question.rubric)
            except Unscored as unscored:
                detail = unscored.detail
            else:
                return msgspec.structs.replace(said, attempts=attempt + 1, usage=usage)
        return JudgeSaidNothing(NONSENSE, detail, usage, self._attempts)

    async def _answer(self, question: Question, seed: int, *, is_retry: bool) -> tuple[str, Usage]:
        temperature = self._temperature
        if is_retry:
            temperature = max(temperature, _RETRY_TEMPERATURE)
        messages = messages_of(question)
        while True:
            is_constrained = self._is_constrained
            options = options_of(
                question,
                temperature=temperature,
                seed=seed,
                max_tokens=self._max_tokens,
                constrained=is_constrained,
            )
            try:
                said = await complete(self._model, messages, options)
            except UnsupportedConstraint:
                if not is_constrained:
                    raise
                # Nothing was sent. The prompt asks for the same form, and what comes is checked.
                self._is_constrained = False
                continue
            except RemoteRefused as refused:
                status = refused.details.get("remote_status")
                if not is_constrained or status not in _FORM_REFUSED:
                    raise
                # Perhaps it knows no schemas. If it was for another reason, it refuses this too.
                free = replace(options, constraint=None)
                said = await complete(self._model, messages, free)
                self._is_constrained = False
            return said.text, usage_of(said.usage)


class JudgeSaidNothing(Unscored):
    """No vote could be had; what was used up on it is known all the same.

    Args:
        attempts: questions asked.
    """

    def __init__(self, reason: str, detail: str, usage: Usage, attempts: int) -> None:
        super().__init__(reason, detail)
        self.usage = usage
        self.attempts = attempts
