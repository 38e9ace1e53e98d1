"""Which pages are never trained on.

A page is known by its place among the installed documentation, so that it is held out wherever the
folder lies; one page of ten is, by a hash. A passage of a reading set is known by its text.

What always holds: whether a page is held out depends on its name alone.
"""

import hashlib

_OF = 10  # one of so many is held out
# Debian's folder of documentation; a page's name is its path below.
_INSTALLED = "file:///usr/share/doc/"
_BELOW = "/doc/"
_PARTS = 3


def page_name(uri: str) -> str:
    """A page's name, e.g. `postgresql-doc-15/html/acronyms.html`.

    >>> page_name("file:///usr/share/doc/python3.11/html/library/re.html")
    'python3.11/html/library/re.html'
    >>> page_name("file:///srv/a/b/c.html")
    'a/b/c.html'
    """
    _, found, below = uri.rpartition(_BELOW)
    return below if found else "/".join(uri.split("/")[-_PARTS:])


def is_held_out(uri: str) -> bool:
    """Whether a page, by its uri or its name, is never trained on."""
    return _is_drawn(_INSTALLED + page_name(uri))


def is_held_out_text(text: str) -> bool:
    """Whether a passage of a reading set is never trained on."""
    return _is_drawn(text)


def _is_drawn(name: str) -> bool:
    return hashlib.blake2b(name.encode(), digest_size=2).digest()[0] % _OF == 0
