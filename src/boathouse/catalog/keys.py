"""Primary keys of tables that were made without: checked against every row, then kept."""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from boathouse.catalog.service import Catalog
from boathouse.catalog.spec import TableSpec
from boathouse.catalog.store import securables
from boathouse.catalog.values import TableInfo
from boathouse.database import Database
from boathouse.errors import AlreadyExists, Conflict, DuplicateKey, InvalidInput
from boathouse.identity import Identity
from boathouse.lake import Engine, quoted


class PrimaryKeys:
    """Declares which columns tell a table's rows apart, which makes it a feature table."""

    def __init__(self, database: Database, catalog: Catalog) -> None:
        self._database = database
        self._catalog = catalog

    def declare(self, identity: Identity, name: str, keys: Sequence[str], event_time: str | None = None) -> TableInfo:
        """Keys for a table that has none; needs MANAGE.

        Raises AlreadyExists, InvalidInput for columns that are absent or null somewhere, DuplicateKey.
        """
        self._catalog.access.authorize(identity, "MANAGE", "table", name)
        info = self._catalog.table(name)
        if info.primary_keys:
            raise AlreadyExists(f"{name} has the primary key {', '.join(info.primary_keys)} already")
        folder = self._catalog.folder(info)
        TableSpec(name, folder.schema(), tuple(keys), event_time).check()
        _check_rows(folder, keys, name)
        folder.constrain({f"{key}_is_a_key": f"`{key}` IS NOT NULL" for key in keys})
        return self._write(identity, name, {"primary_keys": list(keys), "event_time": event_time})

    def drop(self, identity: Identity, name: str) -> TableInfo:
        """Take the keys away; needs MANAGE. Raises Conflict while somebody's record needs a version of the table."""
        self._catalog.access.authorize(identity, "MANAGE", "table", name)
        if holders := self._catalog.pins.of(name):
            raise Conflict(f"{name} is needed with its keys by {', '.join(sorted(set(holders.values())))}")
        return self._write(identity, name, {"primary_keys": [], "event_time": None})

    def _write(self, identity: Identity, name: str, changes: Mapping[str, Any]) -> TableInfo:
        which = (securables.c.kind == "table", securables.c.name == name)
        with self._database.writing() as connection:
            properties = connection.execute(sa.select(securables.c.properties).where(*which)).scalar_one()
            connection.execute(sa.update(securables).where(*which).values(properties={**properties, **changes}))
            self._catalog.audit.write(connection, identity.principal, "alter table", name, dict(changes))
        return self._catalog.table(name)


def _check_rows(folder: Any, keys: Sequence[str], name: str) -> None:
    engine = Engine()
    listed = ", ".join(quoted(key) for key in keys)
    nulls = " OR ".join(f"{quoted(key)} IS NULL" for key in keys)
    try:
        scan = engine.scan(folder.table())
        [found] = engine.relation(
            f"SELECT count(*) AS rows, count(DISTINCT ({listed})) AS keys, count_if({nulls}) AS nulls FROM {scan}"
        ).to_dicts()
    finally:
        engine.connection.close()
    if found["nulls"]:
        raise InvalidInput(f"{found['nulls']} rows of {name} have no {' or '.join(keys)}, which a key must have")
    if found["keys"] < found["rows"]:
        raise DuplicateKey(f"{found['rows'] - found['keys']} rows of {name} repeat a value of {', '.join(keys)}")
