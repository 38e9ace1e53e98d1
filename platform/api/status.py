"""Status: what this server is, for the page's foot and for people who look after it."""

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from litestar import Router, get
from litestar.di import NamedDependency

from rostra.answer import scorer_file
from rostra.api.about import own_version
from rostra.api.schemas import DecoderView, ModelState, ReaderView, ScorerView, StatusView
from rostra.api.services import Services
from rostra.core import ModelUnavailable, RostraError, pick_device
from rostra.runtime import Runtime
from rostra.store import list_collections

if TYPE_CHECKING:
    from rostra.serving import AsyncEngine

# Packaged models load well within it; one that is downloaded first may not.
_PATIENCE_SECONDS = 20.0


@get("/status", operation_id="status", summary="What this server is")
async def status(services: NamedDependency[Services]) -> StatusView:
    """Facts for people; waits a while for the models, so that what it says is final."""
    runtime = services.runtime
    with suppress(TimeoutError):
        async with asyncio.timeout(_PATIENCE_SECONDS):
            await services.models.first_try()
    space = runtime.embedder().space if runtime.embedder.is_made else None
    async with runtime.database.read() as session:
        _, collections = await list_collections(session, limit=1)
    return StatusView(
        version=own_version(),
        mode="generate" if runtime.writer else "quote",
        embedding_model=space.model if space else runtime.settings.embedding_model,
        dimensions=space.dimensions if space else None,
        device=_device(runtime.settings.device),
        generator=runtime.writer.name if runtime.writer else None,
        agents=runtime.runner.name if runtime.runner else None,
        reader=_reader(runtime),
        # In a thread, as its file may have to be read.
        scorer=await asyncio.to_thread(_scorer, runtime),
        decoder=_decoder(runtime.engine),
        reranker=runtime.settings.reranker_model or None,
        collections=collections,
    )


def _device(wanted: str) -> str:
    try:
        return pick_device(wanted)
    except RostraError:
        return wanted


def _decoder(engine: "AsyncEngine | None") -> DecoderView | None:
    if engine is None:
        return None
    info, failure = engine.info, engine.failure
    return DecoderView(
        name=engine.name,
        state=engine.state.value,
        progress=engine.progress,
        failure=failure.message if failure else None,
        architecture=info.architecture if info else None,
        dtype=info.dtype if info else None,
        weights=engine.config.weights,
        device=info.device if info else None,
        context=info.max_context if info else None,
        weight_bytes=info.weight_bytes if info else None,
        kv_bytes=info.kv_bytes if info else None,
    )


def _reader(runtime: Runtime) -> ReaderView | None:
    reader = runtime.reader
    if reader is None:
        return None
    failure, engine = reader.failure, reader.engine
    state: ModelState = engine.state.value if engine is not None else "idle"
    return ReaderView(
        name=reader.name,
        answers=runtime.writer is reader,
        state="failed" if failure is not None else state,
        failure=failure.message if failure is not None else None,
        hint=failure.hint if failure is not None else None,
    )


def _scorer(runtime: Runtime) -> ScorerView | None:
    try:
        path = scorer_file(runtime.settings)
    except ModelUnavailable as error:
        return ScorerView(error.message, error.hint)
    if path is None:
        return None
    if runtime.scorer.is_made and runtime.scorer() is None:
        return ScorerView(f"{path} was not loaded", "The log says why. Restart once it is whole.")
    return ScorerView(None, None)


router = Router("/", route_handlers=[status], tags=["server"])
