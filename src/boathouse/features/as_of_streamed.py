"""The as-of join by streaming: the spine's moments sorted in memory, and the feature rows streamed past them in any order.

Each feature row goes to the first moment of its key that sees it, where only the newest row so far is kept. After all of
them a running maximum along each key says what every moment sees. No table is sorted, and of its rows hardly more are held
than the spine has moments. Keys are numbered by a join in DuckDB, so that they may be of any type.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import pyarrow as pa

from boathouse.features.arrays import column_of, in_one, integers
from boathouse.features.as_of_expected import types_of
from boathouse.features.as_of_moments import FAR, Moments, Reach
from boathouse.features.point_in_time import AsOf, micros, quote

if TYPE_CHECKING:
    import duckdb

    from boathouse.features.arrays import Integers

_LEAST = -(2**63)
_BATCH_ROWS = 61_440
_BATCH_VALUES = 4_000_000
_WAITING_BYTES = 32 << 20
_TIMES = {"TIMESTAMP": "make_timestamp", "TIMESTAMP WITH TIME ZONE": "make_timestamptz"}


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
        with moments.keys.rows(con, join.side.relation, join.side.keys) as (number, numbered):
            for batch in con.sql(_visible_sql(con, join, moments, number, numbered, columns)).to_arrow_reader(most):
                kept.add(batch)
        if kept.doubled:
            return None
        rows[moments.place] = kept.seen()
    types = con.sql(f"SELECT {', '.join(map(quote, columns))} FROM {join.side.relation} LIMIT 0").to_arrow_table().schema.types
    return Streamed(kept.columns(types), rows)


def _visible_sql(
    con: "duckdb.DuckDBPyConnection", join: AsOf, moments: Moments, number: str, rows: str, columns: Sequence[str]
) -> str:
    """The rows of keys that the spine asks for, but for those that none of its moments can see."""
    side = join.side
    times = [name for name in (side.event_time, side.known_time) if name]
    read = [f"{number} AS number", *(f"epoch_us(r.{quote(name)}) AS {quote(f'time_{i}')}" for i, name in enumerate(times))]
    read += [] if times else ["0::BIGINT AS time_0"]
    read += [f"r.{quote(name)} AS {quote(f'column_{i}')}" for i, name in enumerate(columns)]
    last, first = int(moments.at.max()), int(moments.at.min())
    chosen = [rows]
    for name, kind in types_of(con, side.relation, times).items() if times else ():
        # by the column itself, which files have the least and greatest of; other types are looked at row by row
        make = _TIMES.get(kind)
        chosen.append(f"r.{quote(name)} <= {make}({last})" if make else f"epoch_us(r.{quote(name)}) <= {last}")
        if (back := _lookback(join)) is not None and name == times[0] and make:
            chosen.append(f"r.{quote(name)} >= {make}({max(first - back, -FAR)})")
    return f"SELECT {', '.join(read)} FROM {' AND '.join(chosen)}"


@dataclass
class _Kept:
    """For each moment, the newest row of those that no moment before it sees: its times, and where it is kept.

    Whole batches wait until there are many, since most rows are beaten by then; of those only what is left is taken.
    """

    join: AsOf
    moments: Moments
    rows: "Integers" = field(init=False)
    events: "Integers" = field(init=False)
    knowns: "Integers | None" = field(init=False)
    doubled: bool = False
    _kept: list[pa.RecordBatch] = field(default_factory=list)
    _count: int = 0
    _waiting: list[pa.RecordBatch] = field(default_factory=list)
    _bytes: int = 0
    _end: int = 0
    _latest: int = _LEAST

    def __post_init__(self) -> None:
        import numpy as np

        count = len(self.moments.at)
        self.rows, self.events = np.full(count, -1), np.full(count, _LEAST)
        self.knowns = np.full(count, _LEAST) if self.join.side.bitemporal else None

    @cached_property
    def _reach(self) -> Reach:
        return self.moments.reach(_lookback(self.join))

    def add(self, batch: pa.RecordBatch) -> None:
        """Look at more rows."""
        import numpy as np

        events = visible = integers(batch["time_0"])
        known = None
        if self.knowns is not None:
            known = integers(batch["time_1"])
            visible = np.maximum(events, known)
        number = integers(batch["number"])
        chosen = self._reach.rows(number, visible)
        number, events = number[chosen], events[chosen]
        visible, known = (events, None) if known is None else (visible[chosen], known[chosen])
        seen, moment = self.moments.seeing(number, events, visible, _lookback(self.join))
        chosen, events, known = chosen[seen], events[seen], None if known is None else known[seen]
        if self.join.side.time is None:
            self.doubled |= bool((self.rows[moment] >= 0).any()) or len(np.unique(moment)) < len(moment)
        won = self._won(moment, events, known)
        self.rows[moment[won]] = self._end + chosen[won]
        self._waiting.append(batch.select(range(2 if known is None else 3, batch.num_columns)))
        self._bytes += batch.nbytes
        self._end += batch.num_rows
        if self._bytes > _WAITING_BYTES:
            self._settle()

    def _won(self, moment: "Integers", events: "Integers", known: "Integers | None") -> "Integers":
        """Which of the rows are newer than the one of their moment so far, by event, then by known time: the newest last."""
        import numpy as np

        won, latest = np.arange(len(events)), self._latest
        if len(events):
            self._latest = max(latest, int(events.max()))
        if len(events) and events.min() <= latest:  # else all are, as where a table grows with time
            newer = events > self.events[moment]
            if known is not None and self.knowns is not None:
                newer |= (events == self.events[moment]) & (known > self.knowns[moment])
            won = np.flatnonzero(newer)
            moment, events, known = moment[won], events[won], None if known is None else known[won]
        if not _rising(moment, events, known):
            order = np.argsort(events) if known is None else np.lexsort((known, events))
            won, moment, events, known = won[order], moment[order], events[order], None if known is None else known[order]
        self.events[moment] = events
        if known is not None and self.knowns is not None:
            self.knowns[moment] = known
        return won

    def seen(self) -> "Integers":
        """For each moment where the row is kept that it sees, -1 where it sees none."""
        import numpy as np

        self._settle()
        number, newest = self.moments.number, np.flatnonzero(self.rows >= 0)
        if self.knowns is not None:  # else rows that are seen later are newer
            newest = self._newest(newest, self.knowns)
        source = np.zeros_like(number)
        source[newest] = newest
        source = np.maximum.accumulate(source)
        there = number[source] == number
        if (back := _lookback(self.join)) is not None:
            there &= self.moments.at - self.events[source] <= back
        seen: Integers = np.where(there, self.rows[source], -1)
        return seen

    def _newest(self, have: "Integers", knowns: "Integers") -> "Integers":
        """Of moments that have a row, those where it is the newest of its key so far: by event, then by known time."""
        import numpy as np

        order = np.lexsort((knowns[have], self.events[have]))
        rank = np.empty_like(order)
        rank[order] = np.arange(len(order))
        rank += self.moments.number[have] * len(order)
        newest: Integers = have[rank == np.maximum.accumulate(rank)]
        return newest

    def columns(self, types: Sequence[pa.DataType]) -> tuple[pa.Array, ...]:
        """The kept rows' columns; they are given away, each as soon as it is in one piece."""
        pieces = [list(batch.columns) for batch in self._kept]
        self._kept.clear()
        return tuple(
            in_one(pa.chunked_array([piece.pop(0) for piece in pieces], kind)) for kind in types
        )

    def _settle(self) -> None:
        """Of the rows that wait, keep those that no other has beaten meanwhile."""
        import numpy as np

        have = np.flatnonzero(self.rows >= self._count)
        places, unbeaten = self.rows[have] - self._count, np.zeros(self._end - self._count, np.bool_)
        unbeaten[places] = True
        self.rows[have] = self._count - 1 + np.cumsum(unbeaten)[places]
        self._count = self._end = self._count + len(have)
        begin = 0
        for batch in self._waiting:
            self._kept.append(batch.take(column_of(np.flatnonzero(unbeaten[begin : begin + batch.num_rows]))))
            begin += batch.num_rows
        self._waiting.clear()
        self._bytes = 0
        if self._count > 2 * len(self.rows) + _BATCH_ROWS:
            self._drop_beaten()

    def _drop_beaten(self) -> None:
        import numpy as np

        have = np.flatnonzero(self.rows >= 0)
        names, rows = self._kept[0].schema, column_of(self.rows[have])
        columns = [column.take(rows) for column in self.columns(names.types)]
        self._kept.append(pa.RecordBatch.from_arrays(columns, schema=names))
        self.rows[have] = np.arange(len(have))
        self._count = self._end = len(have)


def _rising(moment: "Integers", events: "Integers", known: "Integers | None") -> bool:
    """Whether the newest row of each moment is its last, since rows lie in order of time, or of key and time."""
    later = events[1:] >= events[:-1]
    if known is not None:
        later &= (events[1:] > events[:-1]) | (known[1:] >= known[:-1])
    return bool(later.all()) or bool(((moment[1:] > moment[:-1]) | (later & (moment[1:] == moment[:-1]))).all())


def _lookback(join: AsOf) -> int | None:
    """In microseconds; None where none is so far."""
    back = None if join.lookback is None else micros(join.lookback)
    return back if back is not None and back < FAR else None
