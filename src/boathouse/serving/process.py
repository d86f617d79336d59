"""The process of one model server: started on a socket of ours, asked over loopback, ended by its id."""

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from socket import socket
from typing import Any

import httpx

from boathouse.environments import Sandbox
from boathouse.errors import Unavailable
from boathouse.jobs import PROCESS_MARK, end_process, inherited
from boathouse.processes import process_started

SERVER_MODULE = "boathouse.client.serve_model"
LOOPBACK = "127.0.0.1"
_START_SECONDS, _LOAD_SECONDS = 90.0, 180.0
_LOG_BYTES = 16 << 20
_THREADS = {"OMP_NUM_THREADS": "1"}
"""Of OpenMP, where the server's own variables say nothing: a request is too small to be shared among threads."""


@dataclass(frozen=True)
class Launch:
    """What a model server's process is told: how to reach the platform and where to log."""

    url: str
    token: str
    environment: str
    spool: Path
    """The endpoint's; each of its models has a folder in it."""
    log: Path
    scratch: Path
    """Its temporary files, where it has walls."""
    sandbox: Sandbox | None = None
    durable: bool = False
    """Whether its log outlives a power cut."""
    queue: int = 256
    """So many requests wait for its model at most."""
    mark: str = ""
    """What its processes are known by, should the server end before them."""


class ModelProcess:
    """A started process; `ready` before it is asked anything."""

    def __init__(self, launch: Launch, key: str, endpoint: str, slot: str, model: str, *, features_only: bool) -> None:
        self._key, self._log, self.model = key, launch.log, model
        listener = socket()
        listener.bind((LOOPBACK, 0))
        listener.listen(1024)
        self.port = int(listener.getsockname()[1])
        read_end, write_end = os.pipe()
        os.write(write_end, f"{launch.token}\n{key}".encode())
        os.close(write_end)
        switches = [f"--{name}" for name, on in (("features-only", features_only), ("durable", launch.durable)) if on]
        words = ["--endpoint", endpoint, "--slot", slot, "--model", model, "--environment", launch.environment,
                 "--url", launch.url, "--spool", str(launch.spool / model), "--socket", str(listener.fileno()),
                 "--secrets", str(read_end), "--queue", str(launch.queue), *switches]  # fmt: skip
        argv = [sys.executable, "-P", "-m", SERVER_MODULE, *words]
        environ = _THREADS | inherited() | {PROCESS_MARK: launch.mark}
        if walls := launch.sandbox:
            argv = walls.around(argv, cwd=str(launch.scratch), scratch=str(launch.scratch))
            environ |= walls.environ
        with _log_file(launch.log) as output:
            self._process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                pass_fds=(listener.fileno(), read_end), start_new_session=True, env=environ,
            )  # fmt: skip
        os.close(read_end)
        listener.close()
        self.pid = self._process.pid
        self.pid_started = process_started(self.pid)

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._process.poll() is None

    def ready(self) -> None:
        """Wait until it answers. Raises Unavailable."""
        limit = time.monotonic() + _START_SECONDS
        while time.monotonic() < limit and self.alive:
            try:
                if httpx.get(f"http://{LOOPBACK}:{self.port}/ping", timeout=2, trust_env=False).is_success:
                    return
            except httpx.HTTPError:
                time.sleep(0.1)
        raise Unavailable(f"the model server did not start; its words are in {self._log}")

    def load(self, version: int) -> None:
        """Bring a version in, which takes over when it is warm. Raises Unavailable."""
        self._ask("/load", {"version": version})

    def end(self) -> None:
        """End it, if it has not ended."""
        if self.alive:
            end_process(self.pid)
            self._process.wait()

    def _ask(self, path: str, body: dict[str, Any]) -> None:
        answer = httpx.post(f"http://{LOOPBACK}:{self.port}{path}", json=body, headers={"X-Boathouse-Key": self._key},
                            timeout=_LOAD_SECONDS, trust_env=False)  # fmt: skip
        if not answer.is_success:
            raise Unavailable(f"the model server refused: {answer.text[:500]}")


def _log_file(path: Path) -> Any:
    """The log of an endpoint's processes, opened to append; a long one makes place for a new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and path.stat().st_size > _LOG_BYTES:
        path.replace(path.with_suffix(".log.1"))
    return path.open("ab")
