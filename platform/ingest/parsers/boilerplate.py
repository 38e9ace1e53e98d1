"""What of a web page is no part of its main text: menus, banners, footers, sidebars, consent.

Names of classes and ids, roles and tags decide first; then where text lies: outside of `<main>`, or
beside the part that holds most of the prose, blocks of links go. A part that holds `<main>`, an
article or the page's `<h1>` never goes. How much prose went is told, so that a caller can tell when
these rules were wrong. Elements are emptied, never taken out: what stands after them stays.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from lxml import etree

from rostra.core import collapse_whitespace


def _tags(names: str) -> tuple[str, ...]:
    return tuple(names.split())


_INVISIBLE = _tags(
    "script style noscript template svg iframe frameset object embed applet audio video "
    "canvas map select datalist option button textarea dialog rp annotation annotation-xml "
    "colgroup"
)
_HIDDEN_STYLE = re.compile(r"(?:display\s*:\s*none|visibility\s*:\s*hidden)", re.I)
_BOILERPLATE_TAGS = frozenset({"nav", "header", "footer"})
_BOILERPLATE_ROLES = frozenset({"navigation", "banner", "contentinfo", "search", "menu", "menubar"})
_NOTE_ROLES = frozenset({"note", "doc-footnote", "doc-endnotes", "doc-tip"})
# Whole class names and ids, or whole words at the beginning of one: `nav`, `navheader`,
# `sidebar-left`; not `footnote`, `has-sidebar`, `navigable`.
_BOILERPLATE_NAME = re.compile(
    r"(?:nav|navbar|navheader|navfooter|navbox|navigation|topnav|subnav|topbar|masthead"
    r"|sidebar|sidebars|sphinxsidebar|widget-area|breadcrumbs?|headerlink|mw-editsection"
    r"|mw-(?:navigation|panel|head)|catlinks|printfooter|footer|skip-?link|skip-(?:to|nav)"
    r"|linenos|lineno|pagination|pager|site-(?:header|footer|nav|menu)|page-footer|main-menu"
    r"|(?:related|recommended|popular|recent)-(?:posts|articles|links|pages|stories|news|content)"
    r"|share-(?:buttons|links|bar|tools)|social-(?:share|links|media|icons|bar|buttons)|sharedaddy"
    r"|newsletter|subscribe-(?:form|box)|advert|adverts|advertisement|ad-(?:slot|banner|unit)|adsbygoogle"
    r"|cookies?-?(?:banner|consent|notice|bar|popup|message|law|policy-banner)|consent-(?:banner|popup)"
    r"|gdpr|onetrust|cc-(?:window|banner)|cmp-(?:banner|container)|cybotcookiebotdialog)"
    r"(?:$|[-_](?!item|content|main|text))|related$",
    re.I,
)
_CONTAINERS = _tags(
    "a aside div footer form header li menu nav ol p section span table td th tr ul"
)
_NEVER = frozenset({"html", "body", "main", "article"})
_MAIN = ".//main | .//article | .//h1 | .//*[@role='main']"
_IN_TEXT = "ancestor::main | ancestor::article | ancestor::blockquote | ancestor::*[@role='main']"
_NOTES = re.compile(r"foot-?notes?|endnotes?|references|bibliography", re.I)
_COOKIE = re.compile(r"\b(?:cookies?|gdpr)\b", re.I)
_CONSENT = re.compile(
    r"\b(?:accept|agree|allow|consent|got it|okay?|reject|decline|manage|settings|preferences"
    r"|akzeptieren|zustimmen|ablehnen|accepter|refuser|aceptar|rechazar|accetta)\b",
    re.I,
)
_MAX_BANNER_CHARS = 1000
_MAX_BANNER_DEPTH = 6
_MAX_BUTTONS = 25
# A banner is little beside its page; a page about cookies is not.
_BANNER_SHARE = 0.5
# Prose of a part that may be more than furniture.
_PROSE_CHARS = 200
_SOME_PROSE_CHARS = 80
_LINK_SHARE = 0.5
_ASIDE_LINK_SHARE = 0.3
_LEAST_LINKS = 3
_DOMINANT = 0.6
_MAX_DESCENT = 16


@dataclass(slots=True)
class Dropped:
    """What a page lost.

    Attributes:
        chars: code points of text that went.
        prose: of these, code points outside of links, in parts that may have been main text.
    """

    chars: int = 0
    prose: int = 0


@dataclass(frozen=True, slots=True)
class _Measure:
    """How much text an element holds, in code points, and how much of it is links."""

    chars: int
    linked: int
    links: int

    @property
    def prose(self) -> int:
        return self.chars - self.linked

    def is_links(self, share: float = _LINK_SHARE) -> bool:
        return self.links >= _LEAST_LINKS and self.linked >= share * self.chars


def prune_hidden(root: etree._Element) -> None:
    """Empties what is not shown."""
    etree.strip_elements(root, *_INVISIBLE, with_tail=False)
    for head in list(root.iter("head")):
        head.clear(keep_tail=True)
    for element in root.xpath(".//*[@hidden or @aria-hidden='true' or @style]"):
        style = element.get("style")
        if style is None or "hidden" in element.attrib or _HIDDEN_STYLE.search(style):
            element.clear(keep_tail=True)


def prune_boilerplate(root: etree._Element) -> Dropped:
    """Empties what is not shown and what is no part of the main text."""
    dropped = Dropped()
    _drop_banners(root, dropped)
    prune_hidden(root)
    _drop_named(root, dropped)
    mains = root.xpath(".//main | .//*[@role='main'][not(self::main)]")
    if len(mains) == 1:
        _drop_around(mains[0], dropped)
    elif not mains and next(root.iter("article"), None) is None:
        _drop_beside(root, dropped)
    return dropped


def _drop_banners(root: etree._Element, dropped: Dropped) -> None:
    """Empties dialogs, and small blocks that ask for consent to cookies with a button."""
    for element in root.xpath(".//*[@role='dialog' or @role='alertdialog' or @aria-modal='true']"):
        if not _holds_main(element) and element.tag not in _NEVER:
            dropped.chars += _text_chars(element)
            element.clear(keep_tail=True)
    if not _COOKIE.search("".join(root.itertext())):
        return
    page_chars = -1
    buttons = list(root.iter("button"))
    # A banner stands first or last on its page.
    for button in buttons[:_MAX_BUTTONS] + buttons[_MAX_BUTTONS:][-_MAX_BUTTONS:]:
        block = None
        for above in islice(button.iterancestors(), _MAX_BANNER_DEPTH):
            if above.tag in _NEVER or _text_chars(above) > _MAX_BANNER_CHARS:
                break
            block = above
            if above.tag in {"div", "section", "aside", "form"} and _asks(above):
                break
        if block is None or not _asks(block) or block.xpath(_IN_TEXT) or _holds_main(block):
            continue
        page_chars = _text_chars(root) if page_chars < 0 else page_chars
        chars = _text_chars(block)
        if chars < _BANNER_SHARE * page_chars:
            dropped.chars += chars
            block.clear(keep_tail=True)


def _asks(element: etree._Element) -> bool:
    text = "".join(element.itertext())
    return bool(_COOKIE.search(text) and _CONSENT.search(text))


def _drop_named(root: etree._Element, dropped: Dropped) -> None:
    """Empties what its tag, role, class or id says to be furniture."""
    names: dict[str, bool] = {}
    has_text = bool(root.xpath(".//main | .//article | .//*[@role='main']"))
    for element in list(root.iter(*_CONTAINERS)):
        named = f"{element.get('class') or ''} {element.get('id') or ''}"
        suspect = names.get(named)
        if suspect is None:
            # Ids of anchors and sections are as many as the page has.
            suspect = any(_BOILERPLATE_NAME.match(one) for one in named.split())
            if len(names) < 1000:
                names[named] = suspect
        tag, role = element.tag, element.get("role")
        if not suspect:
            if tag == "aside" or role == "complementary":
                suspect = _is_sidebar(element, has_text)
            else:
                suspect = (tag in _BOILERPLATE_TAGS and not _is_of_text(element)) or (
                    role in _BOILERPLATE_ROLES
                )
        elif _is_named_by_heading(element):
            suspect = False
        if not suspect or tag in _NEVER or role == "main" or element.xpath(_MAIN):
            continue
        if tag != "a":
            _count(element, dropped)
        element.clear(keep_tail=True)


def _is_named_by_heading(element: etree._Element) -> bool:
    """Whether only its id, made of its own heading, sounds like furniture: `#navigation`."""
    if any(_BOILERPLATE_NAME.match(one) for one in (element.get("class") or "").split()):
        return False
    first = next(iter(element), None)
    return (
        first is not None
        and first.tag in {"h2", "h3", "h4", "h5", "h6"}
        and _measure(element).prose >= _PROSE_CHARS
    )


def _is_sidebar(aside: etree._Element, has_text: bool) -> bool:
    """Whether an aside stands beside the text, or links elsewhere; others are notes of the text."""
    if _is_note(aside):
        return False
    if has_text and not aside.xpath(_IN_TEXT):
        return True
    return _measure(aside).is_links(_ASIDE_LINK_SHARE)


def _is_of_text(element: etree._Element) -> bool:
    """Whether a header or footer is one of an article: its title and lead, or notes and sources."""
    if element.tag == "nav":
        return False
    if element.tag == "footer":
        if _is_note(element):
            return True
        if not element.xpath(_IN_TEXT):
            return False
        measure = _measure(element)
        quoted = element.xpath("ancestor::blockquote")
        return bool(quoted) or (
            measure.prose >= _SOME_PROSE_CHARS and not measure.is_links(_ASIDE_LINK_SHARE)
        )
    return bool(element.xpath(_IN_TEXT))


def _drop_around(main: etree._Element, dropped: Dropped) -> None:
    """Empties what stands outside of the main part and has hardly any prose."""
    inner = main
    for above in main.iterancestors():
        for part in above:
            if part is not inner and isinstance(part.tag, str) and not _stays(part):
                measure = _measure(part)
                if measure.chars and (measure.prose < _PROSE_CHARS or measure.is_links()):
                    _count(part, dropped)
                    part.clear(keep_tail=True)
        inner = above
        if above.tag == "body":
            return


def _drop_beside(root: etree._Element, dropped: Dropped) -> None:
    """Empties blocks of links beside the part that holds most of the page's prose.

    A page that mostly is links, an index, keeps all of them.
    """
    bodies = list(root.iter("body"))
    part = bodies[0] if bodies else root
    measure = _measure(part)
    if measure.linked > _DOMINANT * measure.chars:
        return
    for _ in range(_MAX_DESCENT):
        inside = [(child, _measure(child)) for child in part if isinstance(child.tag, str)]
        largest = max(inside, key=lambda item: item[1].prose, default=None)
        if largest is None or largest[1].prose < _DOMINANT * measure.prose:
            return
        if any(
            _is_alike(child, largest[0]) and its.prose >= _SOME_PROSE_CHARS
            for child, its in inside
            if child is not largest[0]
        ):
            # One of several sections, and what is short among them belongs to the text too.
            return
        for child, its in inside:
            furniture = child is not largest[0] and its.is_links() and its.prose < _PROSE_CHARS
            if furniture and child.tag not in {"p", "pre", "tr"} and not _stays(child):
                _count(child, dropped)
                child.clear(keep_tail=True)
        part, measure = largest


def _stays(element: etree._Element) -> bool:
    return _holds_main(element) or _is_note(element)


def _is_note(element: etree._Element) -> bool:
    named = f"{element.get('class') or ''} {element.get('id') or ''}"
    return element.get("role") in _NOTE_ROLES or bool(_NOTES.search(named))


def _is_alike(one: etree._Element, other: etree._Element) -> bool:
    return (one.tag, one.get("class")) == (other.tag, other.get("class"))


def _holds_main(element: etree._Element) -> bool:
    return element.tag in {"main", "article", "h1"} or bool(element.xpath(_MAIN))


def _count(element: etree._Element, dropped: Dropped) -> None:
    measure = _measure(element)
    dropped.chars += measure.chars
    dropped.prose += measure.prose


def _text_chars(element: etree._Element) -> int:
    return len(collapse_whitespace("".join(element.itertext())))


def _measure(element: etree._Element) -> _Measure:
    linked = links = 0
    for link in _outermost_links(element):
        links += 1
        linked += _text_chars(link)
    return _Measure(_text_chars(element), linked, links)


def _outermost_links(element: etree._Element) -> Iterator[etree._Element]:
    """Links to somewhere; names within the page are none."""
    for link in element.iter("a"):
        if link.get("href") is not None:
            yield link
