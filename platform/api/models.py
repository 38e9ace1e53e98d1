"""Loads the models while the server already answers, and says what is still missing.

What always holds: loading happens in a thread or a process of its own; a model that cannot be
loaded is tried again now and then, since a search that needs it may find it loaded by then; not so
after a wrong setting, which stays wrong as long as the process runs. Readiness waits for what
searches need and not for the decoder, without which quote mode answers.
"""

import asyncio

from rostra.core import ConfigError, ModelUnavailable, RostraError, get_logger
from rostra.runtime import Runtime

log = get_logger(__name__)

_RETRY_SECONDS = 30.0


class Models:
    """The models that searches and answers need, loaded in the background."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._tried = asyncio.Event()
        self._failure: RostraError | None = None

    async def load(self) -> None:
        """Loads the embedding model and the reranker, if one is set.

        Ends when they are there, or a setting keeps them from ever being.
        """
        while True:
            if await self._try() or isinstance(self._failure, ConfigError):
                return
            await asyncio.sleep(_RETRY_SECONDS)

    async def load_decoder(self) -> None:
        """Loads the decoder, if one is set.

        Ends when it is there, or a setting or the checkpoint keeps it from ever being. One that
        dies later is the engine's own to restart.
        """
        engine = self._runtime.engine
        if engine is None:
            return
        while True:
            try:
                await engine.start()
            except RostraError as error:
                log.error("decoder not loaded", model=engine.name, reason=error.message)
                if isinstance(error, ConfigError):
                    return
            else:
                return
            await asyncio.sleep(_RETRY_SECONDS)

    async def first_try(self) -> None:
        """Waits until loading what searches need has succeeded or failed once."""
        await self._tried.wait()

    @property
    def missing(self) -> list[str]:
        """Names of the models that searches need and that are not loaded."""
        settings = self._runtime.settings
        names = []
        if not self._runtime.embedder.is_made:
            names.append(f"embedding model {settings.embedding_model}")
        if settings.reranker_model and not self._runtime.reranker.is_made:
            names.append(f"reranker {settings.reranker_model}")
        return names

    @property
    def failure(self) -> RostraError | None:
        """Why the last try failed; None before it ended and after it succeeded."""
        return self._failure

    async def _try(self) -> bool:
        try:
            await asyncio.to_thread(self._runtime.embedder)
            if self._runtime.settings.reranker_model:
                await asyncio.to_thread(self._runtime.reranker)
        except RostraError as error:
            log.error("model not loaded", reason=error.message)
            self._failure = error
        except Exception as error:  # whatever a model's own code raises must show in readiness
            log.error("model not loaded", exc_info=error)
            self._failure = ModelUnavailable(
                "a model cannot be loaded", hint="The server's log and `rostra doctor` say why."
            )
        else:
            self._failure = None
        self._tried.set()
        return self._failure is None
