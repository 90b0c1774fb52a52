"""Messages between judge and worker: a mark, two lengths, a header in JSON and raw bytes.

Whatever arrives is either exactly that or `Garbage`: nothing is longer than announced, and what is
announced is bounded.
"""

import json
import struct
from collections.abc import Iterable
from typing import Any, BinaryIO

from minitx.grading.plain import MOST_BYTES

_HEAD = struct.Struct("!4sII")
_MARK = b"mtx1"
MOST_HEADER = 2**24
MOST_BODY = 2 * MOST_BYTES


class Garbage(Exception):
    """What arrived is not what was agreed; the text says in what way."""


def write_frame(stream: BinaryIO, message: dict[str, Any], chunks: Iterable[bytes] = ()) -> None:
    """Sends one message and the bytes that belong to it.

    Raises:
        ValueError: if it is larger than the other side accepts.
        OSError: if nobody listens any more.
    """
    header, body = json.dumps(message).encode(), b"".join(chunks)
    if len(header) > MOST_HEADER or len(body) > MOST_BODY:
        raise ValueError(
            f"a message of {len(header)} and {len(body)} bytes is too long; at most "
            f"{MOST_HEADER} and {MOST_BODY} fit"
        )
    stream.write(_HEAD.pack(_MARK, len(header), len(body)) + header + body)
    stream.flush()


def read_frame(stream: BinaryIO) -> tuple[dict[str, Any], bytes] | None:
    """The next message and its bytes; None where the other side has ended.

    Raises:
        Garbage: if it is not a frame, or longer than agreed, or ends in the middle.
    """
    head = stream.read(_HEAD.size)
    if not head:
        return None
    if len(head) < _HEAD.size:
        raise Garbage("a message that ends in the middle")
    mark, header_size, body_size = _HEAD.unpack(head)
    if mark != _MARK or header_size > MOST_HEADER or body_size > MOST_BODY:
        raise Garbage("bytes that are no message")
    header, body = stream.read(header_size), stream.read(body_size)
    if len(header) < header_size or len(body) < body_size:
        raise Garbage("a message that ends in the middle")
    try:
        message = json.loads(header)
    except (ValueError, RecursionError):
        raise Garbage("a message that is no JSON") from None
    if not isinstance(message, dict):
        raise Garbage("a message without names")
    return message, body
