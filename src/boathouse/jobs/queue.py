"""Which runs begin, which are to end: the questions that a server asks of all runs, its own and others'."""

from collections.abc import Sequence

import sqlalchemy as sa

from boathouse import clock
from boathouse.database import Database
from boathouse.jobs.runs import OPEN
from boathouse.jobs.store import runs

_JOB = (runs.c.environment, runs.c.project, runs.c.job, runs.c.scratch)


class Queue:
    """Runs that wait for their turn."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def claim(self, executor: str, limit: int) -> Sequence[str]:
        """Begin queued runs, oldest first, as far as their jobs' limits of concurrent runs allow; their ids.

        A run whose code lies in one home's reach begins at a server of that home.
        """
        mine = runs.c.place.is_(None) | (runs.c.place == executor.partition("-")[0])
        order = (runs.c.submitted_at, runs.c.id)
        place = sa.func.row_number().over(partition_by=_JOB, order_by=order).label("place")
        queued = sa.select(*order, runs.c.concurrency, *_JOB, place).where(
            runs.c.state == "QUEUED", runs.c.ending_state.is_(None), mine
        ).subquery()  # fmt: skip
        first = sa.select(queued).where(queued.c.place <= sa.func.coalesce(queued.c.concurrency, 1))
        busy = sa.select(*_JOB, sa.func.count().label("n")).where(runs.c.state == "RUNNING").group_by(*_JOB)
        with self._database.reading() as connection:  # most often nobody waits, and no lock is needed to see that
            if connection.execute(sa.select(runs.c.id).where(runs.c.state == "QUEUED", mine).limit(1)).first() is None:
                return []
        with self._database.writing() as connection:
            going = {(r.environment, r.project, r.job, r.scratch): int(r.n) for r in connection.execute(busy)}
            chosen: list[str] = []
            for row in connection.execute(first.order_by(queued.c.submitted_at, queued.c.id)):
                job = (row.environment, row.project, row.job, row.scratch)
                if len(chosen) < limit and going.get(job, 0) < (row.concurrency or 1):
                    going[job] = going.get(job, 0) + 1
                    chosen.append(row.id)
            if chosen:
                begun = runs.update().where(runs.c.id.in_(chosen))
                connection.execute(begun.values(state="RUNNING", started_at=clock.now(), owner=executor))
        return chosen

    def to_end(self, executor: str) -> Sequence[str]:
        """The executor's runs, and queued ones, that somebody asked to end."""
        ours = (runs.c.owner == executor) | (runs.c.state == "QUEUED")
        query = sa.select(runs.c.id).where(runs.c.state.in_(OPEN), runs.c.ending_state.is_not(None), ours)
        with self._database.reading() as connection:
            return list(connection.execute(query).scalars())

    def open_of(self, executor: str) -> Sequence[str]:
        """The executor's runs that have not ended."""
        query = sa.select(runs.c.id).where(runs.c.owner == executor, runs.c.state.in_(OPEN))
        with self._database.reading() as connection:
            return list(connection.execute(query).scalars())

    def open_runs(self, environment: str, project: str, job: str, scratch: str = "") -> int:
        """How many runs of a job wait or go on."""
        query = sa.select(sa.func.count()).where(
            runs.c.environment == environment, runs.c.project == project, runs.c.job == job, runs.c.scratch == scratch,
            runs.c.state.in_(OPEN),
        )  # fmt: skip
        with self._database.reading() as connection:
            return int(connection.execute(query).scalar_one())
