"""Incidents: one is open from the first violation until the condition no longer holds, however often it is judged."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from boathouse import clock
from boathouse.alerts.store import incidents, judgements
from boathouse.catalog import Audit
from boathouse.database import Database
from boathouse.errors import NotFound
from boathouse.events import Outbox


@dataclass(frozen=True)
class Incident:
    """An alert's condition held from `opened_at` on."""

    id: int
    environment: str
    alert: str
    opened_at: datetime
    closed_at: datetime | None
    acknowledged_by: str | None
    reason: str
    windows: list[dict[str, Any]]
    run_id: str | None


class Alerts:
    """Keeps what alerts said, and tells of it by an event that jobs subscribe to."""

    def __init__(self, database: Database, outbox: Outbox, audit: Audit) -> None:
        self._database = database
        self._outbox = outbox
        self._audit = audit

    def record(self, environment: str, alert: str, verdict: Mapping[str, Any]) -> Incident | None:
        """Keep a judgement; the incident it opened, if it did."""
        here = (judgements.c.environment == environment) & (judgements.c.alert == alert)
        values = {"state": verdict["state"], "reason": verdict["reason"], "at": clock.now()}
        with self._database.writing() as connection:
            if not connection.execute(judgements.update().where(here).values(**values)).rowcount:
                connection.execute(judgements.insert().values(environment=environment, alert=alert, **values))
            still = (incidents.c.environment == environment) & (incidents.c.alert == alert) & incidents.c.closed_at.is_(None)
            opened = connection.execute(sa.select(incidents.c.id).where(still)).scalar()
            if verdict["state"] == "ok" and opened:
                connection.execute(incidents.update().where(still).values(closed_at=clock.now()))
                self._outbox.emit(connection, "alert.resolved", f"{environment}.{alert}", {"incident": opened})
            muted = sa.select(judgements.c.alert).where(here, judgements.c.muted_until > clock.now())
            if verdict["state"] != "firing" or opened or connection.execute(muted).first():
                return None
            inserted = connection.execute(
                incidents.insert().values(environment=environment, alert=alert, opened_at=clock.now(),
                                          reason=verdict["reason"], windows=list(verdict["windows"]))
            )  # fmt: skip
            number = int(inserted.inserted_primary_key[0])  # type: ignore[index]
            self._outbox.emit(connection, "alert.fired", f"{environment}.{alert}",
                              {"incident": number, "reason": verdict["reason"]})  # fmt: skip
            details = {"reason": verdict["reason"]}
            self._audit.write(connection, f"{environment}-jobs", "alert fired", f"{environment}.{alert}", details)
        return self.incident(number)

    def incident(self, number: int) -> Incident:
        """One incident. Raises NotFound."""
        with self._database.reading() as connection:
            row = connection.execute(sa.select(incidents).where(incidents.c.id == number)).mappings().first()
        if row is None:
            raise NotFound(f"there is no incident {number}; `boathouse alerts list` shows them")
        return Incident(**row)

    def incidents(self, environment: str | None = None, limit: int = 100) -> list[Incident]:
        """Incidents, newest first."""
        query = sa.select(incidents).order_by(incidents.c.id.desc()).limit(limit)
        if environment:
            query = query.where(incidents.c.environment == environment)
        with self._database.reading() as connection:
            return [Incident(**r) for r in connection.execute(query).mappings()]

    def states(self, environment: str | None = None) -> dict[tuple[str, str], dict[str, Any]]:
        """(environment, alert) -> what it said last; `muted_until` only while that lasts."""
        query = sa.select(judgements)
        if environment:
            query = query.where(judgements.c.environment == environment)
        with self._database.reading() as connection:
            rows = [dict(r) for r in connection.execute(query).mappings()]
        now = clock.now()
        for row in rows:
            until = row["muted_until"]
            row["muted_until"] = clock.parse_instant(until) if until and clock.parse_instant(until) > now else None
        return {(r["environment"], r["alert"]): r for r in rows}

    def acknowledge(self, number: int, principal: str) -> Incident:
        """Say that someone looks after an incident."""
        self.incident(number)
        with self._database.writing() as connection:
            connection.execute(incidents.update().where(incidents.c.id == number).values(acknowledged_by=principal))
            self._audit.write(connection, principal, "acknowledge", f"incident/{number}")
        return self.incident(number)

    def mute(self, environment: str, alert: str, span: timedelta, principal: str) -> datetime:
        """Until when no new incident opens: `span` from now; none at all ends it. It is judged and shown all the same."""
        until = clock.now() + span
        here = (judgements.c.environment == environment) & (judgements.c.alert == alert)
        with self._database.writing() as connection:
            if not connection.execute(judgements.update().where(here).values(muted_until=until)).rowcount:
                never = {"state": "no_data", "reason": "not judged yet", "at": clock.now(), "muted_until": until}
                connection.execute(judgements.insert().values(environment=environment, alert=alert, **never))
            self._audit.write(connection, principal, "mute", f"{environment}.{alert}", {"until": until.isoformat()})
        return until

    def answered_by(self, number: int, run_id: str) -> None:
        """Note the run that an incident started."""
        with self._database.writing() as connection:
            connection.execute(incidents.update().where(incidents.c.id == number).values(run_id=run_id))
