"""Memories: what is remembered about the user, listed and deleted.

This version knows one user, whose name is empty.
"""

from litestar import Router, delete, get
from litestar.di import NamedDependency

from rostra.api.openapi import problems
from rostra.api.pages import IdInPath, Limit, Offset, id_in_path
from rostra.api.schemas import MemoryPage, MemoryView, view
from rostra.runtime import Runtime
from rostra.store import MemoryNotFound, delete_memories, delete_memory, list_memories

_USER = ""


@get("/", operation_id="listMemories", summary="List memories", responses=problems(400))
async def list_all(
    runtime: NamedDependency[Runtime], limit: Limit = 50, offset: Offset = 0
) -> MemoryPage:
    """Facts about the user, the last said first; those whose time is over are left out."""
    async with runtime.database.read() as session:
        found, total = await list_memories(session, _USER, limit, offset)
    return MemoryPage([view(MemoryView, item) for item in found], total)


@delete("/", operation_id="deleteMemories", summary="Delete all memories")
async def remove_all(runtime: NamedDependency[Runtime]) -> None:
    """Forgets everything about the user."""
    async with runtime.database.write() as session:
        await delete_memories(session, _USER)


@delete(
    "/{memory_id:str}",
    operation_id="deleteMemory",
    summary="Delete a memory",
    responses=problems(400, 404),
)
async def remove(memory_id: IdInPath, runtime: NamedDependency[Runtime]) -> None:
    """Forgets one fact."""
    wanted = id_in_path(memory_id, MemoryNotFound, "memory")
    async with runtime.database.write() as session:
        await delete_memory(session, _USER, wanted)


router = Router("/memories", route_handlers=[list_all, remove_all, remove], tags=["memories"])
