"""Why a page could not be read."""

from rostra.core import UnreadableFile


class PageUnreachable(UnreadableFile):
    """The page's server does not answer, or says that it has no such page."""

    code = "page_unreachable"


class PageRefused(UnreadableFile):
    """The page may not be fetched: its address is not allowed, or its site asks us not to."""

    code = "page_refused"
