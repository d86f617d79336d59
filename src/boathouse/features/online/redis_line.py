"""What is asked of a Redis server by the hundred: rows to put, and lookups in several tables of one moment.

A lookup is one transaction, written to the socket in our own words and read off it by `hiredis`: half of its time was the
client library's. The values of a table are MessagePack already, so they are read by one call of the decoder.
"""

import os
import threading
from collections.abc import Sequence
from hashlib import sha1
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from boathouse.features.online.codec import Encoded, Row
from boathouse.features.online.table import Layout

WHOLE = b"\xc1"
"""A field that every table has and no row: its description's stamp. Where it is gone, the server has lost the table."""
_TOGETHER = 5_000
"""So many rows are put by one command: the server answers others between them, and works while the next one is sent."""
_MULTI, _EXEC = b"*1\r\n$5\r\nMULTI\r\n", b"*1\r\n$4\r\nEXEC\r\n"
_RECEIVED = 1 << 17
_MORE = object()  # an answer that has not come whole


class Place(NamedTuple):
    """A table as its description says: where its rows are, and the stamp that they carry while the description holds."""

    layout: Layout
    rows: bytes
    stamp: bytes
    question: bytes
    """What an HMGET of its stamp and rows has before the keys, behind their number."""

    @classmethod
    def of(cls, description: bytes, layout: Layout, rows: str) -> "Place":
        """The place of a description."""
        asked = b"".join(map(_bulk, (b"HMGET", rows.encode(), WHOLE)))
        return cls(layout, rows.encode(), stamp_of(description), b"\r\n" + asked)


class Asked(NamedTuple):
    """One table's part of a lookup: the keys wanted, spelled."""

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

    def __init__(self, redis: Any, hiredis: Any, client: Any, tables: str) -> None:
        self._redis, self._hiredis = redis, hiredis
        self._client, self._tables = client, tables
        self._own = threading.local()

    def ask(self, asked: Sequence[Asked]) -> list[list[Row | None]]:
        """The stored rows of each table, None where there is none. Raises Changed, Lost, and what Redis raises."""
        questions = _questions(asked)
        found = self._transaction(questions)
        if any(stamp != of.place.stamp for of, (stamp, *_) in zip(asked, found, strict=True)):
            found = self._explained(asked, questions)
        return [of.place.layout.decoded(rows) for of, (_, *rows) in zip(asked, found, strict=True)]

    def _explained(self, asked: Sequence[Asked], questions: Sequence[bytes]) -> list[list[bytes | None]]:
        """The same beside the descriptions of the same moment, which tell why rows have another stamp."""
        names = [of.place.layout.name for of in asked]
        kept, *found = self._transaction([_command(b"HMGET", self._tables.encode(), *names), *questions])
        for number, (of, description, (stamp, *_)) in enumerate(zip(asked, kept, found, strict=True)):
            if description is None or stamp_of(description) != of.place.stamp:
                raise Changed
            if stamp is None:
                raise Lost(number)
            if stamp != of.place.stamp:  # of a release that wrote none
                self._client.hset(of.place.rows, WHOLE, of.place.stamp)
        return found

    def put(self, into: str, rows: Encoded) -> None:
        """Set fields of a hash."""
        commands = list[bytes | memoryview]()
        for first in range(0, len(rows.keys), _TOGETHER):
            part = Encoded(*(side.slice(first, _TOGETHER) for side in rows))
            commands += (b"*%d\r\n%b%b" % (2 + 2 * len(part.keys), _bulk(b"HSET"), _bulk(into.encode())), _fields(part))
        self._answers(commands, len(commands) // 2)

    def _transaction(self, commands: Sequence[bytes]) -> list[Any]:
        """What each of these commands answers, all at one moment."""
        try:
            found: list[Any] = self._answers([b"".join((_MULTI, *commands, _EXEC))], len(commands) + 2)[-1]
        except self._redis.ResponseError as error:
            if not str(error).startswith("OOM"):
                raise
            return self._unchanged(commands)
        self._raise_refusals(found)
        return found

    def _unchanged(self, commands: Sequence[bytes]) -> list[Any]:
        """The same of a full server, which answers reads and queues none: where two answers are one, so was their moment.

        Raises Changed where they are two.
        """
        found = self._answers([b"".join((*commands, *commands))], 2 * len(commands))
        if found[: len(commands)] != found[len(commands) :]:
            raise Changed
        return found[: len(commands)]

    def _answers(self, packed: Sequence[bytes | memoryview], count: int) -> list[Any]:
        """The answers to commands, each of which may be given twice."""
        for last in (False, True):
            line = self._line()
            try:
                found = self._exchanged(line, packed, count)
            except (ConnectionError, self._redis.ConnectionError) as error:  # it was started anew since the last question
                line.disconnect()
                if last:
                    raise self._redis.ConnectionError(str(error)) from error
            except (OSError, self._hiredis.HiredisError) as error:
                line.disconnect()
                raise self._redis.ConnectionError(str(error)) from error
            except BaseException:  # whatever is still to come on this line answers another question
                line.disconnect()
                raise
            else:
                self._raise_refusals(found)
                return found
        raise AssertionError

    def _exchanged(self, line: Any, packed: Sequence[bytes | memoryview], count: int) -> list[Any]:
        if line._sock is None:
            line.connect()
        for part in packed:
            line._sock.sendall(part)
        reader, found = self._hiredis.Reader(notEnoughData=_MORE), list[Any]()
        while len(found) < count:
            if not (received := line._sock.recv(_RECEIVED)):
                raise ConnectionResetError("the server closed the connection")
            reader.feed(received)
            while (answer := reader.gets()) is not _MORE:
                if not isinstance(answer, self._hiredis.PushNotification):
                    found.append(answer)
        return found

    def _raise_refusals(self, answers: Sequence[Any]) -> None:
        for answer in answers:
            if isinstance(answer, self._hiredis.ReplyError):
                raise self._redis.ResponseError(str(answer))

    def _line(self) -> Any:
        held = getattr(self._own, "line", None)
        if held is None or self._own.process != os.getpid():
            held = self._own.line = self._client.connection_pool.make_connection()
            self._own.process = os.getpid()
        return held


def _questions(asked: Sequence[Asked]) -> list[bytes]:
    """An HMGET for each table; keys that several of them share are packed once."""
    packed = {id(of.keys): b"".join([_bulk(key or b"") for key in of.keys]) for of in asked}  # no key is empty
    return [b"*%d%b%b" % (len(of.keys) + 3, of.place.question, packed[id(of.keys)]) for of in asked]


def _command(*words: bytes) -> bytes:
    return b"*%d\r\n%b" % (len(words), b"".join(map(_bulk, words)))


def _fields(rows: Encoded) -> memoryview:
    """Keys and values as a command has them, by whole columns: no row becomes an object of Python."""
    kind = pa.large_binary()
    opening, between, end, none = (pa.scalar(mark, kind) for mark in (b"$", b"\r\n$", b"\r\n", b""))
    keys, values = (pc.binary_length(part).cast(pa.large_string()).cast(kind) for part in rows)
    whole = pc.binary_join_element_wise(opening, keys, end, rows.keys, between, values, end, rows.values, end, none)
    return memoryview(whole.buffers()[2])


def _bulk(part: bytes) -> bytes:
    return b"$%d\r\n%b\r\n" % (len(part), part)
