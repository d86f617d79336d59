"""Tasks that are processes of their own: begun once, looked at, ended. Folders are the memory, also across a restart.

A task on a cluster is a process here, too: one that follows it. That one may be killed and another take its place, since the
cluster keeps what goes on under the try's own name.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from boathouse.errors import Unavailable
from boathouse.jobs import task_process
from boathouse.jobs.attempt import Attempt, Outcome
from boathouse.jobs.clusters import RayCluster, followed, program, submission
from boathouse.jobs.definition import JobDefinition, TaskDefinition, completed
from boathouse.jobs.executors import Executors
from boathouse.jobs.facts import facts_of, input_facts
from boathouse.jobs.requests import Hooks
from boathouse.jobs.runs import Run, Runs, TaskRun

_LOOK_SECONDS = 0.3


class Watch(Protocol):
    """The engine as a step sees it."""

    def slot(self, run_id: str) -> bool:
        """Whether another task may run now; where not, the run is looked at again when one may."""

    def watch(self, run_id: str, task: TaskRun, pid: int) -> None:
        """Look at the run again when a process ends."""

    def watches(self, run_id: str, task: TaskRun) -> bool:
        """Whether the task's process is watched."""

    def look_again(self, run_id: str, after: float = 0) -> None:
        """Look at a run again in so many seconds."""


class Processes:
    """The processes of tasks, for one executor."""

    def __init__(self, runs: Runs, executors: Executors, hooks: Hooks, watch: Watch) -> None:
        self._runs = runs
        self._executors = executors
        self._hooks = hooks
        self._watch = watch
        self._spawned: set[tuple[str, str, int]] = set()
        self._asked: set[tuple[str, str, int]] = set()
        """Tries whose shims were told to end them."""

    def outcome(self, run: Run, task: TaskRun, definition: TaskDefinition) -> Outcome | None:
        """How a task that has begun ended; None while it goes on. What was begun and left no trace is begun now."""
        attempt, here = self._folder(run, task)
        cluster = definition.limits.cluster
        if not here and cluster and task.executor:
            attempt = self._adopt(run, task)
        elif not here or task.executor is None:
            self._hooks.lost(run, task.task_key)
            return Outcome("LOST", f"its server {task.executor} on another machine is gone", None)
        watched = self._watch.watches(run.id, task)
        if attempt.begun:
            outcome = attempt.outcome()
            if outcome is None and not watched and attempt.shim:
                self._watch.watch(run.id, task, attempt.shim)
            if outcome and outcome.state == "LOST":
                attempt.sweep()
                if cluster and not attempt.ended and attempt.renew(_log(attempt, task)):
                    self._begin(run, task, definition, attempt)
                    return None
            return outcome
        if watched:
            return None
        if name_of(run, task) in self._spawned:
            attempt.sweep()
            return Outcome("LOST", f"it could not be started: {attempt.words or 'its process ended at once'}", None)
        self._begin(run, task, definition, attempt)
        return None

    def end(self, run: Run, task: TaskRun, definition: TaskDefinition) -> Outcome | None:
        """End a task's process; how it ended, None while it has not."""
        attempt, here = self._folder(run, task)
        if definition.limits.cluster and task.executor:
            return self._stop(run, task, definition, attempt if here else self._adopt(run, task))
        if not here:
            return Outcome("LOST", None, None)
        attempt.end()
        return (attempt.outcome() if attempt.begun else None) or Outcome("CANCELED", None, None)

    def hide(self, run: Run, texts: Sequence[str]) -> None:
        """From now on the logs of a run's tasks show none of these texts."""
        for task in run.tasks:
            if task.state == "RUNNING":
                attempt, here = self._folder(run, task)
                if not here:
                    raise Unavailable(f"the log of {task.task_key} is written on another machine: secrets are told there alone")
                attempt.hide(texts)

    def kept(self, run: Run, task_key: str, ending: str) -> Path:
        """Where a file of a task is kept: what it said (`log`), its notebook (`ipynb`, `html`)."""
        executor = next((t.executor for t in run.tasks if t.task_key == task_key), None)
        return self._executors.place(executor)[0] / run.id / f"{task_key}.{ending}"

    def keep(self, run: Run, task: TaskRun) -> None:
        """A task has ended: what it said may be wanted where this machine is not seen."""
        attempt, here = self._folder(run, task)
        if here:
            self._hooks.kept(run, task, _log(attempt, task))

    def forget(self, run_id: str) -> None:
        """A run has ended."""
        for names in (self._spawned, self._asked):
            names.difference_update([name for name in names if name[0] == run_id])

    def completed(self, run: Run, task: TaskRun, body: Any, secrets: bool = False) -> Any:
        """A task's texts with their references replaced; those to secrets only where these may stand."""
        facts = facts_of(self._runs.get(run.id))
        if task.parent is not None:
            facts |= input_facts(task.input)
        if not secrets:
            return completed(body, facts)
        defaults = JobDefinition.from_dict(run.job, run.definition).parameters
        trusted = {f"job.parameters.{k}" for k, v in defaults.items() if run.parameters.get(k) == v}
        return completed(body, facts, lambda name: self._hooks.secret(run, name), trusted)

    # one try

    def _begin(self, run: Run, task: TaskRun, definition: TaskDefinition, attempt: Attempt, what: str = "follow") -> None:
        run = self._hooks.located(run)
        body, variables = self.completed(run, task, [definition.body, definition.variables], secrets=True)
        identity = self._hooks.identify(run, task.task_key)
        if cluster := definition.limits.cluster:
            environ = self._on_cluster(cluster, run, task, definition, body, variables, identity, attempt)
            pid = attempt.begin(
                program(what), environ, token=identity.token, cwd=Path("/"), log=_log(attempt, task),
                timeout=definition.timeout_seconds, prepare=identity.prepare if cluster.packages == "lock" else (),
                after=program("undo"), hidden=self._hooks.hidden(run),
            )  # fmt: skip
        else:
            pid = attempt.begin(
                task_process.command(definition.kind, body, identity.python), task_process.environment(identity) | variables,
                token=identity.token, cwd=Path(run.source), log=_log(attempt, task),
                timeout=definition.timeout_seconds, limits=definition.limits, prepare=identity.prepare,
                hidden=self._hooks.hidden(run), sandbox=self._hooks.sandbox(run, definition),
            )  # fmt: skip
        self._spawned.add(name_of(run, task))
        self._watch.watch(run.id, task, pid)

    def _on_cluster(self, cluster: RayCluster, run: Run, task: TaskRun, definition: TaskDefinition, body: Mapping[str, Any],
                    variables: Mapping[str, str], identity: task_process.TaskIdentity,
                    attempt: Attempt) -> dict[str, str]:  # fmt: skip
        limits = definition.limits
        asked = {"entrypoint_num_cpus": limits.cpus, "entrypoint_memory": limits.memory, "entrypoint_num_gpus": cluster.gpus}
        known = {"environment": run.environment, "project": run.project, "job": run.job, "run": run.id, "task": task.task_key}
        token = self.completed(run, task, cluster.token, secrets=True)
        return followed(
            cluster, submission(run.id, task.task_key, task.tries), definition.kind, body, identity, token=token,
            folder=attempt.folder, source=run.source, variables=variables,
            resources={k: v for k, v in asked.items() if v}, metadata=known,
        )  # fmt: skip

    def _stop(self, run: Run, task: TaskRun, definition: TaskDefinition, attempt: Attempt) -> Outcome | None:
        """Have the cluster end it, whoever follows it; looked at again until it has."""
        name = name_of(run, task)
        if attempt.alive:
            if name not in self._asked and attempt.ask_to_end():
                self._asked.add(name)
        elif attempt.ended:
            return attempt.outcome()
        elif not attempt.begun:
            if not self._watch.watches(run.id, task):
                return Outcome("CANCELED", None, None)
        elif attempt.renew(_log(attempt, task)):
            self._begin(run, task, definition, attempt, "stop")
        else:
            return Outcome("LOST", None, None)
        self._watch.look_again(run.id, _LOOK_SECONDS)
        return None

    def _adopt(self, run: Run, task: TaskRun) -> Attempt:
        """A try that a server on another machine followed is followed from here."""
        self._runs.update_task(run.id, task.task_key, executor=self._executors.own)
        return Attempt(self._executors.place(self._executors.own)[0] / run.id / f"{task.task_key}@{task.tries}")

    def _folder(self, run: Run, task: TaskRun) -> tuple[Attempt, bool]:
        folder, here = self._executors.place(task.executor)
        return Attempt(folder / run.id / f"{task.task_key}@{task.tries}"), here


def name_of(run: Run, task: TaskRun) -> tuple[str, str, int]:
    """One try of a task."""
    return run.id, task.task_key, task.tries or 0


def _log(attempt: Attempt, task: TaskRun) -> Path:
    return attempt.folder.with_name(f"{task.task_key}.log")
