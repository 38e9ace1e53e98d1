"""Ask: a question answered with citations, at once or as events.

What always holds: an answer is stored in its chat whole or not at all, and `done` is sent only once
it is stored; a failure before the first event has its own HTTP status, also when events were asked
for.
"""

from collections.abc import AsyncGenerator, Iterator
from typing import Any

from litestar import Request, Response, Router, post
from litestar.background_tasks import BackgroundTask
from litestar.di import NamedDependency
from litestar.openapi import ResponseSpec
from litestar.params import JSONBody
from litestar.response import Stream

from rostra.answer import (
    Answer,
    AnswerEvent,
    Cited,
    Done,
    Passages,
    Status,
    Stored,
    TextDelta,
)
from rostra.api.openapi import AskOperation, problems
from rostra.api.schemas import AnswerView, AskBody, PassageView, view
from rostra.api.services import Services
from rostra.api.sse import EVENT_STREAM, HEADERS, Relay, event_frame
from rostra.core import new_id, normalize_text
from rostra.retrieval import SearchRequest
from rostra.runtime import Runtime
from rostra.store import matching_documents

Event = AnswerEvent | Stored


@post(
    "/ask",
    operation_id="ask",
    summary="Ask",
    status_code=200,
    operation_class=AskOperation,
    responses={
        200: ResponseSpec(AnswerView, description="The answer", generate_examples=False),
        **problems(400, 404, 409, 413, 503),
    },
)
async def ask(
    data: JSONBody[AskBody], request: Request[Any, Any, Any], services: NamedDependency[Services]
) -> Response[Any]:
    """Answers a question; without `chat_id` a new chat begins.

    With `Accept: text/event-stream` the answer arrives as server-sent events.
    """
    question = normalize_text(data.question)
    # What the stream would find only after its first event.
    services.runtime.searcher.check(SearchRequest(question, k=data.k or 1))
    services.runtime.expanded.chosen(data.expand)
    if data.filters:
        async with services.runtime.database.read() as session:
            # No collection has this id: nothing is looked through, only the filters are read.
            await matching_documents(session, new_id(), data.filters)
    events = _events(services.runtime, question, data)
    if EVENT_STREAM not in request.headers.get("accept", ""):
        return Response(await _whole(events))
    relay = Relay(events, services.background, settles=lambda event: isinstance(event, Done))
    first = await relay.first()
    return Stream(
        relay.frames(first, _Encoder()),
        media_type=EVENT_STREAM,
        headers=HEADERS,
        # Also when the reader left before the first byte, and the frames never began.
        background=BackgroundTask(_stop, relay),
    )


async def _events(runtime: Runtime, question: str, data: AskBody) -> AsyncGenerator[Event, None]:
    async for event in runtime.conversations.ask(
        question,
        collection=data.collection,
        chat_id=data.chat_id,
        passages=data.k,
        filters=data.filters or None,
        expand=None if data.expand is None else tuple(data.expand),
    ):
        yield event


async def _whole(events: AsyncGenerator[Event, None]) -> AnswerView:
    answer: Answer | None = None
    async for event in events:
        if isinstance(event, Done):
            answer = event.answer
        elif isinstance(event, Stored) and answer is not None:
            return _finished(answer, event)
    raise RuntimeError("an answer's stream ended before it was stored")


async def _stop(relay: Relay[Event]) -> None:
    relay.stop()


class _Encoder:
    """Events as frames; keeps the finished answer until it is stored."""

    def __init__(self) -> None:
        self._answer: Answer | None = None

    def __call__(self, event: Event) -> Iterator[bytes]:
        match event:
            case Status():
                yield event_frame("status", {"stage": event.stage})
            case Passages():
                passages = [view(PassageView, hit) for hit in event.hits]
                yield event_frame("passages", {"passages": passages})
            case TextDelta():
                yield event_frame("delta", {"text": event.text})
            case Cited():
                yield event_frame("citation", event.citation)
            case Done():
                self._answer = event.answer
            case Stored() if self._answer is not None:
                yield event_frame("done", _finished(self._answer, event))


def _finished(answer: Answer, stored: Stored) -> AnswerView:
    shown: AnswerView = view(
        AnswerView, answer, chat_id=stored.chat_id, message_id=stored.message_id
    )
    return shown


router = Router("/", route_handlers=[ask], tags=["ask"])
