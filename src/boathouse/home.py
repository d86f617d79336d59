"""The home: one folder that holds a lakehouse, owned by one process at a time; on PostgreSQL others may join it."""

import itertools
import json
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from boathouse.errors import HomeInUse, InvalidInput, NewerHome
from boathouse.processes import process_started
from boathouse.settings import MARK, Settings

FORMAT = 1
"""Raised when a home's layout changes in a way that older programs cannot read."""


@dataclass(frozen=True)
class Address:
    """Where the server that owns a home answers."""

    url: str
    pid: int


@dataclass(frozen=True)
class Owner:
    """The process that owns a home: a server, or a `session`, which is a command or a notebook that works by itself."""

    pid: int
    session: bool


class Home:
    """Takes and gives back the lock; publishes where its owner answers.

    Every process that works on it has a `seat`, a number that no other has at the time.
    """

    def __init__(self, settings: Settings) -> None:
        self.path = settings.home
        self._lock = FileLock(self.path / "lock", thread_local=False)
        self._seat_lock: FileLock | None = None
        self.seat = 0

    def acquire(self, join: bool = False, session: bool = False) -> None:
        """Become the owner, or `join` the one there is. Raises HomeInUse naming the owner's pid, NewerHome."""
        try:
            self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise InvalidInput(f"the home {self.path} cannot be made: {error.strerror}; set BOATHOUSE_HOME") from error
        self._check_format()
        if not self.own(session) and not join:
            owner = self.owner()
            raise HomeInUse(
                f"{self.path} is in use by process {owner.pid if owner else 'unknown'}; wait for its end, or run `boathouse up` "
                "once and let every command use that server"
            )
        self._sit()
        self._write("home.json", {"format": FORMAT})

    @property
    def owned(self) -> bool:
        """Whether this process is the owner."""
        return self._lock.is_locked

    def own(self, session: bool = False) -> bool:
        """Become the owner where there is none; whether this process is the owner now."""
        if not self.owned:
            try:
                self._lock.acquire(timeout=0)
            except Timeout:
                return False
            self._write("owner", {**_this_process(), "session": session})
            self._mark(secrets.token_hex(16))
        return True

    def release(self) -> None:
        """Give the home back."""
        if self.owned:
            for name in ("owner", "server.json", MARK):
                (self.path / name).unlink(missing_ok=True)
            self._lock.release()
        if self._seat_lock:
            self._seat_lock.release()

    def place(self, name: str) -> Path:
        """A folder in the home that is this process's alone: `name`, or `name-1` and so on of those that joined."""
        return self.path / (f"{name}-{self.seat}" if self.seat else name)

    def _sit(self) -> None:
        """Take the first free seat: a server that comes back mostly gets the one it had, and goes on with its runs."""
        (self.path / "seats").mkdir(exist_ok=True)
        for number in itertools.count():
            lock = FileLock(self.path / "seats" / f"{number}.lock", thread_local=False)
            try:
                lock.acquire(timeout=0)
            except Timeout:
                continue
            self.seat, self._seat_lock = number, lock
            return

    @property
    def mark(self) -> str:
        """What this owner of the home wrote there: whoever reads the same in a folder of this name is on this machine."""
        return (self.path / MARK).read_text()

    def publish(self, url: str) -> None:
        """Tell other processes on this machine where to connect."""
        self._write("server.json", {"url": url, **_this_process()})

    def address(self) -> Address | None:
        """Where a living owner answers, if one published it."""
        body = self._of_living("server.json")
        return Address(str(body["url"]), int(body["pid"])) if body else None

    def owner(self) -> Owner | None:
        """The living process that owns the home."""
        body = self._of_living("owner")
        return Owner(int(body["pid"]), bool(body["session"])) if body else None

    def other_owner(self) -> Owner | None:
        """`owner`, unless it is this process."""
        owner = self.owner()
        return owner if owner and owner.pid != os.getpid() else None

    def operator_token(self) -> str | None:
        """The token of whoever owns the files; only they can read it."""
        path = self._token_file()
        return path.read_text().strip() if path.exists() else None

    def keep_operator_token(self, token: str) -> None:
        """Keep it where only the owner of the files reads."""
        path = self._token_file()
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.touch(mode=0o600)
        path.write_text(token)

    @property
    def id(self) -> str:
        """What this home is known by among those that share a database."""
        path = self.path / "executor"
        if not path.exists():
            path.write_text(secrets.token_hex(8))
        return path.read_text()

    def executor(self) -> str:
        """The name under which this seat's server runs jobs, the same after each start."""
        return self.place(self.id).name

    def once(self, what: str, work: Callable[[], object]) -> None:
        """Do what a home that was made before lacks; where it was done, nothing."""
        path = self.path / "done" / what
        if not path.exists():
            work()
            path.parent.mkdir(exist_ok=True)
            path.touch()

    def secret(self, name: str) -> str:
        """A random secret of this home, made at first use and kept apart from the database."""
        path = self.path / "secrets" / name
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            path.touch(mode=0o600)
            path.write_text(secrets.token_urlsafe(32))
        return path.read_text()

    def _mark(self, mark: str) -> None:
        path = self.path / MARK
        path.touch(mode=0o600)
        path.write_text(mark)

    def _token_file(self) -> Path:
        return self.path / "secrets" / "operator.token"

    def _check_format(self) -> None:
        path = self.path / "home.json"
        if not path.exists():
            return
        try:
            found = int(json.loads(path.read_text())["format"])
        except (ValueError, KeyError, TypeError) as error:
            raise InvalidInput(f"{path} cannot be read ({error}); restore it from a backup of the home") from error
        if found > FORMAT:
            raise NewerHome(
                f"{self.path} was written by a newer Boathouse (format {found}, this one reads {FORMAT}); "
                "upgrade with `pip install --upgrade boathouse`"
            )

    def _write(self, name: str, body: dict[str, Any]) -> None:
        """Whole or not at all, whenever the process ends."""
        target = self.path / name
        fresh = target.with_suffix(".new")
        fresh.write_text(json.dumps(body))
        fresh.replace(target)

    def _of_living(self, name: str) -> dict[str, Any] | None:
        """What a process wrote of itself, while it lives."""
        try:
            body: dict[str, Any] = json.loads((self.path / name).read_text())
            os.kill(int(body["pid"]), 0)
            return body if body["started"] == process_started(int(body["pid"])) else None  # else the number was given anew
        except (OSError, ValueError, KeyError, TypeError):
            return None


def _this_process() -> dict[str, Any]:
    return {"pid": os.getpid(), "started": process_started(os.getpid())}
