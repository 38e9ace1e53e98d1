"""Credentials: keys in the shapes that services give them, passwords, and what looks random.

What always holds: hexadecimal digests, UUIDs and long names stay; a random token is found by its
look only where it mixes upper case, lower case and digits as random ones do.
"""

import math
import re
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

from rostra.agents.guard.filters import Filtered, run_passes
from rostra.agents.guard.rewrite import Edit

_SHAPES = {
    "private key": r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----"
    r"[\s\S]{0,10000}?(?:-----END [A-Z ]{0,30}PRIVATE KEY-----|\Z)",
    "AWS key": r"\b(?:AKIA|ASIA)[A-Z2-7]{16}\b",
    "GitHub token": r"\b(?:gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9_]{22,255})\b",
    "GitLab token": r"\bglpat-[\w-]{20,64}",
    "Slack token": r"\bxox[abeoprs]-[A-Za-z0-9-]{10,250}",
    "API key": r"\bsk-(?:[a-z]{2,12}-){0,3}[A-Za-z0-9_-]{20,250}",
    "Google key": r"\bAIza[\w-]{35}",
    "Stripe key": r"\b[rs]k_(?:live|test)_[A-Za-z0-9]{16,250}\b",
    "Hugging Face token": r"\bhf_[A-Za-z0-9]{30,60}\b",
    "npm token": r"\bnpm_[A-Za-z0-9]{36}\b",
    "PyPI token": r"\bpypi-[\w-]{50,250}",
    "SendGrid key": r"\bSG\.[\w-]{16,32}\.[\w-]{32,64}",
    "JSON web token": r"\beyJ[\w-]{10,4000}\.eyJ[\w-]{10,4000}\.[\w-]{10,4000}",
}
_SHAPE = re.compile(
    "|".join(f"(?P<k{at}>{pattern})" for at, pattern in enumerate(_SHAPES.values()))
)
_NAMES = list(_SHAPES)
# One of these stands in each shape; looking for them is a hundred times as quick.
_HINTS = (
    *(
        "PRIVATE KEY",
        "AKIA",
        "ASIA",
        "ghp_",
        "gho_",
        "ghu_",
        "ghs_",
        "ghr_",
        "github_pat_",
        "glpat-",
        "xox",
        "sk-",
        "AIza",
        "k_live_",
        "k_test_",
    ),
    *("hf_", "npm_", "pypi-", "SG.", "eyJ"),
)
_ASSIGNED_HINTS = ("passw", "secret", "token", "key")
_URL_PASSWORD = re.compile(r"(?<=://)([^\s/@:<>\"']{1,100}:)([^\s/@<>\"']{1,200})(?=@)")
_ASSIGNED = re.compile(
    r"(?i)\b((?:[a-z0-9]{1,30}[_-]){0,3}(?:password|passwd|secret|token|api[_-]?key|access[_-]?key)"
    r"""["']?\s{0,3}[:=]\s{0,3}["']?)([^\s"'⟨⟩]{8,200})"""
)
_TOKEN = re.compile(r"(?<![\w+/-])[A-Za-z0-9_+/-]{32,512}={0,2}(?![\w+/=-])")
_LEAST_BITS = 4.0
_LEAST_CHANGES = 0.35


@dataclass(frozen=True, slots=True)
class Secrets:
    """Removes them."""

    name: ClassVar[str] = "secrets"

    def __call__(self, text: str) -> Filtered:
        """See `OutputFilter`."""
        return run_passes(self.name, text, [_shapes, _url_passwords, _assigned, _random])


def looks_random(token: str) -> bool:
    """Whether a token has the look of a generated one.

    Its characters carry at least 4 bits each, and kinds of character alternate as by chance: in
    random base 62 about 64 % of neighbours differ in kind, in names about 20 %.
    """
    kinds = ["d" if char.isdigit() else "u" if char.isupper() else "l" for char in token]
    if len(set(kinds)) < 3:
        return False
    changes = sum(a != b for a, b in pairwise(kinds)) / (len(kinds) - 1)
    shares = [count / len(token) for count in Counter(token).values()]
    bits = -sum(share * math.log2(share) for share in shares)
    return bits >= _LEAST_BITS and changes >= _LEAST_CHANGES


def _shapes(text: str) -> tuple[list[Edit], list[str]]:
    edits: list[Edit] = []
    found: list[str] = []
    if not any(hint in text for hint in _HINTS):
        return edits, found
    for match in _SHAPE.finditer(text):
        what = _NAMES[int((match.lastgroup or "k0")[1:])]
        edits.append(Edit(*match.span(), f"⟨{what} removed⟩"))
        found.append(what)
    return edits, found


def _url_passwords(text: str) -> tuple[list[Edit], list[str]]:
    edits = [Edit(*match.span(2), "⟨password removed⟩") for match in _URL_PASSWORD.finditer(text)]
    return edits, ["password"] * bool(edits)


def _assigned(text: str) -> tuple[list[Edit], list[str]]:
    """Values given to names like `api_key`; words and calls, as documentation has them, stay."""
    lower = text.lower()
    if not any(hint in lower for hint in _ASSIGNED_HINTS):
        return [], []
    edits = [
        Edit(*match.span(2), "⟨secret removed⟩")
        for match in _ASSIGNED.finditer(text)
        if re.search(r"\d", match[2])
        and re.search(r"[A-Za-z]", match[2])
        and not re.search(r"[()\[\]{}$]", match[2])
    ]
    return edits, ["secret"] * bool(edits)


def _random(text: str) -> tuple[list[Edit], list[str]]:
    edits = [
        Edit(*match.span(), "⟨secret removed⟩")
        for match in _TOKEN.finditer(text)
        if looks_random(match[0])
    ]
    return edits, ["random token"] * bool(edits)
