"""What is asked of a Redis server by the hundred: rows to put, and lookups in several tables of one moment.

A script in the server strings a table's values together, each of them MessagePack already, so that neither side takes
hundreds of values apart: a lookup costs one short command, one answer, and one call of the decoder for each table.
"""

import os
import threading
from collections.abc import Iterable, Sequence
from hashlib import sha1
from typing import Any, NamedTuple

from msgspec.msgpack import encode

from boathouse.features.online.codec import Row
from boathouse.features.online.table import Layout

WHOLE = b"\xc1"  # a field that every table has and no row; where it is gone, the server has lost the table
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


class Asked(NamedTuple):
    """One table's part of a lookup: where its description says that its rows are, and the keys wanted."""

    layout: Layout
    description: bytes
    rows: bytes
    keys: Sequence[bytes | None]


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
        question = b"\xdd" + len(asked).to_bytes(4, "big") + b"".join(map(_framed, asked))
        answer = self._answer(self._head + _bulk(question))
        if answer == 0:
            raise Changed
        if isinstance(answer, int):
            raise Lost(answer - 1)
        return [of.layout.decoded(rows, len(of.keys)) for of, rows in zip(asked, answer, strict=True)]

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
    stamp = sha1(of.description, usedforsecurity=False).hexdigest()
    facts = encode(of.layout.table.table) + encode(stamp) + _HEADS[len(of.rows)] + of.rows
    return b"\x94%b\xdd%b%b" % (facts, len(heads).to_bytes(4, "big"), b"".join(heads))


def _bulk(part: bytes) -> bytes:
    return b"$%d\r\n%b\r\n" % (len(part), part)
