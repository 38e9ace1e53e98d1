"""Turns text into the terms that the lexical index counts.

What always holds: queries and passages go through the same analyzer; its `name` is kept with every
index built by it, and an index of another name is rebuilt, not misread. Analyzers may be shared by
threads.
"""

from collections.abc import Callable

from rostra.core import ConfigError
from rostra.retrieval.analysis.analyzer import Analyzer
from rostra.retrieval.analysis.batches import BatchAnalysis
from rostra.retrieval.analysis.cjk import CjkAnalyzer
from rostra.retrieval.analysis.code import CodeAnalyzer
from rostra.retrieval.analysis.english import EnglishAnalyzer
from rostra.retrieval.analysis.rows import TermRows, Vocabulary
from rostra.retrieval.analysis.snowball import SnowballAnalyzer, snowball_languages
from rostra.retrieval.analysis.words import UnicodeAnalyzer, folded

__all__ = [
    "Analyzer",
    "BatchAnalysis",
    "CjkAnalyzer",
    "CodeAnalyzer",
    "EnglishAnalyzer",
    "SnowballAnalyzer",
    "TermRows",
    "UnicodeAnalyzer",
    "Vocabulary",
    "analyzer_kinds",
    "folded",
    "make_analyzer",
    "snowball_languages",
]

_KINDS: dict[str, Callable[[], Analyzer]] = {
    "english": EnglishAnalyzer,
    "unicode": UnicodeAnalyzer,
    "cjk": CjkAnalyzer,
    "code": CodeAnalyzer,
}


def analyzer_kinds() -> list[str]:
    """What `make_analyzer` makes."""
    return [*_KINDS, *snowball_languages()]


def make_analyzer(kind: str) -> Analyzer:
    """The analyzer of a kind or of a name that one of them has.

    Args:
        kind: `english`, `unicode`, `cjk`, `code`, or a language such as `german`; or an analyzer's
            name, such as `german-1`.

    Raises:
        ConfigError: there is no such kind, or none of this name any more.
    """
    short = kind.partition("-")[0]
    if short in _KINDS:
        made = _KINDS[short]()
    elif short in snowball_languages():
        made = SnowballAnalyzer(short)
    else:
        raise ConfigError(f"no analyzer {kind!r}", hint=f"Known are {', '.join(analyzer_kinds())}.")
    if kind not in (short, made.name):
        raise ConfigError(f"no analyzer {kind!r} any more", hint=f"It is {made.name!r} now.")
    return made
