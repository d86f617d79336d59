"""The as-of join in memory: what each lookup gives is found first, and the spine is completed in its own order.

A table that is no longer than the spine is sorted and searched (`as_of_sorted`); past a longer one the spine is sorted, and
the table is streamed (`as_of_streamed`). What is found goes to disk, some columns at a time, where memory does not hold it.
Gives what `as_of_join_sql` gives, or nothing where it does not apply.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Protocol

import pyarrow as pa
import pyarrow.compute as pc

from boathouse.features.arrays import integers
from boathouse.features.as_of_expected import expected_bytes, expected_rows, is_scan, memory_limit, types_of
from boathouse.features.as_of_moments import Moments, moments_of
from boathouse.features.as_of_sorted import INTEGERS, arranged, key_types, loaded, probe_key, probe_time
from boathouse.features.as_of_spooled import grouped, spool_folder, spooled
from boathouse.features.as_of_streamed import streamed
from boathouse.features.point_in_time import AsOf, literal, quote, wanted_joins

if TYPE_CHECKING:
    import duckdb

# The share of the engine's memory that all this may take; bytes for each moment of a spine, and for a key or time held.
_SHARE = 4
_MOMENT_BYTES, _HELD_BYTES = 150, 16
# A spine that turns out so many times as long as was expected is left to the query.
_SURPRISE = 4
# A shorter spine is completed by the query before all this has been asked for.
_FEWEST = 10_000
_AHEAD = 2
_MOST_THREADS = 8


class Found(Protocol):
    """What was found for a lookup, or for some columns of it."""

    @property
    def types(self) -> list[pa.DataType]:
        """Of each column."""

    def completed(self, batch: pa.RecordBatch) -> list[pa.Array]:
        """The looked-up columns of a batch of the spine, with its `place` and what it asks by."""


@dataclass(frozen=True)
class _Plan:
    """How lookups are made: by which types each one's keys are sorted, by none where its table is streamed.

    `rows` that the spine is expected to have, whether these may be held by key and time, and how many bytes of columns for
    each may be held at once: None for all.
    """

    kinds: tuple[tuple[str, ...], ...]
    rows: int
    streams: bool
    most: int | None


def as_of_search(
    con: "duckdb.DuckDBPyConnection", spine: str, joins: Sequence[AsOf], keep: Sequence[str], rows: int
) -> pa.RecordBatchReader | None:
    """The rows of `as_of_join_sql`, in batches of so many; None where that query is to be run.

    That is: tables without times alone, or one that has two rows of a key; a spine of few rows, of nobody knows how many, or of
    more than fit into a quarter of the engine's memory by key and time. What is looked up waits on disk, beside what the
    engine spills, where it does not fit there too. The reader holds the connection: another query on it ends the stream.
    """
    wanted = wanted_joins(joins, keep)
    if all(join.side.time is None for join in wanted):
        return None
    plan = _planned(con, spine, wanted)
    if plan is None:
        return None
    read = _Spine(con, spine, keep, wanted, plan)
    found = _found(con, read, wanted, plan, rows)
    if found is None:
        return None
    defaults = [default for join in wanted for default in _defaults(con, join)]
    schema, batches = read.batches(rows)
    fields = [schema.field(f"own_{i}").with_name(name) for i, name in enumerate(keep)]
    outputs = [output for join in wanted for _, output in join.columns]
    fields += map(pa.field, outputs, (kind for some in found for kind in some.types))
    return pa.RecordBatchReader.from_batches(pa.schema(fields), _completed(batches, found, defaults, pa.schema(fields)))


def _planned(con: "duckdb.DuckDBPyConnection", spine: str, joins: Sequence[AsOf]) -> _Plan | None:
    """By sizes as DuckDB expects them. None where memory does not do, or nothing is expected."""
    asking = expected_rows(con, spine)
    if asking is None or asking < _FEWEST:
        return None
    budget, asked = memory_limit(con) // _SHARE, types_of(con, spine, list(dict.fromkeys(n for j in joins for n in j.on)))
    moments, needed, kinds, widest = asking * _MOMENT_BYTES, 0, [], 0
    for join in joins:
        sizes = expected_bytes(con, join.side.relation, [feature for feature, _ in join.columns])
        length = expected_rows(con, join.side.relation)
        its: tuple[str, ...] = ()
        if join.side.time and length is not None and length <= asking:
            its = key_types(asked, join, types_of(con, join.side.relation, join.side.keys))
        kinds.append(its)
        # as many rows again as there are moments may be kept before the beaten ones are dropped
        needed += (length or 0) * (sum(sizes) + _HELD_BYTES * (len(join.on) + 2)) if its else asking * sum(sizes)
        widest = max(widest, *sizes)
    streams = moments <= budget
    if needed + (0 if all(kinds) else moments) <= budget:
        return _Plan(tuple(kinds), asking, streams, None)
    most = (budget - moments) // max(1, asking)
    return _Plan(((),) * len(joins), asking, True, most) if most >= widest else None


def _found(
    con: "duckdb.DuckDBPyConnection", spine: "_Spine", joins: Sequence[AsOf], plan: _Plan, rows: int
) -> list[Found] | None:
    """What each lookup gives, in their order."""
    with ThreadPoolExecutor(thread_name_prefix="as-of") as pool:
        sorting = {
            i: pool.submit(arranged, join, loaded(con, join, kinds))
            for i, (join, kinds) in enumerate(zip(joins, plan.kinds, strict=True)) if kinds
        }  # fmt: skip
    found: list[Found] = []
    probes: dict[tuple[tuple[str, ...], str | None, bool], Moments | None] = {}
    for i, join in enumerate(joins):
        if i in sorting and (table := sorting[i].result()):
            found.append(table)
            continue
        asked = (*spine.asked(join), set(types_of(con, join.side.relation, join.side.keys).values()) <= INTEGERS)
        if asked not in probes:
            probe = spine.probe() if plan.streams else None
            probes = {asked: None if probe is None else moments_of(con, probe, *asked)}
        if (moments := probes[asked]) is None:
            return None
        names = [feature for feature, _ in join.columns]
        groups = [names] if plan.most is None else grouped(names, expected_bytes(con, join.side.relation, names), plan.most)
        for group in groups:
            looked_up = streamed(con, join, moments, group, spine.length)
            if looked_up is None:
                return None
            found.append(looked_up if plan.most is None else spooled(looked_up, rows, spool_folder(con)))
    return found


class _Spine:
    """A spine that is read for its keys and times, and again for its rows; held where it may be another the second time."""

    def __init__(
        self, con: "duckdb.DuckDBPyConnection", relation: str, keep: Sequence[str], joins: Sequence[AsOf], plan: _Plan
    ) -> None:
        self._con, self._relation, self._most = con, relation, plan.rows * _SURPRISE
        casts = {name: f"::{kind}" for join, its in zip(joins, plan.kinds, strict=True)
                 for name, kind in zip(join.on, its, strict=False)}  # fmt: skip
        asked = dict.fromkeys(name for join in joins for name in join.on)
        self._probes = [f"{quote(name)}{casts.get(name, '')} AS {quote(probe_key(name))}" for name in asked]
        times = dict.fromkeys(join.at for join in joins if join.at)
        self._probes += [f"epoch_us({quote(name)}) AS {quote(probe_time(name))}" for name in times]
        self._own = [f"{quote(name)} AS {quote(f'own_{i}')}" for i, name in enumerate(keep)]
        self._rows: pa.Table | None = None
        self._probe: pa.Table | None = None

    @property
    def length(self) -> int:
        """Rows of a spine that was probed."""
        return self._probe.num_rows if self._probe else 0

    def asked(self, join: AsOf) -> tuple[tuple[str, ...], str | None]:
        """The names of a lookup's keys and time in `probe`."""
        return tuple(map(probe_key, join.on)), probe_time(join.at) if join.at and join.side.time else None

    def probe(self) -> pa.Table | None:
        """Places, keys and times; None where there are far more than was expected."""
        if self._probe is None:
            again = is_scan(self._con, self._relation)
            self._probe = self._numbered([] if again else self._own).to_arrow_table()
            self._rows = None if again else self._probe
        return self._probe if self._probe.num_rows <= self._most else None

    def batches(self, rows: int) -> tuple[pa.Schema, Iterable[pa.RecordBatch]]:
        """All rows with their places, in batches of so many."""
        self._probe = None
        if self._rows is not None:
            return self._rows.schema, self._rows.to_batches(max_chunksize=rows)
        # an engine that keeps no order gives numbered rows in any, but those of files and frames hardly ever
        numbered = self._numbered(self._own)
        read = (numbered if is_scan(self._con, self._relation) else numbered.order("place")).to_arrow_reader(rows)
        return read.schema, read

    def _numbered(self, own: Sequence[str]) -> "duckdb.DuckDBPyRelation":
        columns = ["row_number() OVER () AS place", *self._probes, *own]
        return self._con.sql(f"SELECT {', '.join(columns)} FROM {self._relation}")


def _completed(
    batches: Iterable[pa.RecordBatch], found: Sequence[Found], defaults: Sequence[pa.Scalar | None], schema: pa.Schema
) -> Iterator[pa.RecordBatch]:
    ahead: deque[tuple[pa.RecordBatch, list[Future[list[pa.Array]]]]] = deque()

    def first() -> pa.RecordBatch:
        batch, looking = ahead.popleft()
        columns = [column for future in looking for column in future.result()]
        own = [batch[f"own_{i}"] for i in range(len(schema) - len(columns))]
        filled = [c if d is None else pc.coalesce(c, d) for c, d in zip(columns, defaults, strict=True)]
        return pa.RecordBatch.from_arrays([*own, *filled], schema=schema)

    with ThreadPoolExecutor(min(len(found), _MOST_THREADS) + 1, thread_name_prefix="as-of") as pool:
        rows = in_order(batches)
        coming = pool.submit(next, rows, None)
        while (batch := coming.result()) is not None:
            coming = pool.submit(next, rows, None)
            ahead.append((batch, [pool.submit(some.completed, batch) for some in found]))
            if len(ahead) > _AHEAD:  # these are read and looked up while the ones before are written
                yield first()
        while ahead:
            yield first()


def in_order(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Rows whose `place` counts from 1, in its order: what comes too early waits."""
    import numpy as np

    waiting: dict[int, pa.RecordBatch] = {}
    place = 1
    for batch in batches:
        places = integers(batch["place"])
        breaks = [0, *(np.flatnonzero(np.diff(places) != 1) + 1).tolist(), len(places)]
        for begin, end in pairwise(breaks):
            if end > begin:
                waiting[int(places[begin])] = batch.slice(begin, end - begin)
        while run := waiting.pop(place, None):
            place += run.num_rows
            yield run


def _defaults(con: "duckdb.DuckDBPyConnection", join: AsOf) -> list[pa.Scalar | None]:
    """For each output what stands where it is null, in the output's type."""
    kinds = types_of(con, join.side.relation, [feature for feature, _ in join.columns])
    found: list[pa.Scalar | None] = []
    for feature, output in join.columns:
        value = join.defaults.get(output)
        typed = None if value is None else con.sql(f"SELECT {literal(value)}::{kinds[feature]} AS value")
        found.append(None if typed is None else typed.to_arrow_table()["value"][0])
    return found
