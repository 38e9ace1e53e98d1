
import sys; sys.path.insert(0,"/work/main")
from tests.browser.test_chat import *
def test_shot(page, collection):
    start(page, collection, HANDBOOK)
    exchange = ask(page, "How do I restore a database?")
    page.screenshot(path="/tmp/rate1.png")
    exchange.get_by_role("button", name="Bad answer").click()
    expect(exchange.get_by_label("What was wrong?")).to_be_visible()
    page.screenshot(path="/tmp/rate2.png")
    exchange.get_by_label("What was wrong?").fill("It leaves out the second step entirely.")
    page.keyboard.press("Enter")
    expect(exchange.get_by_text("It leaves")).to_be_visible()
    page.set_viewport_size({"width":390,"height":800})
    page.screenshot(path="/tmp/rate3.png")
    ask(page, "Which country won the football world cup in 1998?")
    page.set_viewport_size({"width":1000,"height":800})
    page.screenshot(path="/tmp/rate4.png")
