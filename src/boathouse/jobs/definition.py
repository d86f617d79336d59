"""What a job is: tasks in a DAG, and how their texts are completed when a run starts."""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from boathouse.errors import InvalidInput
from boathouse.jobs.clusters import RayCluster
from boathouse.settings import parse_size

_KINDS = ("spark_python_task", "notebook_task", "python_wheel_task", "sql_task", "condition_task", "run_job_task",
          "for_each_task", "builtin_task")  # fmt: skip
FOREVER = -1
"""`max_retries` of a task that is tried until it succeeds."""
_LONGEST_WAIT = 600.0
_SECRET = re.compile(r"\{\{\s*secrets/([^}\s]+)\s*\}\}")
REFERENCE = re.compile(r"\{\{\s*([^}]+?)\s*\}\}")
_BRACKETED = re.compile(r"\.\[([^\]]+)\]")


@dataclass(frozen=True)
class Limits:
    """What one task's processes may use together: bytes of memory and processors, 0 for as much as there is.

    On a `cluster` they are what the task asks it for.
    """

    memory: int = 0
    cpus: int = 0
    cluster: RayCluster | None = None

    @classmethod
    def from_dict(cls, body: Mapping[str, Any]) -> "Limits":
        """From a compute: `cpus`, `memory` such as `2GB`, and `ray` where it is a cluster."""
        cluster = RayCluster.from_dict(body["ray"]) if body.get("ray") else None
        return cls(parse_size(body["memory"]) if body.get("memory") else 0, int(body.get("cpus") or 0), cluster)


NO_LIMITS = Limits()


@dataclass(frozen=True)
class TaskDefinition:
    """One step: what it runs, after which others, and what happens when it fails."""

    key: str
    kind: str
    body: dict[str, Any]
    depends_on: tuple[tuple[str, str | None], ...] = ()
    run_if: str = "ALL_SUCCESS"
    max_retries: int = 0
    min_retry_interval_millis: int = 0
    retry_on_timeout: bool = False
    timeout_seconds: int = 0
    limits: Limits = NO_LIMITS
    variables: dict[str, str] = field(default_factory=dict)
    """Environment variables beside its own."""
    told_of: bool = False
    """Whether somebody is told how it goes."""
    warn_after_seconds: int = 0
    """From when on one try of it takes suspiciously long, 0 for never."""

    @property
    def inner(self) -> "TaskDefinition":
        """What a for_each_task runs for each of its inputs."""
        return replace(TaskDefinition.from_dict(self.body["task"], self.limits, self.variables), depends_on=())

    def wait_before(self, attempt: int) -> float:
        """Seconds before attempt `attempt` (from 1): the interval, doubled each time, ten minutes at most unless it is longer."""
        interval = self.min_retry_interval_millis / 1000
        return max(interval, min(interval * 2.0 ** min(attempt - 1, 30), _LONGEST_WAIT))

    def retries(self, attempt: int, *, timed_out: bool) -> bool:
        """Whether attempt `attempt` (from 0), having failed, is followed by another."""
        if timed_out and not self.retry_on_timeout:
            return False
        return self.max_retries == FOREVER or attempt < self.max_retries

    @classmethod
    def from_dict(cls, body: Mapping[str, Any], limits: Limits = NO_LIMITS,
                  variables: Mapping[str, str] | None = None) -> "TaskDefinition":  # fmt: skip
        """From a bundle's task; its `environment_vars` go over `variables`. Raises InvalidInput for a kind that cannot run."""
        key = str(body["task_key"])
        kinds = [k for k in _KINDS if body.get(k) is not None]
        if len(kinds) != 1:
            raise InvalidInput(f"task {key!r} needs exactly one of {', '.join(_KINDS[:-1])}")
        return cls(
            key=key, kind=kinds[0], body=dict(body[kinds[0]]),
            depends_on=tuple((d["task_key"], d.get("outcome")) for d in body.get("depends_on") or ()),
            run_if=body.get("run_if") or "ALL_SUCCESS",
            max_retries=int(body.get("max_retries") or 0),
            min_retry_interval_millis=int(body.get("min_retry_interval_millis") or 0),
            retry_on_timeout=bool(body.get("retry_on_timeout")),
            timeout_seconds=int(body.get("timeout_seconds") or 0),
            limits=limits,
            variables={**(variables or {}), **(body.get("environment_vars") or {})},
            told_of=bool(body.get("email_notifications") or body.get("webhook_notifications")),
            warn_after_seconds=_longest(body),
        )  # fmt: skip


@dataclass(frozen=True)
class JobDefinition:
    """A job as its bundle declares it."""

    name: str
    tasks: tuple[TaskDefinition, ...]
    parameters: dict[str, str] = field(default_factory=dict)
    max_concurrent_runs: int = 1
    timeout_seconds: int = 0
    queued: bool = True
    """Whether a run waits where too many are running; else it is skipped."""
    warn_after_seconds: int = 0
    """From when on a run takes suspiciously long, 0 for never."""

    @classmethod
    def from_dict(cls, name: str, body: Mapping[str, Any]) -> "JobDefinition":
        """From a bundle's job."""
        parameters = {p["name"]: str(p.get("default", "")) for p in body.get("parameters") or ()}
        variables = {e["environment_key"]: (e.get("spec") or {}).get("environment_vars") for e in body.get("environments") or ()}
        limits = {name: Limits.from_dict(found) for name, found in (body.get("computes") or {}).items()}
        tasks = tuple(
            TaskDefinition.from_dict(
                t, limits.get(_compute(t) or "", NO_LIMITS), variables.get(t.get("environment_key") or "default")
            )
            for t in body.get("tasks") or ()
        )
        return cls(
            name, tasks, parameters, int(body.get("max_concurrent_runs") or 1), int(body.get("timeout_seconds") or 0),
            bool((body.get("queue") or {}).get("enabled", True)),
            _longest(body),
        )  # fmt: skip

    def only(self, key: str | None) -> Sequence[TaskDefinition]:
        """All tasks, or one alone. Raises InvalidInput for an unknown key."""
        if key is None:
            return self.tasks
        chosen = [t for t in self.tasks if t.key == key]
        if not chosen:
            raise InvalidInput(f"job {self.name!r} has no task {key!r}; its tasks are {', '.join(t.key for t in self.tasks)}")
        return [replace(chosen[0], depends_on=())]

    def with_parameters(self, given: Mapping[str, str]) -> dict[str, str]:
        """The defaults, overridden. Raises InvalidInput for a parameter the job has not."""
        if unknown := sorted(set(given) - set(self.parameters) - {"as_of"}):
            raise InvalidInput(
                f"job {self.name!r} has no parameter {unknown[0]!r}; it has {', '.join(sorted(self.parameters)) or 'none'}"
            )
        return {**self.parameters, **{k: str(v) for k, v in given.items()}}


def _longest(body: Mapping[str, Any]) -> int:
    """The seconds after which the health rules of a job or a task speak; 0 where there are none."""
    return min((int(r["value"]) for r in (body.get("health") or {}).get("rules") or ()), default=0)


def _compute(task: Mapping[str, Any]) -> str | None:
    """The compute that a task names; a for_each_task's inner task may name it."""
    inner = (task.get("for_each_task") or {}).get("task") or {}
    return inner.get("compute") or task.get("compute")


def fact_named(reference: str) -> str:
    """The fact that a reference names: `job.parameters.[x]` is `job.parameters.x`."""
    return _BRACKETED.sub(r".\1", reference)


ReadSecret = Callable[[str], str]
"""`scope/key` -> its value."""


def completed(value: Any, facts: Mapping[str, str], secret: ReadSecret | None = None, trusted: Collection[str] = ()) -> Any:
    """A value with every `{{reference}}` replaced, at any depth. Raises InvalidInput for an unknown one.

    `{{secrets/scope/key}}` is read where the bundle wrote it: in the value itself, and in the facts that are `trusted`.
    What came from elsewhere stays as it is, so that whoever may run a job cannot have it read a secret of their choice.
    """
    if isinstance(value, str):
        return REFERENCE.sub(lambda match: _fact(fact_named(match.group(1)), facts, secret, trusted), value)
    if isinstance(value, Mapping):
        return {k: completed(v, facts, secret, trusted) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [completed(v, facts, secret, trusted) for v in value]
    return value


def with_secrets(text: str, secret: ReadSecret) -> str:
    """A text with every `{{secrets/scope/key}}` replaced, and nothing else."""
    return _SECRET.sub(lambda match: secret(match.group(1)), text)


def _fact(name: str, facts: Mapping[str, str], secret: ReadSecret | None, trusted: Collection[str]) -> str:
    if name.startswith("secrets/"):
        if secret is None:
            raise InvalidInput(f"{{{{{name}}}}} cannot stand here; it can in what a task is run with, and in environment_vars")
        return secret(name.removeprefix("secrets/"))
    if name in trusted and secret is not None:
        return with_secrets(facts[name], secret)
    if name not in facts:
        raise InvalidInput(f"nothing is known as {{{{{name}}}}} in this run; there are {', '.join(sorted(facts))}")
    return facts[name]
