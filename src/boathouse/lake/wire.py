"""What a server and an SQL worker say to each other: framed messages on a socket, with rows as bytes in between."""

import socket
import struct
from typing import Any

import msgspec

_HEAD = struct.Struct("<BI")
_MESSAGE, _ROWS = 0, 1
ROWS_BYTES = 1 << 20
"""At most so many bytes of rows come in one frame."""


class Message(msgspec.Struct, frozen=True, tag=True):
    """Anything but rows."""


class Parse(Message, frozen=True):
    """Take a query apart, without running it."""

    query: str


class Parsed(Message, frozen=True):
    """DuckDB's own syntax tree of a query, as JSON; `kinds` are the types of its statements.

    `condition` is the WHERE of a query that selects from one table and nothing else, else empty.
    """

    kinds: list[str]
    tree: bytes
    condition: str = ""


class NamedScan(Message, frozen=True):
    """A name that a query reads, and what stands behind it: `before` + scan + `after` is the view's SQL.

    The scan is `files` where plain SQL reads them, else the Delta table at `location` and `version`, of which
    files without a row for `condition` are left out, else the Arrow stream in `rows`.
    """

    view: str
    before: str = "SELECT * FROM "
    after: str = ""
    files: str | None = None
    location: str = ""
    version: int = 0
    options: dict[str, str] = {}
    condition: str = ""
    rows: bytes = b""


class Run(Message, frozen=True):
    """Run one reading query over `scans`, and nothing else; `form` is arrow, csv, json or parquet."""

    number: int
    query: str
    parameters: dict[str, Any] | list[Any] | None = None
    setup: list[str] = []
    scans: list[NamedScan] = []
    folders: list[str] = []
    form: str = "arrow"
    limit: int | None = None
    metadata: dict[str, str] = {}
    origin: dict[str, Any] = {}


class Stop(Message, frozen=True):
    """End the query of this number, if it still runs."""

    number: int


class Started(Message, frozen=True):
    """The query is planned and its first rows are there; rows follow."""


class Finished(Message, frozen=True):
    """All rows were sent."""

    rows: int


class Failed(Message, frozen=True):
    """The query ended badly. A worker that is `broken` serves no more."""

    reason: str
    kind: str = "query"
    broken: bool = False


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Parse | Parsed | Run | Stop | Started | Finished | Failed)


class Wire:
    """One end of the socket. Reads by one thread, writes by one thread."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._incoming = connection.makefile("rb", buffering=1 << 16)

    def send(self, message: Message) -> None:
        """Say something. Raises OSError when the other end is gone."""
        body = _encoder.encode(message)
        self._socket.sendall(_HEAD.pack(_MESSAGE, len(body)) + body)

    def send_rows(self, rows: memoryview) -> None:
        """Send bytes of rows; waits while the other end does not read."""
        for start in range(0, len(rows), ROWS_BYTES):
            chunk = rows[start : start + ROWS_BYTES]
            self._socket.sendall(_HEAD.pack(_ROWS, len(chunk)))
            self._socket.sendall(chunk)

    def receive(self) -> Message | bytes:
        """The next message, or bytes of rows. Raises EOFError when the other end is gone."""
        kind, length = _HEAD.unpack(self._exactly(_HEAD.size))
        body = self._exactly(length)
        return body if kind == _ROWS else _decoder.decode(body)

    def close(self) -> None:
        """Hang up."""
        self._incoming.close()
        self._socket.close()

    def _exactly(self, length: int) -> bytes:
        body: bytes = self._incoming.read(length)
        if len(body) < length:
            raise EOFError("the other end of the socket is gone")
        return body
