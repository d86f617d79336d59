"""`dbutils` by the published calls, as far as they mean something here: widgets, task values, secrets, a notebook's exit."""

import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from boathouse import context
from boathouse.client.lake import Lake
from boathouse.errors import InvalidInput, NotFound

_UNSET: Any = object()


class NotebookExit(BaseException):
    """A notebook or a file has said that it is done: no failure, and no `except Exception` stops it."""


class Widgets:
    """Parameters: `dbutils.widgets.get("days")`."""

    def __init__(self, given: Mapping[str, str]) -> None:
        self._given = dict(given)
        self._defaults: dict[str, str] = {}

    def text(self, name: str, defaultValue: str = "", label: str | None = None) -> None:
        """Declare a parameter with its default."""
        self._defaults[name] = str(defaultValue)

    def dropdown(self, name: str, defaultValue: str, choices: Any, label: str | None = None) -> None:
        """Declare a parameter with its default; the choices are for people."""
        self.text(name, defaultValue)

    combobox = multiselect = dropdown

    def get(self, name: str) -> str:
        """A parameter's value. Raises NotFound for one that is neither given nor declared."""
        try:
            return self.getAll()[name]
        except KeyError:
            known = ", ".join(self.getAll()) or "none"
            raise NotFound(f"no parameter {name!r} is given or declared; there are {known}") from None

    def getArgument(self, name: str, defaultValue: str = "") -> str:
        """A parameter's value, or a default."""
        return self.getAll().get(name, defaultValue)

    def getAll(self) -> dict[str, str]:
        """All parameters."""
        return {**self._defaults, **self._given}

    def remove(self, name: str) -> None:
        """Forget a declaration."""
        self._defaults.pop(name, None)

    def removeAll(self) -> None:
        """Forget all declarations."""
        self._defaults.clear()


class TaskValues:
    """What one task hands to later ones: `{{tasks.<key>.values.<name>}}` in the project file."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake

    def set(self, key: str, value: Any) -> None:
        """Keep a value that JSON can hold; outside a run it is checked and not kept. Raises InvalidInput."""
        try:
            json.dumps(value)
        except (TypeError, ValueError) as error:
            raise InvalidInput(f"the task value {key!r} is {type(value).__name__}, which JSON does not hold") from error
        run = self._lake.run
        if run.run_id:
            body = {"task": run.task, "key": key, "value": value}
            self._lake.call("POST", f"/api/v1/runs/{run.run_id}/results", body)

    def get(self, taskKey: str, key: str, default: Any = _UNSET, debugValue: Any = _UNSET) -> Any:
        """A value of an earlier task of this run; outside a run `debugValue`. Raises NotFound where there is no default."""
        run = self._lake.run
        if not run.run_id:
            if debugValue is _UNSET:
                raise InvalidInput(f"outside a run there are no task values; give that of {taskKey!r}, {key!r} a debugValue")
            return debugValue
        tasks = {t["task_key"]: t["results"] for t in self._lake.jobs.get(run.run_id)["tasks"]}
        found = tasks.get(taskKey, {})
        if key in found:
            return found[key]
        if default is not _UNSET:
            return default
        if taskKey not in tasks:
            raise NotFound(f"this run has no task {taskKey!r}; it has {', '.join(tasks)}")
        raise NotFound(f"task {taskKey!r} has no value {key!r}; it has {', '.join(found) or 'none'}, and no default is given")


@dataclass(frozen=True)
class SecretScope:
    """A scope's name."""

    name: str


@dataclass(frozen=True)
class SecretMetadata:
    """A key's name."""

    key: str


class SecretUtils:
    """Secrets of the environment; logs and kept notebooks do not show those that a run has read."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake

    def get(self, scope: str, key: str) -> str:
        """A value; needs READ SECRET. Raises NotFound, NotPermitted."""
        return self._lake.secrets.get(f"{scope}/{key}")

    def getBytes(self, scope: str, key: str) -> bytes:
        """A value as UTF-8."""
        return self.get(scope, key).encode()

    def list(self, scope: str) -> list[SecretMetadata]:
        """The keys of a scope."""
        return [SecretMetadata(s["key"]) for s in self._lake.secrets.list() if s["scope"] == scope]

    def listScopes(self) -> "Sequence[SecretScope]":
        """The scopes that you may know of."""
        return [SecretScope(name) for name in sorted({s["scope"] for s in self._lake.secrets.list()})]


class Notebook:
    """The notebook itself."""

    def __init__(self, path: str) -> None:
        context = SimpleNamespace(notebookPath=lambda: SimpleNamespace(get=lambda: path))
        here = SimpleNamespace(getContext=lambda: context)
        self.entry_point = SimpleNamespace(getDbutils=lambda: SimpleNamespace(notebook=lambda: here))

    def exit(self, value: str = "") -> None:
        """End here, with success. Its run keeps the value as the task value `exit`."""
        raise NotebookExit(str(value))


class Library:
    """Packages come from the project's lock."""

    def restartPython(self) -> None:
        """Nothing is to be restarted: packages are there before a task begins."""


class DbUtils:
    """One process' `dbutils`."""

    def __init__(self, lake: Lake, words: Iterable[str] = (), path: str = "") -> None:
        self.widgets = Widgets(parameters(words))
        self.jobs = SimpleNamespace(taskValues=TaskValues(lake))
        self.secrets = SecretUtils(lake)
        self.notebook = Notebook(os.path.abspath(path) if path else "")
        self.library = Library()

    def __getattr__(self, name: str) -> Any:
        """Raises AttributeError with what there is instead."""
        instead = {"fs": "lake.volumes reads and writes files", "data": "lake.table(…).read() gives the rows"}.get(name, "")
        there = "widgets, jobs, secrets, notebook and library"
        raise AttributeError(f"dbutils.{name} is not here; there are {there}. {instead}".rstrip())


def parameters(words: Iterable[str]) -> dict[str, str]:
    """The parameters among a program's words, `--name=value`."""
    return dict(w.removeprefix("--").split("=", 1) for w in words if w.startswith("--") and "=" in w)


_in_use: DbUtils | None = None


def use(made: DbUtils) -> DbUtils:
    """Make it this process' own, so that what is injected and what is imported is one."""
    global _in_use  # noqa: PLW0603
    _in_use = made
    return made


def current() -> DbUtils:
    """`dbutils` of this process; made of its connection and the words it was started with when first asked for."""
    if _in_use is not None:
        return _in_use
    lake = context.current()
    assert isinstance(lake, Lake)
    return use(DbUtils(lake, sys.argv[1:], sys.argv[0]))
