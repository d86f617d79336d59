"""Rollouts as rows: what is desired stands there for whoever serves, what was seen comes back, and one of them is judged."""

import logging
from collections.abc import Callable, Iterable
from typing import Any

import sqlalchemy as sa

from boathouse import clock
from boathouse.delivery import store
from boathouse.delivery.health import Health, Reading, total
from boathouse.delivery.rollout import Rollout, RolloutAsked, judge
from boathouse.delivery.store import RUNNING
from boathouse.errors import BoathouseError, Conflict, NotFound
from boathouse.registry import ARCHIVED, STAGING, Registry

_log = logging.getLogger(__name__)
FINISHED, ROLLED_BACK, ENDED = "FINISHED", "ROLLED_BACK", "ENDED"
_KEPT_MILLISECONDS, _SWEEP_MILLISECONDS = 30 * 86_400_000, 3_600_000
Tell = Callable[[str, str, dict[str, Any]], None]
"""Writes an event (kind, subject, data); inside an open transaction it joins it."""


class Rollouts:
    """One rollout a model at most. Its version waits in Staging; the champion stays Production until it finishes."""

    def __init__(self, registry: Registry, tell: Tell) -> None:
        self._registry = registry
        self._database = registry.database
        self._tell = tell
        self._swept = 0

    def begin(self, model: str, version: int, champion: int, asked: RolloutAsked, *, principal: str, why: str) -> Rollout:
        """Let a version take over by and by. One that was rolled out until now gives way. Raises Conflict, NotFound."""
        with self._database.writing() as connection:
            if self._registry.model(model).production != champion:
                raise Conflict(f"version {champion} of {model} is not Production any more; test version {version} again")
            if former := self.of(model):
                if former.version == version:
                    raise Conflict(
                        f"{model} version {version} is being rolled out: `boathouse models show {model}` shows how far"
                    )
                self._end(former, ENDED, f"version {version} took its place", principal)
            if self._registry.version(model, version).stage != STAGING:
                self._registry.transition(model, version, STAGING, principal=principal, reason="to be rolled out")
            row = {"model": model, "version": version, "champion": champion, "mode": asked.mode, "percent": asked.percent,
                   "seconds": asked.seconds, "limits": asked.limits, "principal": principal, "why": why, "state": RUNNING,
                   "started_at": clock.now()}  # fmt: skip
            connection.execute(store.rollouts.insert().values(row))
            made = self._required(model)
            self._say(made, "started", why)
        return made

    def running(self) -> list[Rollout]:
        """All that go on."""
        return self._select(store.rollouts.c.state == RUNNING)

    def of(self, model: str) -> Rollout | None:
        """The one of a model that goes on, or None."""
        found = self._select(store.rollouts.c.state == RUNNING, store.rollouts.c.model == model)
        return found[0] if found else None

    def newest(self, model: str) -> Rollout | None:
        """The last one of a model, over or not."""
        found = self._select(store.rollouts.c.model == model)
        return found[-1] if found else None

    def served(self, numbers: Iterable[int], seconds: float) -> None:
        """Whoever serves: these versions were there to answer for so many seconds more."""
        with self._database.writing() as connection:
            t = store.rollouts
            row = t.update().where(t.c.id.in_(list(numbers)), t.c.state == RUNNING)
            connection.execute(row.values(served_seconds=t.c.served_seconds + seconds))

    def cannot_serve(self, number: int, fault: str) -> None:
        """Whoever serves: the version of a rollout does not come up."""
        with self._database.writing() as connection:
            t = store.rollouts
            connection.execute(t.update().where(t.c.id == number, t.c.state == RUNNING).values(fault=fault))

    def note(self, readings: Iterable[Reading]) -> None:
        """Whoever serves: what was seen, each reading in place of the former one with its `opened_at`."""
        t = store.health
        keys = ("environment", "endpoint", "model", "version", "role", "opened_at")
        with self._database.writing() as connection:
            for reading in readings:
                which = {key: getattr(reading, key) for key in keys}
                seen = reading.health
                values = {"requests": seen.requests, "errors": seen.errors,
                          "latencies": {str(k): v for k, v in seen.latencies.items()}}  # fmt: skip
                row = t.update().where(*(t.c[k] == v for k, v in which.items()))
                if not connection.execute(row.values(values)).rowcount:
                    connection.execute(t.insert().values({**which, **values}))
            if (now := clock.millis()) > self._swept + _SWEEP_MILLISECONDS:
                connection.execute(t.delete().where(t.c.opened_at < now - _KEPT_MILLISECONDS))
                self._swept = now

    def readings(self, model: str, since: int, until: int | None = None, **asked: str | int) -> list[Reading]:
        """What was seen of a model in a span (milliseconds of the epoch), oldest first, of one `endpoint` or `version`."""
        t = store.health
        query = sa.select(t).where(t.c.model == model, t.c.opened_at >= since, *(t.c[k] == v for k, v in asked.items()))
        query = query if until is None else query.where(t.c.opened_at <= until)
        with self._database.reading() as connection:
            rows = connection.execute(query.order_by(t.c.opened_at)).mappings().all()
        return [
            Reading(r["environment"], r["endpoint"], r["model"], r["version"], r["role"], r["opened_at"],
                    Health(r["requests"], r["errors"], {int(k): v for k, v in r["latencies"].items()}))
            for r in rows
        ]  # fmt: skip

    def health(self, rollout: Rollout) -> Health:
        """How the version of a rollout did in it, over all endpoints."""
        since = int(rollout.started_at.timestamp() * 1000)
        until = int(rollout.ended_at.timestamp() * 1000) if rollout.ended_at else None
        seen = self.readings(rollout.model, since, until, version=rollout.version, role=rollout.mode)
        return total(r.health for r in seen)

    def told(self, model: str) -> dict[str, Any] | None:
        """The last rollout of a model with its health, as lists and pages show it; None where there was none."""
        found = self.newest(model)
        if found is None:
            return None
        health = self.health(found)
        outlook = judge(found, health)[1] if found.running else found.reason
        return {**found.__dict__, "reason": outlook, "health": health.to_dict()}

    def step(self) -> list[Rollout]:
        """Judge every rollout that goes on; those that ended by it."""
        ended = []
        for rollout in self.running():
            try:
                if self._advance(rollout):
                    ended.append(rollout)
            except BoathouseError:
                _log.exception("the rollout of %s version %s waits for the next look", rollout.model, rollout.version)
        return ended

    def end(self, rollout: Rollout, principal: str, reason: str) -> None:
        """End one by hand: the champion stays, the version is archived with the reason."""
        self._end(rollout, ROLLED_BACK, reason, principal)

    def forget(self, model: str) -> None:
        """A model is gone; one that takes its name begins anew."""
        with self._database.writing() as connection:
            for table in (store.rollouts, store.health):
                connection.execute(table.delete().where(table.c.model == model))

    def _advance(self, rollout: Rollout) -> bool:
        model, version = rollout.model, rollout.version
        try:
            production, stage = self._registry.model(model).production, self._registry.version(model, version).stage
        except NotFound as gone:
            return self._close(rollout, ENDED, str(gone))
        if production not in (rollout.champion, version):
            return self._end(rollout, ENDED, f"version {production or 'none'} became Production meanwhile", "delivery")
        if stage != STAGING:
            return self._close(rollout, ENDED, f"the version went to {stage}")
        course, reason = judge(rollout, self.health(rollout))
        if course == "go_on":
            return False
        return self._finish(rollout, reason) if course == "finish" else self._end(rollout, ROLLED_BACK, reason, "delivery")

    def _finish(self, rollout: Rollout, reason: str) -> bool:
        told = f"{rollout.why}; rolled out: {reason}" if rollout.why else f"rolled out: {reason}"
        with self._database.writing():
            if not self._close(rollout, FINISHED, reason):
                return False
            self._registry.promote(rollout.model, rollout.version, principal=rollout.principal, reason=told,
                                   expected_production=rollout.champion)  # fmt: skip
        return True

    def _end(self, rollout: Rollout, state: str, reason: str, principal: str) -> bool:
        """Close it, and archive its version with one entry in the history; all in one transaction."""
        share = f"at {rollout.percent:g} % of the requests" if rollout.mode == "canary" else "in the shadow of the champion"
        with self._database.writing():
            if not self._close(rollout, state, reason):
                return False
            if self._registry.version(rollout.model, rollout.version).stage == STAGING:
                told = f"{'rolled back' if state == ROLLED_BACK else 'rollout ended'} {share}: {reason}"
                self._registry.transition(rollout.model, rollout.version, ARCHIVED, principal=principal, reason=told)
        return True

    def _close(self, rollout: Rollout, state: str, reason: str) -> bool:
        t = store.rollouts
        with self._database.writing() as connection:
            row = t.update().where(t.c.id == rollout.id, t.c.state == RUNNING)
            if not connection.execute(row.values(state=state, ended_at=clock.now(), reason=reason)).rowcount:
                return False  # somebody else ended it
            self._say(rollout, state.lower(), reason)
        return True

    def _say(self, rollout: Rollout, what: str, reason: str) -> None:
        facts = {"version": rollout.version, "champion": rollout.champion, "mode": rollout.mode, "percent": rollout.percent,
                 "reason": reason, "principal": rollout.principal}  # fmt: skip
        self._tell(f"model_version.rollout_{what}", rollout.model, facts)

    def _required(self, model: str) -> Rollout:
        found = self.of(model)
        assert found is not None
        return found

    def _select(self, *which: sa.ColumnElement[bool]) -> list[Rollout]:
        query = sa.select(store.rollouts).where(*which).order_by(store.rollouts.c.id)
        with self._database.reading() as connection:
            return [_rollout(dict(row)) for row in connection.execute(query).mappings()]


def _rollout(body: dict[str, Any]) -> Rollout:
    for moment in ("started_at", "ended_at"):
        if body[moment] is not None:
            body[moment] = clock.parse_instant(body[moment])
    return Rollout(**body)
