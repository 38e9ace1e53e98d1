"""The page end to end: upload, ask, read the cited source, go on, come back.

The oracle for every highlight is the server's own text: `text[start:end]` by code points.
"""

import re

import pytest
from playwright.sync_api import FilePayload, Locator, Page, Route, expect

pytestmark = pytest.mark.browser

HANDBOOK = (
    "# Backup handbook\n\n"
    "Nightly backups run at two in the morning and are kept for thirty days.\n\n"
    "## Restoring\n\n"
    "To restore a database, stop the writers first and then run the restore command.\n"
)
# Before the passage: code points outside the basic plane, alone and joined, and a combining accent.
EMOJI = (
    "# Café 🙂 notes\n\n"
    "👩‍👩‍👧 Our cafe\u0301 opens late. 🇨🇭𠮷野家 🙂🙂🙂\n\n"
    "The coffee machine is descaled every second Tuesday by the early shift. 🧽\n"
)
HOSTILE = (
    "# Notice\n\n"
    "The printer on the third floor prints only on yellow paper. "
    "Its <script>window.taken = 1</script><img src='//evil.invalid/x' onerror='window.taken = 1'>"
    " tray is small.\n"
)
UNRELATED = "Which country won the football world cup in 1998?"


def file(name: str, text: str | bytes) -> FilePayload:
    data = text if isinstance(text, bytes) else text.encode()
    return {"name": name, "mimeType": "application/octet-stream", "buffer": data}


def upload(page: Page, collection: str, *files: FilePayload) -> None:
    """Uploads through the page and waits for the outcome."""
    page.goto(f"/collections/{collection}")
    page.get_by_label("Files to add").set_input_files(list(files))
    expect(page.get_by_role("button", name="Dismiss this upload")).to_be_visible()


def ask(page: Page, question: str) -> Locator:
    """Asks and returns the exchange, once its answer has ended."""
    page.get_by_label("Question").fill(question)
    page.keyboard.press("Enter")
    exchange = page.get_by_role("article").filter(has=page.get_by_role("heading", name=question))
    expect(exchange.last).to_have_attribute("aria-busy", "false")
    return exchange.last


def start(page: Page, collection: str, text: str, name: str = "notes.md") -> None:
    """Uploads one document and opens a new chat about it."""
    upload(page, collection, file(name, text))
    page.get_by_role("button", name="New chat").click()


def stored_citation(page: Page, turn: int = -1) -> dict[str, object]:
    """The first citation of a stored answer of the open chat."""
    chat_id = page.url.rsplit("/", 1)[1]
    turns = page.request.get(f"/api/chats/{chat_id}").json()["turns"]
    answers = [each for each in turns if each["role"] == "assistant"]
    citation: dict[str, object] = answers[turn]["citations"][0]
    return citation


def stored_text(page: Page, document_id: object) -> str:
    text: str = page.request.get(f"/api/documents/{document_id}/text").json()["text"]
    return text


def open_source(page: Page, exchange: Locator) -> Locator:
    exchange.get_by_role("button", name=re.compile(r"^Source 1:")).click()
    panel = page.get_by_role("complementary", name=re.compile("^Source:"))
    expect(panel.locator("mark")).to_be_visible()
    return panel


def marked(panel: Locator) -> str:
    return panel.locator("mark").text_content() or ""


def test_a_document_is_uploaded_and_listed(page: Page, collection: str) -> None:
    upload(page, collection, file("handbook.md", HANDBOOK))
    expect(page.get_by_role("status").filter(has_text="1 document added")).to_be_visible()
    row = page.get_by_role("row").filter(has_text="handbook.md")
    expect(row).to_be_visible()
    row.get_by_role("button", name=re.compile("^Delete")).click()
    page.get_by_role("alertdialog").get_by_role("button", name="Delete document").click()
    expect(page.get_by_text("No documents yet")).to_be_visible()


def test_dropped_files_are_uploaded(page: Page, collection: str) -> None:
    page.goto(f"/collections/{collection}")
    transfer = page.evaluate_handle(
        """text => {
            const transfer = new DataTransfer();
            transfer.items.add(new File([text], "dropped.md"));
            return transfer;
        }""",
        HANDBOOK,
    )
    page.dispatch_event("body", "dragenter", {"dataTransfer": transfer})
    expect(page.get_by_text(f"Drop to add to {collection}")).to_be_visible()
    page.dispatch_event("body", "drop", {"dataTransfer": transfer})
    expect(page.get_by_role("row").filter(has_text="dropped.md")).to_be_visible()
    expect(page.get_by_text("Drop to add to")).to_have_count(0)


def test_a_file_that_cannot_be_read_is_named_with_its_reason(page: Page, collection: str) -> None:
    broken = file("broken.pdf", b"%PDF-1.7\nthis is not a page")
    upload(page, collection, broken, file("handbook.md", HANDBOOK))
    expect(
        page.get_by_role("status").filter(has_text="1 document added, 1 not read")
    ).to_be_visible()
    failure = page.get_by_role("listitem").filter(has_text="broken.pdf")
    expect(failure).to_have_text(re.compile(r"broken\.pdf\s*\S.{8,}", re.DOTALL))
    expect(page.get_by_role("row").filter(has_text="handbook.md")).to_be_visible()


def test_an_answer_streams_and_its_marker_opens_the_passage(page: Page, collection: str) -> None:
    start(page, collection, HANDBOOK)
    with page.expect_response("**/api/ask") as asked:
        exchange = ask(page, "How do I restore a database?")
    assert asked.value.headers["content-type"].startswith("text/event-stream")
    expect(exchange).to_contain_text("stop the writers first")
    expect(page).to_have_url(re.compile(r"/chat/[0-9a-f-]{36}$"))

    panel = open_source(page, exchange)
    citation = stored_citation(page)
    text = stored_text(page, citation["document_id"])
    points = slice(int(str(citation["start"])), int(str(citation["end"])))
    assert marked(panel) == citation["quote"] == text[points]
    expect(panel.locator("mark")).to_be_in_viewport()
    expect(panel).to_contain_text("Nightly backups run at two")

    page.keyboard.press("Escape")
    expect(panel).to_have_count(0)
    expect(exchange.get_by_role("button", name=re.compile(r"^Source 1:"))).to_be_focused()


def test_highlights_count_code_points(page: Page, collection: str) -> None:
    start(page, collection, EMOJI)
    exchange = ask(page, "Who descales the coffee machine, and when?")
    panel = open_source(page, exchange)
    citation = stored_citation(page)
    text = stored_text(page, citation["document_id"])
    points = slice(int(str(citation["start"])), int(str(citation["end"])))
    assert marked(panel) == citation["quote"] == text[points]
    assert "descaled every second Tuesday" in marked(panel)
    assert panel.get_by_label("Text of the document").inner_text().count("👩‍👩‍👧") == 1


def test_a_conversation_goes_on_and_survives_a_reload(page: Page, collection: str) -> None:
    start(page, collection, HANDBOOK)
    ask(page, "How do I restore a database?")
    address = page.url
    ask(page, "How long are nightly backups kept?")
    assert page.url == address

    page.reload()
    articles = page.get_by_role("article")
    expect(articles).to_have_count(2)
    expect(articles.nth(0)).to_contain_text("stop the writers first")
    expect(articles.nth(1)).to_contain_text("thirty days")
    panel = open_source(page, articles.nth(1))
    assert marked(panel) == stored_citation(page)["quote"]


def test_past_chats_are_listed_reopened_and_deleted(page: Page, collection: str) -> None:
    start(page, collection, HANDBOOK)
    question = f"How do I restore a database in {collection}?"
    ask(page, question)
    chats = page.get_by_role("region", name="Chats")
    entry = chats.get_by_role("listitem").filter(has_text=collection)
    page.get_by_role("button", name="New chat").click()
    expect(page.get_by_role("article")).to_have_count(0)
    entry.get_by_role("link").click()
    expect(page.get_by_role("heading", name=question, exact=True)).to_be_visible()
    page.go_back()
    expect(page.get_by_role("article")).to_have_count(0)

    entry.hover()
    entry.get_by_role("button", name=re.compile("^Delete chat")).click()
    page.get_by_role("alertdialog").get_by_role("button", name="Delete chat").click()
    expect(entry).to_have_count(0)


def test_an_answer_is_rated_with_a_note_that_survives_a_reload(page: Page, collection: str) -> None:
    start(page, collection, HANDBOOK)
    exchange = ask(page, "How do I restore a database?")
    good = exchange.get_by_role("button", name="Good answer")
    bad = exchange.get_by_role("button", name="Bad answer")

    def stored() -> object:
        chat_id = page.url.rsplit("/", 1)[1]
        rating = page.request.get(f"/api/chats/{chat_id}").json()["turns"][-1]["rating"]
        return rating and (rating["value"], rating["note"])

    # By keyboard alone, as far as the note.
    good.focus()
    page.keyboard.press("Enter")
    expect(good).to_have_attribute("aria-pressed", "true")
    assert stored() == ("up", "")
    page.keyboard.press("Tab")
    expect(bad).to_be_focused()
    page.keyboard.press("Space")
    expect(bad).to_have_attribute("aria-pressed", "true")
    expect(good).to_have_attribute("aria-pressed", "false")
    page.keyboard.press("Tab")
    page.keyboard.type("It <b>leaves</b> out a step.")
    page.keyboard.press("Enter")
    expect(bad).to_be_focused()
    expect(exchange.get_by_text("It <b>leaves</b> out a step.")).to_be_visible()
    assert stored() == ("down", "It <b>leaves</b> out a step.")

    page.reload()
    expect(bad).to_have_attribute("aria-pressed", "true")
    exchange.get_by_role("button", name="It <b>leaves</b>").click()
    note = exchange.get_by_label("What was wrong?")
    expect(note).to_be_focused()
    expect(note).to_have_value("It <b>leaves</b> out a step.")
    bad.click()
    expect(bad).to_have_attribute("aria-pressed", "false")
    expect(note).to_have_count(0)
    assert stored() is None


def test_a_rating_that_cannot_be_stored_says_why(page: Page, collection: str) -> None:
    start(page, collection, HANDBOOK)
    exchange = ask(page, "How do I restore a database?")
    chat_id = page.url.rsplit("/", 1)[1]
    page.request.delete(f"/api/chats/{chat_id}")
    exchange.get_by_role("button", name="Good answer").click()
    expect(exchange.get_by_role("alert")).to_contain_text(chat_id)
    expect(exchange.get_by_role("button", name="Good answer")).to_have_attribute(
        "aria-pressed", "false"
    )


def test_an_unanswerable_question_is_shown_as_not_found(page: Page, collection: str) -> None:
    start(page, collection, HANDBOOK)
    exchange = ask(page, UNRELATED)
    expect(exchange).to_contain_text("Not found in these documents.")
    expect(exchange.get_by_role("button", name=re.compile("^Source "))).to_have_count(0)


def test_document_text_is_never_read_as_html(page: Page, collection: str) -> None:
    start(page, collection, HOSTILE, "notice.txt")
    exchange = ask(page, "Which paper does the printer on the third floor use?")
    expect(exchange).to_contain_text("yellow paper")
    panel = open_source(page, exchange)
    expect(panel).to_contain_text("<script>window.taken = 1</script>")
    assert page.evaluate("window.taken") is None
    assert page.locator("main img, aside img").count() == 0


def test_a_refused_question_says_why_and_can_be_asked_again(page: Page, collection: str) -> None:
    start(page, collection, HANDBOOK)

    def refuse(route: Route) -> None:
        route.fulfill(
            status=503,
            content_type="application/problem+json",
            json={
                "title": "Overloaded",
                "status": 503,
                "detail": "Too many questions wait.",
                "hint": "Ask again in a minute.",
            },
        )

    page.route("**/api/ask", refuse)
    exchange = ask(page, "How do I restore a database?")
    for words in ("Overloaded", "Too many questions wait.", "Ask again in a minute."):
        expect(exchange.get_by_role("alert")).to_contain_text(words)
    page.unroute("**/api/ask")
    exchange.get_by_role("button", name="Ask again").click()
    expect(page.get_by_role("article")).to_contain_text("stop the writers first")
    expect(page.get_by_role("article")).to_have_count(1)


def test_a_question_can_be_stopped(page: Page, collection: str) -> None:
    start(page, collection, HANDBOOK)

    def never_answer(_: Route) -> None:
        pass

    page.route("**/api/ask", never_answer)
    page.get_by_label("Question").fill("How do I restore a database?")
    page.keyboard.press("Enter")
    page.get_by_label("Question").fill("a draft")
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_role("article")).to_contain_text("Stopped.")
    expect(page.get_by_label("Question")).to_have_value("a draft")
    page.unroute("**/api/ask")
    page.get_by_role("button", name="Ask again").click()
    expect(page.get_by_role("article")).to_contain_text("stop the writers first")


def test_enter_sends_and_shift_enter_breaks_the_line(page: Page, collection: str) -> None:
    start(page, collection, HANDBOOK)
    field = page.get_by_label("Question")
    field.press_sequentially("How do I restore")
    field.press("Shift+Enter")
    field.press_sequentially("a database?")
    expect(field).to_have_value("How do I restore\na database?")
    field.press("Enter")
    expect(page.get_by_role("article")).to_contain_text("stop the writers first")
    expect(field).to_have_value("")


def test_a_missing_chat_says_so(page: Page) -> None:
    page.goto("/chat/00000000-0000-7000-8000-000000000000")
    expect(page.get_by_role("main").get_by_role("alert")).to_be_visible()
    page.get_by_role("button", name="New chat").click()
    expect(page.get_by_label("Question")).to_be_visible()


def test_the_page_fits_a_phone(page: Page, collection: str) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    start(page, collection, HANDBOOK)
    exchange = ask(page, "How do I restore a database?")
    exchange.get_by_role("button", name=re.compile(r"^Source 1:")).click()
    sheet = page.get_by_role("dialog", name=re.compile("^Source:"))
    expect(sheet.locator("mark")).to_be_in_viewport()
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    sheet.get_by_role("button", name="Close source").click()
    expect(sheet).to_have_count(0)
    page.get_by_role("button", name="Open menu").click()
    page.get_by_role("dialog", name="Menu").get_by_role("link", name="Documents").click()
    expect(page.get_by_role("row").filter(has_text="notes.md")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == 390
