"""Jobs that keep tables of declared features fresh: made with the table, not declared by a project."""

from collections.abc import Mapping, Sequence
from typing import Any

from boathouse import clock
from boathouse.catalog import Catalog
from boathouse.environments import BY_HAND, Deployments
from boathouse.errors import InvalidInput
from boathouse.identity import Identity
from boathouse.jobs import Starts, next_due
from boathouse.names import parse

OURS = ("boathouse", BY_HAND)
"""What stands for the project of runs whose tasks are the platform's own, and so of no commit."""
_GATHERED_SECONDS = 60


class Refreshing:
    """One job a table, by the clock or at new rows of its source. It is listed, run, paused and resumed as any job."""

    def __init__(self, catalog: Catalog, deployments: Deployments, starts: Starts) -> None:
        self._catalog = catalog
        self._deployments = deployments
        self._starts = starts

    def put(self, identity: Identity, table: str, schedule: Mapping[str, Any] | None, sources: Sequence[str],
            at_once: bool = False, publish: bool = False, store: str | None = None) -> dict[str, Any]:  # fmt: skip
        """Make or change a table's job, which runs as its environment's service principal and does nothing but this.

        It takes MODIFY or MANAGE on the table, RUN or DEPLOY on the environment, and SELECT on the tables that the features
        are computed from; where one is masked or filtered, DEPLOY, since the job sees it whole. Features that come to have
        another source meanwhile are not refreshed by it. With a `schedule` it starts by the clock, else at new rows of the
        `sources`: `at_once` at each commit, or once a minute. With `publish` it publishes, in `store`.
        Raises NotPermitted, NotFound also for a table of no declared features, InvalidInput for a schedule that is none.
        """
        environment, name = self._allowed(identity, table)
        if bool(schedule) == bool(sources):
            raise InvalidInput(f"{table} is refreshed by a schedule, or when its sources change: give one of both")
        read = self._read(table, environment)
        for source in sorted({*read, *sources}):
            self._may_read(identity, environment, source)
        when: dict[str, Any]
        if schedule:
            next_due(schedule, clock.now())
            when = {"schedule": dict(schedule)}
        else:
            rule = {"table_names": list(sources), "min_time_between_triggers_seconds": 0 if at_once else _GATHERED_SECONDS}
            when = {"trigger": {"table_update": rule}}
        online = [f"publish={store}" if store else "publish"] if publish else []
        parameters = [table, *online, *(f"from={source}" for source in read)]
        task = {"name": "materialize-features", "parameters": parameters}
        definition = {"tasks": [{"task_key": "materialize", "builtin_task": task}], "max_concurrent_runs": 1, **when}
        self._deployments.put(identity, environment, "job", name, definition)
        return {"environment": environment, "job": name, **when}

    def remove(self, identity: Identity, table: str) -> None:
        """End a table's job, paused or not. Raises NotFound where it has none."""
        environment, name = self._allowed(identity, table)
        self._deployments.remove(identity, environment, "job", name)
        self._starts.resume((environment, BY_HAND, name))

    def _allowed(self, identity: Identity, table: str) -> tuple[str, str]:
        named = parse(table)
        environment, schema, name = named.catalog, named.schema, named.object
        access = self._catalog.access
        if not access.allows(identity, "MANAGE", "table", table):
            access.authorize(identity, "MODIFY", "table", table)
        if not access.allows(identity, "DEPLOY", "catalog", environment):
            access.authorize(identity, "RUN", "catalog", environment)
        self._catalog.require("table", table)
        return environment, f"refresh_{schema}_{name}"

    def _may_read(self, identity: Identity, environment: str, source: str) -> None:
        self._catalog.access.authorize(identity, "SELECT", "table", source)
        info = self._catalog.table(source)
        if info.masks or info.row_filter:
            self._catalog.access.authorize(identity, "DEPLOY", "catalog", environment)

    def _read(self, table: str, environment: str) -> list[str]:
        """The tables that a table's features are computed from."""
        from boathouse.feature_engineering import sources_of

        return sources_of(self._catalog.table(table), environment)
