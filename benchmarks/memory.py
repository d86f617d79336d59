"""Training sets larger than memory: what a whole process holds at its peak, and what it spills.

    python benchmarks/memory.py [--rows 10_000_000] [--wide 1_000_000] [--limit 4GB] [--engine 2GB]

`long`: a spine of `rows` rows against three tables of as many rows (a tenth, a hundredth and a ten-thousandth as many keys),
four columns read of each, lookback seven days. `known`: the same with known times. `wide`: a spine of `wide` rows against
one table of as many rows and 500 features. Each is made by a fresh process from Parquet, on an engine whose `memory_limit`
is `engine`, and streamed into a Parquet file. `peak` is the resident memory of that whole process as the kernel counts it
(VmHWM, with Python and Arrow), `spilled` the most that lay in the spill folder, looked at four times a second. Exit 1
when a peak is above `limit`, when rows are lost, or out of order.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import duckdb
from point_in_time import COLUMNS, LOOKBACK, SPAN, SPINE, connect, make_data, peak

from boathouse.features import AsOf, FeatureSide, as_of_join_sql, as_of_search
from boathouse.lake import Engine, Relation

FEATURES = 500


def make_wide(folder: Path, rows: int) -> None:
    """One table of 500 features, and its spine."""
    con, start = connect(), "timestamptz '2024-01-01 00:00Z'"
    keys = max(1, rows // 10)
    con.execute(f"COPY (SELECT (hash(i) % {keys})::BIGINT AS k1, {start} + to_microseconds((hash(i * 3) % {SPAN})::BIGINT) AS t "
                f"FROM range({rows}) r(i)) TO '{folder}/wide_spine.parquet'")  # fmt: skip
    values = ", ".join(f"(hash(i * {n + 7}) % 1000000) / 1e6 AS v{n}" for n in range(FEATURES))
    event = f"{start} + to_microseconds(i * {SPAN // rows})"
    con.execute(f"COPY (SELECT (hash(i * 11) % {keys})::BIGINT AS k, {event} AS e, {values} "
                f"FROM range({rows}) r(i)) TO '{folder}/wide.parquet' (ROW_GROUP_SIZE 20000)")  # fmt: skip


def training_set(engine: Engine, kind: str, folder: Path) -> Relation:
    """As training sets are read: `as_of_search`, or `as_of_join_sql` where that does not apply."""
    name, keep = ("wide_spine", ("k1", "t")) if kind == "wide" else ("spine", SPINE)
    spine = f"(FROM '{folder}/{name}.parquet')"
    joins = lookups(kind, folder)
    query = as_of_join_sql(spine, joins, keep)
    return engine.relation(query, lambda rows: as_of_search(engine.connection, spine, joins, keep, rows))


def lookups(kind: str, folder: Path) -> list[AsOf]:
    """What is looked up."""
    if kind == "wide":
        side = FeatureSide(f"(FROM '{folder}/wide.parquet')", ("k",), "e")
        return [AsOf(side, ("k1",), "t", tuple((f"v{n}", f"v{n}") for n in range(FEATURES)), LOOKBACK)]
    joins = []
    for n in (1, 2, 3):
        side = FeatureSide(f"(FROM '{folder}/f{n}.parquet')", ("k",), "e", "known" if kind == "known" else None)
        joins.append(AsOf(side, (f"k{n}",), "t", tuple((name, f"{name}{n}") for name in COLUMNS), LOOKBACK))
    return joins


def measure(kind: str, folder: Path, memory: str) -> dict[str, Any]:
    """One training set in this process."""
    engine, spilled, over = Engine(folder / "spill", memory), [0], threading.Event()

    def watch() -> None:
        while not over.wait(0.25):
            spilled[0] = max(spilled[0], sum(f.stat().st_blocks * 512 for f in (folder / "spill").glob("*")) + unnamed())

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    started, cpu = time.perf_counter(), time.process_time()
    rows = training_set(engine, kind, folder).to_parquet(folder / "out.parquet")
    took = {"seconds": time.perf_counter() - started, "cpu": time.process_time() - cpu}
    most = peak()
    over.set()
    watcher.join()
    return {**took, "rows": rows, "peak": most, "spilled": spilled[0] >> 20}


def unnamed() -> int:
    """Bytes of this process's files without a name."""
    size = 0
    for file in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile
            size += file.stat().st_blocks * 512 if "as-of-" in str(file.readlink()) else 0
    return size


def in_order(kind: str, folder: Path) -> bool:
    """Whether the rows are those of the spine, in its order."""
    spine = folder / ("wide_spine.parquet" if kind == "wide" else "spine.parquet")
    places = "SELECT row_number() OVER () AS place, k1, t FROM '{}'"
    moved = (
        f"SELECT count(*) FROM ({places.format(folder / 'out.parquet')}) o FULL JOIN ({places.format(spine)}) s "
        "ON o.place = s.place AND o.k1 = s.k1 AND o.t = s.t WHERE s.t IS NULL OR o.t IS NULL"
    )
    return duckdb.sql(moved).fetchall() == [(0,)]


def compare(kind: str, folder: Path, given: argparse.Namespace) -> bool:
    """Measure one kind and print it; whether it kept to the limit and lost nothing."""
    command = [sys.executable, __file__, "--measure", kind, str(folder), given.engine]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    run = json.loads(done.stdout)
    limit = int(given.limit.removesuffix("GB")) * 1024
    held = run["peak"] <= limit
    wanted = given.wide if kind == "wide" else given.rows
    right = run["rows"] == wanted and in_order(kind, folder)
    said = f"{run['peak'] / limit:.2f} of {given.limit}, {'all rows in order' if right else 'ROWS LOST OR MOVED'}"
    figures = f"{run['seconds']:8.1f} {run['cpu']:8.1f} {run['peak']:8.0f} {run['spilled']:10,}"
    print(f"{kind:6} {run['rows']:>11,} {figures}  {said}", flush=True)
    (folder / "out.parquet").unlink()
    return held and right


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--wide", type=int, default=1_000_000)
    parser.add_argument("--limit", default="4GB", help="of the whole process")
    parser.add_argument("--engine", default="2GB", help="memory_limit of the engine")
    parser.add_argument("--kinds", default="long,known,wide")
    parser.add_argument("--measure", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        kind, at, memory = given.measure
        print(json.dumps(measure(kind, Path(at), memory)))
        return 0
    kinds = given.kinds.split(",")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        if set(kinds) - {"wide"}:
            make_data(folder, given.rows, given.rows)
        if "wide" in kinds:
            make_wide(folder, given.wide)
        print(f"{'kind':6} {'rows':>11} {'seconds':>8} {'CPU s':>8} {'peak MB':>8} {'spilled MB':>10}")
        kept = [compare(kind, folder, given) for kind in kinds]
        return 0 if all(kept) else 1


if __name__ == "__main__":
    sys.exit(main())
