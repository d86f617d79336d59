"""A feature table sorted in memory by key and time, to be searched for each row of a spine in the spine's own order.

Key and time become one 64-bit integer: the key's number times the span of all times, plus the time since the first one.
Sorted by it, the rows that a moment sees of its key end where that integer is found, and no row of the spine is moved. With
a known time, rows are sorted by when they became visible; the newest event among those so far is a running maximum.
Rows that lie sorted already are only looked through.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from boathouse.features.arrays import column_of, held, in_one, integers
from boathouse.features.point_in_time import AsOf, micros, quote

if TYPE_CHECKING:
    import duckdb

    from boathouse.features.arrays import Integers

INTEGERS = {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER"}
_TEXT = "VARCHAR"
_MOST = 2**63


@dataclass(frozen=True)
class _Key:
    """One key column as numbers from 0 to size - 1: by its place among `values`, else by what it exceeds `low`."""

    low: int
    size: int
    values: pa.Array | None = None

    def numbers(self, column: pa.Array) -> "Integers":
        """-1 where the column is null, or holds what no feature row has."""
        import numpy as np

        if self.values is not None:
            place = pc.index_in(column, value_set=self.values).cast(pa.int64())
            return np.where(held(place), integers(place), -1)
        value = integers(column)
        known = (value >= self.low) & (value <= self.low + self.size - 1) & held(column)
        return np.where(known, value - self.low, -1)

    def own_numbers(self, column: pa.Array) -> "Integers":
        """Those of the column that the key was made of."""
        return self.numbers(column) if self.values is not None else integers(column) - self.low


@dataclass(frozen=True)
class Sorted:
    """A table's rows by key and time. `rows` says which row stands where; None: they lie in that order."""

    join: AsOf
    keys: tuple[_Key, ...]
    packed: "Integers"
    rows: "Integers | None"
    events: "Integers"
    columns: Mapping[str, pa.Array]
    first: int
    last: int
    unit: int
    span: int

    @property
    def types(self) -> list[pa.DataType]:
        """Of each looked-up column."""
        return [self.columns[feature].type for feature, _ in self.join.columns]

    def found(self, keys: Sequence[pa.Array], at: pa.Array) -> pa.Array:
        """The row that each key sees at its time, null where it sees none."""
        import numpy as np

        if not len(self.packed):
            return pa.nulls(len(at), pa.int64())
        numbers = _numbered([key.numbers(column) for key, column in zip(self.keys, keys, strict=True)], self.keys)
        moment = np.where(held(at), integers(at), self.first - 1)
        seen = (numbers >= 0) & (moment >= self.first)
        begin = numbers * self.span
        wanted = begin + (np.clip(moment, self.first, self.last) - self.first) // self.unit
        order = np.argsort(wanted)  # neighbours are found near each other, and so in the cache
        place = np.empty_like(wanted)
        place[order] = np.searchsorted(self.packed, wanted[order], side="right") - 1
        seen &= place >= 0
        place[~seen] = 0
        seen &= self.packed[place] >= begin
        row = place if self.rows is None else self.rows[place]
        if self.join.lookback is not None:
            seen &= moment - self.events[row] <= micros(self.join.lookback)
        return column_of(row, seen)

    def completed(self, batch: pa.RecordBatch) -> list[pa.Array]:
        """The looked-up columns of a batch of the spine."""
        assert self.join.at
        rows = self.found([batch[probe_key(name)] for name in self.join.on], batch[probe_time(self.join.at)])
        return [self.columns[feature].take(rows) for feature, _ in self.join.columns]


def key_types(asked: Mapping[str, str], join: AsOf, stored: Mapping[str, str]) -> tuple[str, ...]:
    """The type in which either side's key is read; nothing where the two do not meet as numbers or as text."""
    pairs = [{asked[name], stored[key]} for name, key in zip(join.on, join.side.keys, strict=True)]
    if all(pair <= INTEGERS or pair == {_TEXT} for pair in pairs):
        return tuple("BIGINT" if pair <= INTEGERS else _TEXT for pair in pairs)
    return ()


def loaded(con: "duckdb.DuckDBPyConnection", join: AsOf, kinds: Sequence[str]) -> pa.Table:
    """Keys, times and looked-up columns of the rows that can be found at all."""
    times = [name for name in (join.side.event_time, join.side.known_time) if name]
    typed = [f"{quote(key)}::{kind}" for key, kind in zip(join.side.keys, kinds, strict=True)]
    read = [f"{key} AS {quote(f'__key_{i}')}" for i, key in enumerate(typed)]
    read += [f"epoch_us({quote(name)}) AS {quote(f'__time_{i}')}" for i, name in enumerate(times)]
    read += [quote(name) for name in dict.fromkeys(feature for feature, _ in join.columns)]
    present = [*map(quote, join.side.keys), *(f"epoch_us({quote(name)})" for name in times)]
    found = " AND ".join(f"{value} IS NOT NULL" for value in present)
    return con.sql(f"SELECT {', '.join(read)} FROM {join.side.relation} WHERE {found}").to_arrow_table()


def arranged(join: AsOf, table: pa.Table) -> Sorted | None:
    """A loaded table, sorted; None where keys and times do not fit into one integer."""
    import numpy as np

    names = dict.fromkeys(feature for feature, _ in join.columns)
    events = integers(table["__time_0"])
    known = integers(table["__time_1"]) if join.side.bitemporal else None
    visible = events if known is None else np.maximum(events, known)
    first, last = (int(events.min()), int(visible.max())) if len(events) else (0, 0)
    columns = [in_one(table[f"__key_{i}"]) for i in range(len(join.on))]
    for coded in (_by_value, _by_place):
        keys = tuple(coded(column) for column in columns)
        if found := _span(keys, first, last, (events,) if known is None else (events, visible)):
            break
    else:
        return None
    unit, span = found
    packed = _numbered([key.own_numbers(column) for key, column in zip(keys, columns, strict=True)], keys)
    packed *= span
    newest = None if known is None else packed + (events - first) // unit
    moments = visible - first
    packed += moments if unit == 1 else moments // unit
    rows = None
    if newest is not None and known is not None:
        rows = _newest_so_far(packed, np.argsort(packed), known, newest)
    elif not bool((packed[1:] >= packed[:-1]).all()):
        rows = np.argsort(packed)
    if rows is not None:
        packed.sort()
    # in one piece each: of columns in several, every taking of rows makes one anew
    looked_up = {name: in_one(table[name]) for name in names}
    return Sorted(join, keys, packed, rows, events, looked_up, first, last, unit, span)


def _newest_so_far(packed: "Integers", order: "Integers", known: "Integers", events: "Integers") -> "Integers":
    """For each row in order of key and visibility, the newest of its key's so far: by event, then by known time."""
    import numpy as np

    tied = packed[order]
    if bool((tied[1:] == tied[:-1]).any()):  # visible at once, by known time: of one event, the last is then the newest
        order = np.lexsort((known, packed))
    events = events[order]
    newest = events == np.maximum.accumulate(events)
    return order[np.maximum.accumulate(np.where(newest, np.arange(len(order)), 0))]


def _span(keys: Sequence[_Key], first: int, last: int, times: Sequence["Integers"]) -> tuple[int, int] | None:
    """The unit of all times, and how many of it lie between the first and the last; None where that is too much."""
    import numpy as np

    count = 1
    for key in keys:
        count *= max(1, key.size)
    unit = 1
    if count * (last - first + 1) >= _MOST:
        unit = math.gcd(*(int(np.gcd.reduce(time - first)) for time in times)) or 1
    span = (last - first) // unit + 1
    return (unit, span) if count * span < _MOST else None


def _by_value(column: pa.Array) -> _Key:
    if not pa.types.is_integer(column.type) or not len(column):
        return _by_place(column)
    least = pc.min_max(column).as_py()
    return _Key(least["min"], least["max"] - least["min"] + 1)


def _by_place(column: pa.Array) -> _Key:
    values = pc.unique(column)
    return _Key(0, len(values), values)


def _numbered(numbers: Sequence["Integers"], keys: Sequence[_Key]) -> "Integers":
    """Several columns' numbers as one, -1 where any is."""
    import numpy as np

    whole = numbers[0]
    for number, key in zip(numbers[1:], keys[1:], strict=True):
        whole = np.where((whole >= 0) & (number >= 0), whole * key.size + number, -1)
    return whole


def probe_key(name: str) -> str:
    """What a spine's key column is called beside its own."""
    return f"on {name}"


def probe_time(name: str) -> str:
    """What a spine's time in microseconds is called."""
    return f"at {name}"
