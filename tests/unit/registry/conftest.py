"""A registry on a real SQLite file with MLflow's real schema, made once and copied for each test."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from boathouse.database import Database
from boathouse.registry import Registry, prepare_mlflow


class Log:
    """What the registry told: events and audit entries, kept only if their transaction was."""

    def __init__(self, database: Database) -> None:
        self._database = database
        with database.writing() as connection:
            connection.execute(sa.text("CREATE TABLE told (what TEXT, kind TEXT, name TEXT, data TEXT)"))

    def emit(self, connection: sa.Connection, kind: str, subject: str, data: dict[str, Any]) -> None:
        self._add(connection, "event", kind, subject, data)

    def audit(self, connection: sa.Connection, who: str, action: str, subject: str, data: dict[str, Any]) -> None:
        self._add(connection, who, action, subject, data)

    def _add(self, connection: sa.Connection, *row: Any) -> None:
        values = dict(zip(("what", "kind", "name", "data"), map(str, row), strict=True))
        connection.execute(sa.text("INSERT INTO told VALUES (:what, :kind, :name, :data)"), values)

    def events(self, name: str = "") -> list[str]:
        return [kind for what, kind, subject, _ in self.rows() if what == "event" and name in subject]

    def entries(self) -> list[tuple[str, str]]:
        return [(what, kind) for what, kind, _, _ in self.rows() if what != "event"]

    def rows(self) -> list[Any]:
        with self._database.reading() as connection:
            return list(connection.execute(sa.text("SELECT * FROM told")))


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("mlflow")
    prepare_mlflow(f"sqlite:///{home / 'boathouse.db'}", str(home / "artifacts"))
    return home / "boathouse.db"


@pytest.fixture
def database(template: Path, tmp_path: Path) -> Iterator[Database]:
    shutil.copy(template, tmp_path / "boathouse.db")
    database = Database(f"sqlite:///{tmp_path / 'boathouse.db'}")
    database.create_tables()
    yield database
    database.close()


@pytest.fixture
def log(database: Database) -> Log:
    return Log(database)


@pytest.fixture
def registry(database: Database, log: Log) -> Registry:
    registry = Registry(database, log.emit, log.audit)
    registry.install()
    return registry


@pytest.fixture
def register(database: Database) -> Callable[..., None]:
    """Registers versions of a model the way MLflow's tables hold them."""

    def add(name: str, count: int = 3, status: str = "READY") -> None:
        row = {"name": name, "now": 1_700_000_000_000, "status": status}
        with database.writing() as connection:
            connection.execute(
                sa.text(
                    "INSERT INTO registered_models (workspace, name, creation_time, last_updated_time) "
                    "VALUES ('default', :name, :now, :now)"
                ),
                row,
            )
            for version in range(1, count + 1):
                connection.execute(
                    sa.text(
                        "INSERT INTO model_versions (workspace, name, version, creation_time, "
                        "last_updated_time, current_stage, source, status, run_id) VALUES "
                        "('default', :name, :version, :now, :now, 'None', :source, :status, 'r1')"
                    ),
                    row | {"version": version, "source": f"mlflow-artifacts:/1/models/m-{version}/artifacts"},
                )

    return add
