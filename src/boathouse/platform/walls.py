"""What each process of users' code may see of a home: its environment's data, its code, its scratch, and nothing else."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from boathouse.environments import SCRATCH, Isolation, Sandbox, is_lent, isolation
from boathouse.errors import InvalidInput
from boathouse.jobs import Run, TaskDefinition
from boathouse.lake import Storages
from boathouse.platform.refreshing import OURS
from boathouse.settings import Settings

_UNIT_TESTS = "unit-tests"
_SERVICES = Path("/run")


class Walls:
    """Sandboxes for tasks and model servers; `isolation` says whether there are any."""

    def __init__(self, settings: Settings, storages: Storages) -> None:
        """Raises InvalidInput for a setting that is wrong or cannot hold here."""
        self.isolation: Isolation = isolation(settings.isolation)
        self._home = settings.home
        self._kept = (settings.path("checkouts"), settings.path("reproductions"))
        """Code that the server holds, each folder for one commit, or for one with the changes that a model was trained with."""
        self._storages = storages
        self._readable = tuple(_folder(word) for word in settings.words("isolation_folders"))
        self._environments = settings.path("python")
        roots = [str(root.local) for root in storages.roots() if root.local]
        self._hidden = (str(self._home), *roots, *_database_files(settings.database_url))

    def of_task(self, run: Run, task: TaskDefinition, online: Path, sockets: Sequence[str] = ()) -> Sandbox | None:
        """Around one task of a run; `online` is the folder of the online stores that it may use, `sockets` are others'.

        A working tree it may change. Of a commit it gets a copy, so that the next run finds the commit as it is.
        Raises InvalidInput for a working tree inside the home.
        """
        if self.isolation.program is None:
            return None
        source, alone = Path(run.source), task.kind == "builtin_task" and task.body["name"] == _UNIT_TESTS
        network = not alone or "--network" in task.body.get("parameters", ())
        by_server = bool(run.scratch) or is_lent(run.environment, run.principal)
        data = () if alone else self._data(run.environment, online, by_server)
        seen = () if alone else _places(sockets)
        if run.project in OURS:
            return self._sandbox(data, cwd=SCRATCH, readable=seen)
        if any(place in source.parents for place in self._kept):
            return self._sandbox(data, copied=str(source), network=network, readable=seen)
        if self._home.resolve() in (real := source.resolve()).parents or real == self._home.resolve():
            raise InvalidInput(f"the code in {source} lies inside the home {self._home}: keep your project elsewhere")
        return self._sandbox((*data, str(source)), network=network, readable=seen)

    def of_building(self, source: str) -> dict[str, Any] | None:
        """Around the building of packages for the code in `source`, as a note tells it; None where there are no walls."""
        if self.isolation.program is None:
            return None
        return {"program": self.isolation.program, "hidden": list(self._hidden), "readable": [*self._readable, source]}

    def of_endpoint(self, environment: str, spool: Path, scratch: Path, online: Path,
                    sockets: Sequence[str] = ()) -> Sandbox | None:  # fmt: skip
        """Around a model server, which looks online rows up and publishes none."""
        if self.isolation.program is None:
            return None
        for folder in (spool, scratch):
            folder.mkdir(parents=True, exist_ok=True)
        *storage, store = self._data(environment, online)
        return self._sandbox((*storage, str(spool)), readable=(store, *_places(sockets)), cwd=SCRATCH)

    def _sandbox(self, writable: Sequence[str], copied: str | None = None, cwd: str | None = None, network: bool = True,
                 readable: Sequence[str] = ()) -> Sandbox:  # fmt: skip
        assert self.isolation.program is not None
        self._environments.mkdir(parents=True, exist_ok=True)
        seen = (*self._readable, *readable, str(self._environments))
        return Sandbox(self.isolation.program, tuple(writable), seen, self._hidden, copied, network, cwd)

    def _data(self, environment: str, online: Path, by_server: bool = False) -> tuple[str, ...]:
        """Its environment's storage where that is on this disk, unless it asks the server for every table; then `online`.

        Code under test does, and runs as a principal that may have fewer rights there than the environment's own jobs.
        """
        root = None if by_server else self._storages.of(environment).local
        places = [place for place in (root, online) if place]
        for place in places:
            place.mkdir(parents=True, exist_ok=True, mode=0o700)
        return tuple(map(str, places))


def _places(sockets: Sequence[str]) -> tuple[str, ...]:
    """What to show of sockets: in a folder of /run that folder, where a server that is started again makes another; else each."""
    places = (str(Path(at).parent) if Path(at).parent.parent == _SERVICES else at for at in sockets)
    return tuple(place for place in places if Path(place).exists())


def _folder(word: str) -> str:
    if not Path(word).is_absolute():
        raise InvalidInput(f"the setting isolation_folders names {word!r}; write whole paths, with commas between")
    return word


def _database_files(url: str) -> tuple[str, ...]:
    if not url.startswith("sqlite"):
        return ()
    path = urlsplit(url).path.removeprefix("/")
    return tuple(f"{path}{ending}" for ending in ("", "-wal", "-shm")) if path.startswith("/") else ()
