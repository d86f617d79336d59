"""What is asked of a Redis server by the hundred: rows to put, and lookups in several tables of one moment.

A few keys are asked for in one transaction, whose answer is read off the socket: half of a lookup's time was the client
library. For many keys a script in the server strings a table's values together, each of them MessagePack already, so that
neither side takes hundreds of values apart: one short command, one answer, and one call of the decoder for each table.
"""

import os
import threading
from collections.abc import Sequence
from hashlib import sha1
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
from msgspec.msgpack import encode

from boathouse.features.online.codec import Encoded, Row
from boathouse.features.online.table import Layout

WHOLE = b"\xc1"
"""A field that every table has and no row: its description's stamp. Where it is gone, the server has lost the table."""
_FEW = 16
"""So many keys, of all tables together, are asked for without the script."""
_TOGETHER = 5_000
"""So many rows are put by one command: the server answers others between them, and works while the next one is sent."""
_MULTI, _EXEC = b"*1\r\n$5\r\nMULTI\r\n", b"*1\r\n$4\r\nEXEC\r\n"
_RECEIVED = 1 << 16
_SCRIPT = rb"""
local found = {}
for i, of in ipairs(cmsgpack.unpack(ARGV[1])) do
  local name, stamp, rows, keys = of[1], of[2], of[3], of[4]
  local kept = redis.call('HGET', KEYS[1], name)
  if not kept or redis.sha1hex(kept) ~= stamp then return 0 end
  local whole = redis.call('HGET', rows, '\193')
  if not whole then return i end
  if whole ~= stamp then redis.pcall('HSET', rows, '\193', stamp) end -- of a release that wrote none
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
    question: bytes
    """What an HMGET of its stamp and rows has before the keys, behind their number."""
    answer: bytes
    """What the answer has before the rows, behind their number."""

    @classmethod
    def of(cls, description: bytes, layout: Layout, rows: str) -> "Place":
        """The place of a description."""
        stamp, asked = stamp_of(description), b"".join(map(_bulk, (b"HMGET", rows.encode(), WHOLE)))
        return cls(layout, rows.encode(), stamp, b"\r\n" + asked, b"\r\n" + _bulk(stamp))


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
            return _received(line._sock, asked)
        except (OSError, ValueError, self._redis.RedisError):
            line.disconnect()
            return None
        except BaseException:  # whatever is still to come on this line answers another question
            line.disconnect()
            raise

    def put(self, into: str, rows: Encoded) -> None:
        """Set fields of a hash."""
        commands = list[bytes | memoryview]()
        for first in range(0, len(rows.keys), _TOGETHER):
            part = Encoded(*(side.slice(first, _TOGETHER) for side in rows))
            commands += (b"*%d\r\n%b%b" % (2 + 2 * len(part.keys), _bulk(b"HSET"), _bulk(into.encode())), _fields(part))
        if commands:
            self._answer(*commands, answers=len(commands) // 2)

    def _answer(self, *command: bytes | memoryview, answers: int = 1) -> Any:
        for last in (False, False, True):  # each command may be given twice
            line = self._line()
            try:
                line.send_packed_command(command, check_health=False)
                return [line.read_response(disable_decoding=True) for _ in range(answers)][-1]
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


def _fields(rows: Encoded) -> memoryview:
    """Keys and values as a command has them, by whole columns: no row becomes an object of Python."""
    kind = pa.large_binary()
    opening, between, end, none = (pa.scalar(mark, kind) for mark in (b"$", b"\r\n$", b"\r\n", b""))
    keys, values = (pc.binary_length(part).cast(pa.large_string()).cast(kind) for part in rows)
    whole = pc.binary_join_element_wise(opening, keys, end, rows.keys, between, values, end, rows.values, end, none)
    return memoryview(whole.buffers()[2])


def _framed(of: Asked) -> bytes:
    heads = [_NULL_KEY if key is None else _HEADS[len(key)] + key for key in of.keys]
    rows = of.place.rows
    facts = encode(of.place.layout.table.table) + encode(of.place.stamp.decode()) + _HEADS[len(rows)] + rows
    return b"\x94%b\xdd%b%b" % (facts, len(heads).to_bytes(4, "big"), b"".join(heads))


def _several(of: Asked) -> bytes:
    keys = b"".join([b"$%d\r\n%b\r\n" % (len(key), key) if key else b"$0\r\n\r\n" for key in of.keys])
    return b"*%d%b%b" % (len(of.keys) + 3, of.place.question, keys)


def _received(connected: Any, asked: Sequence[Asked]) -> list[list[Row | None]]:
    """The rows of a transaction of HMGETs. Raises ValueError for any other answer, OSError."""
    head = b"+OK\r\n" + b"+QUEUED\r\n" * len(asked) + b"*%d\r\n" % len(asked)
    data = b""
    while True:
        more = connected.recv(_RECEIVED)
        if not more:
            raise ConnectionResetError("the server closed the connection")
        data += more
        if _begins(data, 0, head) and (rows := _parsed(data, len(head), asked)) is not None:
            return rows


def _begins(data: bytes, at: int, expected: bytes) -> bool:
    """Whether that stands there; not yet, where too little has come. Raises ValueError for anything else."""
    if data.startswith(expected, at):
        return True
    if expected.startswith(data[at:]):
        return False
    raise ValueError("the server answers otherwise")


def _parsed(data: bytes, at: int, asked: Sequence[Asked]) -> list[list[Row | None]] | None:
    """The tables' stamps and rows, which begin there; None where not all has come yet. Raises ValueError as `_begins`."""
    found = []
    for place, keys in asked:
        opening = b"*%d%b" % (len(keys) + 1, place.answer)
        if not _begins(data, at, opening):
            return None
        at += len(opening)
        decode, rows = place.layout.decode, list[Row | None]()
        for _ in keys:
            stop = data.find(b"\r\n", at)
            if stop < 0:
                return None
            kind, size = data[at : at + 1], data[at + 1 : stop]
            at = stop + 2
            if kind == b"_" or size == b"-1":  # RESP3's null, RESP2's
                rows.append(None)
                continue
            if kind != b"$":
                raise ValueError("the server answers otherwise")
            first, at = at, at + int(size) + 2
            if at > len(data):
                return None
            rows.append(decode(data[first : at - 2]))
        found.append(rows)
    if at != len(data):
        raise ValueError("the server answers more")
    return found


def _bulk(part: bytes) -> bytes:
    return b"$%d\r\n%b\r\n" % (len(part), part)
