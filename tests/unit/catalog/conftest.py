"""A catalog over a real database and real Delta tables, with two environments and three people."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from boathouse.catalog import AccessControl, Audit, Catalog, Functions, Lineage, SqlDesk, TableInfo, TableSpec
from boathouse.database import Database
from boathouse.events import Outbox
from boathouse.identity import Identity
from boathouse.lake import DeltaFolder, Storages, WorkerPool, schema_of, storage_at

OWNER = Identity("olga")
READER = Identity("rita", frozenset({"readers"}))
STRANGER = Identity("sam")


@dataclass(frozen=True)
class World:
    """The room's parts."""

    catalog: Catalog
    access: AccessControl
    audit: Audit
    lineage: Lineage
    outbox: Outbox
    desk: SqlDesk

    def table(self, name: str, rows: dict[str, Any], **spec: Any) -> TableInfo:
        """A table of the owner's with rows in it."""
        schema = schema_of(rows)
        made = self.catalog.create_table(OWNER, TableSpec(name, schema, **spec))
        DeltaFolder(made.location, name).append(rows)
        return made

    def ask(self, query: str, who: Identity = READER, environment: str = "dev") -> list[dict[str, Any]]:
        """The rows of a query."""
        with self.desk.run(who, query, environment) as result:
            return result.to_dicts()

    def do(self, statement: str, who: Identity = OWNER, environment: str = "dev", **given: Any) -> dict[str, Any]:
        """What a statement says that it did; None where it reads nothing and does nothing."""
        with self.desk.execute(who, statement, environment, "json", **given) as rows:
            answer: dict[str, Any] = json.loads(b"".join(rows.chunks))["rows"][0]
            return answer

    def denials(self) -> list[tuple[str, str, str]]:
        """(principal, action, subject) of what was refused, oldest first."""
        entries = reversed(self.audit.entries())
        return [(e.principal, e.action, e.subject) for e in entries if e.outcome == "denied"]


@pytest.fixture(scope="module")
def workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerPool]:
    """Processes for SQL, kept over the tests of a file."""
    pool = WorkerPool(tmp_path_factory.mktemp("sql") / "workers", size=2, memory=500 << 20)
    yield pool
    pool.close()


@pytest.fixture
def world(database: Database, tmp_path: Path, workers: WorkerPool) -> World:
    return built(database, tmp_path, workers)


@pytest.fixture(scope="module")
def still(tmp_path_factory: pytest.TempPathFactory, workers: WorkerPool) -> Iterator[World]:
    """A world for tests that change nothing in it."""
    folder = tmp_path_factory.mktemp("still")
    database = Database(f"sqlite:///{folder / 'metadata.db'}")
    database.create_tables()
    yield built(database, folder, workers)
    database.close()


def built(database: Database, folder: Path, workers: WorkerPool) -> World:
    """The room's parts over an empty database."""
    audit = Audit(database, folder / "secrets" / "audit.key", folder / "audit.head")
    access = AccessControl(database, audit)
    lineage, outbox = Lineage(database), Outbox(database)
    catalog = Catalog(database, access, audit, lineage, outbox, Storages(storage_at(str(folder / "lake"))))
    for environment in ("dev", "prod"):
        catalog.create_catalog(environment, "admins")
        access.grant("root", ["olga"], ["USE_CATALOG", "create schema"], "catalog", environment)
    access.grant("root", ["readers"], ["USE CATALOG", "USE SCHEMA", "SELECT"], "catalog", "dev")
    return World(catalog, access, audit, lineage, outbox, SqlDesk(catalog, Functions(database, catalog), workers, seconds=20))
