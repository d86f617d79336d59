"""SQL: what a small query costs through the desk, and how much memory the server takes while gigabytes stream through it."""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import httpx
import pyarrow as pa

from boathouse import settings
from boathouse.catalog import TableSpec
from boathouse.home import Home
from boathouse.identity import Identity
from boathouse.platform import Platform
from boathouse.server.serve import free_port

QUERY = "SELECT day, count(*) AS n, sum(delay) AS s FROM raw.flights WHERE origin = 'JFK' GROUP BY day ORDER BY day LIMIT 10"
ROUNDS = 60
GIGABYTES = float(os.environ.get("BENCH_GIGABYTES", "3"))


def timed(act: Callable[[], Any], rounds: int = ROUNDS, pause: float = 0) -> float:
    """The median, in milliseconds, with a pause before each."""
    act()
    took = []
    for _ in range(rounds):
        time.sleep(pause)
        start = time.perf_counter()
        act()
        took.append(time.perf_counter() - start)
    return statistics.median(took) * 1000


def flights(rows: int) -> pa.Table:
    """Some flights."""
    return pa.table({
        "day": pa.array([f"2013-01-{1 + i % 31:02}" for i in range(rows)]),
        "origin": pa.array([("JFK", "EWR", "LGA")[i % 3] for i in range(rows)]),
        "delay": pa.array([float(i % 90) for i in range(rows)]),
    })  # fmt: skip


def small_queries(platform: Platform, who: Identity) -> None:
    """One small query in DuckDB alone, through the desk, and over HTTP."""
    info = platform.catalog.create_table(who, TableSpec("dev.raw.flights", flights(1).schema))
    folder = platform.catalog.folder(info)
    folder.append(flights(200_000))
    files = [uri.removeprefix("file://") for uri in folder.table().file_uris()]
    alone = duckdb.connect()
    query = QUERY.replace("raw.flights", f"read_parquet({files})")

    def through_the_desk() -> None:
        with platform.sql.run(who, QUERY, "dev") as result:
            result.to_arrow()

    platform.sql.warm()
    engine = timed(lambda: alone.sql(query).to_arrow_table())
    fresh = timed(lambda: duckdb.connect().sql(query).to_arrow_table())
    desk = timed(through_the_desk)
    paused = timed(through_the_desk, pause=0.1)
    print(f"a small query over one file, median of {ROUNDS}:")
    print(f"  DuckDB alone, a connection held   {engine:7.1f} ms")
    print(f"  DuckDB alone, a connection each   {fresh:7.1f} ms")
    print(f"  through the desk                  {desk:7.1f} ms   {desk - engine:+.1f} ms over the held connection")
    print(f"  the same, asked each 100 ms       {paused:7.1f} ms   {paused - engine:+.1f} ms")
    print(f"  desk : a connection each          {desk / fresh:7.2f}")


def resident(pid: int) -> int:
    """Megabytes of memory that a process holds."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") >> 20


def workers_of(pid: int) -> list[int]:
    """The SQL workers of a server."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        found += [int(p) for p in (task / "children").read_text().split()]
    return [p for p in found if b"boathouse.lake.worker" in Path(f"/proc/{p}/cmdline").read_bytes()]


def large_result(home: str) -> None:
    """Gigabytes from a server of its own, read and thrown away, with its memory beside them."""
    port = free_port()
    command = [str(Path(sys.executable).with_name("boathouse")), "--home", home, "up", "--port", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        token = Home(settings.load({}, home=home)).operator_token()
        headers = {"Authorization": f"Bearer {token}", "Accept": "application/vnd.apache.arrow.stream"}
        client = httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, trust_env=False, timeout=60)
        while True:
            try:
                client.post("/api/v1/sql", json={"query": "SELECT 1"}).raise_for_status()
                break
            except httpx.TransportError:
                time.sleep(0.2)
        before, most, worker, received = resident(server.pid), 0, 0, 0
        rows = int(GIGABYTES * (1 << 30) / 120)
        body = {"query": f"SELECT range AS n, repeat('x', 108) AS w FROM range({rows})"}
        start = time.perf_counter()
        with client.stream("POST", "/api/v1/sql", json=body) as answer:
            for number, chunk in enumerate(answer.iter_raw()):
                received += len(chunk)
                if number % 200 == 0:
                    most = max(most, resident(server.pid))
                    worker = max([worker, *map(resident, workers_of(server.pid))])
        took = time.perf_counter() - start
        print(f"a result of {received / (1 << 30):.2f} GiB streamed in {took:.1f} s, {received / (1 << 20) / took:,.0f} MiB/s")
        print(f"  the server before  {before:5} MiB")
        print(f"  the server at most {most:5} MiB   {most - before:+} MiB")
        print(f"  its worker at most {worker:5} MiB")
    finally:
        server.terminate()
        server.wait(30)


def main() -> None:
    """All figures."""
    with tempfile.TemporaryDirectory() as home:
        with Platform(settings.load({}, home=home)) as platform:
            small_queries(platform, Identity(platform.operator, frozenset({"admins"})))
        large_result(home)


if __name__ == "__main__":
    main()
