"""Chats: listed, begun, reopened, deleted; and what people think of their answers."""

from litestar import Router, delete, get, post, put
from litestar.di import NamedDependency
from litestar.params import JSONBody

from rostra.api.openapi import problems
from rostra.api.pages import IdInPath, Limit, Offset, id_in_path
from rostra.api.schemas import (
    ChatDetail,
    ChatPage,
    ChatView,
    NewChat,
    RatingBody,
    RatingView,
    TurnView,
    view,
)
from rostra.core import ChatNotFound, normalize_text
from rostra.runtime import Runtime
from rostra.store import (
    MessageNotFound,
    create_chat,
    delete_chat,
    delete_rating,
    get_chat,
    get_collection,
    get_turns,
    list_chats,
    put_rating,
)


@get("/", operation_id="listChats", summary="List chats", responses=problems(400))
async def list_all(
    runtime: NamedDependency[Runtime], limit: Limit = 50, offset: Offset = 0
) -> ChatPage:
    """Conversations, the last used first."""
    async with runtime.database.read() as session:
        found, total = await list_chats(session, limit, offset)
    return ChatPage([view(ChatView, item) for item in found], total)


@post("/", operation_id="createChat", summary="Begin a chat", responses=problems(400, 404))
async def create(data: JSONBody[NewChat], runtime: NamedDependency[Runtime]) -> ChatView:
    """An empty conversation about a collection."""
    async with runtime.database.write() as session:
        collection = await get_collection(session, data.collection)
        chat_id = await create_chat(session, collection.id, normalize_text(data.title))
        made: ChatView = view(ChatView, await get_chat(session, chat_id))
    return made


@get("/{chat_id:str}", operation_id="getChat", summary="Show a chat", responses=problems(400, 404))
async def show(chat_id: IdInPath, runtime: NamedDependency[Runtime]) -> ChatDetail:
    """A conversation with its last 200 turns."""
    wanted = id_in_path(chat_id, ChatNotFound, "chat")
    async with runtime.database.read() as session:
        chat = await get_chat(session, wanted)
        turns = [view(TurnView, turn) for turn in await get_turns(session, wanted)]
    detail: ChatDetail = view(ChatDetail, chat, turns=turns)
    return detail


@delete(
    "/{chat_id:str}",
    operation_id="deleteChat",
    summary="Delete a chat",
    responses=problems(400, 404),
)
async def remove(chat_id: IdInPath, runtime: NamedDependency[Runtime]) -> None:
    """Deletes a conversation with its turns."""
    wanted = id_in_path(chat_id, ChatNotFound, "chat")
    async with runtime.database.write() as session:
        await delete_chat(session, wanted)


@put(
    "/{chat_id:str}/messages/{message_id:str}/rating",
    operation_id="rateAnswer",
    summary="Rate an answer",
    responses=problems(400, 404),
)
async def rate(
    chat_id: IdInPath,
    message_id: IdInPath,
    data: JSONBody[RatingBody],
    runtime: NamedDependency[Runtime],
) -> RatingView:
    """Says whether an answer was any good; an earlier rating of it is replaced."""
    chat = id_in_path(chat_id, ChatNotFound, "chat")
    message = id_in_path(message_id, MessageNotFound, "message")
    async with runtime.database.write() as session:
        await get_chat(session, chat)
        note = normalize_text(data.note).strip()
        rating: RatingView = view(
            RatingView, await put_rating(session, chat, message, data.value, note)
        )
    return rating


@delete(
    "/{chat_id:str}/messages/{message_id:str}/rating",
    operation_id="unrateAnswer",
    summary="Take a rating back",
    responses=problems(400, 404),
)
async def unrate(
    chat_id: IdInPath, message_id: IdInPath, runtime: NamedDependency[Runtime]
) -> None:
    """Takes the rating of an answer back, if it has one."""
    chat = id_in_path(chat_id, ChatNotFound, "chat")
    message = id_in_path(message_id, MessageNotFound, "message")
    async with runtime.database.write() as session:
        await get_chat(session, chat)
        await delete_rating(session, chat, message)


router = Router(
    "/chats", route_handlers=[list_all, create, show, remove, rate, unrate], tags=["chats"]
)
