"""A live server on loopback, and stock MLflow clients for its people."""

import json
import socket
import sqlite3
import subprocess
import sys
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
    with socket.socket() as listener:  # held from now on, so that nobody else gets the port meanwhile
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        descriptor, port = listener.fileno(), listener.getsockname()[1]
        words = [sys.executable, str(SERVER), str(home), str(descriptor)]
        server = subprocess.Popen(words, pass_fds=(descriptor,))
    found = Live(f"http://127.0.0.1:{port}", home)
    httpx.get(f"{found.url}/version", timeout=180).raise_for_status()  # answered once MLflow is there
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
        mlflow.set_registry_uri(live.url)  # an earlier test of this process may have pointed it elsewhere
        return mlflow.MlflowClient(live.url)

    return make
