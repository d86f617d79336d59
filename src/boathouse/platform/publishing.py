"""Publishing for callers on other machines: where the online store is embedded, a task beside it does it for them."""

import json
import time
from collections.abc import Mapping
from typing import Any

from boathouse.catalog import Catalog
from boathouse.errors import Conflict, InvalidInput, RunFailed, Unavailable
from boathouse.identity import Identity
from boathouse.jobs import Runs
from boathouse.names import parse
from boathouse.platform.job_desk import JobDesk

_TASK = "publish-features"
_ENDED = ("SUCCESS", "FAILED", "CANCELED", "LOST")
_LIMIT_SECONDS = 3600.0


class PublishingDesk:
    """Of one home."""

    def __init__(self, catalog: Catalog, jobs: JobDesk, runs: Runs) -> None:
        self._catalog = catalog
        self._jobs = jobs
        self._runs = runs

    def publish(self, identity: Identity, table: str, wish: Mapping[str, Any]) -> dict[str, Any]:
        """Publish a table as its environment's service principal, and wait for it; what was published.

        The caller needs MODIFY on the table and on another table whose name it takes online; for a condition, which is SQL
        that a task runs, also RUN. Raises NotPermitted, NotFound, Conflict for a table with masks or a filter, which would
        not hold for the task, RunFailed, Unavailable.
        """
        access, environment = self._catalog.access, parse(table).catalog
        access.authorize(identity, "MODIFY", "table", table)
        info, name = self._catalog.table(table), str(wish["name"])
        if parse(name).catalog != environment:
            raise InvalidInput(f"{name} is not in {environment}, where {table} is published")
        if name != table and self._catalog.exists("table", name):
            access.authorize(identity, "MODIFY", "table", name)
        if wish.get("condition"):
            access.authorize(identity, "RUN", "catalog", environment)
        if info.masks or info.row_filter:
            raise Conflict(f"{table} has masks or a filter, which hold for you and not for a task: let a job publish it")
        run_id = self._jobs.submit_builtin(environment, _TASK, [table, json.dumps(dict(wish))],
                                           label=f"publish-{table.partition('.')[2]}", trigger=f"publish {table}")  # fmt: skip
        return self._published(run_id, table)

    def _published(self, run_id: str, table: str) -> dict[str, Any]:
        limit = time.monotonic() + _LIMIT_SECONDS
        while (run := self._runs.get(run_id)).state not in _ENDED:
            if time.monotonic() > limit:
                raise Unavailable(f"run {run_id} publishes {table} for longer than {_LIMIT_SECONDS:.0f} s; it goes on")
            time.sleep(0.1)
        if run.state != "SUCCESS":
            raise RunFailed(f"{table} was not published: {run.reason}; see `boathouse runs logs {run_id}`")
        found: dict[str, Any] = run.tasks[0].results["published"]
        return found
