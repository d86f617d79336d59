"""A live `boathouse up` with enforcement on, people with and without grants, and an environment for stock clients."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pytest
from filelock import FileLock

from boathouse.catalog import Catalog, TableSpec
from boathouse.identity import Identity
from boathouse.lake import DeltaFolder
from boathouse.platform import Platform
from boathouse.settings import load

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
VENV = ROOT / ".venv-compat"
LOCK = HERE / "requirements.lock"
TRIPS = {"id": [1, 2, 3, 4], "city": ["Oslo", "Rome", "Oslo", None], "fare": [10.5, 7.25, 3.0, 8.0]}


@dataclass(frozen=True)
class Live:
    """Where it answers, and the tokens of: root, the operator; ann, who may work in dev; bob, who may nothing."""

    url: str
    home: Path
    tokens: dict[str, str]

    def http(self, method: str, path: str, who: str = "ann", **options: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.tokens[who]}"} | options.pop("headers", {})
        return httpx.request(method, self.url + path, headers=headers, timeout=60, trust_env=False, **options)


Client = Callable[..., Any]


@pytest.fixture(scope="session")
def python() -> Path:
    """The interpreter of the clients' environment, made from the hashed lock when it is not there."""
    binary = VENV / "bin" / "python"
    stamp = VENV / ".installed"
    uv = Path(sys.executable).with_name("uv")
    if not uv.exists():
        pytest.skip("the clients' environment needs uv beside this Python: run `make install`")
    with FileLock(ROOT / ".venv-compat.lock"):
        if not stamp.exists() or stamp.read_text() != LOCK.read_text():
            environ = os.environ | {"UV_SYSTEM_CERTS": "1"}
            commands = [[uv, "venv", "--quiet", "--clear", "--python", sys.executable, VENV],
                        [uv, "pip", "sync", "--quiet", "--python", binary, "--require-hashes", LOCK]]  # fmt: skip
            for command in commands:
                made = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
                if made.returncode:
                    pytest.skip(f"the clients' environment cannot be made: {made.stderr.strip()[-300:]}")
            stamp.write_text(LOCK.read_text())
    return binary


@pytest.fixture(scope="module")
def live(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    home = tmp_path_factory.mktemp("home")
    tokens = _furnish(home, many=getattr(request.module, "MANY", 0))
    environ = {k: v for k, v in os.environ.items() if not k.startswith("BOATHOUSE_")}
    command = [str(Path(sys.executable).with_name("boathouse")), "--home", str(home), "up", "--port", "0"]
    log = (home / "up.log").open("w")
    server = subprocess.Popen(command, env=environ, stdout=log, stderr=log)
    try:
        yield Live(_address(home, server), home, tokens)
    finally:
        server.kill()  # ending in order would wait for MLflow, which is still being imported
        server.wait(30)
        log.close()


def _address(home: Path, server: "subprocess.Popen[bytes]") -> str:
    limit = time.monotonic() + 60
    while not (home / "server.json").exists():
        assert server.poll() is None, (home / "up.log").read_text()
        assert time.monotonic() < limit, "the server did not come up"
        time.sleep(0.05)
    return str(json.loads((home / "server.json").read_text())["url"])


def _furnish(home: Path, many: int) -> dict[str, str]:
    """People and tables, before the server starts; `many` of them in a schema of their own, where a module asks for that."""
    with Platform(load({}, home=str(home))) as platform:
        for name in ("ann", "bob"):
            platform.identities.create(name, "user")
        platform.identities.add_member("data-scientists", "ann")
        operator = platform.service_identity("dev")
        _table(platform.catalog, operator, "dev.lab.trips", TRIPS)
        _table(platform.catalog, operator, "dev.lab.people", {"name": ["Ida"], "email": ["ida@example.org"]})
        platform.catalog.describe(operator, "dev.lab.people", {"masks": {"email": "'***'"}})
        outside = home.parent / f"{home.name}-outside"
        outside.mkdir()
        admin = Identity(platform.operator, platform.identities.groups_of(platform.operator))
        platform.locations.create(admin, "outside", outside.as_uri())
        for number in range(many):
            platform.catalog.create_table(operator, TableSpec(f"dev.many.t{number:03}", pa.schema([("n", pa.int64())])))
        tokens = {name: platform.identities.issue(name) for name in ("ann", "bob")}
        return tokens | {"root": platform.home.operator_token() or ""}


def _table(catalog: Catalog, who: Any, name: str, rows: dict[str, Any]) -> None:
    frame = pa.table(rows)
    made = catalog.create_table(who, TableSpec(name, frame.schema, description=f"{name} of a test"))
    DeltaFolder(made.location, name).append(frame)


@pytest.fixture(scope="module")
def client(live: Live, python: Path) -> Client:
    """Runs a client's script as somebody, once, in a process of its own; what it printed, as JSON."""

    @cache
    def run(script: str, who: str, *arguments: str) -> Any:
        environ = {k: v for k, v in os.environ.items() if not k.startswith(("BOATHOUSE_", "DATABRICKS_", "PYTHON"))}
        environ |= {"URL": live.url, "TOKEN": live.tokens[who], "HOME": str(live.home),
                    "OUTSIDE": f"file://{live.home}-outside", "DO_NOT_TRACK": "true"}  # fmt: skip
        command = [str(python), "-W", "ignore", str(HERE / "clients" / f"{script}.py"), *arguments]
        done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, f"{script} as {who} failed:\n{done.stderr[-3000:]}"
        return json.loads(done.stdout.splitlines()[-1])

    return run
