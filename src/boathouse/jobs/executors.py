"""Who does the work: each server is an executor with a beating heart, and takes up the runs of one whose heart stopped.

Whether another is alive is told by whether its counter of beats moves while we watch, by our own monotonic clock: two
machines' clocks, or a clock that is set, never make a living server look dead.
"""

import os
import socket
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import sqlalchemy as sa

from boathouse.database import Database
from boathouse.errors import Conflict, Unavailable
from boathouse.jobs.runs import OPEN
from boathouse.jobs.store import executors, runs

BEAT_SECONDS = 2.0
SILENCE_SECONDS = 15.0
SESSION = "-session"
"""Marks the runs of processes that own a home for as long as a command takes."""
_TWIN_SECONDS = 3 * BEAT_SECONDS
_OWNER = "executor"
"""A file in an executor's folder that says whose it is: another machine may have a folder of that name, too."""


class Executors:
    """This server among those that share a database."""

    def __init__(self, database: Database, own: str, folder: Path, silence: float = SILENCE_SECONDS,
                 monotonic: Callable[[], float] = time.monotonic) -> None:  # fmt: skip
        self._database = database
        self.own = own
        self.url = ""
        """Where the other servers reach this one."""
        self._folder = folder
        self._silence = silence
        self._monotonic = monotonic
        self._seen: dict[str, tuple[int, float]] = {}
        """Executor -> (its beats, when we first saw that number)."""

    def enter(self) -> None:
        """Be known. The id is this home's, which one process owns at a time. Raises Conflict for a home that was copied."""
        row = {"host": host(), "folder": str(self._folder), "url": self.url}
        self._refuse_twin()
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder / _OWNER).write_text(_home(self.own))
        with self._database.writing() as connection:
            if not connection.execute(executors.update().where(executors.c.id == self.own).values(row)).rowcount:
                connection.execute(executors.insert().values(id=self.own, beats=0, **row))

    def _refuse_twin(self) -> None:
        """A copy of a home on another machine has its id, and would take its runs for its own."""
        query = sa.select(executors.c.host, executors.c.beats).where(executors.c.id == self.own)
        with self._database.reading() as connection:
            there = connection.execute(query).first()
        if there is None or there.host == host():
            return
        time.sleep(_TWIN_SECONDS)
        with self._database.reading() as connection:
            if connection.execute(query).one().beats != there.beats:
                raise Conflict(f"a server on {there.host.split()[0]} works under the id of this home ({self.own}), which is a "
                               "copy of its home: end that one, or remove the file `executor` here")  # fmt: skip

    def beat(self) -> None:
        """Say that we live."""
        with self._database.writing() as connection:
            connection.execute(
                executors.update().where(executors.c.id == self.own).values(beats=executors.c.beats + 1)
            )

    def lead(self) -> None:
        """Say that this one leads, and nobody else."""
        with self._database.writing() as connection:
            connection.execute(executors.update().values(leads=executors.c.id == self.own))

    def leave(self) -> None:
        """Say that this one answers no more."""
        if not self._database.is_sqlite:
            with self._database.writing() as connection:
                connection.execute(executors.update().where(executors.c.id == self.own).values(url=None, leads=False))

    def leader(self) -> str | None:
        """Where the one that leads answers; None while nobody says so."""
        with self._database.reading() as connection:
            return connection.execute(sa.select(executors.c.url).where(executors.c.leads)).scalar()

    def urls(self) -> list[str]:
        """Where others answered, those first that were seen to live."""
        with self._database.reading() as connection:
            found = connection.execute(sa.select(executors.c.id, executors.c.url).where(executors.c.url.is_not(None))).all()
        silent = set(self.dead())
        return [url for _, url in sorted((name in silent, url) for name, url in found) if url and url != self.url]

    def dead(self) -> list[str]:
        """Others that have been silent for too long; twice as long where one beside them can go on with what they began."""
        now, here = self._monotonic(), host()
        with self._database.reading() as connection:
            rows = connection.execute(sa.select(executors.c.id, executors.c.beats, executors.c.host)).all()
        for row in rows:
            if self._seen.get(row.id, (-1, 0.0))[0] != row.beats:
                self._seen[row.id] = (row.beats, now)
        silent = {row.id: now - self._seen[row.id][1] for row in rows}
        living = {row.host for row in rows if silent[row.id] <= self._silence}
        return [row.id for row in rows if row.id != self.own
                and silent[row.id] > self._silence * (2 if row.host != here and row.host in living else 1)]  # fmt: skip

    def take_up(self, owners: Iterable[str]) -> list[str]:
        """Make the unfinished runs of others, or of nobody, ours, and those that ended but were not told of; their ids."""
        left = runs.c.state.in_(OPEN) | (runs.c.told.is_(False))
        theirs = runs.c.owner.in_(list(owners)) | runs.c.owner.is_(None)
        with self._database.writing() as connection:
            found = list(connection.execute(sa.select(runs.c.id).where(theirs, left)).scalars())
            if found:
                connection.execute(runs.update().where(runs.c.id.in_(found)).values(owner=self.own))
        return found

    def place(self, executor: str | None) -> tuple[Path, bool]:
        """Where an executor keeps its attempts and logs, and whether that is on this machine."""
        if executor in (None, self.own):
            return self._folder, True
        with self._database.reading() as connection:
            row = connection.execute(sa.select(executors).where(executors.c.id == executor)).first()
        if row is None:
            return self._folder, False
        folder = Path(row.folder)
        return folder, row.host == host() and _owner(folder) == _home(str(executor))

    def sees(self, executor: str | None) -> bool:
        """Whether this process sees an executor's files, though its processes may be on another machine."""
        return executor is None or _owner(self.place(executor)[0]) == _home(executor)

    def reached(self, executor: str | None) -> str:
        """Where an executor that has something answers. Raises Unavailable where it does no more."""
        with self._database.reading() as connection:
            row = connection.execute(sa.select(executors.c.url, executors.c.host).where(executors.c.id == executor)).first()
        if row is None or not row.url or executor in self.dead():
            where = row.host.split()[0] if row else "another machine"
            raise Unavailable(f"this lies on {where}, where no server answers: start the one that ran there")
        return str(row.url)


def _home(executor: str) -> str:
    return executor.removesuffix(SESSION)


def _owner(folder: Path) -> str | None:
    try:
        return (folder / _OWNER).read_text()
    except OSError:
        return None


def host() -> str:
    """This machine since its last start, or a container of it: processes of before, and of others, are not here."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        processes = os.readlink("/proc/self/ns/pid")
    except OSError:
        boot = processes = ""
    return f"{socket.gethostname()} {boot} {processes}".strip()
