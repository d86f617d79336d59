"""What is asked of a Redis server by the hundred: rows to put, and lookups in several tables of one moment.

A few keys are asked for in one transaction, whose answer is read off the socket: half of a lookup's time was the client
library. For many keys a script in the server strings a table's values together, each of them MessagePack already, so that
neither side takes hundreds of values apart: one short command, one answer, and one call of the decoder for each table.
"""

import os
import threading
from collections.abc import Iterable, Sequence
from hashlib import sha1
from typing import Any, NamedTuple

from msgspec.msgpack import encode

from boathouse.features.online.codec import Row
from boathouse.features.online.table import Layout

WHOLE = b"\xc1"
"""A field that every table has and no row: its description's stamp. Where it is gone, the server has lost the table."""
_FEW = 16
"""So many keys, of all tables together, are asked for without the script."""
_MULTI, _EXEC = b"*1\r\n$5\r\nMULTI\r\n", b"*1\r\n$4\r\nEXEC\r\n"
_RECEIVED = 1 << 16
_SCRIPT = rb"""
local found = {}
for i, of in ipairs(cmsgpack.unpack(ARGV[1])) do
  local name, stamp, rows, keys = of[1], of[2], of[3], of[4]
  local kept = redis.call('HGET', KEYS[1], name)
  if not kept or redis.sha1hex(kept) ~= stamp then return 0 end
  if redis.call('HEXISTS', rows, '\193') == 0 then return i end
  local values = {}
  for first = 1, #keys, 5000 do
    local part = redis.call('HMGET', rows, unpack(keys, first, math.min(first + 4999, #keys)))
    for _, value in ipairs(part) do values[#values + 1] = value or '\192' end
  end
  found[i] = table.concat(values)
end
return found
"""
_NAME = sha1(_SCRIPT, usedforsecurity=False).hexdigest().encode()
_HEADS = [b"\xda" + size.to_bytes(2, "big") for size in range(512)]
_NULL_KEY = _HEADS[0]  # no key is empty, so this finds nothing


class Place(NamedTuple):
    """A table as its description says: where its rows are, and the stamp that they carry while the description holds."""

    layout: Layout
    rows: bytes
    stamp: bytes

    @classmethod
    def of(cls, description: bytes, layout: Layout, rows: str) -> "Place":
        """The place of a description."""
        return cls(layout, rows.encode(), stamp_of(description))


class Asked(NamedTuple):
    """One table's part of a lookup: the keys wanted."""

    place: Place
    keys: Sequence[bytes | None]


def stamp_of(description: bytes) -> bytes:
    """What marks rows as those of a description."""
    return sha1(description, usedforsecurity=False).hexdigest().encode()


class Changed(Exception):
    """A description is another by now."""


class Lost(Exception):
    """The server has the description of a table, its number the argument, and not its rows."""


class Line:
    """Asks a server in our own words, over a connection that each thread keeps to itself."""

    def __init__(self, redis: Any, client: Any, tables: str) -> None:
        self._redis, self._client = redis, client
        self._head = b"*5\r\n" + b"".join(map(_bulk, (b"EVALSHA", _NAME, b"1", tables.encode())))
        self._own = threading.local()

    def ask(self, asked: Sequence[Asked]) -> list[list[Row | None]]:
        """The stored rows of each table, None where there is none. Raises Changed, Lost, and what Redis raises."""
        if sum(len(of.keys) for of in asked) <= _FEW and (found := self._few(asked)) is not None:
            return found
        question = b"\xdd" + len(asked).to_bytes(4, "big") + b"".join(map(_framed, asked))
        answer = self._answer(self._head + _bulk(question))
        if answer == 0:
            raise Changed
        if isinstance(answer, int):
            raise Lost(answer - 1)
        return [of.place.layout.decoded(rows, len(of.keys)) for of, rows in zip(asked, answer, strict=True)]

    def _few(self, asked: Sequence[Asked]) -> list[list[Row | None]] | None:
        """The same by one transaction; None where the answer is not what was hoped for, and the script tells why."""
        line = self._line()
        try:
            if line._sock is None:
                line.connect()
            line._sock.sendall(_MULTI + b"".join(map(_several, asked)) + _EXEC)
            values = _received(line._sock, [len(of.keys) + 1 for of in asked])
        except (OSError, ValueError, self._redis.RedisError):
            line.disconnect()
            return None
        except BaseException:  # whatever is still to come on this line answers another question
            line.disconnect()
            raise
        if any(stamp != of.place.stamp for of, (stamp, *_) in zip(asked, values, strict=True)):
            return None
        return [
            [None if value is None else of.place.layout.decode(value) for value in rows]
            for of, (_, *rows) in zip(asked, values, strict=True)
        ]  # fmt: skip

    def put(self, into: str, rows: Iterable[tuple[bytes, bytes]]) -> None:
        """Set fields of a hash."""
        parts = [b"$%d\r\n%b\r\n$%d\r\n%b\r\n" % (len(key), key, len(value), value) for key, value in rows]
        if parts:
            head = b"*%d\r\n%b%b" % (2 + 2 * len(parts), _bulk(b"HSET"), _bulk(into.encode()))
            self._answer(head + b"".join(parts))

    def _answer(self, command: bytes) -> Any:
        for last in (False, False, True):  # each command may be given twice
            line = self._line()
            try:
                line.send_packed_command([command], check_health=False)
                return line.read_response(disable_decoding=True)
            except self._redis.exceptions.NoScriptError:
                if last:
                    raise
                self._client.script_load(_SCRIPT)
            except self._redis.ConnectionError:  # the server was started anew since the last question
                line.disconnect()
                if last:
                    raise
            except BaseException:  # whatever is still to come on this line answers another question
                line.disconnect()
                raise
        raise AssertionError

    def _line(self) -> Any:
        held = getattr(self._own, "line", None)
        if held is None or self._own.process != os.getpid():
            held = self._own.line = self._client.connection_pool.make_connection()
            self._own.process = os.getpid()
        return held


def _framed(of: Asked) -> bytes:
    heads = [_NULL_KEY if key is None else _HEADS[len(key)] + key for key in of.keys]
    rows = of.place.rows
    facts = encode(of.place.layout.table.table) + encode(of.place.stamp.decode()) + _HEADS[len(rows)] + rows
    return b"\x94%b\xdd%b%b" % (facts, len(heads).to_bytes(4, "big"), b"".join(heads))


def _several(of: Asked) -> bytes:
    keys = b"".join([b"$%d\r\n%b\r\n" % (len(key), key) if key else b"$0\r\n\r\n" for key in of.keys])
    rows = of.place.rows
    return b"*%d\r\n$5\r\nHMGET\r\n$%d\r\n%b\r\n$1\r\n\xc1\r\n%b" % (len(of.keys) + 3, len(rows), rows, keys)


def _received(connected: Any, counts: Sequence[int]) -> list[list[bytes | None]]:
    """The values of a transaction of HMGETs, of so many fields each. Raises ValueError for any other answer, OSError."""
    head = b"+OK\r\n" + b"+QUEUED\r\n" * len(counts) + b"*%d\r\n" % len(counts)
    data = b""
    while True:
        more = connected.recv(_RECEIVED)
        if not more:
            raise ConnectionResetError("the server closed the connection")
        data += more
        if not data.startswith(head[: len(data)]):
            raise ValueError("the server answers otherwise")
        if (values := _parsed(data, len(head), counts)) is not None:
            return values


def _parsed(data: bytes, at: int, counts: Sequence[int]) -> list[list[bytes | None]] | None:
    """The arrays that begin there; None where not all has come yet. Raises ValueError for what are no arrays of values."""
    found, end = [], len(data)
    for count in counts:
        opening = b"*%d\r\n" % count
        if data[at : at + len(opening)] != opening:
            if opening.startswith(data[at:]):
                return None
            raise ValueError("the server answers otherwise")
        at += len(opening)
        values: list[bytes | None] = []
        for _ in range(count):
            stop = data.find(b"\r\n", at)
            if stop < 0:
                return None
            kind, size = data[at : at + 1], data[at + 1 : stop]
            at = stop + 2
            if kind == b"_" or size == b"-1":  # RESP3's null, RESP2's
                values.append(None)
                continue
            if kind != b"$":
                raise ValueError("the server answers otherwise")
            first, at = at, at + int(size) + 2
            if at > end:
                return None
            values.append(data[first : at - 2])
        found.append(values)
    if at != end:
        raise ValueError("the server answers more")
    return found


def _bulk(part: bytes) -> bytes:
    return b"$%d\r\n%b\r\n" % (len(part), part)
