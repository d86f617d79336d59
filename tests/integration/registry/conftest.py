"""A live server on loopback, and stock MLflow clients for its people."""

import json
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

SERVER = Path(__file__).with_name("serve.py")


@dataclass(frozen=True)
class Live:
    """Where it answers, and what its database holds."""

    url: str
    home: Path

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        database = sqlite3.connect(self.home / "boathouse.db")
        try:
            return database.execute(query).fetchall()
        finally:
            database.close()

    def told(self, what: str, model: str) -> list[tuple[str, dict[str, Any]]]:
        rows = self.rows("SELECT what, kind, name, data FROM told")
        return [(kind, json.loads(data)) for who, kind, name, data in rows if (who, name) == (what, model)]

    def http(self, method: str, path: str, token: str = "ada", **options: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}", **options.pop("headers", {})}
        return httpx.request(method, self.url + path, headers=headers, timeout=60, **options)


@pytest.fixture(scope="session")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    home = tmp_path_factory.mktemp("home")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen([sys.executable, str(SERVER), str(home), str(port)])
    found = Live(f"http://127.0.0.1:{port}", home)
    limit = time.monotonic() + 60
    while True:
        try:
            httpx.get(f"{found.url}/version", timeout=180).raise_for_status()  # answered once MLflow is there
            break
        except httpx.ConnectError:
            assert server.poll() is None
            assert time.monotonic() < limit
            time.sleep(0.1)
    yield found
    server.terminate()
    server.wait(20)


@pytest.fixture
def client(live: Live, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    """A stock client under someone's token; the fluent API follows the last one made."""
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.setenv("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")

    def make(token: str) -> Any:
        import mlflow

        monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", token)
        mlflow.set_tracking_uri(live.url)
        return mlflow.MlflowClient(live.url)

    return make
