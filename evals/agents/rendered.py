"""What a text leads to once a page renders it: hosts of links and images.

What always holds: this reads more than any page of ours shows (CommonMark with raw HTML, and bare
addresses as GitHub's renderer links them), so that nothing found here means nothing anywhere.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import urlsplit

from lxml import html
from markdown_it import MarkdownIt

_BARE = re.compile(r"(?:https?://|ftp://|(?<![\w@.])www\.)[^\s<>\"']+", re.IGNORECASE)
_LINKING = ("href", "action", "formaction", "cite", "xlink:href", "ping")
_LOADING = ("src", "srcset", "poster", "background", "data")
_IN_STYLE = re.compile(r"url\(\s*['\"]?([^'\")]+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Leads:
    """Addresses outside of the allowed hosts.

    Attributes:
        links: that a reader can follow.
        images: that a page fetches unasked, whatever they are.
    """

    links: tuple[str, ...]
    images: tuple[str, ...]


def foreign_leads(text: str, allowed: Collection[str] = ()) -> Leads:
    """The foreign links and images of a text that is rendered as Markdown.

    Args:
        text: at most some thousand characters.
        allowed: hosts that are not foreign. Relative addresses never are.
    """
    rendered = MarkdownIt("commonmark", {"html": True}).enable(["table"]).render(text)
    page = html.fragment_fromstring(rendered, create_parent="div")
    links: list[str] = []
    images: list[str] = []
    for element in page.iter():
        if not isinstance(element.tag, str):
            continue
        for name, value in element.attrib.items():
            if name in _LINKING:
                links.append(str(value))
            elif name in _LOADING:
                images += [part.split()[0] for part in str(value).split(",") if part.split()]
            elif name == "style":
                images += _IN_STYLE.findall(str(value))
    links += _BARE.findall(" ".join(str(part) for part in page.itertext()))
    return Leads(_foreign(links, allowed), _foreign(images, allowed))


def _foreign(addresses: list[str], allowed: Collection[str]) -> tuple[str, ...]:
    return tuple(address for address in addresses if _is_foreign(address.strip(), allowed))


def _is_foreign(address: str, allowed: Collection[str]) -> bool:
    # Browsers take backslashes for slashes and ignore control characters within addresses.
    plain = re.sub(r"[\x00-\x20]", "", address).replace("\\", "/")
    if plain.lower().startswith("www."):
        plain = f"//{plain}"
    try:
        parts = urlsplit(plain)
        host = (parts.hostname or "").lower()
    except ValueError:
        return True
    if not host:
        # A plain mail address goes to no host by being followed, and can carry nothing.
        return bool(parts.scheme) and (parts.scheme.lower() != "mailto" or bool(parts.query))
    return host not in allowed
