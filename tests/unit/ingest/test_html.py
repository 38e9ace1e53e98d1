"""Web pages as people read them: manuals made by DocBook and Sphinx, and rough ones."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rostra.core import Settings
from rostra.ingest.document import ParsedDocument, check_document
from rostra.ingest.errors import NoText, TooDeep, TooLarge
from rostra.ingest.limits import ParseLimits
from rostra.ingest.parsers import parse_bytes

Parse = Callable[[bytes | str, str], ParsedDocument]
Texts = Callable[[ParsedDocument, str], list[str]]

DOCBOOK = """<?xml version="1.0" encoding="UTF-8"?>
<html xmlns="http://www.w3.org/1999/xhtml" lang="en"><head><title>CREATE THING</title>
<style>p { color: red }</style></head><body>
<div class="navheader"><table><tr><th>CREATE THING</th></tr>
<tr><td><a href="a.html">Prev</a></td><td><a href="b.html">Next</a></td></tr></table></div>
<div class="refentry"><h2><span>CREATE THING</span></h2><p>CREATE THING &mdash; make a thing</p>
<h2>Synopsis</h2><pre class="synopsis">
CREATE THING [ CONCURRENTLY ] <em><code>name</code></em>
    ( { <em><code>column</code></em> } )
</pre>
<h2>Parameters</h2><dl>
<dt><span><code>UNIQUE</code></span></dt><dd><p>Causes the system to
   check   for duplicates.</p><p>More on it.</p></dd>
<dt>CONCURRENTLY</dt><dd><p>Builds without locking out writes
   on the table; see <a href="#x">Building</a> below.</p></dd></dl>
<div class="note"><h3 class="title">Note</h3><p>Mind the gap.</p></div>
<h3>Building Things Concurrently</h3><p>It takes longer.</p>
<div class="table"><p class="title"><b>Table 1. Kinds</b></p><table summary="Kinds">
<thead><tr><th>Name</th><th>Notes</th></tr></thead>
<tbody><tr><td>a|b</td><td><p>two
lines</p></td></tr></tbody></table></div>
</div><div class="navfooter"><p>Prev Next Home</p></div></body></html>"""

SPHINX = """<!DOCTYPE html><html><head><title>os — Interfaces</title></head><body>
<div class="related" role="navigation"><h3>Navigation</h3><ul><li>index</li></ul></div>
<div class="document"><div class="body" role="main"><section id="os">
<h1>os — Interfaces<a class="headerlink" href="#os">¶</a></h1>
<p>This module has functions.</p>
<dl class="py function"><dt class="sig" id="os.join"><span>os.</span>join(<em>path</em>)
<a class="headerlink" href="#os.join">¶</a></dt><dd><p>Join paths.</p>
<div class="highlight"><pre><span></span><span>&gt;&gt;&gt; </span><span>join</span>()
<span>1</span>
</pre></div></dd></dl>
<dl class="py function"><dt class="sig" id="os.split">os.split(path)</dt><dd><p>Split.</p></dd></dl>
</section></div></div>
<div class="sphinxsidebar"><h3>Table of Contents</h3></div><div class="footer">Copyright</div>
</body></html>"""


def test_a_reference_page(parse: Parse, texts: Texts) -> None:
    page = parse(DOCBOOK, "sql-creatething.html")
    assert page.text == (
        "CREATE THING\n\nCREATE THING — make a thing\n\nSynopsis\n\n"
        "CREATE THING [ CONCURRENTLY ] name\n    ( { column } )\n\n"
        "Parameters\n\nUNIQUE\nCauses the system to check for duplicates.\n\nMore on it.\n\n"
        "CONCURRENTLY\nBuilds without locking out writes on the table; see Building below.\n\n"
        "Note\n\nMind the gap.\n\nBuilding Things Concurrently\n\nIt takes longer.\n\n"
        "Table 1. Kinds\n\n| Name | Notes |\n| a\\|b | two lines |"
    )
    assert page.title == "CREATE THING"
    assert page.metadata["lang"] == "en"
    headings = [(s.level, page.text[s.start : s.end]) for s in page.spans if s.kind == "heading"]
    assert headings == [
        (2, "CREATE THING"),
        (2, "Synopsis"),
        (2, "Parameters"),
        (3, "Building Things Concurrently"),
    ]
    assert texts(page, "code") == ["CREATE THING [ CONCURRENTLY ] name\n    ( { column } )"]
    assert texts(page, "row") == ["| Name | Notes |", "| a\\|b | two lines |"]
    assert texts(page, "table") == ["| Name | Notes |\n| a\\|b | two lines |"]
    assert texts(page, "list_item")[0].startswith("UNIQUE\nCauses")


def test_an_api_page(parse: Parse, texts: Texts) -> None:
    page = parse(SPHINX, "os.html")
    assert page.text == (
        "os — Interfaces\n\nThis module has functions.\n\nos.join(path)\nJoin paths.\n\n"
        ">>> join()\n1\n\nos.split(path)\nSplit."
    )
    assert texts(page, "heading") == ["os — Interfaces", "os.join(path)", "os.split(path)"]


def test_a_term_is_no_heading_when_its_list_is_followed_by_text(parse: Parse, texts: Texts) -> None:
    page = parse("<dl><dt id=a>Term</dt><dd>What.</dd></dl><p>Something else.</p>", "a.html")
    assert texts(page, "heading") == []
    assert page.text == "Term\nWhat.\n\nSomething else."


def test_lists_nest_and_count(parse: Parse) -> None:
    page = parse(
        "<p>See:</p><ul><li>a<ul><li>b</li></ul></li><li><p>c</p></li></ul>"
        "<ol start=3><li>x</li><li>y</li></ol>",
        "a.html",
    )
    assert page.text == "See:\n\n- a\n  - b\n- c\n3. x\n4. y"


def test_hidden_and_active_parts_are_left_out(parse: Parse) -> None:
    page = parse(
        "<body><script>var a</script><noscript>no</noscript><template>t</template>"
        "<p hidden>h</p><p style='display: none'>s</p><p aria-hidden=true>i</p><nav>n</nav>"
        "<p>shown<!-- comment --> text</p><button>press</button></body>",
        "a.html",
    )
    assert page.text == "shown text"


def test_navigation_rules_never_take_the_main_content(parse: Parse) -> None:
    heading = parse("<div class='sidebar'><main><h1>Main</h1><p>text</p></main></div>", "a.html")
    assert heading.text == "Main\n\ntext"
    assert parse("<div class='has-sidebar'><p>text</p></div>", "a.html").text == "text"
    assert parse("<p>x<span class='footnote'>1</span></p>", "a.html").text == "x1"
    everything = "<div class='navigation'><p>" + "All there is. " * 50 + "</p></div><p>tail</p>"
    assert parse(everything, "a.html").text.startswith("All there is.")


def test_layout_tables_flow_as_text(parse: Parse, texts: Texts) -> None:
    single = parse("<table><tr><td>one</td></tr><tr><td>two</td></tr></table>", "a.html")
    assert single.text == "one\n\ntwo"
    nested = parse("<table><tr><td><h2>H</h2><p>p</p></td><td>side</td></tr></table>", "a.html")
    assert nested.text == "H\n\np\n\nside"
    entries = parse(
        "<table><tr><td><p>f(x)</p><p>Does it.</p></td></tr>"
        "<tr><td><p>g(x)</p><p>Undoes it.</p></td></tr></table>",
        "a.html",
    )
    assert entries.text == "f(x)\nDoes it.\n\ng(x)\nUndoes it."
    assert texts(entries, "row") == []


SCORES = """<table><caption>Marks</caption>{head}
<tr><td rowspan=2>Ann</td><td>1</td><td>2</td></tr>
<tr><td colspan=2>absent</td></tr><tr><td colspan=3>All others</td></tr>
<tr><td>Bob</td><td>3</td><td>4</td></tr></table>"""
BODY = ["| Ann | 1 | 2 |", "| Ann | absent | absent |", "| All others |", "| Bob | 3 | 4 |"]
TWO_LINES = (
    "<tr><th rowspan=2>Name</th><th colspan=2>Score</th></tr><tr><th>Math</th><th>Art</th></tr>"
)


@pytest.mark.parametrize("head", [f"<thead>{TWO_LINES}</thead>", TWO_LINES])
def test_cells_that_span_others(head: str, parse: Parse, texts: Texts) -> None:
    page = parse(SCORES.format(head=head), "a.html")
    assert texts(page, "row") == ["| Name | Score Math | Score Art |", *BODY]
    assert page.text.startswith("Marks\n\n| Name")
    titled = parse(SCORES.format(head=f"<tr><th colspan=9>In 2026</th></tr>{head}"), "a.html")
    if head is TWO_LINES:
        assert titled.text.startswith("Marks\n\nIn 2026\n\n| Name | Score Math |")


def test_spans_end_where_their_part_of_the_table_does(parse: Parse, texts: Texts) -> None:
    page = parse(
        "<table><thead><tr><th rowspan=9>A</th><th>B</th></tr></thead>"
        "<tbody><tr><td rowspan=0>1</td><td colspan=x>2</td></tr><tr><td>3</td></tr></tbody>"
        "<tbody><tr><td rowspan=-1>4</td><td colspan=1000000>5</td></tr></tbody></table>",
        "a.html",
    )
    assert texts(page, "row") == ["| A | B |", "| 1 | 2 |", "| 1 | 3 |", "| 4 | 5 |"]
    only = parse(
        "<table><tr><th>A</th><th>B</th></tr><tr><th>C</th><th>D</th></tr></table>", "a.html"
    )
    assert texts(only, "row") == ["| A | B |", "| C | D |"]


def test_spans_made_to_do_harm(parse: Parse) -> None:
    """Past what may be repeated, tables are read cell by cell."""
    wide = "<tr><td>" + "<td>".join(["x"] * 1_000) + "</tr>"
    rows = "<tr><td colspan=500>" + "y" * 300 + "<td colspan=500>z</tr>"
    assert len(parse(f"<table>{wide}{rows * 500}</table>", "a.html").text) < 1_000_000
    tall = "<tr>" + "<td rowspan=60000>" * 3_000 + "<td>a</tr>" + "<tr><td>b</tr>" * 20_000
    assert len(parse(f"<table>{tall}</table>", "a.html").text) < 1_000_000


def test_line_breaks_and_entities(parse: Parse) -> None:
    page = parse("<p>a<br>b &amp; &lt;c&gt;&nbsp;d<br><br>e&shy;f</p>", "a.html")
    assert page.text == "a\nb & <c> d\n\nef"


def test_characters_that_no_page_should_name(parse: Parse) -> None:
    page = parse("<table><tr><td><p>a</p>&#1;x<p>b</p></td><td>c</td></tr></table>", "a.html")
    assert page.text == "| a \ufffdx b | c |"
    flowing = parse("<table><tr><td><p>&#2;a</p></td></tr></table>", "a.html")
    assert flowing.text.endswith("a")


def test_charset_from_the_page(parse: Parse) -> None:
    page = parse("<meta charset=windows-1251><p>Привет</p>".encode("cp1251"), "a.html")
    assert page.text == "Привет"
    assert page.metadata["encoding"] == "cp1251"


def test_title_falls_back_to_heading_then_name(parse: Parse) -> None:
    assert parse("<h1>Head\nline</h1><p>x</p>", "a.html").title == "Head line"
    assert parse("<p>x</p>", "a.html").title == "a.html"
    assert parse("<title>" + "long " * 200 + "</title><p>x</p>", "a.html").title.startswith("long")


def test_an_entity_bomb_is_not_expanded(parse: Parse) -> None:
    entities = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 9))
    bomb = f'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e0 "boom">{entities}]><p>&e8; text</p>'
    assert len(parse(bomb, "a.html").text) < 2000


def test_a_page_without_text(parse: Parse) -> None:
    with pytest.raises(NoText):
        parse("<html><body><img src=x></body></html>", "a.html")


def test_a_page_nested_beyond_reading(parse: Parse) -> None:
    with pytest.raises(TooDeep):
        parse("<div>" * 100_000 + "text", "a.html")


def test_text_over_the_limit(settings: Settings) -> None:
    limits = ParseLimits.of(settings.model_copy(update={"max_text_chars": 50}))
    with pytest.raises(TooLarge):
        parse_bytes(b"<p>" + b"word " * 50, "a.html", limits)


TAGS = ["p", "div", "ul", "li", "dl", "dt", "dd", "table", "tr", "td", "th", "pre", "br", "h1"]
TAGS += ["h2", "span", "a", "nav", "b", "section"]
PIECES = st.lists(
    st.one_of(
        st.sampled_from([f"<{tag}>" for tag in TAGS] + [f"</{tag}>" for tag in TAGS]),
        st.sampled_from(
            [
                "<dt id=x>",
                "<td rowspan=3>",
                "<th colspan=2>",
                "<thead>",
                "<div class=note>",
                "<div class=navbar>",
                "&amp;",
                "&#0;",
            ]
        ),
        st.text(alphabet="ab |\n\u2028\xa0é😀", max_size=5),
    ),
    max_size=40,
)


@given(PIECES)
def test_any_soup_of_tags_gives_a_sound_document(pieces: list[str]) -> None:
    limits = ParseLimits.of(Settings())
    data = "<p>x</p>" + "".join(pieces)
    check_document(parse_bytes(data.encode(), "a.html", limits))
