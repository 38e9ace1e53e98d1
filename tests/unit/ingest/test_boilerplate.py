"""Ordinary pages in several layouts: the main text stays, all else goes."""

from collections.abc import Callable

import pytest

from rostra.ingest.document import ParsedDocument

Parse = Callable[[bytes | str, str], ParsedDocument]

SENTENCES = (
    "The harbour was built in three stages, and each of them took longer than planned. "
    "Stone came by barge from the northern quarries, which closed every winter for months. "
)
FIRST, SECOND, THIRD = (f"{name} paragraph. {SENTENCES}" for name in ("First", "Second", "Third"))
ARTICLE = f"<h1>The harbour</h1><p>{FIRST}</p><h2>Costs</h2><p>{SECOND}</p><p>{THIRD}</p>"
MENU = "".join(f"<li><a href='/{n}'>Menu entry {n}</a></li>" for n in range(12))
LINKS = "".join(
    f"<a href='/s{n}'>Another story with a long title, number {n}</a><br>" for n in range(9)
)
BANNER = (
    "<div>We use cookies and similar techniques to measure how our pages are used and to show you "
    "what you may like. <a href='/p'>Privacy policy</a> "
    "<div><button>Accept all</button><button>Settings</button></div></div>"
)
KEPT = ["The harbour", "First paragraph.", "Costs", "Second paragraph.", "Third paragraph."]

LAYOUTS = {
    "news": f"""<body><header class="site-header"><a href="/">The Daily</a>
<nav><ul>{MENU}</ul></nav>
<form role="search"><input><button>Go</button></form></header>
<main><article><header><span class="byline">By Ann</span></header>{ARTICLE}
<div class="share-buttons"><a href="#">GONE share</a></div>
<aside class="related-articles"><h3>GONE related</h3>{LINKS}</aside></article></main>
<aside><h3>GONE most read</h3><p>Short teaser.</p></aside>
<div class="newsletter"><p>GONE newsletter. {SENTENCES}</p></div>
<footer><p>GONE imprint. {SENTENCES}</p></footer>{BANNER}</body>""",
    "blog without semantics": f"""<body><div id="wrap"><div id="top"><ul>{MENU}</ul></div>
<div id="middle"><div id="content"><div class="post">{ARTICLE}</div></div>
<div id="right"><h3>GONE archive</h3><ul>{MENU}</ul></div></div>
<div id="bottom">GONE {LINKS}</div></div>{BANNER}</body>""",
    "tables": f"""<body><table><tr><td width=100><b>GONE menu</b><br>{LINKS}</td>
<td><table><tr><td>{ARTICLE}</td></tr></table></td></tr></table></body>""",
    "documentation": f"""<body><div class="sphinxsidebar"><h3>GONE contents</h3>
<ul>{MENU}</ul></div>
<div class="topbar"><a href="/">GONE home</a></div>
<div class="document"><div role="main">{ARTICLE}<div class="admonition note"><p>Kept: a note.</p>
</div><aside class="footnote"><p>Kept: a footnote of the text.</p></aside></div></div>
<div class="pagination"><a href="1">GONE</a></div></body>""",
    "named by ids": f"""<body><div id="navigation"><ul>{MENU}</ul></div>
<div id="page">{ARTICLE}</div><div id="sidebar"><p>GONE. {SENTENCES}</p></div>
<div id="cookie-banner"><p>GONE. {SENTENCES}</p></div>
<div id="onetrust-consent-sdk"><div role="dialog"><p>GONE cookies. {SENTENCES}</p></div></div>
<div id="footer">GONE</div></body>""",
    "application": f"""<body><div id="root"><div class="x1"><div class="x2">{MENU}</div>
<div class="x3"><main class="x4">{ARTICLE}</main><div class="x5">GONE label</div></div></div>
<div class="x6"><a href="/a">GONE</a> <a href="/b">GONE</a></div></div></body>""",
    "plain": f"<body>{ARTICLE}</body>",
    "fragment": ARTICLE,
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_main_text_stays_and_the_rest_goes(layout: str, parse: Parse) -> None:
    text = parse(f"<html><head><title>t</title></head>{LAYOUTS[layout]}</html>", "a.html").text
    positions = [text.find(part) for part in KEPT]
    assert -1 not in positions, f"lost in {layout}"
    assert positions == sorted(positions)
    assert text.count(SENTENCES.strip()) == 3, "all prose of the article and none beside it"
    for gone in ("GONE", "Menu entry", "cookies", "Another story"):
        assert gone not in text, f"{gone} is left in {layout}"
    assert ("Kept: a note." in text) == ("documentation" in layout)
    assert ("Kept: a footnote" in text) == ("documentation" in layout)


def test_an_index_keeps_its_links(parse: Parse) -> None:
    page = parse(f"<body><h1>All pages</h1><ul>{MENU}</ul><div>{LINKS}</div></body>", "a.html")
    assert page.text.count("Menu entry") == 12
    assert page.text.count("Another story") == 9


def test_a_short_page_does_not_get_its_menu_back(parse: Parse) -> None:
    page = parse(f"<body><nav><ul>{MENU * 10}</ul></nav><p>A short page: one remark.</p>", "a.html")
    assert page.text == "A short page: one remark."


def test_a_page_about_cookies_stays(parse: Parse) -> None:
    text = "Press the button to accept cookies. Our cookies policy allows you to reject them. "
    page = parse(
        f"<body><h1>Cookies</h1><div><p>{text * 3}</p><button>Accept</button></div></body>",
        "a.html",
    )
    assert page.text.count("Press the button") == 3
    inside = parse(
        f"<body><main><p>{FIRST}</p><div><p>{text}</p><button>Try</button></div></main></body>",
        "a.html",
    )
    assert "Press the button" in inside.text


def test_headings_and_sources_of_articles_stay(parse: Parse) -> None:
    page = parse(
        f"<body><article><header><h2>Part</h2><p class=lead>The lead.</p></header><p>{FIRST}</p>"
        "<blockquote><p>Quoted.</p><footer>Someone, 1900</footer></blockquote>"
        "<footer class=footnotes><p>1. A source.</p></footer>"
        "<footer><a href=1>GONE</a> <a href=2>GONE</a></footer></article></body>",
        "a.html",
    )
    for kept in ("Part", "The lead.", "Someone, 1900", "1. A source."):
        assert kept in page.text
    assert "GONE" not in page.text


def test_notes_and_sections_of_links_stay(parse: Parse) -> None:
    links = "<a href=1>One thing</a>, <a href=2>another thing</a>, <a href=3>a third thing</a>"
    page = parse(
        f"<body><div class=doc><div class=part><h2>What</h2><p>{FIRST}{SECOND}{THIRD}</p></div>"
        f"<div class=part><p>{SENTENCES}</p></div><div class=part><h2>See also</h2>{links}</div>"
        f"</div><aside class='footnote brackets' role=note>[1] {links}</aside></body>",
        "a.html",
    )
    assert "See also\n\nOne thing, another thing" in page.text
    assert "[1] One thing" in page.text


def test_a_section_named_after_its_heading_stays(parse: Parse) -> None:
    """Generators make ids of headings; a chapter on navigation is no menu."""
    for name in ("navigation", "sidebar", "footer", "pagination"):
        page = parse(
            f"<body><main><section id='{name}'><h2>{name}</h2><p>{FIRST}</p><p>{SECOND}</p>"
            f"</section><p>{THIRD}</p></main></body>",
            "a.html",
        )
        assert page.text.count(SENTENCES.strip()) == 3


def test_pages_that_are_all_boilerplate_by_name_are_kept(parse: Parse) -> None:
    page = parse(f"<body><div class='sidebar'><p>{FIRST}</p><p>{SECOND}</p></div></body>", "a.html")
    assert page.text.count(SENTENCES.strip()) == 2


def test_many_buttons_are_soon_looked_at(parse: Parse) -> None:
    """What measured the page anew for each would not be done before this test's time is over."""
    deep = "<div>" * 100 + "<button>cookies accept</button>" * 20_000 + "</div>" * 100
    assert parse(f"<body>{deep}<p>{FIRST}</p></body>", "a.html").text.startswith("First")
