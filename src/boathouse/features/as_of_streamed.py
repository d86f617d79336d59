"""The as-of join by streaming: the spine's moments sorted in memory, and the feature rows streamed past them in any order.

Each feature row goes to the first moment of its key that sees it, where only the newest row so far is kept. After all of
them a running maximum along each key says what every moment sees. No feature row is sorted, and no more are held than the
spine has moments. Keys are numbered by a join in DuckDB, so that they may be of any type.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING
from uuid import uuid4

import pyarrow as pa

from boathouse.features.arrays import column_of, in_one, integers
from boathouse.features.as_of_expected import types_of
from boathouse.features.point_in_time import AsOf, micros, quote

if TYPE_CHECKING:
    import duckdb

    from boathouse.features.arrays import Integers

# Times beyond lie 146,000 years from now: what is added to and taken from those within does not overflow.
_FAR = 2**62
_LEAST = -(2**63)
# Buckets of time for each moment of the spine: with more, fewer moments share one, and the table of them outgrows caches.
_BUCKETS = 4
_BATCH_ROWS = 245_760
_BATCH_VALUES = 4_000_000
_TIMES = {"TIMESTAMP": "make_timestamp", "TIMESTAMP WITH TIME ZONE": "make_timestamptz"}


@dataclass(frozen=True)
class Moments:
    """The rows of a spine that have a time and all keys, by the number of the key and time.

    `keys` are the distinct keys in order of their numbers, `place` counts the spine's rows from 0 in its own order.
    """

    keys: pa.Table
    number: "Integers"
    at: "Integers"
    place: "Integers"

    @cached_property
    def begin(self) -> "Integers":
        """Where each key's moments begin, and where the last one's end."""
        import numpy as np

        return _from_zero(np.bincount(self.number, minlength=self.keys.num_rows))

    @cached_property
    def earliest(self) -> "Integers":
        """The first moment of each key."""
        return self.at[self.begin[:-1]]

    @cached_property
    def latest(self) -> "Integers":
        """The last moment of each key."""
        return self.at[self.begin[1:] - 1]

    def seeing(self, number: "Integers", visible: "Integers") -> "Integers":
        """The first moment of each key that is not before `visible`, which must not be after its last one."""
        import numpy as np

        first, shift, width, start = self._buckets
        bucket = number * width + ((np.maximum(visible, first) - first) >> shift)
        low, high = start[bucket], start[bucket + 1]
        open_ones = np.flatnonzero(low < high)
        while len(open_ones):
            some_low, some_high = low[open_ones], high[open_ones]
            middle = (some_low + some_high) >> 1
            before = self.at[middle] < visible[open_ones]
            low[open_ones] = some_low = np.where(before, middle + 1, some_low)
            high[open_ones] = some_high = np.where(before, some_high, middle)
            open_ones = open_ones[some_low < some_high]
        return low

    @cached_property
    def _buckets(self) -> "tuple[int, int, int, Integers]":
        """The first time, the power of two of a bucket's width, buckets of a key, and where each bucket begins."""
        import numpy as np

        first, last, shift = int(self.at.min()), int(self.at.max()), 0
        while self.keys.num_rows * (((last - first) >> shift) + 1) > _BUCKETS * len(self.at):
            shift += 1
        width = ((last - first) >> shift) + 1
        bucket = self.number * width + ((self.at - first) >> shift)
        return first, shift, width, _from_zero(np.bincount(bucket, minlength=self.keys.num_rows * width))


def moments_of(con: "duckdb.DuckDBPyConnection", spine: pa.Table, on: Sequence[str], at: str | None) -> Moments | None:
    """The moments of a spine's rows, whose columns are `place` counted from 1, keys, and a time in microseconds.

    Without a time all are one moment of their key. None where times lie too far away to be reckoned with.
    """
    import numpy as np

    keys = ", ".join(f"{quote(name)} AS {quote(f'key_{i}')}" for i, name in enumerate(on))
    names = ", ".join(quote(f"key_{i}") for i in range(len(on)))
    present = " AND ".join(f"{quote(name)} IS NOT NULL" for name in (*on, *([at] if at else [])))
    moment = quote(at) if at else "0::BIGINT"
    with named(con, spine) as rows:
        some = f"(SELECT place - 1 AS place, {moment} AS moment, {keys} FROM {rows} WHERE {present})"
        numbers = con.sql(f"SELECT row_number() OVER () - 1 AS number, * FROM (SELECT DISTINCT {names} FROM {some})")
        distinct = numbers.to_arrow_table()
        with named(con, distinct) as numbered:
            joined = f"SELECT number, moment, place FROM {some} JOIN {numbered} USING ({names}) ORDER BY number, moment"
            found = con.sql(joined).to_arrow_table()
    moments = Moments(distinct, *(integers(found[name]) for name in ("number", "moment", "place")))
    far = len(moments.at) and int(np.abs(moments.at).max()) >= _FAR
    return None if far else moments


@dataclass(frozen=True)
class Streamed:
    """What was found of one lookup: the rows kept, and for each row of the spine which of them it sees, -1 for none."""

    columns: tuple[pa.Array, ...]
    rows: "Integers"

    @property
    def types(self) -> list[pa.DataType]:
        """Of each column."""
        return [column.type for column in self.columns]

    def completed(self, batch: pa.RecordBatch) -> list[pa.Array]:
        """The looked-up columns of a batch of the spine, whose `place` counts on from its first."""
        return self.at(batch["place"][0].as_py() - 1, batch.num_rows) if batch.num_rows else self.at(0, 0)

    def at(self, begin: int, count: int) -> list[pa.Array]:
        """The looked-up columns of so many rows of the spine from this one on."""
        rows = self.rows[begin : begin + count]
        taken = column_of(rows, rows >= 0)
        return [column.take(taken) for column in self.columns]


def streamed(
    con: "duckdb.DuckDBPyConnection", join: AsOf, moments: Moments, columns: Sequence[str], length: int
) -> Streamed | None:
    """Look these feature columns up for each of a spine's `length` rows, by reading the table once.

    None where two rows of a table without a time share a key that the spine asks for.
    """
    import numpy as np

    kept = _Kept(join, moments)
    rows = np.full(length, -1)
    if len(moments.at):
        most = max(2_048, min(_BATCH_ROWS, _BATCH_VALUES // (len(columns) + 1)))
        with named(con, moments.keys) as keys:
            for batch in con.sql(_visible_sql(con, join, moments, keys, columns)).to_arrow_reader(most):
                kept.add(batch)
        if kept.doubled:
            return None
        rows[moments.place] = kept.seen()
    types = con.sql(f"SELECT {', '.join(map(quote, columns))} FROM {join.side.relation} LIMIT 0").to_arrow_table().schema.types
    return Streamed(kept.columns(types), rows)


@contextmanager
def named(con: "duckdb.DuckDBPyConnection", table: pa.Table) -> Iterator[str]:
    """A table under a name of its own, quoted, for as long as that lasts."""
    name = f"as_of_{uuid4().hex}"
    con.register(name, table)
    try:
        yield quote(name)
    finally:
        con.unregister(name)


def _visible_sql(
    con: "duckdb.DuckDBPyConnection", join: AsOf, moments: Moments, keys: str, columns: Sequence[str]
) -> str:
    """The rows of keys that the spine asks for, but for those that none of its moments can see."""
    side = join.side
    times = [name for name in (side.event_time, side.known_time) if name]
    read = ["k.number", *(f"epoch_us(r.{quote(name)}) AS {quote(f'time_{i}')}" for i, name in enumerate(times))]
    read += [] if times else ["0::BIGINT AS time_0"]
    read += [f"r.{quote(name)} AS {quote(f'column_{i}')}" for i, name in enumerate(columns)]
    same = " AND ".join(f"r.{quote(key)} = k.{quote(f'key_{i}')}" for i, key in enumerate(side.keys))
    last, first = int(moments.at.max()), int(moments.at.min())
    chosen = []
    for name, kind in types_of(con, side.relation, times).items() if times else ():
        # by the column itself, which files have the least and greatest of; other types are looked at row by row
        make = _TIMES.get(kind)
        chosen.append(f"r.{quote(name)} <= {make}({last})" if make else f"epoch_us(r.{quote(name)}) <= {last}")
        if (back := _lookback(join)) is not None and name == times[0] and make:
            chosen.append(f"r.{quote(name)} >= {make}({max(first - back, -_FAR)})")
    return f"SELECT {', '.join(read)} FROM {side.relation} r JOIN {keys} k ON {' AND '.join([same, *chosen])}"


@dataclass
class _Kept:
    """For each moment, the newest row of those that no moment before it sees: its times, and where it is kept."""

    join: AsOf
    moments: Moments
    rows: "Integers" = field(init=False)
    events: "Integers" = field(init=False)
    knowns: "Integers | None" = field(init=False)
    doubled: bool = False
    _held: list[pa.RecordBatch] = field(default_factory=list)
    _count: int = 0

    def __post_init__(self) -> None:
        import numpy as np

        count = len(self.moments.at)
        self.rows, self.events = np.full(count, -1), np.full(count, _LEAST)
        self.knowns = np.full(count, _LEAST) if self.join.side.bitemporal else None

    def add(self, batch: pa.RecordBatch) -> None:
        """Look at more rows."""
        import numpy as np

        number, events, visible, known = integers(batch["number"]), integers(batch["time_0"]), integers(batch["time_0"]), None
        if self.knowns is not None:
            known = integers(batch["time_1"])
            visible = np.maximum(events, known)
        fits = visible <= self.moments.latest[number]
        if (back := _lookback(self.join)) is not None:
            fits &= events >= self.moments.earliest[number] - back
        chosen = np.flatnonzero(fits)
        events = events[chosen]
        moment = self.moments.seeing(number[chosen], visible[chosen])
        if self.join.side.time is None:
            self.doubled |= bool((self.rows[moment] >= 0).any()) or len(np.unique(moment)) < len(moment)
        won = self._won(moment, events, None if known is None else known[chosen])
        self.rows[moment[won]] = np.arange(self._count, self._count + len(won))
        self._count += len(won)
        self._held.append(batch.select(range(2 if known is None else 3, batch.num_columns)).take(column_of(chosen[won])))
        if self._count > 2 * len(self.rows) + _BATCH_ROWS:
            self._drop_beaten()

    def _won(self, moment: "Integers", events: "Integers", known: "Integers | None") -> "Integers":
        """Which of the rows are the newest now: by event, then by known time."""
        import numpy as np

        before = self.events[moment]
        np.maximum.at(self.events, moment, events)
        newest = self.events[moment]
        won = np.flatnonzero(events == newest)
        if known is None or self.knowns is None:
            return won
        self.knowns[moment[newest > before]] = _LEAST
        moment, known = moment[won], known[won]
        np.maximum.at(self.knowns, moment, known)
        latest: Integers = won[known == self.knowns[moment]]
        return latest

    def seen(self) -> "Integers":
        """For each moment where the row is kept that it sees, -1 where it sees none."""
        import numpy as np

        number, have = self.moments.number, np.flatnonzero(self.rows >= 0)
        events = self.events[have]
        order = np.argsort(events) if self.knowns is None else np.lexsort((self.knowns[have], events))
        rank = np.empty_like(order)
        rank[order] = np.arange(len(order))
        rank += number[have] * len(order)
        newest = have[rank == np.maximum.accumulate(rank)]
        source = np.zeros_like(number)
        source[newest] = newest
        source = np.maximum.accumulate(source)
        there = number[source] == number
        if (back := _lookback(self.join)) is not None:
            there &= self.moments.at - self.events[source] <= back
        seen: Integers = np.where(there, self.rows[source], -1)
        return seen

    def columns(self, types: Sequence[pa.DataType]) -> tuple[pa.Array, ...]:
        """The kept rows' columns; they are given away, each as soon as it is in one piece."""
        pieces = [list(batch.columns) for batch in self._held]
        self._held.clear()
        return tuple(
            in_one(pa.chunked_array([piece.pop(0) for piece in pieces], kind)) for kind in types
        )

    def _drop_beaten(self) -> None:
        import numpy as np

        have = np.flatnonzero(self.rows >= 0)
        kept = column_of(self.rows[have])
        names = self._held[0].schema
        columns = [column.take(kept) for column in self.columns(names.types)]
        self._held.append(pa.RecordBatch.from_arrays(columns, schema=names))
        self.rows[have] = np.arange(len(have))
        self._count = len(have)


def _lookback(join: AsOf) -> int | None:
    """In microseconds; None where none is so far."""
    back = None if join.lookback is None else micros(join.lookback)
    return back if back is not None and back < _FAR else None


def _from_zero(counts: "Integers") -> "Integers":
    """Where each of so many begins, and where the last ends."""
    import numpy as np

    begin = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(counts, out=begin[1:])
    return begin
