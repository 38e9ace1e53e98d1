"""Traffic that is made up: arrivals, lengths and shared prefixes, all from a seed."""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

from evals.load.arrivals import Process, arrival_times
from evals.load.errors import InvalidTraffic
from evals.load.lengths import Lengths
from evals.load.plan import PlannedRequest, TokenRuler, bounded, text_of, user_message

MAX_SESSIONS = 10_000


@dataclass(frozen=True, slots=True)
class SyntheticTraffic:
    """Random words under a given load.

    Attributes:
        seconds: how long requests arrive, warm-up included.
        prompt_tokens: of a prompt, what its session shares included.
        output_tokens: most new tokens of a request.
        sessions: each request belongs to one of so many, drawn evenly; 0 has none.
        shared_tokens: with which all prompts of a session begin.
        process, burstiness: see `arrival_times`.
    """

    seconds: float
    prompt_tokens: Lengths
    output_tokens: Lengths
    process: Process = "poisson"
    burstiness: float = 1.0
    sessions: int = 0
    shared_tokens: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.sessions <= MAX_SESSIONS:
            raise InvalidTraffic(f"{self.sessions} sessions are not 0 to {MAX_SESSIONS:,}")
        if self.shared_tokens and not self.sessions:
            raise InvalidTraffic(
                "prompts that share a beginning belong to sessions, and there are none",
                hint="Give the number of --sessions too.",
            )

    @property
    def needs_ruler(self) -> bool:
        """Always."""
        return True

    @property
    def notes(self) -> tuple[str, ...]:
        """Nothing beyond what `to_dict` says."""
        return ()

    def mean_rate(self) -> float | None:
        """None: it takes the rate that it is given."""
        return None

    def plan(self, rate: float | None, turn: int, ruler: TokenRuler) -> list[PlannedRequest]:
        """See `Traffic`."""
        if rate is None:
            raise InvalidTraffic("synthetic traffic needs a rate")
        times = arrival_times(
            self.process,
            rate,
            self.seconds,
            self._random(turn, "arrivals"),
            burstiness=self.burstiness,
        )
        return bounded(self._requests(times, turn, ruler))

    def _requests(
        self, times: list[float], turn: int, ruler: TokenRuler
    ) -> Iterator[PlannedRequest]:
        drawn = self._random(turn, "requests")
        shared_words = ruler.words(self.shared_tokens) if self.shared_tokens else 0
        for at in times:
            session = drawn.randrange(self.sessions) if self.sessions else None
            words = ruler.words(self.prompt_tokens.draw(drawn))
            shared = ""
            if session is not None and shared_words:
                prefix = self._random(turn, f"session {session}")
                shared = text_of(shared_words, prefix) + " "
            # At least one word is the request's own: two equal prompts would be one to a cache.
            own = text_of(max(1, words - shared_words), drawn)
            yield PlannedRequest(
                at,
                (user_message(shared + own),),
                self.output_tokens.draw(drawn),
                None if session is None else str(session),
            )

    def _random(self, turn: int, what: str) -> Random:
        return Random(f"{self.seed} {turn} {what}")

    def to_dict(self) -> dict[str, Any]:
        """See `Traffic`."""
        return {
            "kind": "synthetic",
            "process": self.process,
            "burstiness": self.burstiness if self.process == "gamma" else None,
            "seconds": self.seconds,
            "prompt_tokens": str(self.prompt_tokens),
            "output_tokens": str(self.output_tokens),
            "sessions": self.sessions,
            "shared_tokens": self.shared_tokens,
            "seed": self.seed,
        }
