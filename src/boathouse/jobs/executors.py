"""Who does the work: each server is an executor with a beating heart, and takes up the runs of one whose heart stopped.

Whether another is alive is told by whether its counter of beats moves while we watch, by our own monotonic clock: two
machines' clocks, or a clock that is set, never make a living server look dead.
"""

import socket
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import sqlalchemy as sa

from boathouse.database import Database
from boathouse.jobs.runs import OPEN
from boathouse.jobs.store import executors, runs

BEAT_SECONDS = 2.0
SILENCE_SECONDS = 15.0


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
        """Be known. The id is this home's, which one process owns at a time."""
        row = {"host": host(), "folder": str(self._folder), "url": self.url}
        with self._database.writing() as connection:
            if not connection.execute(executors.update().where(executors.c.id == self.own).values(row)).rowcount:
                connection.execute(executors.insert().values(id=self.own, beats=0, **row))

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
        """Others that have been silent for too long."""
        now = self._monotonic()
        with self._database.reading() as connection:
            beats = {r.id: r.beats for r in connection.execute(sa.select(executors.c.id, executors.c.beats))}
        for name, count in beats.items():
            if self._seen.get(name, (-1, 0.0))[0] != count:
                self._seen[name] = (count, now)
        return [name for name in beats if name != self.own and now - self._seen[name][1] > self._silence]

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
        return (Path(row.folder), row.host == host()) if row else (self._folder, False)


def host() -> str:
    """This machine since its last start: processes of before are gone."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        boot = ""
    return f"{socket.gethostname()} {boot}".strip()
