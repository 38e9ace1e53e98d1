"""The reader: the small decoder that comes with Rostra, as a `ChatModel`.

What always holds: its files are checked before anything is loaded from them, and again at each need
until they are whole, so that restoring them is enough; without a question to it nothing is loaded
and no process started. It runs in a process of its own as any other decoder does.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from rostra.agents import Catalog, LaidOut, RunRequest, several_samples
from rostra.core import (
    ChatEvent,
    ChatMessage,
    GenerationOptions,
    InvalidRequest,
    ModelUnavailable,
    RostraError,
    Settings,
)
from rostra.runtime.arithmetic import CALCULATE
from rostra.runtime.written_sums import written_sum
from rostra.shipped import ShippedModelBroken, shipped_folder

if TYPE_CHECKING:
    from rostra.serving import AsyncEngine, EngineChatModel, EngineConfig

READER_NAME = "rostra-reader"

# What it was trained to call, as runs name it.
READER_TOOLS = ("search", CALCULATE)
_CALCULATORS = ("calculator", f"calculator__{CALCULATE}")
READER_STRATEGY = "react"
# In the words that it learnt. Which sentences answer, the search of its runs has chosen better.
READER_ANSWERS = LaidOut(quoted="The documents say:", computed="The calculator says:")
# A call and the answer: what it calls after that, it has called before.
READER_STEPS = 2
# Of a step: some numbers, a sum or a query, of which a byte is a token at most.
READER_TOKENS = 256
_QUERY_BYTES = 200
_NOT_IN_QUERY = str.maketrans({'"': None, "\\": None})

_WITHOUT_READER = "`rostra ask` quotes the documents without it."

# Sequences at once, of which so many can be as long as the context; widest key and value, in bytes.
_RUNNING = 8
_WHOLE_CONTEXTS = 2
_WIDEST = 4
_STEP_TOKENS = 1024


class Reader:
    """See this module.

    Args:
        settings: of the process.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._engine: AsyncEngine | None = None
        self._model: EngineChatModel | None = None
        self._closed = False
        self._failure: RostraError | None = None

    @property
    def name(self) -> str:
        """What runs and answers call it."""
        return READER_NAME

    @property
    def engine(self) -> "AsyncEngine | None":
        """Its decoder, once somebody needed it."""
        return self._engine

    @property
    def failure(self) -> RostraError | None:
        """Why it cannot be used, as of the last time that somebody needed it."""
        return self._failure or (self._engine.failure if self._engine is not None else None)

    def check(self) -> Path:
        """Its folder, with every file as it was shipped. Reads them the first time.

        Raises:
            ShippedModelBroken: a file is missing or damaged; says what restores it.
        """
        try:
            folder = shipped_folder("reader")
        except ModelUnavailable as error:
            self._failure = error
            raise
        self._failure = None
        return folder

    def admit(self, request: RunRequest) -> None:
        """Refuses a run that it was not made for.

        Raises:
            InvalidRequest: another strategy than ReAct, calls in a model's own format, or several
                samples.
            ShippedModelBroken: see `check`; says too what works without the reader.
        """
        wrong = None
        if request.strategy != READER_STRATEGY:
            wrong = f"the strategy {request.strategy!r}"
        elif request.options.get("native"):
            wrong = "calls in a model's own format"
        elif several_samples(request.options):
            wrong = "several samples"
        if wrong is not None:
            raise InvalidRequest(
                f"the reader that comes with Rostra was not trained for {wrong}",
                hint=f"Take the strategy {READER_STRATEGY}, or set ROSTRA_MODEL.",
                field="strategy",
            )
        try:
            self.check()
        except ShippedModelBroken as error:
            hint = f"{_WITHOUT_READER} {error.hint or ''}".rstrip()
            raise ShippedModelBroken(error.message, hint=hint, **error.details) from error

    def equip(self, request: RunRequest) -> RunRequest:
        """The request with the tools that the reader knows, where it names none.

        A calculator that it names by its server is `calculate`, which alone the reader knows.
        """
        tools = list(READER_TOOLS)
        if request.tools is not None:
            tools = [CALCULATE if one in _CALCULATORS else one for one in request.tools]
        return msgspec.structs.replace(request, tools=tools)

    def offered(self, task: str, tools: Catalog) -> Catalog:
        """Of a run's tools those that it is to choose among.

        Where the task is surely a sum, that is the calculator alone.
        """
        written = written_sum(task)
        if written is None or not written.is_sure or tools.find(CALCULATE) is None:
            return tools
        return tools.only(lambda info: info.name == CALCULATE)

    async def begin(self) -> "AsyncEngine":
        """Begins to load it, in the background.

        Raises:
            ShippedModelBroken: see `check`.
            ModelUnavailable: it is closed.
        """
        model = await self._made()
        if self._engine is None:
            raise RuntimeError(f"{model.name} has no engine")
        self._engine.begin()
        return self._engine

    async def stream(
        self, messages: Sequence[ChatMessage], options: GenerationOptions
    ) -> AsyncGenerator[ChatEvent, None]:
        """See `EngineChatModel.stream`; raises ShippedModelBroken too."""
        model = await self._made()
        async with aclosing(model.stream(messages, options)) as events:
            async for event in events:
                yield event

    async def max_context(self) -> int | None:
        """As its configuration states; raises ShippedModelBroken."""
        return await (await self._made()).max_context()

    async def count_tokens(
        self, messages: Sequence[ChatMessage], options: GenerationOptions
    ) -> int:
        """See `EngineChatModel.count_tokens`; raises ShippedModelBroken too."""
        return await (await self._made()).count_tokens(messages, options)

    async def close(self) -> None:
        """Ends its process."""
        self._closed = True
        if self._engine is not None:
            await self._engine.close()

    async def _made(self) -> "EngineChatModel":
        if self._model is not None:
            return self._model
        # Here, because it imports the decoder's front end, which quote mode does not need.
        from rostra.serving import AsyncEngine, EngineChatModel

        folder = await asyncio.to_thread(self.check)
        config = await asyncio.to_thread(reader_config, self._settings, folder)
        if self._closed:
            raise ModelUnavailable(f"{self.name} is closed")
        if self._model is None:
            self._engine = AsyncEngine(folder, config, name=self.name)
            self._model = EngineChatModel(self._engine)
        return self._model


def searched(task: str) -> str | None:
    """The query that it writes for a task, as it was taught: the task's own words, on one line.

    Of a long task its first words, of at most 200 bytes; None where it has none.
    """
    query = " ".join(task.translate(_NOT_IN_QUERY).split())
    kept = query.encode()[:_QUERY_BYTES].decode(errors="ignore")
    if kept != query and " " in kept:
        kept = kept.rsplit(" ", 1)[0]
    return kept or None


def reader_config(settings: Settings, folder: Path) -> "EngineConfig":
    """How the reader is set up: its own context, and memory for a few sequences.

    Raises:
        UnsupportedModel: its configuration cannot be read.
    """
    from rostra.serving import engine_config, read_config

    model = read_config(folder)
    a_token = 2 * model.layers * model.kv_heads * model.head_dim * _WIDEST
    return msgspec.structs.replace(
        engine_config(settings),
        weights="none",
        max_context=None,
        kv_memory_bytes=_WHOLE_CONTEXTS * model.max_context * a_token,
        max_running=min(settings.max_running, _RUNNING),
        max_step_tokens=min(settings.max_step_tokens, _STEP_TOKENS),
    )
