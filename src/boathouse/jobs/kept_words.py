"""The last words of tasks in the database, for servers that see no folder of the machine that the task ran on."""

import zlib
from pathlib import Path

import sqlalchemy as sa

from boathouse import clock
from boathouse.database import Database
from boathouse.jobs.store import words

MOST = 256 * 1024
"""Bytes that are kept of what a task wrote on one machine: the last ones."""
_CUT = b"[what was written before lies on the machine that it ran on]\n"


class KeptWords:
    """What tasks wrote, once they have ended."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def keep(self, run_id: str, task_key: str, executor: str, log: Path) -> None:
        """Keep the end of a log, in place of what was kept of it before."""
        try:
            text = _end_of(log)
        except FileNotFoundError:
            return
        row = {"run_id": run_id, "task_key": task_key, "executor": executor}
        with self._database.writing() as connection:
            connection.execute(words.delete().where(*(words.c[k] == v for k, v in row.items())))
            connection.execute(words.insert().values(**row, at=clock.now(), text=zlib.compress(text)))

    def of(self, run_id: str, task_key: str) -> bytes | None:
        """All that is kept of a task, the oldest first; None where nothing is."""
        query = sa.select(words.c.text).where(words.c.run_id == run_id, words.c.task_key == task_key).order_by(words.c.at)
        with self._database.reading() as connection:
            found = connection.execute(query).scalars().all()
        return b"".join(map(zlib.decompress, found)) if found else None


def _end_of(log: Path) -> bytes:
    with log.open("rb") as written:
        size = written.seek(0, 2)
        written.seek(max(0, size - MOST))
        text = written.read()
    return _CUT + text.partition(b"\n")[2] if size > MOST else text
