"""A Ray cluster of one node on this machine, with token authentication, for tests; `make ray` puts Ray where it is found."""

import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

APART = Path(sys.prefix) / "ray"
_START_SECONDS = 240


@dataclass(frozen=True)
class Ray:
    """Where its dashboard answers, and what it asks for."""

    address: str
    token: str

    def get(self, path: str) -> Any:
        return httpx.get(f"{self.address}{path}", headers={"Authorization": f"Bearer {self.token}"}, timeout=30).json()

    def jobs(self, run: str) -> dict[str, Any]:
        """Submission id -> job, of one run."""
        return {job["submission_id"]: job for job in self.get("/api/jobs/") if job["submission_id"].startswith(f"{run}-")}


def _port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[Ray]:
    """BOATHOUSE_TEST_RAY="http://HOST:8265 TOKEN" names one that runs already."""
    if given := os.environ.get("BOATHOUSE_TEST_RAY"):
        yield Ray(*given.split())
        return
    if not (APART / "ray").is_dir():
        pytest.skip("needs Ray: `make ray` installs it and runs these tests")
    port, token = _port(), secrets.token_hex(16)
    made = Ray(f"http://127.0.0.1:{port}", token)
    environ = {**os.environ, "PYTHONPATH": str(APART), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
               "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token, "RAY_USAGE_STATS_ENABLED": "0"}  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="ray", dir="/tmp", ignore_cleanup_errors=True) as folder:  # for sockets: short
        words = ["start", "--head", "--block", "--port", str(_port()), "--dashboard-host", "127.0.0.1", "--dashboard-port",
                 str(port), "--node-ip-address", "127.0.0.1", "--dashboard-agent-listen-port",
                 str(_port()), "--num-cpus", "4", "--temp-dir", folder]  # fmt: skip
        with (Path(folder) / "start.log").open("wb") as log:
            head = subprocess.Popen([sys.executable, "-m", "ray.scripts.scripts", *words], env=environ, stdout=log, stderr=log,
                                    start_new_session=True)  # fmt: skip
        try:
            _wait_for(made, head, Path(folder) / "start.log")
            yield made
        finally:
            head.terminate()  # it takes its cluster along, and no other on this machine
            try:
                head.wait(60)
            except subprocess.TimeoutExpired:
                os.killpg(head.pid, signal.SIGKILL)


def _wait_for(cluster: Ray, head: subprocess.Popen[bytes], log: Path) -> None:
    limit = time.monotonic() + _START_SECONDS
    while head.poll() is None and time.monotonic() < limit:
        try:
            if isinstance(cluster.get("/api/jobs/"), list):
                return
        except (httpx.TransportError, ValueError):
            time.sleep(0.5)
    pytest.fail(f"the Ray cluster did not start: {log.read_text()[-2000:]}")
