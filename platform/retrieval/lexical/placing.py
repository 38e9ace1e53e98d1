"""Where rows are searched by terms: by the reader itself, or with torch on a device.

What always holds: both find the same rows with the same scores. Where the device is not there, has
no room or fails, the reader searches.
"""

import threading
from collections.abc import Sequence

from rostra.core import get_logger
from rostra.retrieval.lexical.reader import LexicalReader
from rostra.retrieval.lexical.scoring import Mask, Positions, Scores, Ties
from rostra.retrieval.lexical.storage import DamagedIndex

log = get_logger(__name__)


class TermSearch:
    """Searches readers. Safe to share between threads.

    Args:
        device: torch's name of one; empty has readers search by themselves, which looks at few of
            the rows. A device looks at all of them.
    """

    def __init__(self, device: str = "") -> None:
        self._device = device
        self._moving = threading.Lock()

    @property
    def device(self) -> str:
        """The one in use; empty where there is none."""
        return self._device

    def search(
        self,
        reader: LexicalReader,
        terms: Sequence[str],
        k: int,
        mask: Mask | None = None,
        tie: Ties | None = None,
    ) -> tuple[Positions, Scores]:
        """See `LexicalReader.search`.

        Raises:
            DamagedIndex: a file says what cannot be.
            ValueError: as there.
        """
        device = self._device
        fits = all(one is None or len(one) == len(reader) for one in (mask, tie))
        if device and fits and k > 0:
            try:
                with self._moving:  # else several threads might each move the same segment
                    scorer = reader.on_device(device)
                return scorer.search([terms], k, mask, tie)[0]
            except DamagedIndex:
                raise
            except (RuntimeError, AssertionError) as error:  # torch's words for a device's troubles
                self._device = ""
                log.warning("terms searched without device", device=device, reason=str(error))
        return reader.search(terms, k, mask, tie)
