"""The parser process: reads files from stdin, parses one at a time, answers on stdout.

What always holds: an empty message says that it is ready, then only replies are written to the
original stdout; memory is limited before the first byte of a file is read; the process ends when
its stdin does, and in any case soon after the time for one file is over, so it never outlives its
parent for long. Run as
`python -m rostra.ingest.worker MEMORY_BYTES TIMEOUT_SECONDS`.
"""

import os
import resource
import signal
import sys
from typing import BinaryIO

import msgspec

from rostra.core import UnreadableFile
from rostra.ingest.errors import CorruptFile, ParseMemory
from rostra.ingest.parsers import parse_bytes
from rostra.ingest.wire import HEADER, Reply, Request, frame

# The parent ends a slow worker itself; this is for a worker whose parent is gone.
_GRACE_SECONDS = 5.0


def main() -> None:
    """Serves requests until stdin ends."""
    memory, timeout = int(sys.argv[1]), float(sys.argv[2])
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    replies.write(HEADER.pack(0))
    replies.flush()
    decoder = msgspec.msgpack.Decoder(Request)
    while (body := _read_message(sys.stdin.buffer)) is not None:
        signal.setitimer(signal.ITIMER_REAL, timeout + _GRACE_SECONDS)
        reply = _answer(decoder, body)
        del body
        signal.setitimer(signal.ITIMER_REAL, 0)
        for part in frame(reply):
            replies.write(part)
        replies.flush()


def _answer(decoder: msgspec.msgpack.Decoder[Request], body: bytes) -> Reply:
    try:
        request = decoder.decode(body)
        return Reply(document=parse_bytes(request.data, request.name, request.limits))
    except UnreadableFile as error:
        return Reply(code=error.code, message=error.message, hint=error.hint)
    except MemoryError:
        return Reply(code=ParseMemory.code, message="the file needs more memory than allowed")
    except RecursionError:
        return Reply(code=CorruptFile.code, message="the file is nested too deeply to be read")
    except Exception as error:
        # Parsers read hostile files with libraries that raise anything; it is this file's failure
        # only, and the name of the error is what a bug report needs.
        text = f"the file cannot be read ({type(error).__name__}: {str(error)[:200]})"
        return Reply(code=CorruptFile.code, message=text)


def _read_message(stream: BinaryIO) -> bytes | None:
    header = stream.read(HEADER.size)
    if len(header) < HEADER.size:
        return None
    (length,) = HEADER.unpack(header)
    body = stream.read(length)
    return body if len(body) == length else None


if __name__ == "__main__":
    main()
