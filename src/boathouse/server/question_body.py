"""The body of a request to an endpoint: whole, as it was before it was packed, and never more than memory should hold."""

import zlib
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import anyio.to_thread

from boathouse.errors import InvalidInput, TooLarge

MOST_BYTES = 64 * 1024 * 1024
_TOO_LARGE = f"a request holds {MOST_BYTES // 1024**2} MiB at most, unpacked: send the rows in several, or score them in batch"
_GZIP = 16 + zlib.MAX_WBITS
_BRIEF = 64 * 1024


async def read(receive: Callable[[], Awaitable[MutableMapping[str, Any]]], encoding: str | None) -> bytes:
    """What a caller sent, unpacked where `encoding` is gzip.

    Raises TooLarge before more than `MOST_BYTES` are in memory, InvalidInput for another encoding or what is no gzip,
    ConnectionResetError when the caller hung up.
    """
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionResetError("the caller hung up before its request was whole")
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > MOST_BYTES:
            raise TooLarge(_TOO_LARGE)
        if not message.get("more_body"):
            break
    body = parts[0] if len(parts) == 1 else b"".join(parts)
    if encoding is None or (kind := encoding.strip().lower()) in ("", "identity"):
        return body
    if kind not in ("gzip", "x-gzip"):
        raise InvalidInput(f"the Content-Encoding {encoding!r} is not read: send gzip, or the body as it is")
    return _unpacked(body) if len(body) <= _BRIEF else await anyio.to_thread.run_sync(_unpacked, body)


def _unpacked(body: bytes) -> bytes:
    stream = zlib.decompressobj(_GZIP)
    try:
        whole = stream.decompress(body, MOST_BYTES)
    except zlib.error as error:
        raise InvalidInput(f"the body is no gzip, which its Content-Encoding says: {error}") from error
    if stream.unconsumed_tail:
        raise TooLarge(_TOO_LARGE)
    if not stream.eof:
        raise InvalidInput("the body is gzip that ends too early")
    return whole
