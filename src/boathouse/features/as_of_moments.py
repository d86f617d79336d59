"""The moments of a spine: its keys as numbers, its times, in order of both, and which of them sees a feature row first.

Whole numbers that lie close together stand for themselves. All other keys are numbered by a join in DuckDB, so that they may
be of any type.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING
from uuid import uuid4

import pyarrow as pa
import pyarrow.compute as pc

from boathouse.features.arrays import integers
from boathouse.features.point_in_time import quote

if TYPE_CHECKING:
    import duckdb
    import numpy as np
    from numpy.typing import NDArray

    from boathouse.features.arrays import Integers, Truths

# Times beyond lie 146,000 years from now: what is added to and taken from those within does not overflow.
FAR = 2**62
# Buckets of key and time for each moment: with more, fewer moments share one, and the table of them outgrows caches.
_BUCKETS = 4
# Key numbers for each moment at most, and stretches of time, of all keys together.
_SPREAD, _STRETCHES = 8, 32


@dataclass(frozen=True)
class Ranges:
    """Keys of whole numbers, each by what it exceeds the least by; of several columns the first weighs most."""

    lows: tuple[int, ...]
    sizes: tuple[int, ...]

    @property
    def count(self) -> int:
        """How many numbers there are, from 0 on."""
        count: int = math.prod(self.sizes)
        return count

    def numbers(self, columns: Sequence["Integers"]) -> "Integers":
        """Of values that lie in the ranges."""
        whole = columns[0] - self.lows[0]
        for column, low, size in zip(columns[1:], self.lows[1:], self.sizes[1:], strict=True):
            whole *= size
            whole += column - low
        return whole

    @contextmanager
    def rows(self, con: "duckdb.DuckDBPyConnection", relation: str, keys: Sequence[str]) -> Iterator[tuple[str, str]]:
        """SQL of a row's number, and of all rows `r` that have one, to be followed by AND or nothing."""
        number, within = "0", []
        for key, low, size in zip(keys, self.lows, self.sizes, strict=True):
            number = f"({number} * {size} + (r.{quote(key)}::BIGINT - {low}))"
            within.append(f"r.{quote(key)} BETWEEN {low} AND {low + size - 1}")
        yield number, f"{relation} r WHERE {' AND '.join(within)}"


@dataclass(frozen=True)
class Listed:
    """Keys of any types, by their place in a table of all."""

    table: pa.Table

    @property
    def count(self) -> int:
        """As of `Ranges`."""
        return int(self.table.num_rows)

    @contextmanager
    def rows(self, con: "duckdb.DuckDBPyConnection", relation: str, keys: Sequence[str]) -> Iterator[tuple[str, str]]:
        """As of `Ranges`."""
        same = " AND ".join(f"r.{quote(key)} = k.{quote(f'key_{i}')}" for i, key in enumerate(keys))
        with named(con, self.table) as numbered:
            yield "k.number", f"{relation} r JOIN {numbered} k ON {same}"


@dataclass(frozen=True)
class Moments:
    """The rows of a spine that have a time and all keys, by the number of the key and time.

    `place` counts the spine's rows from 0 in its own order.
    """

    keys: Ranges | Listed
    number: "Integers"
    at: "Integers"
    place: "Integers"

    def seeing(
        self, number: "Integers", events: "Integers", visible: "Integers", back: int | None
    ) -> tuple["Integers", "Integers"]:
        """Which rows are seen, and the moment of their key that sees each first.

        `visible` must not be after all moments. Rows that are older than `back` by then are left out, as they are too old for
        all moments after it.
        """
        import numpy as np

        first, shift, width, start = self._buckets
        bucket = np.maximum(visible, first)
        bucket -= first
        bucket >>= shift
        bucket += number * width
        low, high = start[bucket].astype(np.int64), start[bucket + 1].astype(np.int64)
        open_ones = np.flatnonzero(low < high)
        while len(open_ones):
            some_low, some_high = low[open_ones], high[open_ones]
            middle = (some_low + some_high) >> 1
            before = self.at[middle] < visible[open_ones]
            low[open_ones] = some_low = np.where(before, middle + 1, some_low)
            high[open_ones] = some_high = np.where(before, some_high, middle)
            open_ones = open_ones[some_low < some_high]
        np.minimum(low, len(self.at) - 1, out=low)
        at = self.at[low]
        seen = np.flatnonzero(at >= visible if back is None else (at >= visible) & (events >= at - back))
        low = low[seen]
        own = self.number[low] == number[seen]  # and not of the key after it
        return seen[own], low[own]

    def reach(self, back: int | None) -> "Reach":
        """Which rows a moment may see that are at most `back` old: None for any age."""
        import numpy as np

        first, last, count, shift = int(self.at.min()), int(self.at.max()), self.keys.count, 0
        while count * (((last - first) >> shift) + 1) > max(_STRETCHES * len(self.at), count):
            shift += 1
        stretches = ((last - first) >> shift) + 1
        held = np.zeros((stretches, count), np.bool_)
        held[(self.at - first) >> shift, self.number] = True
        wanted, done = stretches if back is None else min(stretches, (back >> shift) + 2), 1
        while done < wanted:  # each step looks as far ahead again
            step = min(done, wanted - done)
            held[:-step] |= held[step:]
            done += step
        return Reach(first, shift, count, held.reshape(-1))

    @cached_property
    def _buckets(self) -> "tuple[int, int, int, NDArray[np.signedinteger]]":
        """The first time, the power of two of a bucket's width, buckets of a key, and where each bucket begins."""
        import numpy as np

        first, last, shift = int(self.at.min()), int(self.at.max()), 0
        while self.keys.count * (((last - first) >> shift) + 1) > max(_BUCKETS * len(self.at), self.keys.count):
            shift += 1
        width = ((last - first) >> shift) + 1
        bucket = self.number * width + ((self.at - first) >> shift)
        kind = np.int32 if len(bucket) < 2**31 else np.int64
        apart = np.diff(bucket, prepend=-1, append=self.keys.count * width)  # each moment begins all buckets since the one before
        start: NDArray[np.signedinteger] = np.repeat(np.arange(len(bucket) + 1, dtype=kind), apart)
        return first, shift, width, start


@dataclass(frozen=True)
class Reach:
    """For each stretch of time and each key whether a moment may see a row that lies there.

    The keys of one stretch lie side by side: of rows in order of time or of key, all look at few bytes.
    """

    first: int
    shift: int
    keys: int
    seen: "Truths"

    def rows(self, number: "Integers", visible: "Integers") -> "Integers":
        """Those that may be seen; `visible` must not be after all moments."""
        import numpy as np

        place = np.maximum(visible, self.first)
        place -= self.first
        place >>= self.shift
        place *= self.keys
        place += number
        return np.flatnonzero(self.seen[place])


def moments_of(
    con: "duckdb.DuckDBPyConnection", spine: pa.Table, on: Sequence[str], at: str | None, whole: bool
) -> Moments | None:
    """The moments of a spine's rows, whose columns are `place` counted from 1, keys, and a time in microseconds.

    Without a time all are one moment of their key. `whole`: the keys that are looked up are whole numbers. None where times
    lie too far away to be reckoned with.
    """
    import numpy as np

    rows = spine.select(["place", *on, *([at] if at else [])]).drop_null()
    keys: Ranges | Listed | None = _ranges([rows[name] for name in on]) if whole else None
    if isinstance(keys, Ranges):
        number = keys.numbers([integers(rows[name].cast(pa.int64())) for name in on])
        times, place = integers(rows[at]) if at else np.zeros_like(number), integers(rows["place"]) - 1
    else:
        keys, found = _listed(con, rows, on, at)
        number, times, place = (integers(found[name]) for name in ("number", "moment", "place"))
    if len(times) and not -FAR < times.min() <= times.max() < FAR:
        return None
    order = _order(number, times, keys.count)
    return Moments(keys, number[order], times[order], place[order])


def _ranges(columns: Sequence[pa.ChunkedArray]) -> Ranges | None:
    """Where the numbers lie, if they are whole, and so close together that buckets for all of them are worth while."""
    if not len(columns[0]) or not all(pa.types.is_integer(column.type) and column.type != pa.uint64() for column in columns):
        return None
    bounds = [pc.min_max(column).as_py() for column in columns]
    ranges = Ranges(tuple(b["min"] for b in bounds), tuple(b["max"] - b["min"] + 1 for b in bounds))
    return ranges if ranges.count <= _SPREAD * len(columns[0]) else None


def _listed(
    con: "duckdb.DuckDBPyConnection", rows: pa.Table, on: Sequence[str], at: str | None
) -> tuple[Listed, pa.Table]:
    """All keys, and for each row the `number` of its key, its `moment` in microseconds and its `place`."""
    read = ", ".join(f"{quote(name)} AS {quote(f'key_{i}')}" for i, name in enumerate(on))
    names = ", ".join(quote(f"key_{i}") for i in range(len(on)))
    with named(con, rows) as spine:
        some = f"(SELECT place - 1 AS place, {quote(at) if at else '0::BIGINT'} AS moment, {read} FROM {spine})"
        numbers = con.sql(f"SELECT row_number() OVER () - 1 AS number, * FROM (SELECT DISTINCT {names} FROM {some})")
        keys = numbers.to_arrow_table()
        with named(con, keys) as numbered:
            found = con.sql(f"SELECT number, moment, place FROM {some} JOIN {numbered} USING ({names})").to_arrow_table()
    return Listed(keys), found


def _order(number: "Integers", at: "Integers", count: int) -> "Integers":
    """The rows by number and time. All goes into one integer with the row's own place, which sorts sooner than places do.

    Long times lose their last bits there: what is equal without them is put in order after.
    """
    import numpy as np

    if not len(at):
        return np.empty(0, np.int64)
    first, shift, bits = at.min(), 0, len(at).bit_length()
    span = int(at.max()) - int(first)
    if count << bits >= FAR:
        return np.lexsort((at, number))
    while (count * ((span >> shift) + 1)) << bits >= FAR:
        shift += 1
    packed = (at - first) >> shift
    packed += number * ((span >> shift) + 1)
    packed <<= bits
    packed |= np.arange(len(packed))
    packed.sort()
    order: Integers = packed & ((1 << bits) - 1)
    if shift:
        packed >>= bits
        same = np.flatnonzero(packed[1:] == packed[:-1])
        tied = np.union1d(same, same + 1)
        order[tied] = order[tied][np.lexsort((at[order[tied]], packed[tied]))]
    return order


@contextmanager
def named(con: "duckdb.DuckDBPyConnection", table: pa.Table) -> Iterator[str]:
    """A table under a name of its own, quoted, for as long as that lasts."""
    name = f"as_of_{uuid4().hex}"
    con.register(name, table)
    try:
        yield quote(name)
    finally:
        con.unregister(name)
