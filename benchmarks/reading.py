"""Reading a Delta table: ours against plain DuckDB over the very same Parquet files.

    python benchmarks/reading.py [--rows 10_000_000]

A plain table of eight files and one partitioned by 30 days, made by delta-rs. Each query is run by turns through
`Table.read`'s own path (newest snapshot, files pruned, SQL to Arrow) and through `read_parquet` of the table's files,
with the folders' names read as partition values where there are any. Warm: the best of many runs in one process.
Cold: the first run of a fresh process that has loaded the libraries, the operating system told to drop the files' pages
first. Time on the clock and of the processor, which is what counts where other work shares the machine. Then the files
that a selective condition leaves to be opened, of all there are.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import duckdb

from boathouse.lake import DeltaFolder, Engine, Stream
from boathouse.lake.snapshot import data_files

DAYS = 30
PLAIN = "plain"
PARTITIONED = "partitioned"
QUERIES = {
    "aggregate": (PLAIN, "SELECT k, sum(a), avg(b), count(*) FROM {} GROUP BY k", None),
    "rows": (PLAIN, "SELECT * FROM {} WHERE b > 0.9", None),
    "one day of 30": (PLAIN, "SELECT sum(a), count(*) FROM {} WHERE {where}", "t >= '2024-01-11' AND t < '2024-01-12'"),
    "aggregate by partition": (PARTITIONED, "SELECT day, sum(a), count(*) FROM {} GROUP BY day", None),
    "one partition of 30": (PARTITIONED, "SELECT sum(a), count(*) FROM {} WHERE {where}", "day = '2024-01-11'"),
}


def make_tables(root: Path, rows: int) -> None:
    """Two tables with the same rows, in order of time."""
    for name, partitions in ((PLAIN, []), (PARTITIONED, ["day"])):
        folder = DeltaFolder((root / name).as_uri(), name)
        made = duckdb.connect()
        made.execute("SET TimeZone='UTC'")

        def part(number: int, parts: int) -> str:
            return f"""SELECT i AS id, hash(i) % 1000 AS k, random() AS a, random() AS b, 'label-' || i % 97 AS s,
                       TIMESTAMPTZ '2024-01-01 00:00Z' + to_microseconds(i * {DAYS * 86_400_000_000 // rows}) AS t,
                       t::DATE AS day FROM range({rows * number // parts}, {rows * (number + 1) // parts}) r(i)"""

        parts = DAYS if partitions else 8
        folder.create(made.sql(part(0, parts)).limit(0).to_arrow_table().schema, partition_by=partitions)
        for number in range(parts):
            query = made.sql(part(number, parts))
            folder.append(Stream(query.limit(0).to_arrow_table().schema, lambda query=query: query.to_arrow_reader(100_000)))


def by_boathouse(root: Path, query: str) -> Callable[[], int]:
    """As `Table.read` does it: the handle is held, the snapshot brought up to date."""
    table, sql, where = QUERIES[query]
    folder, engine = DeltaFolder((root / table).as_uri(), table), Engine()
    return lambda: engine.relation(
        sql.replace("{where}", where or "").format(engine.scan(folder.table(), where))
    ).to_arrow().num_rows


def by_duckdb(root: Path, query: str) -> Callable[[], int]:
    """The files named in advance, nothing pruned."""
    table, sql, where = QUERIES[query]
    connection = duckdb.connect()
    connection.execute("SET TimeZone='UTC'; SET preserve_insertion_order=false; SET enable_progress_bar=false")
    listed = ", ".join(f"'{path}'" for path in sorted((root / table).rglob("part-*.parquet")))
    source = f"read_parquet([{listed}], hive_partitioning={str(table == PARTITIONED).lower()})"
    return lambda: connection.sql(sql.replace("{where}", where or "").format(source)).to_arrow_table().num_rows


WAYS = {"boathouse": by_boathouse, "duckdb": by_duckdb}


def drop_pages(root: Path) -> None:
    """Ask the operating system to forget what it read of the files."""
    for path in root.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fdatasync(file.fileno())
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def measured(act: Callable[[], int]) -> tuple[float, float]:
    """Milliseconds on the clock and of the processor."""
    clock, processor = time.perf_counter(), time.process_time()
    act()
    return (time.perf_counter() - clock) * 1000, (time.process_time() - processor) * 1000


def best(found: dict[str, list[tuple[float, float]]]) -> dict[str, tuple[float, float]]:
    """The lowest of each."""
    return {way: (min(clock for clock, _ in times), min(cpu for _, cpu in times)) for way, times in found.items()}


def warm(root: Path, query: str, runs: int) -> dict[str, tuple[float, float]]:
    """Best milliseconds of each way, by turns."""
    acts = {way: make(root, query) for way, make in WAYS.items()}
    found: dict[str, list[tuple[float, float]]] = {way: [] for way in acts}
    for number in range(runs + 2):
        for way, act in acts.items():
            times = measured(act)
            found[way] += [times] if number >= 2 else []
    return best(found)


def cold(root: Path, query: str, runs: int) -> dict[str, tuple[float, float]]:
    """Best milliseconds of each way's first run in a process; opening the engine is in it."""
    found: dict[str, list[tuple[float, float]]] = {way: [] for way in WAYS}
    for _ in range(runs):
        for way in WAYS:
            drop_pages(root)
            done = subprocess.run([sys.executable, __file__, "--one", way, query, str(root)], capture_output=True, check=True)
            found[way].append(tuple(json.loads(done.stdout)))
    return best(found)


def one(way: str, query: str, root: Path) -> None:
    """The milliseconds of one first run; the libraries are loaded before."""
    DeltaFolder((root / PLAIN).as_uri(), PLAIN).version()

    def first() -> int:
        return WAYS[way](root, query)()

    print(json.dumps(measured(first)))


def main() -> None:
    """Make the tables, measure, print."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rows", type=lambda text: int(text.replace("_", "")), default=10_000_000)
    options.add_argument("--runs", type=int, default=15)
    options.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.one:
        one(given.one[0], given.one[1], Path(given.one[2]))
        return
    with tempfile.TemporaryDirectory() as made:
        root = Path(made)
        make_tables(root, given.rows)
        print(f"{given.rows:,} rows; milliseconds, best of each; ratio to DuckDB on the same files\n")
        print(f"{'':<30}{'------- clock -------':>25}{'----- processor -----':>25}")
        print(f"{'query':<24}{'':<6}" + f"{'ours':>9}{'DuckDB':>9}{'ratio':>7}" * 2 + "   files opened")
        for query, (table, _, where) in QUERIES.items():
            snapshot = DeltaFolder((root / table).as_uri(), table).table()
            files, every = data_files(snapshot, where), data_files(snapshot)
            assert files
            assert every
            for kind, times in (("warm", warm(root, query, given.runs)), ("cold", cold(root, query, max(3, given.runs // 3)))):
                opened = f"{len(files.names)} of {len(every.names)}" if kind == "warm" else ""
                figures = "".join(
                    f"{ours:>9.1f}{theirs:>9.1f}{ours / theirs:>7.2f}"
                    for ours, theirs in zip(times["boathouse"], times["duckdb"], strict=True)
                )
                print(f"{query:<24}{kind:<6}{figures}   {opened}", flush=True)


if __name__ == "__main__":
    main()
