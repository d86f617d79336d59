"""A training set in the shape of the published New York taxi example, against plain DuckDB on the same files.

    python benchmarks/taxi.py [--rows 10_000_000]

A spine of `rows` trips over two months in 260 zones; a table of the pick-up zone with two features every 15 minutes, one of
the drop-off zone with two every 30 minutes. By hand: two ASOF joins and nothing else. Ours, by searching sorted features and
by the query that this stands for, keeps the spine's rows in order besides. Each in a fresh process, from query to Parquet
file as it streams; all must give the same sums.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import duckdb
from point_in_time import connect, peak

from boathouse.features import AsOf, FeatureSide, as_of_join_sql, as_of_search
from boathouse.lake import Relation

DAYS, ZONES = 60, 260
KEEP = ("pickup_zip", "dropoff_zip", "at", "fare")
SIDES = {"pickup": (15, ("mean_fare", "trips")), "dropoff": (30, ("trips_30m", "weekend"))}


def make_data(folder: Path, rows: int) -> None:
    """Write trips.parquet, pickup.parquet and dropoff.parquet."""
    con, start = connect(), "timestamptz '2016-01-01 00:00Z'"
    at = f"{start} + to_microseconds((hash(i * 3) % {DAYS * 86_400_000_000})::BIGINT)"
    zones = ", ".join(f"(hash(i + {n}) % {ZONES})::INTEGER AS {side}_zip" for n, side in enumerate(SIDES))
    con.execute(f"COPY (SELECT {zones}, {at} AS at, random() AS fare FROM range({rows}) r(i)) TO '{folder}/trips.parquet'")
    for side, (minutes, names) in SIDES.items():
        values = ", ".join(f"random() AS {name}" for name in names)
        steps = DAYS * 1440 // minutes
        con.execute(
            f"COPY (SELECT z::INTEGER AS zip, {start} + to_minutes(s * {minutes}) AS ts, {values} "
            f"FROM range({steps}) a(s), range({ZONES}) b(z)) TO '{folder}/{side}.parquet'"
        )


def by_hand(con: duckdb.DuckDBPyConnection, folder: Path) -> Relation:
    """The shortest right query."""
    wanted = ", ".join(f"{side}.{name}" for side, (_, names) in SIDES.items() for name in names)
    joins = [f"ASOF LEFT JOIN '{folder}/{s}.parquet' {s} ON t.{s}_zip = {s}.zip AND t.at >= {s}.ts" for s in SIDES]
    return Relation(con.sql(f"SELECT t.*, {wanted} FROM '{folder}/trips.parquet' t {' '.join(joins)}"))


def by_query(con: duckdb.DuckDBPyConnection, folder: Path) -> Relation:
    """`as_of_join_sql`."""
    return Relation(con.sql(as_of_join_sql(f"(FROM '{folder}/trips.parquet')", lookups(folder), KEEP)))


def by_search(con: duckdb.DuckDBPyConnection, folder: Path) -> Relation:
    """`as_of_search`, which training sets are read by where it applies."""
    spine = f"(FROM '{folder}/trips.parquet')"
    query = con.sql(as_of_join_sql(spine, lookups(folder), KEEP))
    return Relation(query, quick=lambda rows: as_of_search(con, spine, lookups(folder), KEEP, rows))


def lookups(folder: Path) -> list[AsOf]:
    """The two tables, looked up."""
    joins = []
    for side, (_, names) in SIDES.items():
        table = FeatureSide(f"(FROM '{folder}/{side}.parquet')", ("zip",), "ts")
        joins.append(AsOf(table, (f"{side}_zip",), "at", tuple((n, n) for n in names)))
    return joins


WAYS = {"by hand": by_hand, "boathouse": by_search, "query": by_query}


def measure(way: str, folder: Path) -> dict[str, Any]:
    """One way in this process."""
    con = connect()
    started, cpu = time.perf_counter(), time.process_time()
    rows = WAYS[way](con, folder).to_parquet(folder / "out.parquet")
    took = {"seconds": time.perf_counter() - started, "cpu": time.process_time() - cpu}
    most = peak()
    names = ", ".join(f"round(sum({name}), 3)" for _, listed in SIDES.values() for name in listed)
    return {**took, "rows": rows, "peak": most, "sums": con.sql(f"SELECT {names} FROM '{folder}/out.parquet'").fetchall()}


def main() -> int:
    """Run the benchmark; 1 if the ways disagree."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        print(json.dumps(measure(given.measure[0], Path(given.measure[1]))))
        return 0
    with tempfile.TemporaryDirectory() as scratch:
        make_data(Path(scratch), given.rows)
        found = {}
        for way in WAYS:
            command = [sys.executable, __file__, "--measure", way, scratch]
            found[way] = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
            run, hand = found[way], found["by hand"]
            print(
                f"{way:10} {run['rows']:,} rows {run['seconds']:7.1f} s ({run['seconds'] / hand['seconds']:.2f}x) "
                f"{run['cpu']:7.1f} CPU s ({run['cpu'] / hand['cpu']:.2f}x) {run['rows'] / run['cpu']:,.0f} rows a CPU second, "
                f"peak {run['peak']:.0f} MB", flush=True,
            )  # fmt: skip
    right = all(run["sums"] == found["by hand"]["sums"] and run["rows"] == given.rows for run in found.values())
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
