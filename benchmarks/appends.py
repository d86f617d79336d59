"""A thousand small appends to one table: what one costs as the versions grow, plain and with automatic compaction.

    python benchmarks/appends.py [--appends 1000]

Each append writes ten rows through a held handle, as an endpoint's log does. Printed for every hundred appends: the
median, the 95th percentile and the CPU milliseconds of one, and the ratio of the median to that of the first hundred;
then what is left: files, and milliseconds to open the table and to read it whole in a fresh process. Checkpoints are
written every 20 commits, as on every table. Automatic compaction is asked for by the property
delta.autoOptimize.autoCompact, and its cost is in the appends that do it.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pyarrow as pa

from boathouse.lake import DeltaFolder

HUNDRED = 100
SCHEMA = pa.schema([("id", pa.int64()), ("at", pa.timestamp("us", "UTC")), ("said", pa.string())])
OPENING = """
import sys, time
from boathouse.lake import DeltaFolder, Engine
folder, engine = DeltaFolder(sys.argv[1], "t"), Engine()
start = time.perf_counter()
table = folder.table()
opened = time.perf_counter()
rows = engine.relation(f"SELECT count(said) AS n FROM {engine.scan(table)}").to_dicts()[0]["n"]
print(f"{(opened - start) * 1000:.1f} ms to open, {(time.perf_counter() - opened) * 1000:.1f} ms to read {rows:,} rows")
"""


def rows(number: int) -> dict[str, list[object]]:
    """Ten rows."""
    return {"id": [number * 10 + n for n in range(10)], "at": [None] * 10, "said": [f"said {number}"] * 10}


def run(folder: DeltaFolder, appends: int) -> None:
    """Append, and print every hundred."""
    first, times, cpu = 0.0, [], time.process_time()
    print(f"{'appends':>10}{'median ms':>11}{'p95 ms':>9}{'CPU ms':>9}{'ratio':>8}{'files':>8}")
    for number in range(appends):
        start = time.perf_counter()
        folder.append(rows(number))
        times.append((time.perf_counter() - start) * 1000)
        if len(times) == HUNDRED:
            median, used = statistics.median(times), (time.process_time() - cpu) * 1000 / HUNDRED
            first = first or median
            files = len(folder.table().file_uris())
            print(f"{number + 1:>10}{median:>11.1f}{sorted(times)[94]:>9.1f}{used:>9.1f}{median / first:>8.2f}{files:>8}")
            times, cpu = [], time.process_time()


def main() -> None:
    """Both tables, one after the other."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--appends", type=int, default=1000)
    given = options.parse_args()
    for name, properties in (("plain", {}), ("automatic compaction", {"delta.autoOptimize.autoCompact": "true"})):
        with tempfile.TemporaryDirectory() as made:
            folder = DeltaFolder((Path(made) / "table").as_uri(), name)
            folder.create(SCHEMA, properties=properties)
            print(f"\n{name}")
            run(folder, given.appends)
            done = subprocess.run([sys.executable, "-c", OPENING, folder.location], capture_output=True, text=True, check=True)
            print(f"version {folder.version()}, {len(folder.table().file_uris())} files: {done.stdout.strip()}")


if __name__ == "__main__":
    main()
