"""What the engine needs of the rooms below it, and what it is asked to run."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from boathouse.environments import Sandbox
from boathouse.errors import NotFound
from boathouse.jobs.definition import TaskDefinition
from boathouse.jobs.runs import Run, TaskRun
from boathouse.jobs.task_process import TaskIdentity


@dataclass(frozen=True)
class RunRequest:
    """What shall run: a job's definition out of a deployment, and who is behind it.

    `start_key` names a reason that starts one run only, however often and by however many servers it is seen.
    """

    environment: str
    project: str
    job: str
    definition: Mapping[str, Any]
    source: str
    principal: str
    submitted_by: str
    commit: str | None = None
    dirty: bool = False
    scratch: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)
    trigger: str = "manual"
    only_task: str | None = None
    start_key: str | None = None
    parent_run: str | None = None
    place: str | None = None
    """The home whose servers alone have its code; any server's where it is None."""


def _no_secret(_run: Run, name: str) -> str:
    raise NotFound(f"no secrets are kept here, {name} neither")


@dataclass(frozen=True)
class Hooks:
    """How runs reach the platform. Each may be called again after a crash."""

    identify: Callable[[Run, str], TaskIdentity]
    """A task's identity: a run-scoped token that dies with the run."""
    check_launch: Callable[[Run], None]
    """Raises where a run may not start after all."""
    submit_child: Callable[[Run, str, Mapping[str, str], str], str]
    """(parent, job, parameters, start key) -> the id of a run of that job."""
    ended: Callable[[Run], None]
    """Told once a run has ended."""
    task_moved: Callable[[Run, str, Mapping[str, Any]], None] = lambda _run, _what, _data: None
    """(run, started or ended, facts) of a task of which somebody is told; in the transaction of the change."""
    slow: Callable[[Run, TaskRun | None, int], None] = lambda _run, _task, _seconds: None
    """Told of a run, or of one try of a task, that goes on for longer than so many seconds; again after a crash."""
    secret: Callable[[Run, str], str] = _no_secret
    """(run, `scope/key`) -> a secret, read as the run's principal. Raises NotFound, NotPermitted."""
    hidden: Callable[[Run], Sequence[str]] = lambda _run: ()
    """What the logs of a run must not show: the secrets that it has read."""
    sandbox: Callable[[Run, TaskDefinition], Sandbox | None] = lambda _run, _task: None
    """The walls around a task's process; None where there are none."""
    lost: Callable[[Run, str], None] = lambda _run, _task: None
    """Told of a task whose try cannot be ended from here: what it may still be doing is to be refused."""
    located: Callable[[Run], Run] = lambda run: run
    """A run with its source where it lies on this machine. Raises InvalidInput where it lies on another one alone."""
    kept: Callable[[Run, TaskRun, Path], None] = lambda _run, _task, _log: None
    """Told of a task that has ended, with its log on this machine."""
