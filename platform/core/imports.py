"""Libraries that two threads must not import at the same time.

What always holds: whoever needs transformers in a thread imports it here first. While it is
imported it puts another module object in its own place, and a thread that began to import it
meanwhile is left with the one that was thrown away and lacks its names.
"""

import threading

_turn = threading.Lock()


def import_transformers() -> None:
    """Imports transformers, one thread at a time; costs nothing once it is there."""
    with _turn:
        import transformers  # noqa: F401 # only for its being there
