"""Stop strings: text goes in as it comes, what may be shown comes out.

What always holds: no part of a stop string that ends the text is ever shown; the result does not
depend on how the text was cut into pieces; each character costs constant time, however many stop
strings there are (Aho and Corasick, CACM 1975).

The text ends where an occurrence of any stop string is first complete. Of several that are complete
at the same character the longest counts.
"""

from collections import deque
from collections.abc import Iterable


class StopStrings:
    """Watches one text.

    Args:
        stops: not empty strings; the text before one of them is the whole text.
    """

    def __init__(self, stops: Iterable[str]) -> None:
        # A state is a prefix of some stop string: its transitions, the state of its longest proper
        # suffix, its length, and the longest stop string that is a suffix of it.
        self._next: list[dict[str, int]] = [{}]
        self._suffix = [0]
        self._depth = [0]
        self._complete: list[str | None] = [None]
        for stop in stops:
            self._add(stop)
        self._link()
        self._state = 0
        self._held = ""
        self.matched: str | None = None
        """The stop string that ended the text."""

    def push(self, text: str, *, armed: bool = True) -> str:
        """Takes the next piece and returns what may be shown now; nothing after the end.

        Args:
            text: may be empty.
            armed: False for text that no stop string may end nor begin in, as before min_tokens.
        """
        if self.matched is not None:
            return ""
        if not armed:
            self._state = 0
            return self._hold(self._held + text, 0)
        if len(self._next) == 1:
            return text
        state = self._state
        for position, character in enumerate(text):
            while state and character not in self._next[state]:
                state = self._suffix[state]
            state = self._next[state].get(character, 0)
            stop = self._complete[state]
            if stop is not None:
                self.matched = stop
                whole = self._held + text[: position + 1]
                self._held = ""
                return whole[: len(whole) - len(stop)]
        self._state = state
        return self._hold(self._held + text, self._depth[state])

    def flush(self) -> str:
        """What was held back, when the text ended in another way; nothing after a stop string."""
        self._state = 0
        return self._hold(self._held, 0)

    def _hold(self, text: str, count: int) -> str:
        """Keeps the last `count` characters back and returns the others."""
        cut = len(text) - count
        self._held = text[cut:]
        return text[:cut]

    def _add(self, stop: str) -> None:
        state = 0
        for character in stop:
            if character not in self._next[state]:
                self._next[state][character] = len(self._next)
                self._next.append({})
                self._suffix.append(0)
                self._depth.append(self._depth[state] + 1)
                self._complete.append(None)
            state = self._next[state][character]
        self._complete[state] = stop

    def _link(self) -> None:
        """Breadth first, because a state's suffix is shorter than the state."""
        queue = deque(self._next[0].values())
        while queue:
            state = queue.popleft()
            for character, child in self._next[state].items():
                suffix = self._suffix[state]
                while suffix and character not in self._next[suffix]:
                    suffix = self._suffix[suffix]
                self._suffix[child] = self._next[suffix].get(character, 0)
                if self._complete[child] is None:
                    self._complete[child] = self._complete[self._suffix[child]]
                queue.append(child)
