"""Answers and conversations over stored documents, quoted and generated."""

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any
from uuid import UUID, uuid4

import pytest
from reportlab.lib.styles import getSampleStyleSheet
from reportlab.platypus import PageBreak, Paragraph, SimpleDocTemplate

from rostra.answer import (
    NOT_FOUND,
    Answer,
    Answerer,
    AnswerEvent,
    AnswerMode,
    Conversations,
    Done,
    Passages,
    Question,
    Stage,
    Status,
    Stored,
    TextDelta,
)
from rostra.core import (
    ChatModel,
    ChatNotFound,
    CollectionNotFound,
    EmptyQuery,
    ModelUnavailable,
    Overloaded,
    QueryTooLong,
    Role,
)
from rostra.retrieval import SearchRequest
from rostra.store import (
    get_chat,
    get_collection,
    get_text,
    get_turns,
    list_chats,
    list_documents,
)
from tests.fakes import ScriptedChatModel
from tests.integration.pipeline.conftest import Given, Library

QUESTION = "How does vacuum reclaim the storage of dead tuples?"


async def fill(library: Library) -> None:
    await library.put(
        "vacuum.html",
        "Vacuum reclaims the storage of dead tuples. It can run while others read.",
        "A full vacuum rewrites the table and so locks it for everyone else.",
    )
    await library.put("lock.html", "A lock on a row blocks all other writers of that row.")


def answerer(library: Library, generator: ChatModel | None = None, **overrides: Any) -> Answerer:
    return Answerer(
        library.searcher(**overrides),
        lambda: library.embedder,
        library.settings.model_copy(update=overrides),
        generator,
    )


def conversations(
    library: Library, generator: ChatModel | None = None, **overrides: Any
) -> Conversations:
    return Conversations(library.database, answerer(library, generator, **overrides))


async def collect(events: AsyncIterator[Any]) -> list[Any]:
    return [event async for event in events]


def done(events: list[Any]) -> Answer:
    (answer,) = [event.answer for event in events if isinstance(event, Done)]
    deltas = "".join(event.text for event in events if isinstance(event, TextDelta))
    assert deltas == answer.answer
    assert isinstance(answer, Answer)
    return answer


async def check_quotes(library: Library, answer: Answer) -> None:
    async with library.database.read() as session:
        for citation in answer.citations:
            text = await get_text(session, citation.document_id)
            assert text[citation.start : citation.end] == citation.quote
            assert answer.answer[citation.answer_start : citation.answer_end]


# --- Quote mode -----------------------------------------------------------------------------------


async def test_a_question_is_answered_by_quotes_of_the_documents(library: Library) -> None:
    await fill(library)
    events = await collect(answerer(library).stream(Question(QUESTION)))
    assert events[:2] == [Status(Stage.SEARCHING), Status(Stage.READING)]
    assert isinstance(events[2], Passages)
    assert events[3] == Status(Stage.WRITING)
    answer = done(events)
    assert isinstance(events[-1], Done)
    assert (answer.mode, answer.found) == (AnswerMode.QUOTE, True)
    assert "Vacuum reclaims the storage of dead tuples." in answer.answer
    assert answer.citations[0].uri == "vacuum.html"
    assert {"total", "embed", "evidence"} <= answer.timings_ms.keys()
    await check_quotes(library, answer)
    again = await answerer(library).answer(Question(QUESTION))
    assert (again.answer, again.citations) == (answer.answer, answer.citations)


async def test_what_scores_under_the_threshold_is_not_found(library: Library) -> None:
    await fill(library)
    for threshold, found in ((0.0, True), (5.0, False)):
        answer = await answerer(library, answer_threshold=threshold).answer(Question(QUESTION))
        assert answer.found is found
    assert (answer.answer, answer.citations) == (NOT_FOUND, [])


async def test_an_empty_collection_answers_nothing(library: Library) -> None:
    await library.put("empty.html")
    answer = await answerer(library).answer(Question(QUESTION))
    assert (answer.answer, answer.found) == (NOT_FOUND, False)


async def test_passages_and_filters_bound_what_is_read(library: Library) -> None:
    await fill(library)
    await library.put("other", "Vacuum reclaims storage, says another.", metadata={"kind": "x"})
    for question, count in (
        (Question(QUESTION, passages=1), 1),
        (Question(QUESTION), 3),
        (Question(QUESTION, filters={"kind": "x"}), 1),
    ):
        events = await collect(answerer(library, answer_passages=3).stream(question))
        (passages,) = [event for event in events if isinstance(event, Passages)]
        assert len(passages.hits) == count
    assert {citation.uri for citation in done(events).citations} == {"other"}


async def test_what_cannot_be_answered_is_a_typed_error(library: Library) -> None:
    await fill(library)
    for question, error in (
        (Question(" "), EmptyQuery),
        (Question("x" * 8_001), QueryTooLong),
        (Question("Why?", ("nowhere",)), CollectionNotFound),
    ):
        for generator in (None, ScriptedChatModel(["Never said."])):
            seen: list[AnswerEvent] = []
            with pytest.raises(error):
                async for event in answerer(library, generator).stream(question):
                    seen.append(event)
            assert seen == [Status(Stage.SEARCHING)]


def three_page_pdf() -> bytes:
    """One paragraph a page, so short that a chunk holds all three."""
    style = getSampleStyleSheet()["Normal"]
    buffer = io.BytesIO()
    SimpleDocTemplate(buffer, title="Three pages").build(
        [
            Paragraph("Heap pages hold tuples and line pointers in eight kilobytes.", style),
            PageBreak(),
            Paragraph("Vacuum reclaims the storage of dead tuples for later use.", style),
            PageBreak(),
            Paragraph("Checkpoints write dirty buffers of shared memory to disk.", style),
        ]
    )
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("question", "number"),
    [
        ("What do heap pages hold with line pointers?", 1),
        (QUESTION, 2),
        ("What do checkpoints write from dirty buffers?", 3),
    ],
)
async def test_a_citations_page_is_that_of_its_sentence(
    library: Library, question: str, number: int
) -> None:
    await library.ingester().ingest([Given("pages.pdf", three_page_pdf())], "default")
    found = (await library.searcher().search(SearchRequest(question))).hits
    assert [hit.page for hit in found] == [1], "one chunk is to cross all pages"
    answer = await answerer(library, answer_sentences=1).answer(Question(question))
    (citation,) = answer.citations
    assert citation.page == number
    await check_quotes(library, answer)


async def test_places_have_pages_where_documents_have(library: Library) -> None:
    await library.ingester().ingest([Given("pages.pdf", three_page_pdf())], "default")
    plain = await library.put("plain", "No pages here.")
    searcher = library.searcher()
    async with library.database.read() as session:
        (document,) = [
            one
            for one in (await list_documents(session, await default_id(library)))[0]
            if one.uri != "plain"
        ]
        text = await get_text(session, document.id)
    starts = [text.index(word) for word in ("Heap", "Vacuum", "Checkpoints")]
    places = [(document.id, at) for start in starts for at in (start, start + 20)]
    assert await searcher.pages(places) == [1, 1, 2, 2, 3, 3]
    assert await searcher.pages([(document.id, len(text)), (plain, 3), (uuid4(), 0)]) == [
        3,
        None,
        None,
    ]
    assert await searcher.pages([]) == []


async def default_id(library: Library) -> UUID:
    async with library.database.read() as session:
        return (await get_collection(session, "default")).id


# --- Generated ------------------------------------------------------------------------------------


async def test_a_generator_answers_from_the_passages(library: Library) -> None:
    await fill(library)
    model = ScriptedChatModel(["Vacuum reclaims", " it [1", "]. Locks [2]", " do not [9]."])
    answer = done(await collect(answerer(library, model).stream(Question(QUESTION))))
    assert (answer.mode, answer.found) == (AnswerMode.GENERATE, True)
    assert answer.citations[0].uri == "vacuum.html"
    assert len(answer.citations) == 2
    assert "total" in answer.timings_ms
    await check_quotes(library, answer)
    (prompt,) = model.prompts
    assert prompt[-1].content.endswith(QUESTION)


@pytest.mark.parametrize("error", [Overloaded("busy"), ModelUnavailable("gone")])
async def test_quote_mode_answers_when_the_generator_does_not_begin(
    library: Library, error: Exception
) -> None:
    await fill(library)
    model = ScriptedChatModel([error])
    answer = done(await collect(answerer(library, model).stream(Question(QUESTION))))
    assert (answer.mode, answer.found) == (AnswerMode.QUOTE, True)
    assert model.closed == 1


@pytest.mark.parametrize("error", [Overloaded("busy"), ModelUnavailable("gone"), ValueError("?")])
async def test_a_generator_that_fails_after_its_first_word_raises(
    library: Library, error: Exception
) -> None:
    await fill(library)
    model = ScriptedChatModel(["Half an ans", error])
    said: list[Any] = []
    with pytest.raises(type(error)) as raised:
        async for event in answerer(library, model).stream(Question(QUESTION)):
            said.append(event)
    assert raised.value is error
    assert said[-1] == TextDelta("Half an ans")


async def test_an_error_of_ours_before_the_first_word_is_not_hidden(library: Library) -> None:
    await fill(library)
    with pytest.raises(ZeroDivisionError):
        await answerer(library, ScriptedChatModel([ZeroDivisionError()])).answer(Question(QUESTION))


# --- Conversations --------------------------------------------------------------------------------


async def test_a_conversation_is_stored_reopened_and_continued(library: Library) -> None:
    await fill(library)
    first = await collect(conversations(library).ask(QUESTION))
    stored = first[-1]
    assert isinstance(stored, Stored)
    assert isinstance(first[-2], Done)
    second_question = "And does that lock it?"
    # Reopened by another process.
    second = await collect(conversations(library).ask(second_question, chat_id=stored.chat_id))
    assert second[-1].chat_id == stored.chat_id
    async with library.database.read() as session:
        chat = await get_chat(session, stored.chat_id)
        turns = await get_turns(session, stored.chat_id)
    assert (chat.title, chat.collection, chat.messages) == (QUESTION, "default", 4)
    assert [turn.role for turn in turns] == ["user", "assistant"] * 2
    assert [turn.text for turn in turns] == [
        QUESTION,
        done(first).answer,
        second_question,
        done(second).answer,
    ]
    assert [turn.id for turn in turns][1::2] == [stored.message_id, second[-1].message_id]
    for turn, answer in zip(turns[1::2], (done(first), done(second)), strict=True):
        assert (turn.mode, turn.found) == ("quote", True)
        assert [citation["quote"] for citation in turn.citations] == [
            citation.quote for citation in answer.citations
        ]
        assert turn.citations[0]["document_id"] == str(answer.citations[0].document_id)


async def test_a_follow_up_is_read_with_the_question_before(library: Library) -> None:
    await fill(library)
    model = ScriptedChatModel(["Yes [1]."])
    talk = conversations(library, model)
    (*_, stored) = await collect(talk.ask(QUESTION))
    await collect(talk.ask("And why is it so?", chat_id=stored.chat_id))
    first, second = model.prompts
    assert [message.role for message in first] == [Role.SYSTEM, Role.USER]
    assert [message.content for message in second[1:3]] == [QUESTION, "Yes [1]."]
    # What is said of vacuum is found though the follow-up does not name it.
    assert "Vacuum reclaims" in second[-1].content
    quoting = conversations(library).ask("And why is it so?", chat_id=stored.chat_id)
    quoted = done(await collect(quoting))
    assert quoted.citations[0].uri == "vacuum.html"


async def test_a_long_question_after_a_long_one_is_still_answered(library: Library) -> None:
    await fill(library)
    for model in (None, ScriptedChatModel(["Yes [1]."])):
        talk = conversations(library, model)
        long = "vacuum " * 1_000
        (*_, stored) = await collect(talk.ask(long))
        assert done(await collect(talk.ask("Why " + long, chat_id=stored.chat_id))).found


async def test_not_found_is_stored_as_such(library: Library) -> None:
    await fill(library)
    (*_, stored) = await collect(conversations(library, answer_threshold=9.0).ask(QUESTION))
    async with library.database.read() as session:
        turn = (await get_turns(session, stored.chat_id))[-1]
    assert (turn.text, turn.found, turn.citations) == (NOT_FOUND, False, [])


async def test_a_chat_keeps_to_its_collection(library: Library) -> None:
    await fill(library)
    await library.put("x", "Vacuum is a word for empty space, by contrast.", collection="space")
    (*_, stored) = await collect(conversations(library).ask(QUESTION, collection="space"))
    events = await collect(conversations(library).ask("What is vacuum?", chat_id=stored.chat_id))
    assert {citation.uri for citation in done(events).citations} == {"x"}


async def test_an_answer_that_was_broken_off_leaves_no_trace(library: Library) -> None:
    await fill(library)
    for last in (Status, Passages, TextDelta, Done):
        for model in (None, ScriptedChatModel(["Vacuum ", "does [1]."])):
            async with aclosing(conversations(library, model).ask(QUESTION)) as events:
                async for event in events:
                    if isinstance(event, last):
                        break
            if model is not None:
                assert model.closed == len(model.prompts)
    async with library.database.read() as session:
        assert await list_chats(session) == ([], 0)


async def test_a_cancelled_answer_leaves_no_trace(library: Library) -> None:
    await fill(library)
    (*_, stored) = await collect(conversations(library).ask(QUESTION))
    begun = asyncio.Event()

    async def read() -> None:
        async for event in conversations(library).ask("Why?", chat_id=stored.chat_id):
            if isinstance(event, Passages):
                begun.set()
                await asyncio.Event().wait()

    task = asyncio.create_task(read())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with library.database.read() as session:
        assert (await get_chat(session, stored.chat_id)).messages == 2


async def test_a_failed_answer_leaves_no_trace(library: Library) -> None:
    await fill(library)
    talk = conversations(library, ScriptedChatModel(["Half", Overloaded("busy")]))
    with pytest.raises(Overloaded):
        await collect(talk.ask(QUESTION))
    with pytest.raises(EmptyQuery):
        await collect(talk.ask("  "))
    with pytest.raises(ChatNotFound):
        await collect(talk.ask(QUESTION, chat_id=uuid4()))
    with pytest.raises(CollectionNotFound):
        await collect(talk.ask(QUESTION, collection="nowhere"))
    async with library.database.read() as session:
        assert await list_chats(session) == ([], 0)
