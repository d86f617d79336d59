"""The history of runs: every state a run and its tasks went through, kept across crashes."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from boathouse import clock
from boathouse.database import Database
from boathouse.errors import Conflict, NotFound
from boathouse.jobs.store import runs, task_runs

DONE = ("SUCCESS", "FAILED", "CANCELED", "LOST")
OPEN = ("QUEUED", "RUNNING")


@dataclass(frozen=True)
class TaskRun:
    """One task of a run, its newest attempt. An iteration of a for_each_task is `<parent>.<number>`.

    States: QUEUED, RUNNING, SUCCESS, FAILED, CANCELED, LOST, EXCLUDED (not on the way taken), UPSTREAM_FAILED.
    `attempt` counts retries from 0, `tries` every start, repairs included; `not_before` is when a retry is due.
    """

    run_id: str
    task_key: str
    attempt: int
    state: str
    reason: str | None
    exit_code: int | None
    started_at: datetime | None
    ended_at: datetime | None
    results: dict[str, Any]
    tries: int | None = None
    not_before: datetime | None = None
    parent: str | None = None
    input: Any = None
    executor: str | None = None

    @property
    def seconds(self) -> float | None:
        """How long its newest attempt took."""
        return (self.ended_at - self.started_at).total_seconds() if self.started_at and self.ended_at else None


@dataclass(frozen=True)
class Run:
    """One run of a job. States: QUEUED, RUNNING, SUCCESS, FAILED, CANCELED, LOST."""

    id: str
    environment: str
    project: str
    job: str
    scratch: str
    commit_id: str | None
    dirty: bool
    source: str
    definition: dict[str, Any]
    parameters: dict[str, str]
    trigger: str
    principal: str
    submitted_by: str
    state: str
    reason: str | None
    submitted_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    owner: str | None = None
    concurrency: int | None = None
    start_key: str | None = None
    parent_run: str | None = None
    ending_state: str | None = None
    ending_reason: str | None = None
    told: bool | None = None
    place: str | None = None
    tasks: tuple[TaskRun, ...] = field(default=())

    @property
    def done(self) -> bool:
        """Whether it has ended."""
        return self.state in DONE

    @property
    def seconds(self) -> float | None:
        """How long it took."""
        return (self.ended_at - self.started_at).total_seconds() if self.started_at and self.ended_at else None


_TASK_COLUMNS = tuple(f.name for f in fields(TaskRun))


class Runs:
    """Reads and writes runs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, row: Mapping[str, Any], task_keys: Sequence[str]) -> str:
        """A new run, queued; its id. A run that has the same `start_key` already is not started again: its id is given."""
        with self._database.writing() as connection:
            if row.get("start_key") and (there := self.started_as(row["start_key"])):
                return there
            connection.execute(runs.insert().values(**{"state": "QUEUED", "submitted_at": clock.now(), **row}))
            connection.execute(task_runs.insert(), [
                {"run_id": row["id"], "task_key": key, "attempt": 0, "tries": 0, "state": "QUEUED", "results": {}}
                for key in task_keys
            ])  # fmt: skip
        return str(row["id"])

    def started_as(self, start_key: str) -> str | None:
        """The run that was started for a reason that starts one run only."""
        with self._database.reading() as connection:
            return connection.execute(sa.select(runs.c.id).where(runs.c.start_key == start_key)).scalar()

    def transaction(self) -> AbstractContextManager[Any]:
        """Several changes at once, and nobody's between them."""
        return self._database.writing()

    def update(self, run_id: str, only: str | None = None, **values: Any) -> bool:
        """Change a run, where `only` is given only while it is that executor's; whether it was changed."""
        here = runs.c.id == run_id
        if only is not None:
            here &= runs.c.owner == only
        with self._database.writing() as connection:
            return bool(connection.execute(runs.update().where(here).values(**values)).rowcount)

    def request_end(self, run_id: str, state: str, reason: str) -> bool:
        """Ask for the end of a run that goes on; the first to ask says how it ends."""
        here = (runs.c.id == run_id) & runs.c.state.in_(OPEN) & runs.c.ending_state.is_(None)
        with self._database.writing() as connection:
            asked = runs.update().where(here).values(ending_state=state, ending_reason=reason)
            return bool(connection.execute(asked).rowcount)

    def add_tasks(self, run_id: str, parent: str, inputs: Mapping[str, Any]) -> None:
        """Iterations of a for_each_task: key -> input; those that are there stay."""
        with self._database.writing() as connection:
            there = set(connection.execute(sa.select(task_runs.c.task_key).where(task_runs.c.run_id == run_id)).scalars())
            rows = [{"run_id": run_id, "task_key": key, "attempt": 0, "tries": 0, "state": "QUEUED", "results": {},
                     "parent": parent, "input": value} for key, value in inputs.items() if key not in there]  # fmt: skip
            if rows:
                connection.execute(task_runs.insert(), rows)

    def begin_task(self, run_id: str, task_key: str, executor: str) -> bool:
        """Begin a task's next try, while the run is this executor's; whether it was begun."""
        mine = sa.exists().where(runs.c.id == run_id, runs.c.owner == executor)
        here = (task_runs.c.run_id == run_id) & (task_runs.c.task_key == task_key) & (task_runs.c.state == "QUEUED")
        begun = task_runs.update().where(here, mine).values(
            state="RUNNING", started_at=clock.now(), ended_at=None, reason=None, exit_code=None, not_before=None,
            executor=executor, tries=sa.func.coalesce(task_runs.c.tries, 0) + 1,
        )  # fmt: skip
        with self._database.writing() as connection:
            return bool(connection.execute(begun).rowcount)

    def again(self, run_id: str, owner: str) -> None:
        """Queue an ended run again, for its tasks that did not succeed. Raises Conflict."""
        with self._database.writing() as connection:
            run = self.get(run_id)
            if not run.done:
                raise Conflict(f"run {run_id} is {run.state}: wait for its end, or cancel it")
            keys = [t.task_key for t in run.tasks if t.state not in ("SUCCESS", "EXCLUDED")]
            if not keys:
                raise Conflict(f"no task of run {run_id} failed; there is nothing to repair")
            here = (task_runs.c.run_id == run_id) & task_runs.c.task_key.in_(keys)
            fresh = {"state": "QUEUED", "reason": None, "exit_code": None, "attempt": 0, "not_before": None}
            connection.execute(task_runs.update().where(here).values(fresh))
            self.update(run_id, state="QUEUED", reason=None, ended_at=None, ending_state=None, ending_reason=None, told=None,
                        owner=owner)  # fmt: skip

    def update_task(self, run_id: str, task_key: str, **values: Any) -> None:
        """Change a task of a run."""
        here = (task_runs.c.run_id == run_id) & (task_runs.c.task_key == task_key)
        with self._database.writing() as connection:
            connection.execute(task_runs.update().where(here).values(**values))

    def add_result(self, run_id: str, task_key: str, key: str, value: Any) -> None:
        """Keep a value a task hands to later tasks. Raises NotFound."""
        here = (task_runs.c.run_id == run_id) & (task_runs.c.task_key == task_key)
        with self._database.writing() as connection:
            before = connection.execute(sa.select(task_runs.c.results).where(here)).scalar()
            if before is None:
                raise NotFound(f"run {run_id} has no task {task_key!r}")
            connection.execute(task_runs.update().where(here).values(results={**before, key: value}))

    def get(self, run_id: str) -> Run:
        """One run with its tasks. Raises NotFound."""
        with self._database.reading() as connection:
            row = connection.execute(sa.select(runs).where(runs.c.id == run_id)).mappings().first()
            if row is None:
                raise NotFound(f"no run has the id {run_id!r}; `boathouse runs list` shows them")
            tasks = connection.execute(
                sa.select(task_runs).where(task_runs.c.run_id == run_id).order_by(
                    task_runs.c.started_at.is_(None), task_runs.c.started_at, task_runs.c.task_key
                )
            ).mappings().all()  # fmt: skip
        return Run(**row, tasks=tuple(_task(t) for t in tasks))

    def started_by(self, run_id: str) -> str | None:
        """Who started a run, or the run that it is part of; None where it is not known."""
        query = sa.select(runs.c.submitted_by, runs.c.parent_run)
        with self._database.reading() as connection:
            found = above = connection.execute(query.where(runs.c.id == run_id)).first()
            while above and above.parent_run:
                found, above = above, connection.execute(query.where(runs.c.id == above.parent_run)).first()
        known = above or found
        return str(known.submitted_by) if known else None

    def jobs_of(self, run_ids: Iterable[str]) -> dict[str, str]:
        """Run -> its job, `environment.job`; runs that are not known are left out."""
        query = sa.select(runs.c.id, runs.c.environment, runs.c.job).where(runs.c.id.in_(list(run_ids)))
        with self._database.reading() as connection:
            return {r.id: f"{r.environment}.{r.job}" for r in connection.execute(query)}

    def by_state(self) -> dict[str, int]:
        """How many runs are in each state."""
        query = sa.select(runs.c.state, sa.func.count()).group_by(runs.c.state)
        with self._database.reading() as connection:
            return {row[0]: row[1] for row in connection.execute(query)}

    def newest(self, environment: str | None = None, job: str | None = None, state: str | None = None,
               limit: int = 50, after: str | None = None, project: str | None = None) -> Sequence[Run]:  # fmt: skip
        """Runs, newest first, without their tasks; those that follow the run `after`. Raises NotFound for an unknown one."""
        query = sa.select(runs).order_by(runs.c.submitted_at.desc(), runs.c.id.desc()).limit(limit)
        for column, value in (("environment", environment), ("job", job), ("state", state), ("project", project)):
            if value is not None:
                query = query.where(runs.c[column] == value)
        with self._database.reading() as connection:
            if after is not None:
                last = connection.execute(sa.select(runs.c.submitted_at).where(runs.c.id == after)).scalar()
                if last is None:
                    raise NotFound(f"no run has the id {after!r}; begin with the first page again")
                query = query.where(sa.tuple_(runs.c.submitted_at, runs.c.id) < sa.tuple_(last, after))
            return [Run(**row) for row in connection.execute(query).mappings()]


def _task(row: Any) -> TaskRun:
    return TaskRun(**{name: row[name] for name in _TASK_COLUMNS})
