"""Endpoints as they are, as rows."""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from boathouse import clock
from boathouse.database import Database
from boathouse.serving.store import endpoint_states, served_versions


@dataclass(frozen=True)
class ServedVersion:
    """One version of an endpoint: its share of the requests, and how its process does. `role` is served, canary or shadow."""

    slot: str
    role: str
    percent: float
    state: str
    wanted_version: int | None
    version: int | None
    port: int | None
    pid: int | None
    pid_started: str | None
    reason: str | None
    updated_at: datetime


@dataclass(frozen=True)
class EndpointState:
    """An endpoint as it is: which version is wanted first, which one answers, and all that it serves."""

    environment: str
    name: str
    state: str
    model: str
    wanted_version: int | None
    served_version: int | None
    reason: str | None
    updated_at: datetime | None = None
    served: tuple[ServedVersion, ...] = field(default=())

    @property
    def versions(self) -> set[int]:
        """Every version that it has ready or is about to have."""
        own = {self.wanted_version, self.served_version}
        return {v for v in own | {v for s in self.served for v in (s.version, s.wanted_version)} if v is not None}


class States:
    """Reads and writes the rows."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self, environment: str | None = None) -> list[EndpointState]:
        """By environment and name."""
        query = sa.select(endpoint_states).order_by(endpoint_states.c.environment, endpoint_states.c.name)
        served: dict[tuple[str, str], list[ServedVersion]] = {}
        with self._database.reading() as connection:
            for row in connection.execute(sa.select(served_versions).order_by(served_versions.c.slot)).mappings():
                key = row["environment"], row["endpoint"]
                own = {k: v for k, v in row.items() if k not in ("environment", "endpoint")}
                served.setdefault(key, []).append(ServedVersion(**own))
            rows = connection.execute(query).mappings().all()
        return [
            EndpointState(**row, served=tuple(served.get((row["environment"], row["name"]), ())))
            for row in rows if environment in (None, row["environment"])
        ]  # fmt: skip

    def note(self, environment: str, name: str, **values: Any) -> None:
        """What is new of an endpoint."""
        values["updated_at"] = clock.now()
        here = (endpoint_states.c.environment == environment) & (endpoint_states.c.name == name)
        with self._database.writing() as connection:
            if not connection.execute(endpoint_states.update().where(here).values(**values)).rowcount:
                defaults = {"state": "STARTING", "model": "", **values}
                connection.execute(endpoint_states.insert().values(environment=environment, name=name, **defaults))

    def note_version(self, environment: str, endpoint: str, slot: str, **values: Any) -> None:
        """What is new of one of its versions."""
        t = served_versions
        values["updated_at"] = clock.now()
        with self._database.writing() as connection:
            row = t.update().where(*_slot(environment, endpoint, slot))
            if not connection.execute(row.values(**values)).rowcount:
                defaults = {"state": "STARTING", "role": "served", "percent": 0.0, **values}
                connection.execute(t.insert().values(environment=environment, endpoint=endpoint, slot=slot, **defaults))

    def drop(self, environment: str, name: str) -> None:
        """An endpoint is gone."""
        with self._database.writing() as connection:
            for table, column in ((endpoint_states, "name"), (served_versions, "endpoint")):
                connection.execute(table.delete().where(table.c.environment == environment, table.c[column] == name))

    def keep(self, environment: str, endpoint: str, slots: Collection[str]) -> None:
        """Of its versions only these are there."""
        t = served_versions
        here = (t.c.environment == environment) & (t.c.endpoint == endpoint) & t.c.slot.not_in(slots)
        with self._database.reading() as connection:
            gone = connection.execute(sa.select(t.c.slot).where(here)).first()
        if gone:
            with self._database.writing() as connection:
                connection.execute(t.delete().where(here))

    def clear(self) -> None:
        """Nothing is served."""
        with self._database.writing() as connection:
            connection.execute(endpoint_states.delete())
            connection.execute(served_versions.delete())


def _slot(environment: str, endpoint: str, slot: str) -> tuple[sa.ColumnElement[bool], ...]:
    t = served_versions
    return t.c.environment == environment, t.c.endpoint == endpoint, t.c.slot == slot
