"""Characters that people do not see but models read: tags, zero widths, bidirectional overrides.

Text can be hidden from a reader in Unicode's tag block (U+E0000) or turned around by bidirectional
controls (Boucher & Anderson, "Trojan Source", 2021). Joiners stay: scripts and emoji need them.
"""

import re

from rostra.agents.guard.filters import Filtered, run_passes
from rostra.agents.guard.rewrite import Edit

_HIDDEN = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200e\u200f\u202a-\u202e"
    "\u2060-\u2064\u2066-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e0fff]+"
)


class HiddenText:
    """Removes them."""

    name = "hidden"

    def __call__(self, text: str) -> Filtered:
        """See `OutputFilter`."""
        return run_passes(self.name, text, [_look])


def _look(text: str) -> tuple[list[Edit], list[str]]:
    edits = [Edit(*found.span(), "") for found in _HIDDEN.finditer(text)]
    return edits, ["invisible characters"] * bool(edits)
