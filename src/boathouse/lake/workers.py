"""The server's side of SQL workers: a bounded pool of processes that can be killed, kept warm between queries."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from boathouse.errors import EngineCrashed, InvalidInput, Unavailable
from boathouse.lake.wire import Failed, Finished, Message, Parse, Parsed, Run, Started, Stop, Wire

_REQUESTS_EACH = 1000
_WAITING = 64
_IDLE = 300.0
"""Seconds after which a worker that was not needed is let go, while another one waits."""
_GRACE = 2.0
_PASSED_ON = ("PATH", "LANG", "LC_ALL", "TZ", "TZDIR", "SSL_CERT_FILE", "SSL_CERT_DIR", "LD_LIBRARY_PATH")


class WorkerProcess:
    """One worker; used by one thread at a time, while any thread may `stop` it."""

    def __init__(self, folder: Path, memory: int, threads: int) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="worker-", dir=folder))
        ours, theirs = socket.socketpair()
        with theirs, (self._folder / "stderr").open("wb") as complaints:
            words = [str(theirs.fileno()), str(memory), str(threads)]
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-m", "boathouse.lake.worker", *words],
                env={k: v for k in _PASSED_ON if (v := os.environ.get(k))} | {"HOME": str(self._folder)},
                cwd=self._folder, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                stderr=complaints, start_new_session=True,
            )  # fmt: skip
        self._wire = Wire(ours)
        self._sending = threading.Lock()
        self._number = 0
        self._busy = False
        self._broken = False
        self.idle_since = 0.0

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    @property
    def usable(self) -> bool:
        """Whether it may serve another query."""
        alive = self._process.poll() is None
        return alive and not self._broken and not self._busy and self._number < _REQUESTS_EACH

    def parse(self, query: str) -> Parsed:
        """DuckDB's syntax tree. Raises InvalidInput for what it cannot read, EngineCrashed."""
        self._begin()
        self._send(Parse(query))
        said = self._receive()
        self._busy = False
        if isinstance(said, Failed):
            raise InvalidInput(f"the SQL cannot be read: {said.reason}")
        assert isinstance(said, Parsed)
        return said

    def start(self, job: Run) -> None:
        """Start a query; `rows` gives its answer. Raises EngineCrashed."""
        number = self._begin()
        self._send(msgspec.structs.replace(job, number=number))

    def rows(self) -> Iterator[bytes]:
        """The started query's rows as bytes in the job's format; the first is b"", once it is planned and rows are ready.

        Raises QueryFailed for the query's own faults, EngineCrashed.
        """
        while True:
            said = self._receive()
            if isinstance(said, Message):
                if isinstance(said, Started):
                    yield b""
                    continue
                self._end(said)
                return
            yield said

    def stop(self, grace: float = _GRACE) -> None:
        """End the running query: asked first, killed when it does not listen."""
        if not self._busy:
            return
        with contextlib.suppress(OSError):
            self._send(Stop(self._number))
        timer = threading.Timer(grace, self._kill_if_busy, [self._number])
        timer.daemon = True
        timer.start()

    def settle(self) -> None:
        """After `stop`: read away what is under way, so that the worker can serve again."""
        with contextlib.suppress(EngineCrashed, QueryFailed):
            while self._busy:
                said = self._receive()
                if isinstance(said, Finished | Failed):
                    self._end(said)

    def kill(self) -> None:
        """End the process, whatever it does."""
        self._broken = True
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """End the process and remove its folder."""
        self.kill()
        self._wire.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _begin(self) -> int:
        self._number += 1
        self._busy = True
        return self._number

    def _end(self, said: Message) -> None:
        self._busy = False
        if isinstance(said, Failed):
            self._broken = self._broken or said.broken
            raise QueryFailed(said)

    def _kill_if_busy(self, number: int) -> None:
        if self._busy and self._number == number:
            self._broken = True
            self._process.kill()

    def _send(self, message: Message) -> None:
        try:
            with self._sending:
                self._wire.send(message)
        except OSError as error:
            raise self._crashed() from error

    def _receive(self) -> Message | bytes:
        try:
            return self._wire.receive()
        except (EOFError, OSError) as error:
            raise self._crashed() from error

    def _crashed(self) -> EngineCrashed:
        self._broken, self._busy = True, False
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(1)
        said: list[str] = []
        with contextlib.suppress(OSError):  # at the end of the server its folder is gone already
            said = (self._folder / "stderr").read_text(errors="replace").strip().splitlines()
        return EngineCrashed(said[-1][:300] if said else f"exit code {self._process.poll()}")


class QueryFailed(Exception):
    """A query's own fault, as the worker told it."""

    def __init__(self, failed: Failed) -> None:
        super().__init__(failed.reason)
        self.kind = failed.kind


class WorkerPool:
    """At most `size` workers; those that idle are used again, the freshest first."""

    def __init__(self, folder: Path | None = None, size: int = 4, memory: int = 4 << 30, threads: int | None = None) -> None:
        self.size = size
        self._folder = folder
        self._memory = memory
        self._threads = threads or os.cpu_count() or 1
        self._idle: list[WorkerProcess] = []
        self._all: set[WorkerProcess] = set()
        self._count = 0
        self._waiting = 0
        self._changed = threading.Condition()
        self._closed = False
        self._prepared = False

    @contextmanager
    def worker(self, patience: float = 60) -> Iterator[WorkerProcess]:
        """A worker for one query. Raises Unavailable when none becomes free in time, or too many wait already."""
        worker = self._take(patience)
        try:
            yield worker
        finally:
            self._give_back(worker)

    def warm(self) -> None:
        """Start a worker now, in the background, so that the first query finds it ready."""
        threading.Thread(target=self._add_spare, name="sql-warm", daemon=True).start()

    def close(self) -> None:
        """End all workers, and the queries that run in them."""
        with self._changed:
            self._closed = True
            for worker in self._idle:
                self._drop(worker)
            self._idle = []
            for worker in self._all:  # whoever uses it hears of its end, and drops it
                worker.kill()
            self._changed.notify_all()
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _take(self, patience: float) -> WorkerProcess:
        limit = time.monotonic() + patience
        with self._changed:
            if self._waiting >= _WAITING:
                raise Unavailable(f"{self._waiting} queries wait for a worker already; try again in a while")
            self._waiting += 1
            try:
                while not self._closed:
                    while self._idle:
                        worker = self._idle.pop()
                        if worker.usable:
                            return worker
                        self._drop(worker)
                    if self._count < self.size:
                        self._count += 1
                        break
                    if not self._changed.wait(limit - time.monotonic()):
                        raise Unavailable(f"all {self.size} SQL workers are busy; `boathouse queries list` shows with what")
            finally:
                self._waiting -= 1
        return self._start()

    def _start(self) -> WorkerProcess:
        try:
            if self._closed:
                raise Unavailable("the server is closing")
            worker = WorkerProcess(self._place(), self._memory, self._threads)
        except BaseException:
            with self._changed:
                self._count -= 1
                self._changed.notify()
            raise
        with self._changed:
            self._all.add(worker)
        return worker

    def _give_back(self, worker: WorkerProcess) -> None:
        with self._changed:
            kept = worker.usable and not self._closed
            if kept:
                worker.idle_since = time.monotonic()
                self._idle.append(worker)
                while worker.idle_since - self._idle[0].idle_since > _IDLE:
                    self._drop(self._idle.pop(0))
            else:
                self._drop(worker)
            self._changed.notify()
        if not kept and not self._closed:
            self.warm()

    def _drop(self, worker: WorkerProcess) -> None:
        self._count -= 1
        self._all.discard(worker)
        worker.close()

    def _add_spare(self) -> None:
        with self._changed:
            if self._closed or self._idle or self._count >= self.size:
                return
            self._count += 1
        with contextlib.suppress(OSError, Unavailable):
            self._give_back(self._start())

    def _place(self) -> Path:
        with self._changed:
            if not self._prepared:
                self._folder = self._folder or Path(tempfile.mkdtemp(prefix="boathouse-sql-"))
                shutil.rmtree(self._folder, ignore_errors=True)  # what an earlier owner left when it died
                self._folder.mkdir(parents=True, mode=0o700)
                self._prepared = True
            assert self._folder is not None
            return self._folder
