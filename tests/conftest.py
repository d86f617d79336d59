"""Real parts in temporary folders, shared by every room's tests."""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest

import boathouse
from boathouse import settings
from boathouse.client import Lake
from boathouse.database import Database
from boathouse.platform import Platform

# On a busy machine making an example may take seconds, which says nothing of the example.
hypothesis.settings.register_profile("busy", suppress_health_check=[hypothesis.HealthCheck.too_slow], deadline=None)
hypothesis.settings.load_profile("busy")

# The operator has the name of whoever is logged in, and people in tests have names that nobody's login shall take.
os.environ["LOGNAME"] = f"operator-{os.getuid()}"

pytest_plugins = ["chromium", "object_stores", "postgres_servers", "spark"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Stories that take minutes run when they are asked for: `make test LONG=1`."""
    if os.environ.get("LONG", "") in ("", "0"):
        skipped = pytest.mark.skip(reason="takes minutes; LONG=1 runs it")
        for item in items:
            if "long" in item.keywords:
                item.add_marker(skipped)


@pytest.fixture(scope="module", autouse=True)
def mlflow_points_nowhere() -> Iterator[None]:
    """MLflow keeps its addresses and its experiment for the whole process: no file of tests leaves them to the next."""
    yield
    if "mlflow" in sys.modules:
        import mlflow
        from mlflow.tracking import fluent

        mlflow.set_tracking_uri(None)
        mlflow.set_registry_uri(None)
        fluent._active_experiment_id = None
        os.environ.pop("MLFLOW_EXPERIMENT_ID", None)


@pytest.fixture
def restored_environment() -> Iterator[None]:
    """What connecting sets in the environment is gone after the test."""
    environ = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(environ)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """An empty metadata database with every room's tables."""
    made = Database(f"sqlite:///{tmp_path / 'metadata.db'}")
    made.create_tables()
    yield made
    made.close()


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Platform]:
    """A platform on a home of its own; nothing runs in the background and no server answers."""
    with Platform(settings.load({}, home=str(tmp_path / "home"))) as opened:
        yield opened


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lake]:
    """What `boathouse.connect()` gives the operator of a fresh home, with the server in this process."""
    environ = dict(os.environ)
    with boathouse.connect(home=str(tmp_path_factory.mktemp("home"))) as connected:
        yield connected
    os.environ.clear()
    os.environ.update(environ)


@pytest.fixture
def command(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str]]:
    """Runs a command against the same server, in this process; its exit code and all that it said."""
    from boathouse.cli.app import main

    monkeypatch.setenv("BOATHOUSE_URL", lake.http.url)
    monkeypatch.setenv("BOATHOUSE_TOKEN", lake.http.token or "")

    def run(*words: str) -> tuple[int, str]:
        try:
            main(["--home", str(tmp_path / "nobody's"), *words])
            code = 0
        except SystemExit as end:
            code = int(end.code or 0)
        said = capsys.readouterr()
        return code, said.out + said.err

    return run
