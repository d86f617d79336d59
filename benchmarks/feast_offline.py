"""One training set: ours against Feast's DuckDB offline store (ibis), the same file and the same spine in one run.

    python benchmarks/feast_offline.py [--rows 1_000_000] [--features 10_000_000] [--shares 10,100] [--feast-env DIR]

A table of `features` rows in order of time over 90 days, four columns read, lookback (Feast: ttl) seven days, and a spine
of `rows` rows that either side is given as the pandas frame that Feast asks for. Each in a fresh process: seconds by the
clock and of the processor from the frame to an Arrow table, imports and definitions left out, and the peak resident memory
of the whole process. `shares` are the rows that a key has: Feast joins each row of the spine with all rows of its key inside
the window before it takes the newest. The rows of both must be the same, each looked at by the number it has in the spine
(Feast's come in no order); 1 where they are not. Beside them, what our engine takes to read the table's columns and nothing
more.

Feast is installed with uv into an environment of its own, in a temporary folder (or in --feast-env, which is kept).
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from feast_side import feast_python
from point_in_time import COLUMNS, LOOKBACK, SPAN, connect

FEAST = "feast[duckdb]==0.67.0"
GOALS = {"seconds": 2, "cpu": 6}

MEASURE = '''
import json, sys, time, warnings
warnings.simplefilter("ignore")
import pandas as pd, pyarrow.parquet as pq
given = json.loads(sys.argv[1])
spine = pd.read_parquet(given["spine"])

def measured(act):
    start, cpu = time.perf_counter(), time.process_time()
    rows = act()
    took = {"seconds": time.perf_counter() - start, "cpu": time.process_time() - cpu}
    [most] = [line for line in open("/proc/self/status") if line.startswith("VmHWM")]
    took["peak"] = int(most.split()[1]) / 1024
    if rows is not None:
        pq.write_table(rows.select(["n", *given["columns"]]), given["out"])
    print("FOUND " + json.dumps(took))
'''

FEAST_SIDE = MEASURE + '''
from datetime import timedelta
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig, ValueType
from feast.types import Float64

store = FeatureStore(config=RepoConfig(
    project="offline", provider="local", registry=given["registry"], offline_store={"type": "duckdb"},
    entity_key_serialization_version=3,
))
entity = Entity(name="k", join_keys=["k"], value_type=ValueType.INT64)
view = FeatureView(
    name="f", entities=[entity], ttl=timedelta(seconds=given["lookback"]),
    schema=[Field(name=name, dtype=Float64) for name in given["columns"]],
    source=FileSource(path=given["table"], timestamp_field="e"),
)
store.apply([entity, view])
wanted = ["f:" + name for name in given["columns"]]
asked = spine.rename(columns={"t": "event_timestamp"})
measured(lambda: store.get_historical_features(entity_df=asked, features=wanted).to_arrow())
'''

OUR_SIDE = MEASURE + '''
from datetime import timedelta
import duckdb
from boathouse.features import AsOf, FeatureSide, as_of_join_sql, as_of_search
from boathouse.lake import Relation

side = FeatureSide("(FROM '" + given["table"] + "')", ("k",), "e")
join = AsOf(side, ("k",), "t", tuple((name, name) for name in given["columns"]), timedelta(seconds=given["lookback"]))

def joined():
    con = duckdb.connect()
    con.execute("SET TimeZone='UTC'")
    con.register("spine", spine)
    query = con.sql(as_of_join_sql("spine", [join], list(spine.columns)))
    return Relation(query, quick=lambda rows: as_of_search(con, "spine", [join], list(spine.columns), rows)).to_arrow()

measured(joined)
'''

READING = MEASURE + '''
import duckdb

def read():
    columns = ", ".join(["k", "epoch_us(e)", *given["columns"]])
    for _ in duckdb.connect().sql("SELECT " + columns + " FROM '" + given["table"] + "'").to_arrow_reader(61_440):
        pass

measured(read)
'''


def make_data(folder: Path, rows: int, features: int, share: int) -> None:
    """Write spine.parquet and table.parquet; `share` rows for each key."""
    con, start, keys = connect(), "timestamptz '2024-01-01 00:00Z'", max(1, features // share)
    at = f"{start} + to_microseconds((hash(i * 3) % {SPAN})::BIGINT)"
    con.execute(f"COPY (SELECT i AS n, (hash(i + 1) % {keys})::BIGINT AS k, {at} AS t FROM range({rows}) r(i)) "
                f"TO '{folder}/spine.parquet'")  # fmt: skip
    values = ", ".join(f"random() AS {name}" for name in COLUMNS)
    row = f"(hash(i * 11) % {keys})::BIGINT AS k, {start} + to_microseconds(i * {SPAN // features}) AS e, {values}"
    con.execute(f"COPY (SELECT {row} FROM range({features}) r(i)) TO '{folder}/table.parquet'")


def measure(python: str, script: str, folder: Path, side: str) -> dict[str, float]:
    """One side in a fresh process of its environment; its rows lie in SIDE.parquet."""
    given = {"spine": f"{folder}/spine.parquet", "table": f"{folder}/table.parquet", "out": f"{folder}/{side}.parquet",
             "registry": f"{folder}/registry.db", "columns": list(COLUMNS), "lookback": LOOKBACK.total_seconds()}  # fmt: skip
    environ = {**os.environ, "FEAST_USAGE": "False", "PYTHONWARNINGS": "ignore"}
    done = subprocess.run([python, "-c", script, json.dumps(given)], capture_output=True, text=True, check=False, env=environ,
                          cwd=folder)  # Feast makes an online store where it stands
    lines = [line for line in done.stdout.splitlines() if line.startswith("FOUND ")]
    if done.returncode or not lines:
        raise SystemExit(f"{side} failed ({done.returncode}):\n{done.stderr[-3000:]}")
    found: dict[str, float] = json.loads(lines[-1].removeprefix("FOUND "))
    return found


def other_rows(folder: Path, rows: int) -> int:
    """Rows of the spine that either side lost or repeated, or whose features differ."""
    sides = " FULL JOIN ".join(f"(FROM '{folder}/{side}.parquet') {side}" for side in ("ours", "feast"))
    same = " AND ".join(f"ours.{name} IS NOT DISTINCT FROM feast.{name}" for name in ("n", *COLUMNS))
    both = f"FROM '{folder}/ours.parquet' UNION ALL FROM '{folder}/feast.parquet'"
    [(alike,)] = connect().sql(f"SELECT count(*) FILTER (WHERE {same}) FROM {sides} ON ours.n = feast.n").fetchall()
    [(held,)] = connect().sql(f"SELECT count(*) FROM ({both})").fetchall()
    return abs(rows - int(alike)) + abs(2 * rows - int(held))


def compare(folder: Path, python: str, share: int, given: argparse.Namespace) -> bool:
    """Measure both sides and print them; whether their rows agree."""
    make_data(folder, given.rows, given.features, share)
    found: dict[str, dict[str, Any]] = {}
    sides = (("ours", sys.executable, OUR_SIDE), ("feast", python, FEAST_SIDE), ("read", sys.executable, READING))
    for side, program, script in sides:
        run = found[side] = measure(program, script, folder, side)
        print(f"{share:>6} rows a key  {side:6} {run['seconds']:8.2f} s {run['cpu']:8.2f} CPU s, peak {run['peak']:7.0f} MB, "
              f"load {os.getloadavg()[0]:.1f}", flush=True)  # fmt: skip
    ratios = {name: found["feast"][name] / found["ours"][name] for name in ("seconds", "cpu", "peak")}
    wrong = other_rows(folder, given.rows)
    clock, processor = (f"{ratios[name]:.1f}x by the {said} (goal {GOALS[name]})"
                        for name, said in (("seconds", "clock"), ("cpu", "processor")))  # fmt: skip
    print(f"  Feast to ours: {clock}, {processor}, {ratios['peak']:.1f}x memory; "
          f"{f'{wrong:,} ROWS DIFFER' if wrong else 'same rows'}", flush=True)  # fmt: skip
    most = found["feast"]["cpu"] / found["read"]["cpu"]
    print(f"  the engine's reading of the table's columns into Arrow alone: {most:.1f}x by the processor", flush=True)
    return not wrong


def main() -> int:
    """Run the benchmark; 1 if the sides disagree."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the spine")
    parser.add_argument("--features", type=int, default=10_000_000, help="rows of the table")
    parser.add_argument("--shares", default="10,100", help="rows a key")
    parser.add_argument("--feast-env", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bh-feast-") as scratch:
        folder = Path(scratch)
        python = feast_python(given.feast_env or folder / "feast", FEAST)
        if python is None:
            return 0
        agreed = [compare(folder, python, int(share), given) for share in given.shares.split(",")]
    return 0 if all(agreed) else 1


if __name__ == "__main__":
    sys.exit(main())
