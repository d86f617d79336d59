"""Which Python environment each task runs in."""

import hashlib
import sys
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from boathouse.environments import PythonEnvironment, PythonEnvironments, Wanted, asked_for, find_lock, requirements
from boathouse.environments import runtime as known_runtime
from boathouse.errors import BoathouseError, InvalidInput
from boathouse.jobs import Run, Runs, TaskIdentity
from boathouse.platform.refreshing import OURS
from boathouse.platform.walls import Walls

_OPEN = ("QUEUED", "RUNNING")


class Interpreters:
    """The Python environments of a home, by the tasks that use them."""

    def __init__(self, folder: Path, kept: timedelta, runtime: str = "", walls: Walls | None = None) -> None:
        """`runtime` is for projects without a lock; without one they run in the server's own environment.

        Raises NotFound for a runtime that is not there.
        """
        if runtime:
            known_runtime(runtime)
        self.environments = PythonEnvironments(folder)
        self._kept = kept
        self._runtime = runtime
        self._walls = walls

    def equip(self, identity: TaskIdentity, run: Run, task_key: str) -> TaskIdentity:
        """A task's identity with the interpreter that it runs under, and how that is built where it is not there yet.

        Raises InvalidInput for a lock that is missing, or that needs another Python.
        """
        wanted = self.wanted(run, task_key)
        facts = {**identity.facts, "lock_hash": wanted.lock.hash if wanted.lock else "", "python_environment": wanted.key or ""}
        if wanted.lock:
            pinned = self.environments.lock_file(wanted)
            facts["lock_file"] = str(pinned or Path(run.source) / wanted.lock.name)
        given = {k: v for k, v in facts.items() if v}
        packages = () if wanted.key else (*(asked_for(wanted.lock) if wanted.lock else ()), *wanted.libraries)
        identity = replace(identity, packages=packages, listed=str(self.environments.lock_file(wanted) or ""))
        if self.environments.ready(wanted):
            return replace(identity, facts=given, python=self.environments.python(wanted))
        note = self.environments.request(wanted, self._walls.of_building(run.source) if self._walls else None)
        prepare = [sys.executable, "-P", "-m", "boathouse.environments.building", str(note)]
        return replace(identity, facts=given, python=self.environments.python(wanted), prepare=prepare)

    def wanted(self, run: Run, task_key: str) -> Wanted:
        """What a task of a run asks for: its `environment_key`, `libraries` on top, else what its project says."""
        task = _task(run.definition, task_key)
        if task.get("builtin_task") and run.project in OURS:
            return Wanted(None)
        folder = Path(run.source)
        libraries = [line for each in task.get("libraries") or () for line in _lines(folder, _given(each))]
        named = {e["environment_key"]: e for e in run.definition.get("environments") or ()}
        chosen = named.get(task.get("environment_key") or "default")
        if chosen is None:
            return self.environments.wanted(folder, libraries=libraries, version=self._runtime)
        named_there = (chosen.get("spec") or {}).get("dependencies") or ()
        libraries += [line for each in named_there for line in _lines(folder, each)]
        version = chosen.get("runtime") or ("" if named_there else self._runtime)
        own = not named_there and not chosen.get("runtime")
        return self.environments.wanted(folder, chosen.get("lock"), libraries, own, version)

    def prune(self, runs: Runs, unused: timedelta | None = None) -> list[PythonEnvironment]:
        """Remove environments that nobody used for as long as the setting says, or `unused`; what was removed."""
        going = open_runs(runs)
        return self.environments.prune(self._kept if unused is None else unused, set(self._needed(going)))

    def _needed(self, runs: Iterable[Run]) -> Iterable[str]:
        for run in runs:
            for task in run.definition.get("tasks") or ():
                try:
                    key = self.wanted(run, task["task_key"]).key
                except BoathouseError:  # its lock is gone: its task fails by itself
                    continue
                if key:
                    yield key


def open_runs(runs: Runs) -> list[Run]:
    """Runs that wait or go on."""
    return [run for state in _OPEN for run in runs.newest(state=state, limit=1000)]


def seed_of(run: Run, task_key: str) -> int:
    """Where a task's random numbers begin: elsewhere in each run, unless it does another again."""
    given = run.definition.get("seed")
    return int(given) if given is not None else int(hashlib.sha256(f"{run.id}/{task_key}".encode()).hexdigest()[:8], 16)


def _task(definition: Mapping[str, Any], task_key: str) -> Mapping[str, Any]:
    """A task as its bundle declares it; of an iteration, what is iterated."""
    key = task_key.partition(".")[0]
    for task in definition.get("tasks") or ():
        if task["task_key"] == key:
            found: Mapping[str, Any] = (task.get("for_each_task") or {}).get("task") or task
            return found
    return {}


def _given(library: Mapping[str, Any]) -> str:
    """A task's library as an environment's dependency is written."""
    if library.get("pypi"):
        return str(library["pypi"]["package"])
    return f"-r {library['requirements']}" if library.get("requirements") else str(library["whl"])


def _lines(folder: Path, given: str) -> Iterable[str]:
    """The requirements that a dependency stands for: itself, those of a file, or a wheel, known by its content.

    Raises InvalidInput for a file that the project has not.
    """
    if given.startswith("-r"):
        lock = find_lock(folder, given.removeprefix("-r").strip())
        return list(requirements(lock.text)) if lock else ()
    if not given.endswith(".whl"):
        return (given,)
    found = sorted(folder.glob(given.removeprefix("./")))
    if len(found) != 1:
        raise InvalidInput(f"the project ({folder}) has {len(found)} files {given}, and a library is one")
    digest = hashlib.sha256(found[0].read_bytes()).hexdigest()
    name = found[0].name.partition("-")[0]
    return (f"{name} @ {found[0].resolve().as_uri()}#sha256={digest}",)
