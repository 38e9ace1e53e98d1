"""Solves samples by runs of an agent.

What always holds: a run goes through the platform's own driver; one that fails by an error, of its
model or of ours, is a failed sample. One that spends its budget, abstains or is left waiting has
come to an end that is scored.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

from opentelemetry import trace

from evals.agents.runs import Setting, run_once
from evals.agents.states import state_of
from evals.core.samples import Sample
from evals.core.states import State
from rostra.agents import RunEnded, RunRequest, Status
from rostra.core import RostraError


class AgentRunFailed(RostraError):
    """A run failed by an error."""

    code = "agent_run_failed"

    @classmethod
    def by(cls, told: Mapping[str, Any]) -> "AgentRunFailed":
        """The failure of a run, under the code of what it failed by.

        Args:
            told: the error, as the run's last event has it.
        """
        made = cls(str(told.get("message", "the run failed")), hint=told.get("hint"))
        # Samples that failed are counted by it; "a run failed" would say nothing.
        vars(made)["code"] = str(told.get("code", cls.code))
        return made


@dataclass(frozen=True, slots=True)
class Assignment:
    """What an agent is given for one sample.

    Attributes:
        world: asked once the run has ended: what it did to the world; JSON.
    """

    request: RunRequest
    setting: Setting
    world: Callable[[], Mapping[str, Any]] = dict


Assign = Callable[[Sample, int], AbstractAsyncContextManager[Assignment]]


class AgentSolver:
    """See this module.

    Args:
        name: of the system, as reports show it.
        assign: what to do about a sample, given the seed of its repetition; entered for as long as
            the run goes on.
        config: all that the runs depend on; JSON.
    """

    def __init__(self, name: str, assign: Assign, config: Mapping[str, Any]) -> None:
        self._name = name
        self._assign = assign
        self._config = dict(config)

    @property
    def name(self) -> str:
        """As it was given."""
        return self._name

    def config(self) -> dict[str, Any]:
        """As it was given."""
        return self._config

    async def __call__(self, state: State, seed: int) -> State:
        """Lets an agent do what the sample asks.

        Raises:
            AgentRunFailed: the run ended by an error.
            RostraError: it could not be begun.
        """
        sample = state.sample
        with _span(sample.id) as trace_id:
            async with self._assign(sample, seed) as given:
                logged = await run_once(given.request, given.setting, f"eval:{sample.id}")
                world = given.world()
        last = logged.last
        if isinstance(last, RunEnded) and last.status is Status.FAILED:
            raise AgentRunFailed.by(last.error or {})
        return state_of(sample, logged, world, trace_id)


@contextmanager
def _span(sample: str) -> Iterator[str]:
    """A span around a sample, which the run's spans are in; gives the id of its trace, if any."""
    tracer = trace.get_tracer("rostra.evals")
    with tracer.start_as_current_span(
        "eval sample", attributes={"rostra.eval.sample": sample}
    ) as span:
        context = span.get_span_context()
        yield f"{context.trace_id:032x}" if context.is_valid else ""
