"""`rostra ask`: a question answered from documents, with citations."""

import sys
from uuid import UUID

import click
from rich.markup import escape

from rostra.answer import (
    Answer,
    AnswerMode,
    Cited,
    Done,
    Passages,
    Question,
    SimilarityPicker,
    Stored,
    TextDelta,
    scorer_file,
)
from rostra.cli.expansion import expand_option, print_expansion
from rostra.cli.ids import chat_id as read_chat_id
from rostra.cli.output import console, json_option, print_json, printable, with_runtime
from rostra.core import (
    ChatNotFound,
    InvalidRequest,
    ModelUnavailable,
    QueryStrategyName,
    Settings,
)
from rostra.runtime import Runtime
from rostra.store import list_chats


@click.command("ask")
@click.argument("question")
@click.option("-c", "--collection", default=None, help="Collection to ask.  [default: default]")
@click.option("--chat", default=None, metavar="ID", help="Continue this conversation.")
@click.option("--new-chat", is_flag=True, help="Begin a conversation and keep it.")
@click.option("--last", is_flag=True, help="Continue the last conversation.")
@expand_option
@json_option
def command(
    question: str,
    collection: str | None,
    chat: str | None,
    new_chat: bool,
    last: bool,
    expand: tuple[QueryStrategyName, ...] | None,
    as_json: bool,
) -> None:
    """Answer QUESTION from a collection's documents.

    Without --chat, --last or --new-chat nothing is kept.
    """
    if bool(chat) + new_chat + last > 1:
        raise InvalidRequest("choose one of --chat, --last and --new-chat")
    keep = bool(chat) or new_chat or last

    async def work(runtime: Runtime) -> tuple[Answer, Stored | None, dict[str, str]]:
        printer = _Printer(quiet=as_json)
        stored: Stored | None = None
        if keep:
            chat_id = await _last_chat(runtime) if last else read_chat_id(chat) if chat else None
            async for event in runtime.conversations.ask(
                question, collection=collection, chat_id=chat_id, expand=expand
            ):
                if isinstance(event, Stored):
                    stored = event
                else:
                    printer.show(event)
        else:
            asked = Question(question, (collection or "default",), expand=expand)
            async for event in runtime.answerer.stream(asked):
                printer.show(event)
        if printer.answer is None:
            raise RuntimeError("an answer's stream ended without its end")
        return printer.answer, stored, _instead(runtime, printer.answer)

    answer, stored, instead = with_runtime(work)
    if not as_json:
        for why in instead.values():
            console().print(why, style="yellow", markup=False)
    if as_json:
        kept = {"chat_id": stored.chat_id, "message_id": stored.message_id} if stored else {}
        print_json(answer.to_dict() | instead | kept)
    elif stored:
        console().print(f"[dim]continue with: rostra ask --chat {stored.chat_id} QUESTION[/]")


class _Printer:
    """Shows an answer while it arrives; keeps the finished one."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._cited = 0
        self.answer: Answer | None = None

    def show(self, event: object) -> None:
        if isinstance(event, Done):
            self.answer = event.answer
        if self._quiet or isinstance(event, Passages):
            return
        match event:
            case TextDelta():
                sys.stdout.write(printable(event.text))
                sys.stdout.flush()
            case Cited():
                self._cited += 1
                console().print(f" [cyan]\\[{self._cited}][/]", end="")
            case Done():
                self._finish(event.answer)

    def _finish(self, answer: Answer) -> None:
        out = console()
        out.print("\n")
        for number, citation in enumerate(answer.citations, 1):
            page = f", page {citation.page}" if citation.page is not None else ""
            out.print(f"[cyan]\\[{number}][/] {escape(citation.title)}{page}")
            out.print(f"    [dim]{escape(citation.uri)} {citation.start}-{citation.end}[/]")
        print_expansion(answer.expansion)
        quotes = answer.mode is AnswerMode.GENERATE and answer.picked_by
        made = f"quoted by {escape(quotes)}" if quotes else f"{answer.mode} mode"
        out.print(f"[dim]{made}, {answer.timings_ms.get('total', 0) / 1000:.1f} s[/]")


def _instead(runtime: Runtime, answer: Answer) -> dict[str, str]:
    """Why others than was meant made the answer, by the names that JSON has for it."""
    told = {
        "instead_of_reader": _without_reader(runtime, answer),
        "instead_of_scorer": _without_scorer(runtime.settings, answer),
    }
    return {name: why for name, why in told.items() if why is not None}


def _without_reader(runtime: Runtime, answer: Answer) -> str | None:
    """Why quotes answer where the reader should have; None where it did, or is not to."""
    reader = runtime.reader
    if reader is None or runtime.writer is not reader or answer.mode is not AnswerMode.QUOTE:
        return None
    if (failure := reader.failure) is None:
        return None
    return f"Quoted without the reader: {failure.message}. {failure.hint or ''}".strip()


def _without_scorer(settings: Settings, answer: Answer) -> str | None:
    """Why similarity picked what the scorer should have; None where it did not, or is to."""
    if answer.picked_by != SimilarityPicker.name:
        return None
    try:
        path = scorer_file(settings)
    except ModelUnavailable as error:
        why = f"{error.message}. {error.hint or ''}".strip()
    else:
        if path is None:
            return None
        why = f"{path} was not loaded. The log says why."
    return f"Quoted by similarity, without the evidence scorer: {why}"


async def _last_chat(runtime: Runtime) -> UUID:
    async with runtime.database.read() as session:
        chats, _ = await list_chats(session, limit=1)
    if not chats:
        raise ChatNotFound("there is no conversation yet", hint="Begin one with --new-chat.")
    return chats[0].id
