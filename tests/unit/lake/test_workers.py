"""Processes that run SQL: what one query does to its process, the next one does not feel."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from boathouse.errors import EngineCrashed, InvalidInput, Unavailable
from boathouse.lake import QueryFailed, Run, WorkerPool, WorkerProcess

HUGE = "SELECT range AS n, repeat('x', 100) AS w FROM range(20000000000)"
NEVER = "SELECT count(*) FROM range(10000000) a, range(10000000) b WHERE (a.range * 7 + b.range) % 11 = 12"


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerPool]:
    made = WorkerPool(tmp_path_factory.mktemp("sql") / "workers", size=2, memory=200 << 20)
    yield made
    made.close()


def answer(worker: WorkerProcess, query: str, form: str = "arrow") -> bytes:
    worker.start(Run(0, query, form=form))
    return b"".join(worker.rows())


def rows(worker: WorkerProcess, query: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = pa.ipc.open_stream(answer(worker, query)).read_all().to_pylist()
    return found


def resident(pid: int) -> int:
    """Megabytes of memory that a process holds."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") >> 20


def test_one_process_answers_many_queries(pool: WorkerPool) -> None:
    with pool.worker() as first:
        assert rows(first, "SELECT 42 AS a") == [{"a": 42}]
        assert answer(first, "SELECT 1 AS a, 'x,y' AS b, [1] AS c", "csv") == b'"a","b","c"\n1,"x,y","[1]"\n'
        assert answer(first, "SELECT 1 AS a, 'nan'::double AS b", "json") == b'{"columns":["a","b"],"rows":[{"a":1,"b":null}]}'
    with pool.worker() as again:
        assert again.pid == first.pid


def test_its_environment_holds_nothing_of_the_servers(pool: WorkerPool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOATHOUSE_TOKEN", "secret-token")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret-key")
    fresh = WorkerPool(size=1, memory=200 << 20)
    with fresh.worker() as worker:
        worker.parse("SELECT 1")
        environment = Path(f"/proc/{worker.pid}/environ").read_bytes()
        assert b"secret" not in environment
        assert {os.readlink(f"/proc/{worker.pid}/fd/{n}") for n in (0, 1)} == {"/dev/null"}
    fresh.close()


def test_a_query_starts_from_nothing_that_another_left(pool: WorkerPool) -> None:
    job = Run(0, "FROM raw.t", setup=["CREATE SCHEMA raw", "CREATE VIEW raw.t AS SELECT 1 AS a"])
    with pool.worker() as worker:
        worker.start(job)
        assert b"".join(worker.rows())
        with pytest.raises(QueryFailed, match="raw"):
            answer(worker, "FROM raw.t")


@pytest.mark.parametrize(
    "query", ["COPY (SELECT 1) TO 'out.csv'", "SET threads = 1", "CREATE TABLE t (a INT)", "SELECT 1; SELECT 2"],
)
def test_only_one_reading_statement_is_run(pool: WorkerPool, query: str) -> None:
    with pool.worker() as worker, pytest.raises(QueryFailed):
        answer(worker, query)


@pytest.mark.parametrize(
    "query",
    [
        "FROM read_text('/etc/passwd')", "FROM read_csv('/etc/*')", "FROM '/etc/passwd'", "FROM read_parquet('/tmp/*.parquet')",
        "FROM glob('/etc/*')", "FROM read_blob('stderr')", "FROM job", "FROM scans", "FROM 'https://example.org/x.parquet'",
    ],
)  # fmt: skip
def test_the_engine_is_locked_even_for_a_query_that_nobody_checked(pool: WorkerPool, query: str) -> None:
    with pool.worker() as worker, pytest.raises(QueryFailed):
        rows(worker, query)


def test_what_cannot_be_read_is_refused(pool: WorkerPool) -> None:
    with pool.worker() as worker:
        with pytest.raises(InvalidInput, match="cannot be read"):
            worker.parse("SELEKT 1")
        assert worker.parse("SELECT 1; COPY (SELECT 1) TO 'x'").kinds == ["SELECT", "COPY"]


def test_rows_wait_until_they_are_read_and_take_no_memory_meanwhile(pool: WorkerPool) -> None:
    with pool.worker() as worker:
        worker.start(Run(0, HUGE))
        stream = worker.rows()
        sizes = []
        for _ in range(300):
            next(stream)
            sizes.append(resident(worker.pid))
        assert max(sizes) < 450
        worker.stop()
        worker.settle()
        assert worker.usable


def test_a_stopped_query_ends_at_once_and_its_process_serves_on(pool: WorkerPool) -> None:
    with pool.worker() as worker:
        worker.start(Run(0, NEVER))
        threading.Timer(0.3, worker.stop).start()
        begun = time.monotonic()
        with pytest.raises(QueryFailed) as stopped:
            list(worker.rows())
        assert (stopped.value.kind, time.monotonic() - begun < 5) == ("stopped", True)
        assert rows(worker, "SELECT 1 AS a") == [{"a": 1}]


def test_a_query_that_does_not_listen_is_killed(pool: WorkerPool) -> None:
    with pool.worker() as worker:
        worker.start(Run(0, NEVER))
        os.kill(worker.pid, signal.SIGSTOP)
        worker.stop(grace=0.2)
        with pytest.raises(EngineCrashed):
            list(worker.rows())
        assert not worker.usable


def test_a_crash_ends_one_query_and_no_other(pool: WorkerPool) -> None:
    with pool.worker() as dying, pool.worker() as living:
        dying.start(Run(0, HUGE))
        living.start(Run(0, "SELECT count(*) AS n FROM range(1000000)"))
        os.kill(dying.pid, signal.SIGSEGV)
        with pytest.raises(EngineCrashed, match="-11"):
            list(dying.rows())
        assert b"".join(living.rows())
    with pool.worker() as fresh:
        assert rows(fresh, "SELECT 1 AS a") == [{"a": 1}]


def test_large_sorts_spill_to_a_folder_that_is_gone_afterwards(tmp_path: Path) -> None:
    pool = WorkerPool(tmp_path / "sql", size=1, memory=100 << 20)
    with pool.worker() as worker:
        worker.start(Run(0, "SELECT max(w) AS m FROM (SELECT md5(range::varchar) AS w FROM range(2000000) ORDER BY w OFFSET 10)"))
        assert b"".join(worker.rows())
        assert list((tmp_path / "sql").glob("worker-*"))
    pool.close()
    assert not (tmp_path / "sql").exists()


@pytest.mark.parametrize(
    "query",
    [
        "SELECT list(repeat('x', 1000) || range) AS l FROM range(2000000)",
        "SELECT repeat('x', 2000000000) || 'y' AS w, repeat('z', 1900000000) AS z",
    ],
)
def test_too_much_memory_is_an_error_of_the_query(pool: WorkerPool, query: str) -> None:
    with pool.worker() as worker, pytest.raises((QueryFailed, EngineCrashed)) as refused:
        answer(worker, query)
    assert not isinstance(refused.value, QueryFailed) or refused.value.kind == "memory"
    with pool.worker() as worker:
        assert rows(worker, "SELECT 1 AS a") == [{"a": 1}]


def test_whoever_finds_all_workers_busy_waits_and_then_is_told(pool: WorkerPool) -> None:
    busy = pytest.raises(Unavailable, match="all 2 SQL workers are busy")
    with pool.worker(), pool.worker(), busy, pool.worker(patience=0.05):
        pass
    with pool.worker() as worker:
        assert rows(worker, "SELECT 1 AS a") == [{"a": 1}]


def test_workers_end_with_their_server() -> None:
    pool = WorkerPool(size=1, memory=200 << 20)
    with pool.worker() as worker:
        worker.parse("SELECT 1")
        pool.close()
        with pytest.raises(EngineCrashed):
            worker.parse("SELECT 1")
    with pytest.raises(Unavailable, match="closing"), pool.worker():
        pass
    assert not Path(f"/proc/{worker.pid}").exists()
