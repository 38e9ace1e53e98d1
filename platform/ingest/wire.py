"""The messages between the parser process and its parent: length-prefixed MessagePack.

What always holds: an empty message comes first, when the process is ready; then a request is
answered by exactly one reply, which holds a document or a reason, never both.
"""

import struct

import msgspec

from rostra.ingest.document import ParsedDocument
from rostra.ingest.limits import ParseLimits

HEADER = struct.Struct(">Q")


class Request(msgspec.Struct, array_like=True):
    """One file to parse."""

    name: str
    data: bytes
    limits: ParseLimits


class Reply(msgspec.Struct, array_like=True):
    """Its document, or why there is none."""

    document: ParsedDocument | None = None
    code: str = ""
    message: str = ""
    hint: str | None = None


def frame(message: Request | Reply) -> tuple[bytes, bytes]:
    """Length and body of a message."""
    body = msgspec.msgpack.encode(message)
    return HEADER.pack(len(body)), body
