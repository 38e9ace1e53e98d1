"""Collections: listed, made, shown, deleted."""

from litestar import Router, delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from sqlalchemy.ext.asyncio import AsyncSession

from rostra.api.openapi import problems
from rostra.api.pages import Limit, Offset
from rostra.api.schemas import CollectionPage, CollectionView, Embedding, NewCollection
from rostra.api.services import Services
from rostra.core import normalize_text
from rostra.runtime import Runtime
from rostra.store import (
    Collection,
    collection_size,
    create_collection,
    delete_collection,
    get_collection,
    list_collections,
)


@get("/", operation_id="listCollections", summary="List collections", responses=problems(400))
async def list_all(
    runtime: NamedDependency[Runtime], limit: Limit = 100, offset: Offset = 0
) -> CollectionPage:
    """Collections by name."""
    async with runtime.database.read() as session:
        found, total = await list_collections(session, limit, offset)
        return CollectionPage([await _view(session, item) for item in found], total)


@post(
    "/",
    operation_id="createCollection",
    summary="Make a collection",
    responses=problems(400, 409, 503),
)
async def create(
    data: JSONBody[NewCollection], services: NamedDependency[Services]
) -> CollectionView:
    """An empty collection, whose vectors will be of the embedding model that is set now."""
    embedder = await services.embedder()
    async with services.runtime.database.write() as session:
        made = await create_collection(
            session, data.name, embedder.space, normalize_text(data.description)
        )
        return await _view(session, made)


@get(
    "/{name:str}",
    operation_id="getCollection",
    summary="Show a collection",
    responses=problems(400, 404),
)
async def show(name: FromPath[str], runtime: NamedDependency[Runtime]) -> CollectionView:
    """One collection."""
    async with runtime.database.read() as session:
        return await _view(session, await get_collection(session, name))


@delete(
    "/{name:str}",
    operation_id="deleteCollection",
    summary="Delete a collection",
    responses=problems(400, 404),
)
async def remove(name: FromPath[str], runtime: NamedDependency[Runtime]) -> None:
    """Deletes a collection with its documents and chats."""
    async with runtime.database.write() as session:
        collection_id = await delete_collection(session, name)
    runtime.indexes.drop(collection_id)
    runtime.late.drop(collection_id)


async def _view(session: AsyncSession, item: Collection) -> CollectionView:
    size = await collection_size(session, item.id)
    return CollectionView(
        id=item.id,
        name=item.name,
        description=item.description,
        documents=size.documents,
        chunks=size.chunks,
        generation=item.generation,
        embedding=Embedding(item.space.model, item.space.dimensions),
        created_at=item.created_at,
        updated_at=item.updated_at,
    )


router = Router(
    "/collections", route_handlers=[list_all, create, show, remove], tags=["collections"]
)
