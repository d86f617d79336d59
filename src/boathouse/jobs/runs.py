"""The history of runs: every state a run and its tasks went through, kept across crashes."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from boathouse import clock
from boathouse.database import Database
from boathouse.errors import NotFound
from boathouse.jobs.store import runs, task_runs

DONE = ("SUCCESS", "FAILED", "CANCELED", "LOST")


@dataclass(frozen=True)
class TaskRun:
    """One task of a run, its newest attempt."""

    run_id: str
    task_key: str
    attempt: int
    state: str
    reason: str | None
    exit_code: int | None
    started_at: datetime | None
    ended_at: datetime | None
    results: dict[str, Any]


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
    tasks: tuple[TaskRun, ...] = field(default=())

    @property
    def done(self) -> bool:
        """Whether it has ended."""
        return self.state in DONE

    @property
    def seconds(self) -> float | None:
        """How long it took."""
        return (self.ended_at - self.started_at).total_seconds() if self.started_at and self.ended_at else None


class Runs:
    """Reads and writes runs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, row: Mapping[str, Any], task_keys: Sequence[str]) -> None:
        """A new run, queued."""
        with self._database.writing() as connection:
            connection.execute(runs.insert().values(**row, state="QUEUED", submitted_at=clock.now()))
            for key in task_keys:
                connection.execute(
                    task_runs.insert().values(run_id=row["id"], task_key=key, attempt=0, state="QUEUED", results={})
                )

    def update(self, run_id: str, **values: Any) -> None:
        """Change a run."""
        with self._database.writing() as connection:
            connection.execute(runs.update().where(runs.c.id == run_id).values(**values))

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
                sa.select(task_runs).where(task_runs.c.run_id == run_id).order_by(task_runs.c.started_at)
            ).mappings().all()  # fmt: skip
        return Run(**row, tasks=tuple(_task(t) for t in tasks))

    def jobs_of(self, run_ids: Iterable[str]) -> dict[str, str]:
        """Run -> its job, `environment.job`; runs that are not known are left out."""
        query = sa.select(runs.c.id, runs.c.environment, runs.c.job).where(runs.c.id.in_(list(run_ids)))
        with self._database.reading() as connection:
            return {r.id: f"{r.environment}.{r.job}" for r in connection.execute(query)}

    def newest(self, environment: str | None = None, job: str | None = None, state: str | None = None,
               limit: int = 50) -> Sequence[Run]:  # fmt: skip
        """Runs, newest first, without their tasks."""
        query = sa.select(runs).order_by(runs.c.submitted_at.desc()).limit(limit)
        for column, value in (("environment", environment), ("job", job), ("state", state)):
            if value is not None:
                query = query.where(runs.c[column] == value)
        with self._database.reading() as connection:
            return [Run(**row) for row in connection.execute(query).mappings()]

    def running(self, environment: str, job: str, scratch: str = "") -> int:
        """How many runs of a job have begun and not ended."""
        query = sa.select(sa.func.count()).where(
            runs.c.environment == environment, runs.c.job == job, runs.c.scratch == scratch, runs.c.state == "RUNNING"
        )
        with self._database.reading() as connection:
            return int(connection.execute(query).scalar_one())

    def unfinished(self) -> Sequence[tuple[str, Sequence[tuple[str, int | None, str | None]]]]:
        """(run id, its (task, pid, process start) that were running) of runs that no process watches any more."""
        with self._database.reading() as connection:
            running = sa.select(task_runs).where(task_runs.c.state == "RUNNING")
            ids = connection.execute(sa.select(runs.c.id).where(runs.c.state.notin_(DONE))).scalars().all()
            return [
                (run_id, [
                    (t.task_key, t.pid, t.pid_started)
                    for t in connection.execute(running.where(task_runs.c.run_id == run_id))
                ])
                for run_id in ids
            ]  # fmt: skip


def _task(row: Any) -> TaskRun:
    return TaskRun(**{k: v for k, v in row.items() if k not in ("pid", "pid_started")})
