"""Links and images that would leave the house when a text is rendered.

A poisoned document can make a model write an image whose address holds what the model has read;
the page that shows it sends it away. So after this filter no CommonMark or HTML renderer, with or
without GFM's literal autolinks, makes a link or image of the text that goes to a host that is not
allowed, or that has a scheme other than http and https; mail addresses without a scheme stay.

That is reached not by parsing as some renderer does but by leaving none of them a construct:

- a destination after `](` or `]:` stays only if it is surely relative or surely on an allowed
  host, whatever is escaped, encoded or wide in it; otherwise a space breaks the construct;
- `<` before a scheme, or before a tag with attributes, gets a space, and `//` before a host;
- an address with a scheme, or beginning with `www.`, is replaced, host and all.

What always holds: text without links and addresses loses nothing; at most it gains a space, as code
with `<a b=c` does. A host without scheme or `www.` is text, as in GFM, spec section 6.9; a page
that links such names must not be given text of models.
"""

import html
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from rostra.agents.guard.filters import Filtered, run_passes
from rostra.agents.guard.rewrite import Edit

Found = tuple[list[Edit], list[str]]

_INLINE = re.compile(
    r"(!?)\[([^\[\]]{0,500})\]\(\s{0,9}"
    r"(<[^<>\n]{0,4000}>|[^\s<>()]{0,4000}(?:\([^\s<>()]{0,4000}\)[^\s<>()]{0,4000}){0,9})"
    r"""(?:\s{1,9}(?:"[^"]{0,500}"|'[^']{0,500}'|\([^()]{0,500}\)))?\s{0,9}\)""",
    re.ASCII,
)
_HTML_LINK = re.compile(r"<(a|img)\b([^<>]*)>", re.IGNORECASE)
_ADDRESS_IN_TAG = re.compile(r"""(?:href|src)\s*=\s*["']?\s*([^\s"'<>]+)""", re.IGNORECASE)
# Container marks may stand between a definition's label and its destination on the next line.
_BEFORE_DESTINATION = re.compile(r"\](?:\(|:)(?=([\s><]*)(\S{0,1000}))", re.ASCII)
_OPEN = re.compile(
    r"<(?=(?P<scheme>[A-Za-z][A-Za-z0-9+.-]{1,31}:[^\x00-\x20<>]*>)"
    r"|(?P<raw>(?:script|style)\b)"
    r"|(?P<tag>[A-Za-z][^\s<>/]*[\s/<])"
    r"|(?P<mail>[^\x00-\x20<>@]+@[^\x00-\x20<>]*>))",
    re.IGNORECASE,
)
_BARE = re.compile(
    r"(?:(?:https?|ftps?)://|(?<![a-z0-9])www\.|(?<![a-z])(?:mailto|xmpp):)"
    r"""(?=[^\s>"'`⟨⟩]|["'`]+[^\s<>"'`,.;:)\]])"""
    r"|(?<![:/])//(?=localhost|[^\s/]*\w\.\w)",
    re.IGNORECASE,
)
_RUN = re.compile(r"""[^\s<>"]+""")
_ESCAPE = re.compile(r"&[#a-z0-9]{2}|\\[:/.]", re.IGNORECASE)
_ADDRESS = re.compile(r"""[^\s<>"'`⟨⟩]*""")
_CLOSERS = {"(": ")", "[": "]"}
# What follows the host must end it for every renderer and browser: `good.example".evil.example` is
# a name to browsers, and `good.example>@evil.example` a user. So sentence marks and brackets end it
# only where space follows them.
_ABSOLUTE = re.compile(
    r"https?://(?P<host>[a-z0-9](?:[a-z0-9.-]{0,250}[a-z0-9])?)(?::\d{1,5})?"
    r"""(?=[/?#]|[.,;:!?'")\]}>*_~]*(?:\s|$))""",
    re.IGNORECASE | re.ASCII,
)
_WHOLE = re.compile(
    r"https?://(?P<host>[a-z0-9](?:[a-z0-9.-]{0,250}[a-z0-9])?)(?::\d{1,5})?(?:[/?#][^\\]*)?",
    re.IGNORECASE | re.ASCII,
)
# Nothing in it can be an escape, a scheme, or another host.
_SURELY_RELATIVE = re.compile(r"(?!//)[!-%'-9;-\[\]-~]*", re.ASCII)
_LEAVES = re.compile(r"//|[a-z][a-z0-9+.-]*:[^\s>]", re.IGNORECASE)
_HOST = re.compile(r"(?:(?:https?|ftps?):)?/+(?:[^/?#]*@)?([a-z0-9.-]{1,100})", re.IGNORECASE)
_WORTH_TELLING = re.compile(
    r"//|(?:https?|ftps?|javascript|vbscript|data|blob|file|mailto):", re.IGNORECASE
)
_NOT_SEEN = re.compile("[\x00-\x20\x7f-\xa0\u200b-\u200f\u2028-\u202e\u2060-\u2064\ufeff]")


@dataclass(frozen=True, slots=True)
class ForeignLinks:
    """Removes them.

    Attributes:
        hosts: where links may go, in lower case; one that begins with a dot allows those below it.
    """

    hosts: frozenset[str] = frozenset()
    name: ClassVar[str] = "links"

    def __call__(self, text: str) -> Filtered:
        """See `OutputFilter`."""
        passes = [self._readable, self._destinations, self._tags, _openings, self._bare, _encoded]
        return run_passes(self.name, text, passes)

    def allows(self, host: str) -> bool:
        """Whether links may go there."""
        host = host.lower()
        above = (host[at:] for at, char in enumerate(host) if char == ".")
        return host in self.hosts or not self.hosts.isdisjoint(above)

    def _leaves(self, destination: str) -> bool:
        """Whether a destination could be read as anything but relative or allowed."""
        if _SURELY_RELATIVE.fullmatch(destination):
            return False
        if (whole := _WHOLE.fullmatch(destination)) and self.allows(whole["host"]):
            return False
        return any(_LEAVES.match(plain) for plain in _readings(destination))

    def _readable(self, text: str) -> Found:
        """Well-formed links and images, so that what is left of them reads well."""
        edits: list[Edit] = []
        found: list[str] = []
        if "](" not in text:
            return edits, found
        for match in _INLINE.finditer(text):
            image, label, destination = match.groups()
            destination = destination.removeprefix("<").removesuffix(">")
            if not self._leaves(destination):
                continue
            notice, what = _notice(destination, image=bool(image))
            edits.append(Edit(*match.span(), f"{label} {notice}" if label.strip() else notice))
            found.append(what)
        return edits, found

    def _tags(self, text: str) -> Found:
        edits: list[Edit] = []
        found: list[str] = []
        for match in _HTML_LINK.finditer(text):
            address = _ADDRESS_IN_TAG.search(match[2])
            if address is None or not self._leaves(address[1]):
                continue
            notice, what = _notice(address[1], image=match[1].lower() == "img")
            edits.append(Edit(*match.span(), f"{notice} "))
            found.append(what)
        return edits, found

    def _destinations(self, text: str) -> Found:
        edits: list[Edit] = []
        found: list[str] = []
        if "](" not in text and "]:" not in text:
            return edits, found
        for match in _BEFORE_DESTINATION.finditer(text):
            between, run = match.groups()
            if "<" in between:
                # A destination in angle brackets may hold spaces.
                run = text[match.end() + len(between) :].partition("\n")[0].partition(">")[0]
                exact = run
            else:
                exact = _balanced(run, "(") if match[0] == "](" else run
            if not self._leaves(exact):
                continue
            edits.append(Edit(match.start() + 1, match.start() + 1, " "))
            if any(_WORTH_TELLING.match(plain) for plain in _readings(run)):
                found.append(_notice(run)[1])
        return edits, found

    def _bare(self, text: str) -> Found:
        edits: list[Edit] = []
        found: list[str] = []
        if not _may_have_address(text):
            return edits, found
        position = 0
        while (match := _BARE.search(text, position)) is not None:
            if match[0] == "//":
                # As often a comment in code; linkifiers want the name right behind.
                position = match.end()
                edits.append(Edit(position, position, " "))
                continue
            position = _address_end(text, match.end())
            scheme = "http://" if match[0].lower() == "www." else ""
            absolute = _ABSOLUTE.match(scheme + text[match.start() : match.end() + 300])
            if absolute and self.allows(absolute["host"]):
                # Where it ends is the renderer's to say, so what follows is looked at too.
                position = match.start() + absolute.end() - len(scheme)
                continue
            notice, what = _notice(text[match.start() : position])
            edits.append(Edit(match.start(), position, notice))
            found.append(what)
        return edits, found


def hosts_in(text: str) -> frozenset[str]:
    """Hosts of the http and https addresses in a text, such as the words of the user."""
    return frozenset(
        match["host"].lower()
        for begin in _BARE.finditer(text)
        if (match := _ABSOLUTE.match(text, begin.start()))
    )


def _openings(text: str) -> Found:
    """Autolinks, and tags that could load or link something.

    A tag can do so only in an attribute's value, so there is an equals sign before the first `>`:
    neither names nor unquoted values hold one. Names may hold a `<`, which here may get a space.
    """
    edits: list[Edit] = []
    found: list[str] = []
    if "<" not in text:
        return edits, found
    equals = closes = -1
    for match in _OPEN.finditer(text):
        if match["tag"] is not None:
            if equals < match.end():
                equals = _find(text, "=", match.end())
            if closes < match.end():
                closes = _find(text, ">", match.end())
            if equals > closes or equals == len(text):
                continue
        elif match["scheme"] is not None and _BARE.match(match["scheme"]):
            continue  # the address itself is looked at next
        elif match["mail"] is not None and not set("?&%") & set(match["mail"]):
            continue
        edits.append(Edit(match.end(), match.end(), " "))
        found.append("HTML" if match["tag"] or match["raw"] else "link")
    return edits, found


def _encoded(text: str) -> Found:
    """Addresses that only show once entities and backslash escapes are decoded."""
    edits: list[Edit] = []
    found: list[str] = []
    if "&" not in text and "\\" not in text:
        return edits, found
    for match in _RUN.finditer(text):
        if _ESCAPE.search(match[0]) is None:
            continue
        for plain in _readings(match[0]):
            if address := _BARE.search(plain):
                notice, what = _notice(plain[address.start() :])
                edits.append(Edit(*match.span(), notice))
                found.append(what)
                break
    return edits, found


def _readings(destination: str) -> Iterator[str]:
    """What renderers and browsers may take a destination for.

    Markdown decodes entities and drops backslashes before punctuation; browsers take a backslash
    for a slash and skip controls; names in wide letters are folded.
    """
    plain = html.unescape(html.unescape(destination))
    plain = _NOT_SEEN.sub("", unicodedata.normalize("NFKC", plain))
    yield plain
    if "\\" in plain:
        yield plain.replace("\\", "")
        yield plain.replace("\\", "/")


def _notice(address: str, *, image: bool = False) -> tuple[str, str]:
    """What stands in an address's place, and what is said to have been found."""
    plain = next(iter(_readings(address)))
    match = _HOST.match(plain if not plain.lower().startswith("www.") else f"//{plain}")
    host = match[1].lower().strip(".-") if match else ""
    kind, preposition = ("image", "from") if image else ("link", "to")
    if not host:
        return f"⟨{kind} removed⟩", kind
    shown = host.replace(".", "[.]")
    return f"⟨{kind} {preposition} {shown} removed⟩", f"{kind} {preposition} {host}"


def _address_end(text: str, position: int) -> int:
    """Where an address ends that goes on there: at a space, a quote, or a bracket that it did not
    open; marks of a sentence at its end are not part of it."""
    rest = _ADDRESS.match(text, position)
    run = _balanced(rest[0] if rest else "", "([")
    return position + len(run.rstrip(".,;:!?*_~"))


def _balanced(run: str, openers: str) -> str:
    """The run up to a bracket that closes none of its own."""
    waiting: dict[str, int] = {_CLOSERS[opener]: 0 for opener in openers}
    for at, char in enumerate(run):
        if char in openers:
            waiting[_CLOSERS[char]] += 1
        elif char in waiting:
            if not waiting[char]:
                return run[:at]
            waiting[char] -= 1
    return run


def _may_have_address(text: str) -> bool:
    """Quick, and True for every text in which `_BARE` finds something."""
    lower = text.lower()
    return "//" in text or any(begin in lower for begin in ("www.", "mailto:", "xmpp:"))


def _find(text: str, char: str, start: int) -> int:
    at = text.find(char, start)
    return len(text) if at < 0 else at
