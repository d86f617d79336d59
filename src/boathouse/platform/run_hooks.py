"""What runs ask and tell the platform while they go on."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from boathouse.environments import Sandbox, is_lent
from boathouse.identity import LENT, Identity
from boathouse.jobs import Hooks, Run, Runs, TaskDefinition, TaskIdentity, TaskRun
from boathouse.platform.interpreters import seed_of
from boathouse.platform.refreshing import OURS

if TYPE_CHECKING:
    from boathouse.platform.platform import Platform

_RUN_TOKEN_LIFETIME = timedelta(days=2)


class RunHooks:
    """Answers out of the rooms of a home, which are built by the time that a run asks."""

    def __init__(self, platform: "Platform") -> None:
        self._platform = platform

    def ports(self) -> Hooks:
        """What the runner is given."""
        secrecy = self._platform.secrecy
        return Hooks(self.identify, self.check_launch, self.submit_child, self.ended, self.task_moved, self.slow,
                     secrecy.of_run, secrecy.hidden, self.sandbox, self.lost, self.located, self.kept)  # fmt: skip

    def identify(self, run: Run, task_key: str) -> TaskIdentity:
        token = self._platform.identities.issue(
            run.principal, comment=_comment(run, task_key), lifetime=_RUN_TOKEN_LIFETIME, environment=run.environment,
            run_id=run.id, commit=run.commit_id, scratch=run.scratch or None,
            origin=LENT if is_lent(run.environment, run.principal) and not run.scratch else "",
        )  # fmt: skip
        facts = {"run_id": run.id, "task": task_key, "commit": run.commit_id or "", "dirty": str(run.dirty).lower(),
                 "project": run.project, "job": run.job, "seed": str(seed_of(run, task_key)),
                 "autolog": self._platform.settings.choice("autolog", ("light", "full", "off"))}  # fmt: skip
        others = self._platform.runner.executors.urls()
        identity = TaskIdentity(self._platform.url, token, run.environment, facts, others)
        return self._platform.interpreters.equip(identity, run, task_key)

    def sandbox(self, run: Run, task: TaskDefinition) -> Sandbox | None:
        online, sockets = self._platform.online_folder(run.environment), self._platform.online_stores.sockets(run.environment)
        return self._platform.walls.of_task(run, task, online, sockets)

    def lost(self, run: Run, task_key: str) -> None:
        """A try on a machine that is out of reach may go on there: none of its requests is answered any more."""
        self._platform.identities.revoke_task(run.id, _comment(run, task_key))

    def located(self, run: Run) -> Run:
        return self._platform.jobs.located(run)

    def kept(self, run: Run, task: TaskRun, log: Path) -> None:
        """Other servers may see no folder of this one."""
        if self._platform.joined:
            self._platform.runner.words.keep(run.id, task.task_key, str(task.executor), log)

    def ended(self, run: Run) -> None:
        self._platform.identities.revoke_run(run.id)
        if "again" in run.definition:
            self._platform.reproduction.ended(run)
        elif run.scratch and run.job.startswith("request-"):
            self._platform.code.tests_ended(run)
        if run.state != "SUCCESS" and (tested := version_tested(run)):
            model, version = tested
            self._platform.delivery.run_failed(model, version, run.id, run.state)
        self._tell(run, "run.ended", {"state": run.state, "project": run.project})

    def task_moved(self, run: Run, what: str, facts: Mapping[str, Any]) -> None:
        self._tell(run, f"task.{what}", facts)

    def slow(self, run: Run, task: TaskRun | None, seconds: int) -> None:
        facts: dict[str, Any] = {"reason": f"it goes on for longer than {seconds} s"}
        if task is not None:
            facts |= {"task": task.task_key, "attempt": task.attempt, "tries": task.tries, "state": "RUNNING"}
        self._tell(run, "run.slow" if task is None else "task.slow", facts)

    def check_launch(self, run: Run) -> None:
        """Asked again at launch: between submit and launch a release may have been withdrawn."""
        if run.project not in OURS and "again" not in run.definition:  # which runs what ran before, and touches nothing
            self._platform.jobs.check_code(run.project, run.environment, run.commit_id, run.dirty, run.scratch)
            self._platform.code.run_as.check_launch(run)
        self._tell(run, "run.started", {"project": run.project})

    def submit_child(self, parent: Run, job: str, parameters: Mapping[str, str], start_key: str) -> str:
        identity = Identity(parent.principal, self._platform.identities.groups_of(parent.principal), parent.environment,
                            scratch=parent.scratch or None)  # fmt: skip
        return self._platform.jobs.submit(
            identity, parent.environment, job, parameters=parameters, scratch=parent.scratch, trigger=f"run {parent.id}",
            start_key=start_key, parent_run=parent.id, project=parent.project,
        )  # fmt: skip

    def _tell(self, run: Run, kind: str, facts: Mapping[str, Any]) -> None:
        with self._platform.database.writing() as connection:
            self._platform.outbox.emit(connection, kind, f"{run.environment}.{run.job}", {"run_id": run.id, **facts})


def version_tested(run: Run) -> tuple[str, int] | None:
    """The model and version that a run was submitted to test; a job's task among others is no such run."""
    tasks = run.definition["tasks"]
    only = (tasks[0].get("builtin_task") or {}) if len(tasks) == 1 else {}
    if only.get("name") != "deliver":
        return None
    model, version = only["parameters"]
    return model, int(version)


def tests_going(runs: Runs, model: str) -> dict[int, str]:
    """Version -> run, of the model's versions whose tests have not ended."""
    environment, _, name = model.partition(".")
    newest = [run for run in runs.newest(environment, test_label(name)) if not run.done]
    return {tested[1]: run.id for run in reversed(newest) if (tested := version_tested(run)) and tested[0] == model}


def test_label(name: str) -> str:
    """The job under whose name tests of a model run."""
    return f"deliver-{name}"


def _comment(run: Run, task_key: str) -> str:
    """What the tokens of a task are known by."""
    return f"run {run.id} {task_key}"
