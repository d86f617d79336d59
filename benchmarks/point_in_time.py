"""Point-in-time joins: ours against an ASOF query written by hand and against Polars, on the same files.

    python benchmarks/point_in_time.py [--rows 1_000_000] [--features 10_000_000]

A spine of `rows` and three tables of `features` rows each (a tenth, a hundredth and a ten-thousandth as many
keys), in order of time over 90 days; four columns read of each, lookback seven days. Every figure is of a
fresh process: seconds from query to Arrow table, ratio to the hand-written query, peak resident memory.
Only ours keeps the order of the spine. Known times lie ten minutes after event times, so that a query as
of ten minutes before must give the sum that the bitemporal join gives.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from boathouse.features import AsOf, FeatureSide, as_of_join_sql, as_of_search
from boathouse.lake import Relation

LOOKBACK = timedelta(days=7)
DELAY = timedelta(minutes=10)
SPAN = 90 * 86_400 * 1_000_000  # microseconds
COLUMNS = "abcd"
SPINE = ("k1", "k2", "k3", "t", "y")
ROWS_PER_KEY = {1: 10, 2: 100, 3: 10_000}


def connect() -> duckdb.DuckDBPyConnection:
    """A DuckDB connection as Boathouse has it."""
    con = duckdb.connect()
    con.execute("SET TimeZone='UTC'")
    return con


def make_data(folder: Path, rows: int, features: int) -> None:
    """Write spine.parquet and f1.parquet to f3.parquet."""
    con = connect()
    start = "timestamptz '2024-01-01 00:00Z'"
    keys = {n: max(1, features // share) for n, share in ROWS_PER_KEY.items()}
    spine_keys = ", ".join(f"(hash(i + {n}) % {count})::BIGINT AS k{n}" for n, count in keys.items())
    spine = (
        f"SELECT {spine_keys}, {start} + to_microseconds((hash(i * 3) % {SPAN})::BIGINT) AS t, random() AS y"
    )
    con.execute(f"COPY ({spine} FROM range({rows}) r(i)) TO '{folder}/spine.parquet'")
    values = ", ".join(f"random() AS {name}" for name in COLUMNS)
    for n, count in keys.items():
        event = f"{start} + to_microseconds(i * {SPAN // features})"
        known = f"{event} + to_seconds({DELAY.total_seconds():.0f})"
        row = f"(hash(i * 11 + {n}) % {count})::BIGINT AS k, {event} AS e, {known} AS known, {values}"
        con.execute(f"COPY (SELECT {row} FROM range({features}) r(i)) TO '{folder}/f{n}.parquet'")


def cluster(folder: Path) -> None:
    """Write c1.parquet to c3.parquet: the same rows in order of key and time. Prints what that takes, beside a mere copy."""
    for name, order in (("copy", ""), ("c", "ORDER BY k, e")):
        con, started, cpu = connect(), time.perf_counter(), time.process_time()
        for n in ROWS_PER_KEY:
            con.execute(f"COPY (FROM '{folder}/f{n}.parquet' {order}) TO '{folder}/{name}{n}.parquet'")
        took = f"{time.perf_counter() - started:.1f} s, {time.process_time() - cpu:.1f} CPU s"
        print(f"writing three tables, {order or 'as they are'}: {took}", flush=True)


def by_boathouse(folder: Path, tables: int, known: str | None = None, name: str = "f") -> pa.Table:
    """As training sets are read: `as_of_search`, or `as_of_join_sql` where that does not apply."""
    con, spine, joins = connect(), f"(FROM '{folder}/spine.parquet')", lookups(folder, tables, known, name)
    query = con.sql(as_of_join_sql(spine, joins, SPINE))
    return Relation(query, quick=lambda rows: as_of_search(con, spine, joins, SPINE, rows)).to_arrow()


def by_query(folder: Path, tables: int, known: str | None = None) -> pa.Table:
    """`as_of_join_sql`."""
    joins = lookups(folder, tables, known)
    return connect().sql(as_of_join_sql(f"(FROM '{folder}/spine.parquet')", joins, SPINE)).to_arrow_table()


def lookups(folder: Path, tables: int, known: str | None, name: str = "f") -> list[AsOf]:
    """The first tables, looked up."""
    return [
        AsOf(
            FeatureSide(f"(FROM '{folder}/{name}{n}.parquet')", ("k",), "e", known),
            (f"k{n}",),
            "t",
            tuple((name, f"{name}{n}") for name in COLUMNS),
            LOOKBACK,
        )
        for n in range(1, tables + 1)
    ]


def by_boathouse_clustered(folder: Path, tables: int) -> pa.Table:
    """Tables that lie in order of key and time."""
    return by_boathouse(folder, tables, name="c")


def by_boathouse_with_known_times(folder: Path, tables: int) -> pa.Table:
    """Two times."""
    return by_boathouse(folder, tables, "known")


def by_query_with_known_times(folder: Path, tables: int) -> pa.Table:
    """`as_of_join_sql` over two times."""
    return by_query(folder, tables, "known")


def by_hand(folder: Path, tables: int, delay: timedelta = timedelta(0)) -> pa.Table:
    """The shortest right query: no order kept, nothing pruned."""
    numbers = range(1, tables + 1)
    age = f"INTERVAL '{LOOKBACK.total_seconds():.0f} seconds'"
    wanted = [
        f"CASE WHEN s.t - f{n}.e <= {age} THEN f{n}.{name} END AS {name}{n}"
        for n in numbers
        for name in COLUMNS
    ]
    known = f"s.t - INTERVAL '{delay.total_seconds():.0f} seconds'" if delay else "s.t"
    joins = [
        f"ASOF LEFT JOIN '{folder}/f{n}.parquet' f{n} ON s.k{n} = f{n}.k AND {known} >= f{n}.e"
        for n in numbers
    ]
    query = f"SELECT s.*, {', '.join(wanted)} FROM '{folder}/spine.parquet' s {' '.join(joins)}"
    return connect().sql(query).to_arrow_table()


def by_hand_ten_minutes_before(folder: Path, tables: int) -> pa.Table:
    """What the bitemporal join must give, since here every row is known ten minutes after its event."""
    return by_hand(folder, tables, DELAY)


def by_polars(folder: Path, tables: int) -> pa.Table:
    """`join_asof` on sorted frames, streaming."""
    import polars as pl

    frame = pl.scan_parquet(folder / "spine.parquet").sort("t")
    for n in range(1, tables + 1):
        renamed = {"k": f"k{n}", "e": f"e{n}"} | {name: f"{name}{n}" for name in COLUMNS}
        side = pl.scan_parquet(folder / f"f{n}.parquet").select(*renamed).rename(renamed).sort(f"e{n}")
        frame = frame.join_asof(
            side,
            left_on="t",
            right_on=f"e{n}",
            by=f"k{n}",
            tolerance=LOOKBACK,
            coalesce=True,
            check_sortedness=False,
        )
    return frame.collect(engine="streaming").to_arrow()


WAYS: dict[str, Callable[[Path, int], pa.Table]] = {
    "hand": by_hand,
    "boathouse": by_boathouse,
    "boathouse, clustered": by_boathouse_clustered,
    "boathouse, known time": by_boathouse_with_known_times,
    "query": by_query,
    "query, known time": by_query_with_known_times,
    "polars": by_polars,
}
CHECKS = WAYS | {"check": by_hand_ten_minutes_before}


def measure(way: str, folder: Path, tables: int) -> dict[str, Any]:
    """One run in this process: seconds, CPU seconds, peak memory in MB, rows, sum of all features."""
    started, cpu = time.perf_counter(), time.process_time()
    joined = CHECKS[way](folder, tables)
    seconds, cpu, most = time.perf_counter() - started, time.process_time() - cpu, peak()
    names = [f"{name}{n}" for n in range(1, tables + 1) for name in COLUMNS]
    total = sum(pc.sum(joined[name]).as_py() or 0.0 for name in names)
    return {"seconds": seconds, "cpu": cpu, "peak": most, "rows": joined.num_rows, "sum": total}


def peak() -> float:
    """The most memory that this process held, in MB; ru_maxrss begins with what the process held that started it."""
    [line] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) / 1024


def in_fresh_process(way: str, folder: Path, tables: int) -> dict[str, Any]:
    """`measure` in a process of its own."""
    command = [sys.executable, __file__, "--measure", way, str(folder), str(tables)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return dict(json.loads(done.stdout))


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two ways gave the same rows and, up to the order of adding, the same sum."""
    return bool(one["rows"] == other["rows"] and abs(one["sum"] - other["sum"]) <= 1e-9 * abs(other["sum"]))


def compare(folder: Path, tables: int, ways: list[str]) -> bool:
    """Measure these ways, print a row for each; whether all agree."""
    found = {way: in_fresh_process(way, folder, tables) for way in ways}
    known = in_fresh_process("check", folder, tables)
    agreed = True
    for way, run in found.items():
        right = same(run, known if "known" in way else found["hand"])
        agreed = agreed and right
        ratio, cpu_ratio = run["seconds"] / found["hand"]["seconds"], run["cpu"] / found["hand"]["cpu"]
        figures = f"{run['seconds']:8.2f} {ratio:6.2f} {run['cpu']:8.2f} {cpu_ratio:6.2f} {run['peak']:9.0f}"
        print(f"{tables:6} {way:22} {figures}  {'same sum' if right else 'WRONG SUM'}", flush=True)
    return agreed


def main() -> int:
    """Run the benchmark; 1 if the ways disagree."""
    parser = argparse.ArgumentParser(description="Point-in-time joins compared.")
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the spine")
    parser.add_argument("--features", type=int, default=10_000_000, help="rows of each feature table")
    parser.add_argument("--tables", default="1,2,3", help="how many tables, several times")
    parser.add_argument("--ways", default=",".join(WAYS).replace(", ", "+"), help="of these, `hand` first")
    parser.add_argument("--measure", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        way, folder, tables = given.measure
        print(json.dumps(measure(way, Path(folder), int(tables))))
        return 0
    print(f"spine of {given.rows:,} rows, tables of {given.features:,} rows")
    print(f"{'tables':6} {'way':22} {'seconds':>8} {'ratio':>6} {'CPU s':>8} {'ratio':>6} {'peak MB':>9}")
    with tempfile.TemporaryDirectory() as scratch:
        make_data(Path(scratch), given.rows, given.features)
        cluster(Path(scratch))
        ways = [way.replace("+", ", ") for way in given.ways.split(",")]
        agreed = [compare(Path(scratch), int(tables), ways) for tables in given.tables.split(",")]
    return 0 if all(agreed) else 1


if __name__ == "__main__":
    sys.exit(main())
