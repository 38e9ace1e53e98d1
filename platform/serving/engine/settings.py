"""The engine's configuration as the platform's settings ask for it."""

from rostra.core import Settings
from rostra.serving.config import EngineConfig


def engine_config(settings: Settings) -> EngineConfig:
    """What `ROSTRA_DTYPE`, `ROSTRA_DEVICE` and their like say; the rest is by default."""
    return EngineConfig(
        dtype=settings.dtype,
        device=settings.device,
        weights=settings.weights,
        max_context=settings.max_context,
        kv_memory_bytes=settings.kv_memory_bytes,
        max_running=settings.max_running,
        max_step_tokens=settings.max_step_tokens,
        max_waiting=settings.max_waiting,
        max_wait_seconds=settings.max_wait_seconds,
        prefix_cache=settings.prefix_cache,
        batch_invariant=settings.batch_invariant,
    )
