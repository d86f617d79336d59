"""The repositories of servers with homes of their own, kept alike: each change is a pack in the database, in order.

A repository notes which change it has last taken in, and where its references stood then: what stands otherwise now was
pushed here, and is the next change. Where both sides moved one reference, the database's stands.
"""

import json
import logging
import uuid
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from filelock import FileLock

from boathouse.database import Database
from boathouse.environments.git import Repository
from boathouse.environments.git_command import git
from boathouse.environments.packs import LARGEST_PACK
from boathouse.environments.store import code_changes
from boathouse.errors import InvalidInput

_log = logging.getLogger(__name__)
_NOTE, _LOCK = "boathouse-shared.json", "boathouse-shared.lock"
_COUNT = slice(8, 12)
"""Where a pack says how many objects it holds."""
Refs = dict[str, str]


class SharedCode:
    """Of one home among several."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def settle(self, repository: Repository) -> None:
        """Take in what other servers changed, and give out what was changed here, in the caller's transaction if there is one."""
        if self._bring(repository):
            with self._database.writing() as connection:  # before the repository's lock: whoever holds that one waits for none
                while self._bring(repository):
                    with _locked(repository):
                        self._give(connection, repository)

    def _bring(self, repository: Repository) -> bool:
        """Take in what is new; whether something is to be given out."""
        newest = self._newest(repository)
        if newest is not None and not repository.path.exists():
            repository.create()
        if not repository.path.exists():
            return False
        with _locked(repository):
            number, known, base = self._noted(repository)
            if number and self._known_as(repository, number) != known:
                number, base = 0, {}  # it stood in a transaction that came to nothing
                _note(repository, number, "", base)
            for row in self._after(repository, number):
                if row.pack:
                    git(repository.path, "index-pack", "--stdin", "--fix-thin", "--strict", stdin=row.pack)
                _move(repository, base, row.refs)
                number, known, base = row.number, row.id, row.refs
                _note(repository, number, known, base)
            return _refs(repository) != base

    def _give(self, connection: sa.Connection, repository: Repository) -> None:
        number, _, base = self._noted(repository)
        refs = _refs(repository)
        if refs == base:
            return
        wanted = "\n".join([*sorted(set(refs.values())), *(f"^{sha}" for sha in sorted(set(base.values())))]) + "\n"
        words = ("pack-objects", "--revs", "--thin", "--stdout", "--delta-base-offset", "-q")
        pack = git(repository.path, *words, stdin=wanted.encode()).output
        if len(pack) > LARGEST_PACK:
            raise InvalidInput(f"{len(pack) >> 20} MB of code would be shared at once, and {LARGEST_PACK >> 20} are the most: "
                               "keep large files in a volume, not in Git")  # fmt: skip
        known, new = uuid.uuid4().hex, pack if int.from_bytes(pack[_COUNT]) else b""
        row = {"project": repository.path.stem, "number": number + 1, "id": known, "refs": refs, "pack": new}
        connection.execute(code_changes.insert().values(row))
        _note(repository, number + 1, known, refs)

    def _newest(self, repository: Repository) -> int | None:
        query = sa.select(sa.func.max(code_changes.c.number)).where(code_changes.c.project == repository.path.stem)
        with self._database.reading() as connection:
            return connection.execute(query).scalar()

    def _known_as(self, repository: Repository, number: int) -> str | None:
        here = (code_changes.c.project == repository.path.stem) & (code_changes.c.number == number)
        with self._database.reading() as connection:
            return connection.execute(sa.select(code_changes.c.id).where(here)).scalar()

    def _after(self, repository: Repository, number: int) -> list[Any]:
        here = (code_changes.c.project == repository.path.stem) & (code_changes.c.number > number)
        with self._database.reading() as connection:
            return list(connection.execute(sa.select(code_changes).where(here).order_by(code_changes.c.number)))

    @staticmethod
    def _noted(repository: Repository) -> tuple[int, str | None, Refs]:
        try:
            note = json.loads((repository.path / _NOTE).read_text())
        except (OSError, ValueError):
            return 0, None, {}
        return note["number"], note["id"], note["refs"]


def _locked(repository: Repository) -> FileLock:
    return FileLock(repository.path / _LOCK)


def _note(repository: Repository, number: int, known: str, refs: Mapping[str, str]) -> None:
    fresh = repository.path / f"{_NOTE}.new"
    fresh.write_text(json.dumps({"number": number, "id": known, "refs": refs}))
    fresh.replace(repository.path / _NOTE)


def _refs(repository: Repository) -> Refs:
    lines = git(repository.path, "for-each-ref", "--format=%(refname)%00%(objectname)").text.splitlines()
    return dict(line.split("\0") for line in lines)


def _move(repository: Repository, base: Refs, wanted: Refs) -> None:
    """References to where they are wanted; those that were moved here alone stay."""
    there, orders = _refs(repository), []
    for name in base.keys() | there.keys() | wanted.keys():
        was, now, to = base.get(name), there.get(name), wanted.get(name)
        if to in (now, was):
            continue
        if now != was:
            _log.warning("%s of %s was moved on two machines at once: it stands at %s", name, repository.path.stem, to)
        orders.append(f"update {name} {to}\n" if to else f"delete {name}\n")
    if orders:
        git(repository.path, "update-ref", "--no-deref", "--stdin", stdin="".join(orders).encode())
