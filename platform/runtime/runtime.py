"""The whole platform over one data directory, its parts tied together.

What always holds: parts are made once and shared; models load on first need, in the thread that
needs them, and once, however many threads ask at the same time.
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Generic, TypeVar

from rostra.agents import CodeRunner
from rostra.answer import Answerer, Conversations, load_scorer
from rostra.core import ChatModel, ConfigError, Embedder, Settings
from rostra.ingest import Ingester
from rostra.retrieval import (
    ExpandedSearcher,
    GraphSearcher,
    Indexes,
    PassageEmbedder,
    Reranker,
    Searcher,
    late_interaction,
    load_embedder,
    load_reranker,
)
from rostra.runtime.agents import Workshop
from rostra.runtime.choice import Maker, choose
from rostra.runtime.reader import Reader
from rostra.store import Database, open_database

if TYPE_CHECKING:
    from rostra.answer import EvidenceScorer
    from rostra.models import ConfiguredModels
    from rostra.serving import AsyncEngine

T = TypeVar("T")


class Once(Generic[T]):
    """A value made at the first call; a failed try is tried again by the next."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._made: list[T] = []

    def __call__(self) -> T:
        with self._lock:
            if not self._made:
                self._made.append(self._make())
            return self._made[0]

    @property
    def is_made(self) -> bool:
        """Whether the value exists."""
        return bool(self._made)


class Runtime:
    """All parts of one running platform. Make with `open_runtime`.

    Attributes:
        generator: the model that is set or was given, which writes answers and runs agents.
        choice: who answers and who runs agents, and why.
        reader: the model that comes with Rostra, where it does one of both. It loads when it is
            first asked.
        writer: what writes answers, under `answer_settings`; None leaves them to quote the
            documents.
        runner: what runs agents; None refuses runs.
        agents: runs of several steps; `workshop` makes what they work with.
        searcher: plain searches; `expanded` has the query strategies, `graph` the entities.
        engine: the decoder behind it, when `model` is set and no other generator is given. It
            loads when it is begun or first asked.
    """

    def __init__(
        self,
        settings: Settings,
        database: Database,
        generator: ChatModel | None = None,
        code: CodeRunner | None = None,
    ) -> None:
        self.settings = settings
        self.database = database
        self.engine: AsyncEngine | None = None
        decoder: ChatModel | None = None
        if generator is None and _begins_cascade(settings):
            self.engine, decoder = _make_engine(settings, scored=True)
        self._chat_models = _chat_models(settings, decoder)
        roles = dict(self._chat_models.roles) if self._chat_models is not None else {}
        main = roles.pop("main", None)
        if generator is None:
            generator = main or _other_model(settings)
        if generator is None and settings.model:
            self.engine, generator = _make_engine(settings)
        if settings.query_strategies and generator is None:
            raise ConfigError(
                "query_strategies: there is no generator to ask",
                hint="Set ROSTRA_MODEL, or ROSTRA_CHAT_URL and ROSTRA_CHAT_MODEL.",
            )
        self.generator = generator
        self.choice = choose(settings, generator=generator is not None)
        readers = Maker.READER in (self.choice.answers, self.choice.agents)
        self.reader: Reader | None = Reader(settings) if readers else None
        answers = self.choice.answers is Maker.READER
        self.answer_settings = _quoting(settings) if answers else settings
        self.writer: ChatModel | None = self.reader if answers else generator
        self.runner: ChatModel | None = generator or self.reader
        self.embedder: Once[Embedder] = Once(lambda: load_embedder(settings))
        self.reranker: Once[Reranker | None] = Once(lambda: load_reranker(settings))
        self.indexes = Indexes(database, settings)
        self.late = late_interaction(settings, self.embedder)
        self.searcher = Searcher(
            database, self.indexes, self.embedder, settings, self.reranker, self.late
        )
        passages = Searcher(
            database, self.indexes, lambda: PassageEmbedder(self.embedder()), settings
        )
        self.graph = GraphSearcher(self.searcher, database, settings)
        self.expanded = ExpandedSearcher(self.searcher, passages, database, settings, generator)
        self.scorer: Once[EvidenceScorer | None] = Once(lambda: load_scorer(settings))
        self.answerer = Answerer(
            self.searcher,
            self.embedder,
            self.answer_settings,
            self.writer,
            expanded=self.expanded,
            scorer=self.scorer,
        )
        self.conversations = Conversations(database, self.answerer)
        self.workshop = Workshop(
            settings,
            database,
            self.searcher,
            self.embedder,
            self.generator,
            code,
            roles,
            self.reader,
            # What to quote, the scorer knows better than the reader.
            Answerer(self.searcher, self.embedder, settings, scorer=self.scorer),
        )
        self.agents = self.workshop.agents()
        self.ingester = Ingester(database, self.indexes, self.embedder, settings)

    async def close(self) -> None:
        """Ends runs and what runs beside this process; the database is closed by who opened it."""
        await self.agents.close()
        await self.workshop.close()
        if self._chat_models is not None:
            await self._chat_models.close()
        if self.engine is not None:
            await self.engine.close()
        if self.reader is not None:
            await self.reader.close()
        await self.indexes.close()


@asynccontextmanager
async def open_runtime(
    settings: Settings, generator: ChatModel | None = None, code: CodeRunner | None = None
) -> AsyncIterator[Runtime]:
    """Opens the database, brings its schema up to date, and closes everything at the end.

    Args:
        generator: writes answers; by default as the settings say.
        code: where agents run Python; without it they do not.

    Raises:
        ConfigError: the database's URL cannot work.
        StoreUnavailable: the database does not answer.
    """
    async with await open_database(settings.resolved_database_url) as database:
        runtime = Runtime(settings, database, generator, code)
        try:
            yield runtime
        finally:
            await asyncio.shield(runtime.close())


def _other_model(settings: Settings) -> ChatModel | None:
    """The generator that is not on this machine, where one is set."""
    if not settings.chat_url and settings.chat_script is None:
        return None
    from rostra.models import make_model

    return make_model(
        url=settings.chat_url,
        model=settings.chat_model,
        api_key=settings.chat_api_key.get_secret_value() or None,
        script=settings.chat_script,
    )


def _quoting(settings: Settings) -> Settings:
    """Settings for the reader, which writes nothing of its own."""
    if settings.answer_style != "write":
        return settings
    return settings.model_copy(update={"answer_style": "point"})


def _begins_cascade(settings: Settings) -> bool:
    """Whether the decoder of this machine is the first model of a cascade."""
    is_cascade = settings.chat_route == "cascade" and settings.chat_script is None
    return is_cascade and bool(settings.model)


def _chat_models(settings: Settings, decoder: ChatModel | None) -> "ConfiguredModels | None":
    """The models of `chat_models`; None where there are none, or where a script has all roles.

    Args:
        decoder: of this machine, where a cascade begins with it.

    Raises:
        ConfigError: they cannot work.
    """
    given = settings.chat_models or settings.chat_roles or settings.chat_route
    if not given or settings.chat_script is not None:
        return None
    from rostra.models import ConfiguredModels

    roles = {str(role): name for role, name in settings.chat_roles.items()}
    return ConfiguredModels(
        settings.chat_models,
        roles,
        settings.chat_route,
        settings.chat_confidence,
        first=decoder,
    )


def _make_engine(settings: Settings, *, scored: bool = False) -> tuple["AsyncEngine", ChatModel]:
    # Here, because it imports the decoder's front end, which those without a model do not need.
    from rostra.serving import AsyncEngine, EngineChatModel, engine_config

    engine = AsyncEngine(settings.model, engine_config(settings))
    return engine, EngineChatModel(engine, scored=scored)
