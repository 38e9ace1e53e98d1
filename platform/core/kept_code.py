"""Machine code of numba's functions, kept on disk for the next process.

What always holds: what is kept is never why a call fails, since a disk may be full and a file cut
short; code that other sources gave is not used.
"""

import contextlib
import glob
from collections.abc import Callable, Iterable
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

from numba.core.caching import FunctionCache

_Stamp = tuple[int, int] | None
# What reading a file that was cut short or overwritten may raise, beside what the disk says.
_DAMAGE = (EOFError, ValueError, UnpicklingError, AttributeError, ImportError, IndexError)


class KeptCode(FunctionCache):  # type: ignore[misc] # numba ships no types
    """The cache of one function: beside its source, or in the user's cache folder.

    Args:
        function: as it is written.
        sources: files whose code comes into the function's. numba looks at the function's own
            file only.

    Raises:
        RuntimeError: there is no folder to write to; numba's word for that names a cache.
    """

    def __init__(self, function: Callable[..., Any], sources: Iterable[str] = ()) -> None:
        super().__init__(function)
        kept = self._cache_file
        kept._source_stamp = (kept._source_stamp, [_stamp(source) for source in sources])

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        try:
            return super().load_overload(sig, target_context)
        except (OSError, *_DAMAGE):
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        with contextlib.suppress(OSError):
            try:
                self._drop_older()
                super().save_overload(sig, data)
            except _DAMAGE:
                self.flush()
                self._drop_older()
                super().save_overload(sig, data)

    def _drop_older(self) -> None:
        """Removes code of another source.

        numba gives its names to the new source's before it writes those: whoever reads in between,
        or after a process that was killed there, would take the one for the other.
        """
        if not self._cache_file._load_index():
            name = glob.escape(self._impl.filename_base)
            for path in Path(self._cache_path).glob(f"{name}.*.nbc"):
                path.unlink(missing_ok=True)


def code_cache(function: Callable[..., Any], sources: Iterable[str] = ()) -> KeptCode | None:
    """A function's cache; None where there is no folder for one."""
    try:
        return KeptCode(function, sources)
    except RuntimeError as error:
        if "cache" not in str(error):
            raise
        return None


def _stamp(source: str) -> _Stamp:
    """When a file was written, and its size; None where it is no file, as in an archive."""
    try:
        status = Path(source).stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size
