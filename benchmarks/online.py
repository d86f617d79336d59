"""Online features: our two stores against Feast's on SQLite and Redis, the same rows and keys in one run.

    python benchmarks/online.py [--keys 50000] [--rows 1000000] [--feast-env DIR] [--no-feast]

Three tables of ten doubles each, a row for every key. Printed for each store: rows a second of publishing (Feast:
materialize) the three tables from their files; the first lookup of a process (cold); microseconds at the median and the
99th percentile of warm lookups of 1 and of 100 random keys in all three tables; each with the ratio to Feast's. Then our
publishing of a table of a million rows, and what HTTP adds: an endpoint that serves the features of a spec without a
model, asked over one kept connection, against the same completion in process.

Feast is installed with uv into an environment of its own, in a temporary folder (or in --feast-env, which is kept).
"""

import argparse
import http.client
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

FEAST = "feast[redis]==0.67.0"
TABLES, FEATURES = 3, 10
SIZES = {1: 2000, 100: 200}  # keys of a lookup: how many lookups are measured
FEAST_SIZES = {1: 300, 100: 30}
AT = datetime(2026, 1, 1, tzinfo=UTC)

FEAST_SIDE = '''
import json, random, sys, time, warnings
from datetime import datetime, timedelta, timezone
from pathlib import Path
warnings.simplefilter("ignore")
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig, ValueType
from feast.types import Float64

given = json.loads(sys.argv[1])
folder = Path(given["folder"])
names = [f"f{i}" for i in range(given["features"])]
store = FeatureStore(config=RepoConfig(
    project="online", provider="local", registry=str(folder / "registry.db"), online_store=given["online"],
    entity_key_serialization_version=3,
))
wanted = [f"t{n}:{name}" for n in range(given["tables"]) for name in names]
seconds = None
if given["materialize"]:
    entity = Entity(name="key", join_keys=["key"], value_type=ValueType.INT64)
    views = [FeatureView(
        name=f"t{n}", entities=[entity], ttl=timedelta(days=36500), schema=[Field(name=name, dtype=Float64) for name in names],
        source=FileSource(path=str(folder / f"t{n}.parquet"), timestamp_field="at"),
    ) for n in range(given["tables"])]
    store.apply([entity, *views])
    start = time.perf_counter()
    store.materialize(datetime(2025, 1, 1, tzinfo=timezone.utc), datetime(2026, 6, 1, tzinfo=timezone.utc))
    seconds = time.perf_counter() - start
found = {"seconds": seconds, "lookups": {}}
chosen = random.Random(7)
for size, times in given["sizes"].items():
    spent = []
    for _ in range(times):
        rows = [{"key": chosen.randrange(given["keys"])} for _ in range(int(size))]
        start = time.perf_counter()
        answer = store.get_online_features(features=wanted, entity_rows=rows, full_feature_names=True).to_dict()
        spent.append(time.perf_counter() - start)
        assert answer["t0__f0"][0] is not None
    found["lookups"][size] = spent
print("FOUND " + json.dumps(found))
'''

OUR_SIDE = '''
import json, random, sys, time
from boathouse.features import open_online_store

given = json.loads(sys.argv[1])
store = open_online_store(given["location"], "dev")
found, chosen = {"lookups": {}}, random.Random(7)
for size, times in given["sizes"].items():
    spent = []
    for _ in range(times):
        keys = [(chosen.randrange(given["keys"]),) for _ in range(int(size))]
        start = time.perf_counter()
        answer = store.lookup_many([(f"features.t{n}", keys) for n in range(given["tables"])])
        spent.append(time.perf_counter() - start)
        assert all(row is not None for of in answer for row in of.rows)
    found["lookups"][size] = spent
print("FOUND " + json.dumps(found))
'''


def told(python: str, script: str, given: dict[str, Any]) -> dict[str, Any]:
    """What a script says, run in a fresh process of an environment."""
    environ = {**os.environ, "FEAST_USAGE": "False", "PYTHONWARNINGS": "ignore"}
    done = subprocess.run([python, "-c", script, json.dumps(given)], capture_output=True, text=True, check=False, env=environ)
    lines = [line for line in done.stdout.splitlines() if line.startswith("FOUND ")]
    if done.returncode or not lines:
        raise SystemExit(f"a side of the benchmark failed:\n{done.stderr[-3000:]}")
    found: dict[str, Any] = json.loads(lines[-1].removeprefix("FOUND "))
    return found


def percentiles(spent: list[float]) -> tuple[float, float]:
    """Median and 99th percentile, microseconds; the first three are left out as warming."""
    warm = sorted(spent[3:])
    return warm[len(warm) // 2] * 1e6, warm[int(len(warm) * 0.99)] * 1e6


def say(label: str, rows: int, seconds: float, found: dict[str, Any]) -> dict[str, float]:
    """One line, and its figures."""
    (one, one_p99), (many, many_p99) = (percentiles(found["lookups"][str(size)]) for size in SIZES)
    cold = found["lookups"]["1"][0]
    print(f"{label:<16} publish {rows / seconds:>9,.0f} rows/s | cold {cold * 1e3:7.1f} ms "
          f"| 1 key {one:8,.1f} us p50 {one_p99:9,.1f} p99 "
          f"| 100 keys {many:9,.0f} us p50 {many_p99:9,.0f} p99", flush=True)  # fmt: skip
    return {"publish": rows / seconds, "1 key": one, "100 keys": many}


def compare(ours: str, mine: dict[str, float], theirs: str, other: dict[str, float]) -> None:
    """The ratios, with the goals."""
    print(f"  {ours} against {theirs}: publish {mine['publish'] / other['publish']:,.1f}x (goal 50), "
          f"1 key {other['1 key'] / mine['1 key']:,.1f}x (goal 30), "
          f"100 keys {other['100 keys'] / mine['100 keys']:,.1f}x (goal 30)",
          flush=True)  # fmt: skip


@contextmanager
def redis_server(folder: Path) -> Iterator[int]:
    """A Redis server of the benchmark's own on a port of its own."""
    import socket

    program = shutil.which("redis-server")
    if program is None:
        raise SystemExit("redis-server is not installed: apt-get install redis-server")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    words = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL) as process:
        try:
            limit = time.monotonic() + 30
            while time.monotonic() < limit:
                with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                    break
                time.sleep(0.02)
            yield port
        finally:
            process.kill()


@contextmanager
def server(home: Path) -> Iterator[None]:
    """`boathouse up` in a process of its own, until it answers."""
    command = str(Path(sys.executable).parent / "boathouse")
    with (home.with_suffix(".log")).open("w") as log:
        process = subprocess.Popen([command, "--home", str(home), "up", "--port", "0"], stdout=log, stderr=log)
    try:
        limit = time.monotonic() + 120
        while not (home / "server.json").exists() and time.monotonic() < limit and process.poll() is None:
            time.sleep(0.1)
        yield
    finally:
        process.terminate()
        process.wait()


def made(keys: int, seed: int) -> Any:
    """A table of a row for each key, in no order."""
    import numpy as np
    import pyarrow as pa

    rng = np.random.default_rng(seed)
    return pa.table({
        "key": pa.array(rng.permutation(keys)), "at": pa.array([AT] * keys, pa.timestamp("us", "UTC")),
        **{f"f{i}": rng.random(keys) for i in range(FEATURES)},
    })  # fmt: skip


def ours(home: Path, store: str, tables: list[Any], big: Any, http_too: bool) -> tuple[float, float]:
    """Seconds of publishing the tables, and the big one."""
    import boathouse
    from boathouse.feature_engineering import FeatureEngineeringClient

    os.environ["BOATHOUSE_ONLINE_STORE"] = store
    with server(home), boathouse.connect(home=str(home)) as lake:
        fe = FeatureEngineeringClient(context=lake)
        for n, table in enumerate([*tables, big]):
            name = f"features.t{n}" if n < TABLES else "features.big"
            fe.create_table(name=name, primary_keys=["key", "at"], timeseries_column="at", df=table)
        start = time.perf_counter()
        for n in range(TABLES):
            fe.publish_table(source_table_name=f"features.t{n}", publish_mode="SNAPSHOT")
        small = time.perf_counter() - start
        start = time.perf_counter()
        fe.publish_table(source_table_name="features.big", publish_mode="SNAPSHOT")
        whole = time.perf_counter() - start
        if http_too:
            over_http(lake, fe, len(tables[0]))
    return small, whole


def timed(act: Callable[[list[int]], Any], keys: int, size: int, times: int) -> tuple[float, float]:
    """Median and 99th percentile of so many acts on random keys, microseconds."""
    chosen, spent = random.Random(11), []
    for _ in range(times):
        asked = [chosen.randrange(keys) for _ in range(size)]
        start = time.perf_counter()
        act(asked)
        spent.append(time.perf_counter() - start)
    return percentiles(spent)


def over_http(lake: Any, fe: Any, keys: int) -> None:
    """The endpoint of a spec against its own completion in this process."""
    import pandas as pd

    from boathouse.feature_engineering import EndpointCoreConfig, FeatureLookup, ServedEntity
    from boathouse.features import FeatureSpec, open_online_store
    from boathouse.serving.online_completion import complete_online

    names = [f"f{i}" for i in range(FEATURES)]
    lookups = [FeatureLookup(table_name=f"features.t{n}", lookup_key="key", feature_names=names,
                             rename_outputs={name: f"t{n}_{name}" for name in names}) for n in range(TABLES)]  # fmt: skip
    spec = FeatureSpec.from_yaml(fe.create_feature_spec(name="features.all", features=lookups).spec)
    fe.create_feature_serving_endpoint(
        name="all", config=EndpointCoreConfig(served_entities=ServedEntity(feature_spec_name="features.all"))
    )
    limit = time.monotonic() + 120
    while fe.get_feature_serving_endpoint(name="all").state != "READY" and time.monotonic() < limit:
        time.sleep(0.2)
    store = open_online_store(lake.online_location("features.t0", True), "dev")
    line = http.client.HTTPConnection(urlsplit(lake.http.url).netloc)
    headers = {"Authorization": f"Bearer {lake.http.token}", "Content-Type": "application/json"}

    def ask(asked: list[int]) -> None:
        body = json.dumps({"dataframe_records": [{"key": key} for key in asked]})
        line.request("POST", "/serving-endpoints/dev.all/invocations", body, headers)
        answer = line.getresponse()
        said = answer.read()
        if answer.status != 200:
            raise SystemExit(f"the endpoint answered {answer.status}: {said[:500]!r}")

    for size, times in ((1, 300), (100, 60)):
        inside = timed(lambda asked: complete_online(spec, pd.DataFrame({"key": asked}), store), keys, size, times)
        outside = timed(ask, keys, size, times)
        print(f"  endpoint, {size} key(s): {outside[0] / 1e3:.2f} ms p50 {outside[1] / 1e3:.2f} p99 over HTTP, "
              f"{inside[0] / 1e3:.2f} ms p50 {inside[1] / 1e3:.2f} p99 in process: +{(outside[0] - inside[0]) / 1e3:.2f} ms p50 "
              "(goal for 1 key: at most +1)", flush=True)  # fmt: skip


def feast_python(folder: Path) -> str:
    """The interpreter of an environment that has Feast, made where it is not there."""
    python = folder / "bin" / "python"
    if not python.exists():
        uv = str(Path(sys.executable).parent / "uv")
        subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, str(folder)], check=True)
        subprocess.run([uv, "pip", "install", "--quiet", "--python", str(python), FEAST], check=True)
    return str(python)


def feast(python: str, folder: Path, online: dict[str, Any], keys: int) -> tuple[float, dict[str, Any]]:
    """Seconds of materializing, and the lookups of a fresh process."""
    given = {"folder": str(folder), "online": online, "keys": keys, "tables": TABLES, "features": FEATURES}
    seconds = told(python, FEAST_SIDE, {**given, "sizes": {}, "materialize": True})["seconds"]
    return seconds, told(python, FEAST_SIDE, {**given, "sizes": FEAST_SIZES, "materialize": False})


def main() -> None:
    """All stores, and the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keys", type=int, default=50_000)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--feast-env", type=Path)
    parser.add_argument("--no-feast", action="store_true")
    given = parser.parse_args()
    import pyarrow.parquet as pq

    with tempfile.TemporaryDirectory(prefix="bh-online-") as base, redis_server(Path(base)) as port:
        folder = Path(base)
        tables, big = [made(given.keys, n) for n in range(TABLES)], made(given.rows, TABLES)
        figures = {}
        for label, store in (("ours, LMDB", "embedded"), ("ours, Redis", f"redis://127.0.0.1:{port}/0")):
            home = folder / label[6:]
            small, whole = ours(home, store, tables, big, http_too=store == "embedded")
            location = str(home / "online" / "dev") if store == "embedded" else store
            found = told(sys.executable, OUR_SIDE, {"location": location, "keys": given.keys, "tables": TABLES, "sizes": SIZES})
            figures[label] = say(label, TABLES * given.keys, small, found)
            print(f"  publish of {given.rows:,} rows: {whole:.2f} s, {given.rows / whole:,.0f} rows/s", flush=True)
        if given.no_feast:
            return
        python = feast_python(given.feast_env or folder / "feast")
        for label, online, mine in (
            ("Feast, SQLite", {"type": "sqlite", "path": str(folder / "feast.db")}, "ours, LMDB"),
            ("Feast, Redis", {"type": "redis", "connection_string": f"127.0.0.1:{port},db=1"}, "ours, Redis"),
        ):
            there = folder / label[7:]
            there.mkdir()
            for n, table in enumerate(tables):
                pq.write_table(table, there / f"t{n}.parquet")
            seconds, found = feast(python, there, online, given.keys)
            figures[label] = say(label, TABLES * given.keys, seconds, found)
            compare(mine, figures[mine], label, figures[label])


if __name__ == "__main__":
    main()
