"""Solvers: what is evaluated. A solver takes a state that has only its sample and fills it."""

from typing import Any, Protocol

from evals.core.states import State


class Solver(Protocol):
    """See this module; used from many coroutines at once."""

    @property
    def name(self) -> str:
        """Of the system, as reports show it; unique within a run and dataset."""
        ...

    def config(self) -> dict[str, Any]:
        """All that its answers depend on, as JSON: equal configurations may share a cache."""
        ...

    async def __call__(self, state: State, seed: int) -> State:
        """Does what the sample asks.

        Args:
            state: with the sample alone.
            seed: the only source of chance; differs between samples and repetitions.

        Raises:
            Exception: the sample counts as failed, under the error's name, and the run goes on.
        """
        ...
