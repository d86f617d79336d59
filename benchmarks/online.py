"""Online features: our two stores against Feast's on SQLite and Redis, the same rows and keys in one run.

    python benchmarks/online.py [--keys 4000] [--rows 10000,100000,1000000] [--feast-rows 100000] [--feast-env DIR] [--no-feast]

Three tables of ten doubles each, a row for every key. Printed for each store: rows a second of publishing (Feast:
materialize) the three tables from their files, in a process that has published before, by the clock and by the
processor's time (ours: client and server; that of Redis is in neither); microseconds at the median and the 99th
percentile of warm lookups of 1 and of 100 random keys in all three tables; the machine's load; and the ratios to
Feast's, which runs right after ours; for Redis also what one bare round trip with as many bytes takes, which is the limit
of every store behind it. Then publishing of one table of each size of --rows, beside Feast's of those up to --feast-rows (a
larger one is held against its rate of the largest), and beside what LMDB alone takes for as many sorted rows of as many bytes
in one durable transaction; before it, what no publication can do without here: a question to the server, and two waits for
the disk. Then what HTTP adds: an endpoint that serves the features of a spec without a model, asked over one kept connection,
against the same completion in process, and beside a bare ASGI function on uvicorn that is asked the same by the same client
and answers the same bytes.

Feast is installed with uv into an environment of its own, in a temporary folder (or in --feast-env, which is kept).
Without a network, or without redis-server, those lines are left out, and the program says so.
"""

import argparse
import http.client
import json
import os
import random
import shutil
import socket
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

from feast_side import FEAST_SIDE, feast_python, told

HELLO = """
import sys, uvicorn
answer = open(sys.argv[2], "rb").read()
head = [(b"content-type", b"application/json"), (b"content-length", str(len(answer)).encode())]
async def app(scope, receive, send):
    if scope["type"] == "http":
        while (await receive()).get("more_body"):
            pass
        await send({"type": "http.response.start", "status": 200, "headers": head})
        await send({"type": "http.response.body", "body": answer})
uvicorn.run(app, port=int(sys.argv[1]), log_level="error", access_log=False, lifespan="off", server_header=False)
"""
TABLES, FEATURES = 3, 10
SIZES = {1: 2000, 100: 200}  # keys of a lookup: how many lookups are measured
FEAST_SIZES = {1: 300, 100: 20}
WARM_KEYS = 100  # of the table that both sides publish first
READY_SECONDS = 120
NAMES = [f"t{n}" for n in range(TABLES)]
KINDS = {"default": "LMDB", "redis": "Redis"}  # by the names of our stores
AT = datetime(2026, 1, 1, tzinfo=UTC)


def percentiles(spent: list[float]) -> tuple[float, float]:
    """Median and 99th percentile, microseconds; the first three are left out as warming."""
    warm = sorted(spent[3:])
    return warm[len(warm) // 2] * 1e6, warm[int(len(warm) * 0.99)] * 1e6


def say(label: str, rows: int, spent: tuple[float, float], lookups: dict[str, list[float]]) -> dict[str, float]:
    """One line, and its figures."""
    (one, one_p99), (many, many_p99) = (percentiles(lookups[str(size)]) for size in SIZES)
    seconds, cpu = spent
    print(f"{label:<14} publish {rows / seconds:>8,.0f} rows/s, {rows / cpu:>8,.0f} by the processor "
          f"| 1 key {one:8,.1f} us p50 {one_p99:9,.1f} p99 "
          f"| 100 keys {many:9,.0f} us p50 {many_p99:9,.0f} p99 | load {os.getloadavg()[0]:.1f}", flush=True)  # fmt: skip
    return {"publish": rows / seconds, "by the processor": rows / cpu, "1 key": one, "100 keys": many}


def compare(ours: str, mine: dict[str, float], theirs: str, other: dict[str, float], least: dict[str, float]) -> None:
    """The ratios, with the goals, and with what no store behind a round trip of `least` microseconds can exceed."""
    most = {size: f"; at most {other[size] / us:,.1f}x by one bare round trip of {us:,.1f} us" for size, us in least.items()}
    told = (f"{size} {other[size] / mine[size]:,.1f}x (goal 30{most.get(size, '')})" for size in ("1 key", "100 keys"))
    print(f"  {ours} against {theirs}: publish {mine['publish'] / other['publish']:,.1f}x (goal 50; "
          f"{mine['by the processor'] / other['by the processor']:,.1f}x by the processor), {', '.join(told)}",
          flush=True)  # fmt: skip


def round_trips(port: int) -> dict[str, float]:
    """What one value of as many bytes as a lookup's rows takes at the median, microseconds: off a bare socket."""
    import redis

    client, least = redis.Redis(port=port), {}
    with socket.create_connection(("127.0.0.1", port)) as bare:
        bare.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for label, size in (("1 key", 1), ("100 keys", 100)):
            value = os.urandom(TABLES * FEATURES * 9 * size)
            client.set("bare", value)
            whole = len(b"$%d\r\n\r\n" % len(value)) + len(value)

            def ask(_: list[int], whole: int = whole) -> None:
                bare.sendall(b"*2\r\n$3\r\nGET\r\n$4\r\nbare\r\n")
                while whole > 0:
                    whole -= len(bare.recv(1 << 20))

            least[label] = timed(ask, 1, 1, SIZES[size])[0]
            library = timed(lambda _: client.get("bare"), 1, 1, SIZES[size])[0]
            print(f"  a value of {len(value):,} bytes from Redis, {label}: {least[label]:,.1f} us p50 off a bare socket, "
                  f"{library:,.1f} by redis-py", flush=True)  # fmt: skip
    client.delete("bare")
    return least


@contextmanager
def redis_server(folder: Path) -> Iterator[int | None]:
    """The port of a Redis server of the benchmark's own; None where none is installed."""
    program = shutil.which("redis-server")
    if program is None:
        print("Redis is left out: redis-server is not installed (apt-get install redis-server)", flush=True)
        yield None
        return
    port = free_port()
    words = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    with listening(words, port):
        yield port


@contextmanager
def hello(folder: Path, answer: bytes) -> Iterator[str]:
    """The address of a bare server that answers everything with these bytes."""
    (folder / "answer").write_bytes(answer)
    port = free_port()
    with listening([sys.executable, "-c", HELLO, str(port), str(folder / "answer")], port):
        yield f"http://127.0.0.1:{port}"


def free_port() -> int:
    """A port that is free now."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextmanager
def listening(words: list[str], port: int) -> Iterator[None]:
    """A program, once it listens."""
    with subprocess.Popen(words, stdout=subprocess.DEVNULL) as process:
        try:
            limit = time.monotonic() + 30
            while time.monotonic() < limit:
                with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                    break
                time.sleep(0.02)
            yield
        finally:
            process.kill()


@contextmanager
def server(home: Path) -> Iterator[int]:
    """`boathouse up` in a process of its own, once it answers; its id."""
    command = str(Path(sys.executable).parent / "boathouse")
    with (home.with_suffix(".log")).open("w") as log:
        process = subprocess.Popen([command, "--home", str(home), "up", "--port", "0"], stdout=log, stderr=log)
    try:
        limit = time.monotonic() + 120
        while not (home / "server.json").exists() and time.monotonic() < limit and process.poll() is None:
            time.sleep(0.1)
        yield process.pid
    finally:
        process.terminate()
        process.wait()


@contextmanager
def embedded_server(home: Path) -> Iterator[int]:
    """`server`, whose default online store is the embedded one."""
    os.environ["BOATHOUSE_ONLINE_STORE"] = "embedded"
    with server(home) as pid:
        yield pid


def made(keys: int, seed: int) -> Any:
    """A table of a row for each key, in no order."""
    import numpy as np
    import pyarrow as pa

    rng = np.random.default_rng(seed)
    return pa.table({
        "key": pa.array(rng.permutation(keys)), "at": pa.array([AT] * keys, pa.timestamp("us", "UTC")),
        **{f"f{i}": rng.random(keys) for i in range(FEATURES)},
    })  # fmt: skip


def ticks(pid: int) -> float:
    """Seconds of the processor that a process has used; 0 where /proc does not say."""
    try:
        used = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    except OSError:
        return 0.0
    return sum(map(int, used)) / os.sysconf("SC_CLK_TCK")


def settled(pid: int) -> None:
    """Wait until a server that was just started has done what it does at its start, a minute at most."""
    limit = time.monotonic() + 60
    while time.monotonic() < limit:
        before = ticks(pid)
        time.sleep(1)
        if ticks(pid) - before < 0.05:
            return


def published(fe: Any, names: list[str], store: str, server_pid: int) -> tuple[float, float]:
    """Seconds by the clock and of the processor for publishing all rows of these tables."""
    start, cpu = time.perf_counter(), time.process_time() + ticks(server_pid)
    for name in names:
        fe.publish_table(source_table_name=f"features.{name}", online_store=store, publish_mode="SNAPSHOT")
    return time.perf_counter() - start, time.process_time() + ticks(server_pid) - cpu


def looked_up(store: Any, keys: int, size: int, times: int) -> list[float]:
    """Seconds of so many lookups of random keys in all tables."""
    chosen, spent = random.Random(7), []
    for _ in range(times):
        asked = [(chosen.randrange(keys),) for _ in range(size)]
        start = time.perf_counter()
        answer = store.lookup_many([(f"features.{name}", asked) for name in NAMES])
        spent.append(time.perf_counter() - start)
        if any(row is None for of in answer for row in of.rows):
            raise SystemExit("a key that was published is not there")
    return spent


def ours(lake: Any, fe: Any, server_pid: int, store: str, keys: int) -> dict[str, float]:
    """Our side of one store."""
    from boathouse.features import open_online_store

    published(fe, ["warm"], store, server_pid)
    small = published(fe, NAMES, store, server_pid)
    held = open_online_store(lake.online_location("features.t0", True, store), "dev")
    lookups = {str(size): looked_up(held, keys, size, times) for size, times in SIZES.items()}
    return say(f"ours, {KINDS[store]}", TABLES * keys, small, lookups)


def by_size(fe: Any, server_pid: int, store: str, sizes: list[int], theirs: dict[int, tuple[float, float]],
            folder: Path) -> None:  # fmt: skip
    """Publishing of one table of each size, beside Feast's seconds (clock, processor) for some, and beside LMDB alone."""
    for rows in sizes:
        seconds, cpu = published(fe, [f"p{rows}"], store, server_pid)
        held = max((size for size in theirs if size <= rows), default=0)
        ratio = ""
        if held:
            rate, by_cpu = (held / spent for spent in theirs[held])
            ratio = (f", {rows / seconds / rate:,.1f}x Feast's {rate:,.0f} at {held:,} rows (goal 50; "
                     f"{rows / cpu / by_cpu:,.1f}x its {by_cpu:,.0f} by the processor)")  # fmt: skip
        bare = f", {seconds / bare_lmdb(folder, rows):,.1f} times what LMDB alone takes" if store == "default" else ""
        print(f"  ours, {KINDS[store]}, publish of {rows:,} rows: {seconds:.2f} s, {rows / seconds:,.0f} rows/s, "
              f"{rows / cpu:,.0f} by the processor{ratio}{bare} | load {os.getloadavg()[0]:.1f}", flush=True)  # fmt: skip


def floor(lake: Any, folder: Path) -> None:
    """What no publication can do without here: one question to the server, and its new files and its folder on the disk."""
    asked, synced = [], []
    with (folder / "synced").open("wb", buffering=0) as file:
        for _ in range(50):
            start = time.perf_counter()
            lake.call("GET", "/api/v1/whoami")
            asked.append(time.perf_counter() - start)
            file.write(b"x")
            start = time.perf_counter()
            os.fsync(file.fileno())
            synced.append(time.perf_counter() - start)
    question, sync = (percentiles(spent)[0] / 1e3 for spent in (asked, synced))
    print(f"  a publication's floor: one question to the server {question:.1f} ms p50, one fsync {sync:.1f} ms, and it waits "
          f"for two of them: {question + 2 * sync:.1f} ms | load {os.getloadavg()[0]:.1f}", flush=True)  # fmt: skip


def bare_lmdb(folder: Path, rows: int) -> float:
    """Seconds of LMDB alone for so many sorted keys with values as long as ours, in one durable transaction."""
    import lmdb

    value = os.urandom(1 + 9 * FEATURES)
    pairs = [(key.to_bytes(8, "big"), value) for key in range(rows)]
    place = folder / f"bare{rows}.mdb"
    start = time.perf_counter()
    with lmdb.open(str(place), subdir=False, map_size=64 << 30) as environment, environment.begin(write=True) as transaction:
        transaction.cursor().putmulti(pairs, append=True)
    seconds = time.perf_counter() - start
    place.unlink()
    return seconds


def timed(act: Callable[[list[int]], Any], keys: int, size: int, times: int) -> tuple[float, float]:
    """Median and 99th percentile of so many acts on random keys, microseconds."""
    chosen, spent = random.Random(11), []
    for _ in range(times):
        asked = [chosen.randrange(keys) for _ in range(size)]
        start = time.perf_counter()
        act(asked)
        spent.append(time.perf_counter() - start)
    return percentiles(spent)


def made_endpoint(lake: Any, fe: Any) -> str:
    """The spec behind `dev.all`, an endpoint of the features of all tables, once it is READY."""
    from boathouse.feature_engineering import EndpointCoreConfig, FeatureLookup, ServedEntity

    names = [f"f{i}" for i in range(FEATURES)]
    lookups = [FeatureLookup(table_name=f"features.t{n}", lookup_key="key", feature_names=names,
                             rename_outputs={name: f"t{n}_{name}" for name in names}) for n in range(TABLES)]  # fmt: skip
    spec: str = fe.create_feature_spec(name="features.all", features=lookups).spec
    fe.create_feature_serving_endpoint(
        name="all", config=EndpointCoreConfig(served_entities=ServedEntity(feature_spec_name="features.all"))
    )
    limit = time.monotonic() + READY_SECONDS
    while (state := fe.get_feature_serving_endpoint(name="all").state) != "READY":
        if time.monotonic() > limit:
            raise SystemExit(f"the endpoint is {state} after {READY_SECONDS} s")
        time.sleep(0.2)
    return spec


def over_http(lake: Any, fe: Any, keys: int, folder: Path) -> None:
    """The endpoint of a spec against its own completion in this process, and beside a bare server."""
    from boathouse.features import FeatureSpec, open_online_store
    from boathouse.serving.online_completion import OnlineCompletion
    from boathouse.serving.rows import Rows

    spec = FeatureSpec.from_yaml(made_endpoint(lake, fe))
    store = open_online_store(lake.online_location("features.t0", True, "default"), "dev")
    completion = OnlineCompletion(spec, store)
    endpoint = Asking(lake.http.url, "/serving-endpoints/dev.all/invocations", lake.http.token)
    for size, times in ((1, 300), (100, 60)):
        inside = timed(lambda asked: completion.complete(Rows({"key": asked}, len(asked))), keys, size, times)
        outside = timed(lambda asked: endpoint.ask(question(asked)), keys, size, times)
        with hello(folder, endpoint.ask(question(list(range(size))))) as url:
            bare = Asking(url, "/", "none")
            least = timed(lambda asked, bare=bare: bare.ask(question(asked)), keys, size, times)
        print(f"  endpoint, {size} key(s): {outside[0] / 1e3:.2f} ms p50 {outside[1] / 1e3:.2f} p99 over HTTP, "
              f"{inside[0] / 1e3:.2f} ms p50 {inside[1] / 1e3:.2f} p99 in process: +{(outside[0] - inside[0]) / 1e3:.2f} ms p50 "
              f"(goal for 1 key: at most +1), of which a bare server takes {least[0] / 1e3:.2f}", flush=True)  # fmt: skip


def question(keys: list[int]) -> dict[str, Any]:
    """These keys, as an endpoint is asked for them."""
    return {"dataframe_records": [{"key": key} for key in keys]}


class Asking:
    """One kept connection to one address."""

    def __init__(self, url: str, path: str, token: str) -> None:
        self._line, self._path = http.client.HTTPConnection(urlsplit(url).netloc), path
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def ask(self, body: Any) -> bytes:
        """The answer's bytes."""
        self._line.request("POST", self._path, json.dumps(body), self._headers)
        answer = self._line.getresponse()
        said = answer.read()
        if answer.status != 200:
            raise SystemExit(f"{self._path} answered {answer.status}: {said[:500]!r}")
        return said


def feast(python: str, folder: Path, label: str, online: dict[str, Any], keys: int, sizes: list[int]
          ) -> tuple[dict[str, float], dict[int, tuple[float, float]]]:  # fmt: skip
    """Feast's side of one store: it materializes the files, then looks up; and its seconds for a table of each size."""
    given = {"folder": str(folder), "online": online, "keys": keys, "tables": TABLES, "features": FEATURES}
    found = told(python, FEAST_SIDE, {**given, "sizes": FEAST_SIZES, "publish": sizes})
    of_sizes = {int(rows): (spent[0], spent[1]) for rows, spent in found["sizes"].items()}
    return say(label, TABLES * keys, found["seconds"], found["lookups"]), of_sizes


def compared(lake: Any, server_pid: int, tables: dict[str, Any], sizes: tuple[list[int], int], folder: Path, port: int | None,
             python: str | None) -> None:  # fmt: skip
    """All stores, each beside Feast's, and the ratios; then HTTP."""
    import pyarrow.parquet as pq

    from boathouse.feature_engineering import FeatureEngineeringClient

    fe, keys = FeatureEngineeringClient(context=lake), len(tables["t0"])
    for name, table in tables.items():
        fe.create_table(name=f"features.{name}", primary_keys=["key", "at"], timeseries_column="at", df=table)
    stores: list[tuple[str, str, dict[str, Any]]] = [("default", "SQLite", {"type": "sqlite", "path": str(folder / "feast.db")})]
    if port is not None:
        fe.create_online_store(name="redis", capacity="CU_1", url=f"redis://127.0.0.1:{port}/0")
        stores.append(("redis", "Redis", {"type": "redis", "connection_string": f"127.0.0.1:{port},db=1"}))
    settled(server_pid)
    floor(lake, folder)
    for store, kind, online in stores:
        mine = ours(lake, fe, server_pid, store, keys)
        least = round_trips(port) if store == "redis" and port is not None else {}
        theirs: dict[int, tuple[float, float]] = {}
        if python is not None:
            there, label, asked = folder / kind, f"Feast, {kind}", [rows for rows in sizes[0] if rows <= sizes[1]]
            there.mkdir()
            for name in ("warm", *NAMES, *(f"p{rows}" for rows in asked)):
                pq.write_table(tables[name], there / f"{name}.parquet")
            other, theirs = feast(python, there, label, online, keys, asked)
            compare(f"ours, {KINDS[store]}", mine, label, other, least)
        by_size(fe, server_pid, store, sizes[0], theirs, folder)
    published(fe, NAMES, "default", server_pid)  # the endpoint reads where a table was published last
    over_http(lake, fe, keys, folder)


def main() -> None:
    """The rows, the servers, and the comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keys", type=int, default=4_000)
    parser.add_argument("--rows", default="10000,100000,1000000")
    parser.add_argument("--feast-rows", type=int, default=100_000)
    parser.add_argument("--feast-env", type=Path)
    parser.add_argument("--no-feast", action="store_true")
    given = parser.parse_args()
    import boathouse

    with tempfile.TemporaryDirectory(prefix="bh-online-") as base, redis_server(Path(base)) as port:
        folder, home = Path(base), Path(base) / "home"
        python = None if given.no_feast else feast_python(given.feast_env or folder / "feast")
        rows = [int(size) for size in given.rows.split(",")]
        sizes = {"warm": WARM_KEYS, **dict.fromkeys(NAMES, given.keys), **{f"p{size}": size for size in rows}}
        tables = {name: made(size, seed) for seed, (name, size) in enumerate(sizes.items())}
        with embedded_server(home) as server_pid, boathouse.connect(home=str(home)) as lake:
            compared(lake, server_pid, tables, (rows, given.feast_rows), folder, port, python)


if __name__ == "__main__":
    main()
