"""The HTML report: nothing loads, nothing runs but our own, nothing is dropped in silence."""

import base64
import hashlib
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import html

from evals import NothingToCompare, TraceUrlInvalid, render_html
from tests.unit.evals.reports.parts import HOSTILE, SCRIPT, TRACE, outcome, record

# Attributes that make a browser fetch or run something.
_LOADING = ("src", "srcset", "data", "action", "formaction", "poster", "background", "style")


def page(text: str) -> html.HtmlElement:
    assert text.startswith("<!doctype html>")
    return html.document_fromstring(text)


def text_of(text: str) -> str:
    return str(page(text).text_content())


def assert_harmless(text: str) -> None:
    """Our script and style alone, no handler, no address but anchors of the page."""
    document = page(text)
    scripts, styles = document.findall(".//script"), document.findall(".//style")
    assert len(scripts) == len(styles) == 1
    policy = document.xpath("//meta[@http-equiv='Content-Security-Policy']/@content")[0]
    assert policy.startswith("default-src 'none'")
    for element in (*scripts, *styles):
        body = re.search(f"<{element.tag}>(.*?)</{element.tag}>", text, re.DOTALL | re.IGNORECASE)
        assert body is not None
        digest = base64.b64encode(hashlib.sha256(body.group(1).encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy
    known = {"html", "head", "meta", "title", "style", "body", "script", "svg", "g", "text", "line",
             "circle", "h1", "h2", "h3", "h4", "p", "pre", "bdi", "nav", "a", "div", "table", "tr",
             "th", "td", "ul", "ol", "li", "details", "summary", "span", "label", "select",
             "option", "input", "output", "br", "tbody", "code"}  # fmt: skip
    for element in document.iter():
        assert element.tag in known, element.tag
        for name, value in element.attrib.items():
            assert not name.startswith("on"), (element.tag, name)
            assert name not in _LOADING, (element.tag, name)
            if name == "href":
                assert value.startswith(("#", "https://traces.example/")), value
    assert "@import" not in text
    assert "url(" not in text


def test_it_shows_measures_samples_and_what_went_wrong() -> None:
    outcomes = [
        outcome(0),
        outcome(1, right=None),
        outcome(2, failed="model_unavailable", text="the model is away"),
        outcome(3, right=0.0),
    ]
    told = text_of(render_html(record(outcomes, is_complete=False)))
    for words in ("not complete", "right", "ndcg@10", "50.0 %", "1: dumb", "model_unavailable",
                  "the model is away", "broken", "line 3", "question 3", "because", "passage",
                  "quote", "seed 7", "cost 0.75"):  # fmt: skip
        assert words in told, words


def test_the_worst_samples_stand_first() -> None:
    outcomes = [
        outcome(0, right=1.0, ndcg=0.9),
        outcome(1, right=0.0, ndcg=0.1),
        outcome(2, right=None),
        outcome(3, failed="Error"),
    ]
    names = page(render_html(record(outcomes))).xpath(
        "//div[@id='samples0']//span[@class='name']/bdi/text()"
    )
    assert names == ["s3", "s2", "s1", "s0"]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_content_is_text(text: str) -> None:
    outcomes = [outcome(0, text=text), outcome(1, failed=text, text=text), outcome(2, right=None)]
    before = [outcome(0, text=text, right=0.0, output="else"), outcome(1, text=text)]
    written = render_html(
        record(outcomes, text=text, systems=("system" + text,)),
        record(before, text=text, run="old", systems=("system" + text,)),
        trace_url="https://traces.example/{trace}",
        place=text,
    )
    assert_harmless(written)
    assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", written)


def test_hostile_content_is_still_readable() -> None:
    told = text_of(render_html(record([outcome(0, text=SCRIPT)])))
    assert SCRIPT in told
    assert "[U+202E]evil" in text_of(render_html(record([outcome(0, text="\u202eevil")])))


@settings(max_examples=30)
@given(st.text())
def test_any_text_is_harmless_and_utf_8(text: str) -> None:
    written = render_html(record([outcome(0, text=text)]))
    written.encode()
    assert_harmless(written)


def test_huge_texts_and_many_samples_are_left_out_and_it_is_said() -> None:
    outcomes = [outcome(at, text="x" * 200_000 if at < 3 else "") for at in range(300)]
    written = render_html(record(outcomes), samples=50, place="/runs/run.jsonl")
    assert len(written) < 2_000_000
    assert "50 of 300, the worst first" in text_of(written)
    assert "stand in /runs/run.jsonl" in text_of(written)
    assert len(page(written).xpath("//div[@id='samples0']/details")) == 50
    assert "cut here" in text_of(render_html(record(outcomes[:1])))


def test_the_page_stays_bounded_with_many_tasks() -> None:
    systems = [f"system {number}" for number in range(54)]
    outcomes = [
        outcome(at, task=task, right=float(at != 7)) for task in range(54) for at in range(80)
    ]
    run = record(outcomes, systems=systems)
    written = render_html(run)
    assert len(written) < 3_000_000
    assert len(page(written).xpath("//div[starts-with(@id,'samples')]/details")) == 300
    told = " ".join(text_of(written).split())
    # Every task has some, its worst first, and says how many are missing and how to have them.
    for number in range(54):
        names = page(written).xpath(f"//div[@id='samples{number}']//span[@class='name']/bdi/text()")
        assert names[0] == "s7"
        assert len(names) in (5, 6)
    assert "38 more systems are left out of the chart" in told
    assert "5 of 80, the worst first; the others are left out here" in told
    assert "rostra eval report RUN --html FILE --samples 80" in told
    whole = render_html(run, samples=80)
    assert len(page(whole).xpath("//div[starts-with(@id,'samples')]/details")) == 54 * 80
    assert "left out here" not in text_of(whole)


def test_long_samples_take_room_from_others() -> None:
    outcomes = [outcome(at, text="<" * 20_000) for at in range(300)]
    written = render_html(record(outcomes), record(outcomes, run="old"))
    assert len(written) < 8_000_000
    shown = len(page(written).xpath("//div[@id='samples0']/details"))
    assert 0 < shown < 100
    assert f"{shown} of 300, the worst first" in text_of(written)


def test_no_samples_at_all() -> None:
    written = render_html(record([outcome(0)]), samples=0)
    assert "0 of 1, the worst first" in text_of(written)


def test_two_runs_are_shown_side_by_side() -> None:
    before = [outcome(at, right=1.0) for at in range(20)]
    after = [outcome(at, right=float(at > 10), output="other") for at in range(20)]
    written = render_html(record(after), record(before, run="old"))
    told = text_of(written)
    assert "Baseline is old" in told
    assert "20 samples changed, 0 did not" in told
    assert "worse" in told
    first = page(written).xpath("//details[.//div[@class='sides']]")[0]
    sides = [side.text_content() for side in first.xpath(".//div[@class='sides']/div")]
    assert "said" in sides[0]
    assert "other" in sides[1]
    assert first.xpath(".//summary//span[contains(@class,'bad')]")


def test_runs_without_anything_in_common_are_refused() -> None:
    with pytest.raises(NothingToCompare):
        render_html(record([outcome(0)]), record([outcome(0)], text="other"))


def test_an_empty_run_is_a_page() -> None:
    written = render_html(record([], is_complete=False))
    assert "not complete" in text_of(written)
    assert "NaN" not in written


def test_a_sample_leads_to_its_trace() -> None:
    written = render_html(
        record([outcome(0), outcome(1, trace="javascript:alert(1)")]),
        trace_url="https://traces.example/trace/{trace}?x=1&y=2",
    )
    links = page(written).xpath("//a[starts-with(@href, 'http')]/@href")
    assert links == [f"https://traces.example/trace/{TRACE}?x=1&y=2"]
    assert not page(render_html(record([outcome(0)]))).xpath("//a[starts-with(@href, 'http')]")


@pytest.mark.parametrize(
    "pattern",
    ["javascript:alert('{trace}')", "https://traces.example/", "//x/{trace}", "{trace}",
     "http:///{trace}", "http://[/{trace}", "file:///{trace}"],
)  # fmt: skip
def test_a_pattern_of_traces_is_a_web_address(pattern: str) -> None:
    with pytest.raises(TraceUrlInvalid):
        render_html(record([outcome(0)]), trace_url=pattern)


def test_it_can_be_read_without_scripts() -> None:
    written = render_html(record([outcome(0)]))
    without = re.sub("<script>.*?</script>", "", written, flags=re.DOTALL)
    assert "question 0" in text_of(without)
    hidden = page(without).xpath("//*[@hidden]")
    assert not hidden
