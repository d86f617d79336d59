"""The start of every task's process: connect under the run's identity, then run the user's code."""

import os
import runpy
import sys
from pathlib import Path
from types import TracebackType
from typing import Any

from boathouse import context, settings
from boathouse.client import recording
from boathouse.client.dbutils import DbUtils, NotebookExit, use
from boathouse.client.http import Http
from boathouse.client.lake import Lake
from boathouse.client.walled import explain
from boathouse.context import RunFacts
from boathouse.errors import BoathouseError, NotFound

_SERVER_AWAY = 300.0
"""Seconds that a task waits for a server that is started again."""


def connect(kind: str = "file") -> Lake:
    """The lakehouse as this task may see it. The token came through a pipe and is gone from there now."""
    descriptor = int(os.environ.pop("BOATHOUSE_TOKEN_FD"))
    with os.fdopen(descriptor) as pipe:
        token = pipe.read()
    facts = RunFacts(
        run_id=os.environ.get("BOATHOUSE_RUN_ID"), task=os.environ.get("BOATHOUSE_TASK"),
        commit=os.environ.get("BOATHOUSE_COMMIT"), dirty=os.environ.get("BOATHOUSE_DIRTY") == "true",
        lock_hash=os.environ.get("BOATHOUSE_LOCK_HASH"), project=os.environ.get("BOATHOUSE_PROJECT"),
        job=os.environ.get("BOATHOUSE_JOB"), lock_file=os.environ.get("BOATHOUSE_LOCK_FILE"),
        python_environment=os.environ.get("BOATHOUSE_PYTHON_ENVIRONMENT"),
        seed=int(os.environ["BOATHOUSE_SEED"]) if "BOATHOUSE_SEED" in os.environ else None,
        autolog=os.environ.get("BOATHOUSE_AUTOLOG", "off"),
    )  # fmt: skip
    lake = Lake(
        Http(os.environ["BOATHOUSE_URL"], token, _SERVER_AWAY, os.environ.get("BOATHOUSE_OTHER_URLS", "").split()),
        os.environ["BOATHOUSE_ENV"], facts,
        engine=settings.load().engine,
    )  # fmt: skip
    context.use(lake)
    lake.point_mlflow_here()
    if kind not in ("builtin", "sql"):
        recording.begin(lake)
    return lake


def main(arguments: list[str]) -> int:
    """Run what the words after the module name say; the exit code."""
    kind, what, *rest = arguments
    if (kind, what) == ("builtin", "unit-tests"):
        return _isolated(*rest)
    lake = connect(kind)
    try:
        _RUN[kind](lake, what, rest)
    except BoathouseError as error:
        print(f"{error.error_code}: {error}", file=sys.stderr)
        return 1
    except Exception as error:
        explain(error)
        shown = error.with_traceback(_users_part(error.__traceback__))
        sys.excepthook(type(shown), shown, shown.__traceback__)
        return 1
    finally:
        lake.close()
    return 0


def _users_part(trace: TracebackType | None) -> TracebackType | None:
    """A traceback from where the user's code begins."""
    part = trace
    while part and part.tb_frame.f_code.co_filename in (__file__, "<frozen runpy>"):
        part = part.tb_next
    return part or trace


def _isolated(path: str, *words: str) -> int:
    from boathouse.client.builtin import unit_tests

    junit = next((Path(w.partition("=")[2]) for w in words if w.startswith("--junit=")), None)
    try:
        unit_tests(path, junit, network="--network" in words)
    except BoathouseError as error:
        print(f"{error.error_code}: {error}", file=sys.stderr)
        return 1
    return 0


def _file(lake: Lake, path: str, rest: list[str]) -> None:
    if not Path(path).is_file():
        raise NotFound(f"the task's file {path} is not in the project ({Path.cwd()})")
    sys.path.insert(0, str(Path.cwd()))
    sys.argv = [path, *rest]
    made = use(DbUtils(lake, rest, path))
    try:
        runpy.run_path(path, init_globals={"dbutils": made}, run_name="__main__")
    except NotebookExit as end:
        made.jobs.taskValues.set("exit", str(end))


def _notebook(lake: Lake, path: str, rest: list[str]) -> None:
    from boathouse.client.notebook import run_notebook

    run_notebook(lake, path, rest)


def _entry(_lake: Lake, what: str, rest: list[str]) -> None:
    package, _, point = what.partition(":")
    sys.path.insert(0, str(Path.cwd()))
    from importlib.metadata import entry_points

    found = [e for e in entry_points(name=point) if e.dist and e.dist.name == package]
    if not found:
        raise NotFound(f"the package {package!r} has no entry point {point!r} in this environment")
    sys.argv = [point, *rest]
    found[0].load()()


def _sql(lake: Lake, what: str, rest: list[str]) -> None:
    query = Path(what).read_text() if what.endswith(".sql") else what
    print(lake.sql(query, dict(word.removeprefix("--").split("=", 1) for word in rest) or None))


def _builtin(lake: Lake, what: str, rest: list[str]) -> None:
    from boathouse.client.builtin import BUILTINS

    BUILTINS[what](lake, *rest)


_RUN: dict[str, Any] = {"file": _file, "notebook": _notebook, "entry": _entry, "sql": _sql, "builtin": _builtin}

if __name__ == "__main__":
    given = sys.argv[1:]
    code = main(given)
    if given[0] == "notebook":  # its cells ran in their kernel; DuckDB's binding would complain here of leaks of its own
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)
