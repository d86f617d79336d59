"""The as-of join by searching: feature rows sorted in memory, and the spine streamed past them in its own order.

Key and time become one 64-bit integer: the key's number times the span of all times, plus the time since the first one.
Sorted by it, the rows that a moment sees of its key end where that integer is found, and no row of the spine is moved. With
a known time, rows are sorted by when they became visible; the newest event among those so far is a running maximum.
Rows that lie sorted already are only looked through. Gives what `as_of_join_sql` gives, or nothing where it does not apply.
"""

import json
import math
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from boathouse.features.point_in_time import AsOf, FeatureSide, micros, quote, wanted_joins

if TYPE_CHECKING:
    import duckdb
    import numpy as np
    from numpy.typing import NDArray

    Integers = NDArray[np.int64]

_INTEGERS = {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER"}
_TEXT = "VARCHAR"
_SCANS = {"PARQUET_SCAN", "READ_PARQUET", "PYTHON_ARROW_SCAN", "ARROW_SCAN", "PANDAS_SCAN"}
_MOST = 2**63
# A table so many times as long as the spine is better cut down to the spine's keys first; sooner where it has to be sorted.
_LONGER, _LONGER_UNSORTED = 20, 2
_SAMPLE = 4_096
# Bytes a value while a table is loaded, of numbers and of what has no fixed width; the share of memory for all tables.
_BYTES, _WIDE_BYTES = 16, 96
_SHARE = 4
_MOST_ROWS = 2**31 - 1
_AHEAD = 2


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
            return np.where(_held(place), _numpy(place), -1)
        value = _numpy(column)
        held = (value >= self.low) & (value <= self.low + self.size - 1) & _held(column)
        return np.where(held, value - self.low, -1)

    def own_numbers(self, column: pa.Array) -> "Integers":
        """Those of the column that the key was made of."""
        return self.numbers(column) if self.values is not None else _numpy(column) - self.low


@dataclass(frozen=True)
class _Sorted:
    """A table's rows by key and time. `rows` says which row stands where; None: they lie in that order."""

    join: AsOf
    keys: tuple[_Key, ...]
    packed: "Integers"
    rows: "Integers | None"
    events: "Integers"
    columns: pa.Table
    first: int
    last: int
    unit: int
    span: int

    def found(self, keys: Sequence[pa.Array], at: pa.Array) -> pa.Array:
        """The row that each key sees at its time, null where it sees none."""
        import numpy as np

        if not len(self.packed):
            return pa.nulls(len(at), pa.int64())
        numbers = _numbered([key.numbers(column) for key, column in zip(self.keys, keys, strict=True)], self.keys)
        moment = np.where(_held(at), _numpy(at), self.first - 1)
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
        held = pa.py_buffer(np.packbits(seen, bitorder="little"))
        return pa.Array.from_buffers(pa.int64(), len(row), [held, pa.py_buffer(row)])

    def completed(self, batch: pa.RecordBatch) -> list[pa.Array]:
        """The looked-up columns of a batch of the spine."""
        assert self.join.at
        rows = self.found([batch[_on(name)] for name in self.join.on], batch[_at(self.join.at)])
        return [_whole(self.columns[feature].take(rows)) for feature, _ in self.join.columns]


def as_of_search(
    con: "duckdb.DuckDBPyConnection", spine: str, joins: Sequence[AsOf], keep: Sequence[str], rows: int
) -> pa.RecordBatchReader | None:
    """The rows of `as_of_join_sql`, in batches of so many; None where that query is to be run.

    That is: a table without a time, a lookup with defaults, keys that are neither whole numbers nor text on both sides,
    tables that do not fit into a quarter of the engine's memory or are much longer than the spine, and keys and times that
    do not fit into 63 bits together. The reader holds the connection: another query on it ends the stream.
    """
    wanted = wanted_joins(joins, keep)
    if not wanted or any(join.side.time is None or join.defaults for join in wanted) or not _worth(con, spine, wanted):
        return None
    asked = dict.fromkeys(name for join in wanted for name in join.on)
    kinds = _kinds(con, spine, list(asked))
    sides = [_key_types(kinds, join, _kinds(con, join.side.relation, join.side.keys)) for join in wanted]
    if not all(sides):
        return None
    casts = dict(pair for join, side in zip(wanted, sides, strict=True) for pair in zip(join.on, side, strict=True))
    with ThreadPoolExecutor(thread_name_prefix="as-of") as pool:
        loading = [pool.submit(_arranged, join, _loaded(con, join, side)) for join, side in zip(wanted, sides, strict=True)]
        tables = [future.result() for future in loading]
    ready = [table for table in tables if table is not None]
    if len(ready) < len(tables):
        return None
    probes = [f"{quote(name)}::{casts[name]} AS {quote(_on(name))}" for name in asked]
    times = dict.fromkeys(join.at for join in wanted if join.at)
    probes += [f"epoch_us({quote(name)}) AS {quote(_at(name))}" for name in times]
    own = [f"{quote(name)} AS {quote(f'own_{i}')}" for i, name in enumerate(keep)]
    numbered = f"SELECT row_number() OVER () AS place, {', '.join([*probes, *own])} FROM {spine}"
    # an engine that keeps no order gives numbered rows in any, but those of files and frames hardly ever
    ordered = "" if _is_scan(con, spine) else " ORDER BY place"
    read = con.sql(numbered + ordered).to_arrow_reader(rows)
    fields = [read.schema.field(f"own_{i}").with_name(name) for i, name in enumerate(keep)]
    fields += [t.columns.schema.field(feature).with_name(output) for t in ready for feature, output in t.join.columns]
    return pa.RecordBatchReader.from_batches(pa.schema(fields), _completed(read, ready, len(keep), pa.schema(fields)))


def _completed(read: pa.RecordBatchReader, tables: Sequence[_Sorted], kept: int, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    ahead: deque[tuple[pa.RecordBatch, list[Future[list[pa.Array]]]]] = deque()

    def first() -> pa.RecordBatch:
        batch, looking = ahead.popleft()
        looked_up = [column for future in looking for column in future.result()]
        return pa.RecordBatch.from_arrays([*(batch[f"own_{i}"] for i in range(kept)), *looked_up], schema=schema)

    with ThreadPoolExecutor(len(tables), thread_name_prefix="as-of") as pool:
        for batch in in_order(read):
            ahead.append((batch, [pool.submit(table.completed, batch) for table in tables]))
            if len(ahead) > _AHEAD:  # these are looked up while the ones before are written
                yield first()
        while ahead:
            yield first()


def in_order(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Rows whose `place` counts from 1, in its order: what comes too early waits."""
    import numpy as np

    waiting: dict[int, pa.RecordBatch] = {}
    place = 1
    for batch in batches:
        places = _numpy(batch["place"])
        breaks = [0, *(np.flatnonzero(np.diff(places) != 1) + 1).tolist(), len(places)]
        for begin, end in pairwise(breaks):
            if end > begin:
                waiting[int(places[begin])] = batch.slice(begin, end - begin)
        while run := waiting.pop(place, None):
            place += run.num_rows
            yield run


def _worth(con: "duckdb.DuckDBPyConnection", spine: str, joins: Sequence[AsOf]) -> bool:
    """Whether the tables are held in memory with ease, and not much longer than the spine, as DuckDB expects."""
    asking, needed = _expected(con, spine), 0
    for join in joins:
        rows = _expected(con, join.side.relation)
        if rows is None or asking is None or rows > asking * _LONGER:
            return False
        if rows > asking * _LONGER_UNSORTED and not _begins_in_order(con, join.side):
            return False
        kinds = _kinds(con, join.side.relation, [feature for feature, _ in join.columns])
        wide = sum(kind == _TEXT or not kind[-1:].isalpha() for kind in kinds.values())
        needed += rows * (_BYTES * (len(kinds) - wide + len(join.on) + 2) + _WIDE_BYTES * wide)
    [(memory,)] = con.sql("SELECT parse_formatted_bytes(current_setting('memory_limit'))").fetchall()
    return needed * _SHARE <= int(memory)


def _begins_in_order(con: "duckdb.DuckDBPyConnection", side: FeatureSide) -> bool:
    """Whether the first rows lie in order of key and time: a hint that the rest do, and no more than that."""
    ordered = ", ".join(map(quote, (*side.keys, *([side.time] if side.time else []))))
    first = f"SELECT row({ordered}) AS here FROM {side.relation} LIMIT {_SAMPLE}"
    pairs = f"SELECT here, lag(here) OVER () AS before FROM ({first})"
    [(found,)] = con.sql(f"SELECT bool_and(here >= before) FROM ({pairs})").fetchall()
    return found is not False


def _expected(con: "duckdb.DuckDBPyConnection", relation: str) -> int | None:
    """How many rows DuckDB expects of a relation; None where it does not say."""
    for node in _plan(con, relation):
        if said := node.get("extra_info", {}).get("Estimated Cardinality"):
            return int(said)
    return None


def _is_scan(con: "duckdb.DuckDBPyConnection", relation: str) -> bool:
    """Whether a relation is files or a frame, and nothing is done to its rows."""
    names = {str(node["name"]).strip() for node in _plan(con, relation)} - {"PROJECTION"}
    return len(names) == 1 and names <= _SCANS


def _plan(con: "duckdb.DuckDBPyConnection", relation: str) -> list[dict[str, Any]]:
    """The steps of a plan from its end on, as far as each follows from one."""
    [(_, plan)] = con.sql(f"EXPLAIN (FORMAT json) SELECT * FROM {relation}").fetchall()
    steps: list[dict[str, Any]] = json.loads(plan)
    while len(steps[-1].get("children", [])) == 1:
        steps += steps[-1]["children"]
    return [*steps, *steps[-1].get("children", [])]


def _kinds(con: "duckdb.DuckDBPyConnection", relation: str, names: Sequence[str]) -> dict[str, str]:
    read = con.sql(f"SELECT {', '.join(map(quote, names))} FROM {relation}")
    return dict(zip(names, map(str, read.types), strict=True))


def _key_types(asked: Mapping[str, str], join: AsOf, stored: Mapping[str, str]) -> list[str]:
    """The type in which either side's key is read; nothing where the two do not meet as numbers or as text."""
    pairs = [{asked[name], stored[key]} for name, key in zip(join.on, join.side.keys, strict=True)]
    if all(pair <= _INTEGERS or pair == {_TEXT} for pair in pairs):
        return ["BIGINT" if pair <= _INTEGERS else _TEXT for pair in pairs]
    return []


def _loaded(con: "duckdb.DuckDBPyConnection", join: AsOf, kinds: Sequence[str]) -> pa.Table:
    """Keys, times and looked-up columns of the rows that can be found at all."""
    times = [name for name in (join.side.event_time, join.side.known_time) if name]
    typed = [f"{quote(key)}::{kind}" for key, kind in zip(join.side.keys, kinds, strict=True)]
    read = [f"{key} AS {quote(f'__key_{i}')}" for i, key in enumerate(typed)]
    read += [f"epoch_us({quote(name)}) AS {quote(f'__time_{i}')}" for i, name in enumerate(times)]
    read += [quote(name) for name in dict.fromkeys(feature for feature, _ in join.columns)]
    present = [*map(quote, join.side.keys), *(f"epoch_us({quote(name)})" for name in times)]
    found = " AND ".join(f"{value} IS NOT NULL" for value in present)
    # in one piece: of columns in several, each taking of rows makes one anew
    return con.sql(f"SELECT {', '.join(read)} FROM {join.side.relation} WHERE {found}").to_arrow_table(batch_size=_MOST_ROWS)


def _arranged(join: AsOf, table: pa.Table) -> _Sorted | None:
    """A loaded table, sorted; None where keys and times do not fit into one integer."""
    import numpy as np

    names = dict.fromkeys(feature for feature, _ in join.columns)
    events = _numpy(table["__time_0"])
    known = _numpy(table["__time_1"]) if join.side.bitemporal else None
    visible = events if known is None else np.maximum(events, known)
    first, last = (int(events.min()), int(visible.max())) if len(events) else (0, 0)
    columns = [_whole(table[f"__key_{i}"]) for i in range(len(join.on))]
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
    return _Sorted(join, keys, packed, rows, events, table.select(list(names)), first, last, unit, span)


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


def _whole(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """A column in one piece."""
    if not isinstance(column, pa.ChunkedArray):
        return column
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _numpy(column: pa.Array | pa.ChunkedArray) -> "Integers":
    """64-bit integers, not copied, and anything where they are null: Arrow's `to_numpy` and `fill_null` load pandas."""
    import numpy as np

    whole = _whole(column)
    return np.frombuffer(whole.buffers()[1], np.int64, len(whole), whole.offset * 8) if len(whole) else np.empty(0, np.int64)


def _held(column: pa.Array) -> "NDArray[np.bool_]":
    """Where a column is not null."""
    import numpy as np

    return np.frombuffer(column.is_valid().cast(pa.uint8()).buffers()[1], np.bool_, len(column))


def _on(name: str) -> str:
    return f"on {name}"


def _at(name: str) -> str:
    return f"at {name}"
