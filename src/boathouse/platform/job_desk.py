"""Jobs as people and rooms ask for them: who may start which, with whose rights and which code it runs."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from boathouse.catalog import AccessControl, Audit, SecurableKind, Volumes
from boathouse.database import Database
from boathouse.environments import Deployment, Deployments, Projects, Resource, is_lent, service_identity, service_principal
from boathouse.errors import Conflict, InvalidInput, NotFound
from boathouse.identity import Identities, Identity
from boathouse.jobs import Run, Runner, RunRequest, Startable, Starts, Submit
from boathouse.platform.code import CodeDelivery
from boathouse.platform.refreshing import OURS
from boathouse.platform.starting import Surroundings, logical_times


class JobDesk:
    """The runs of a home, guarded."""

    def __init__(self, database: Database, access: AccessControl, audit: Audit, identities: Identities, deployments: Deployments,
                 projects: Projects, code: CodeDelivery, runner: Runner, volumes: Volumes, folder: Path) -> None:  # fmt: skip
        self._database = database
        self._access = access
        self._audit = audit
        self._identities = identities
        self._deployments = deployments
        self._projects = projects
        self._code = code
        self._runner = runner
        self._folder = folder
        around = Surroundings(deployments, projects, volumes, identities, code, runner.runs)
        self.starts = Starts(database, runner.runs, runner.queue, around.ports(self.start))
        self.starters: dict[str, Submit] = {"job": self._start}
        """Kind of what starts by itself -> how."""

    def submit(self, identity: Identity, environment: str, job: str, *, parameters: Mapping[str, str],
                   task: str | None = None, scratch: str = "", trigger: str = "manual", start_key: str | None = None,
                   parent_run: str | None = None, project: str | None = None) -> str:  # fmt: skip
        """Start a deployed job as its environment's service principal or as its `run_as`; the run's id. Of several of the
        name, the `project`'s.

        A `start_key` names a reason that starts one run only, however often it is seen. In a throw-away place only its own
        tests start jobs, and these run as they do. Raises Conflict for anybody else.
        """
        if scratch != (identity.scratch or ""):
            raise Conflict(f"{scratch or environment} is not yours: only the tests of a request run jobs in its throw-away place")
        if scratch:
            self._access.authorize(identity, "RUN", "catalog", environment)
        resource = self._deployed(identity, environment, job, project, scratch)
        deployment = self._deployments.deployment(resource.deployment)
        source, place = str(self._nowhere()), None
        if resource.project not in OURS:
            self.check_code(resource.project, environment, deployment.commit_id, deployment.dirty, scratch)
            source, place = self._code_of(deployment), self._place_of(deployment)
        principal, definition = identity.principal, dict(resource.definition)
        if not scratch:
            principal, definition = self._code.run_as.definition(deployment.deployed_by, environment, resource.name, definition)
        runs_as = Identity(principal, self._identities.groups_of(principal), environment)
        definition = self._code.computing.limited(runs_as, environment, definition, scratch)
        run_id = self._runner.submit(
            RunRequest(
                environment=environment, project=resource.project, job=resource.name, definition=definition,
                source=source, submitted_by=identity.principal, principal=principal,
                commit=deployment.commit_id, dirty=deployment.dirty, scratch=scratch, parameters=parameters,
                trigger=trigger, only_task=task, start_key=start_key, parent_run=parent_run,
                place=place,
            )
        )  # fmt: skip
        if not scratch and is_lent(environment, principal):
            facts = {"run": run_id, "run_as": principal, "deployed_by": deployment.deployed_by}
            self._audit.record(identity.principal, "run job as", f"{environment}.{resource.name}", facts)
        return run_id

    def _deployed(self, identity: Identity, environment: str, job: str, project: str | None, scratch: str = "") -> Resource:
        """A deployed job that the identity may run. Raises NotFound, Conflict, NotPermitted."""
        try:
            resource = self._deployments.job(environment, job, project, scratch)
        except NotFound:
            if not scratch:  # who may not run a job of the name does not hear whether there is one
                self._access.authorize(identity, "RUN", "job", f"{environment}.{job}")
            raise
        if not scratch:
            self._access.authorize(identity, "RUN", "job", f"{environment}.{resource.name}")
        return resource

    def pause(self, identity: Identity, environment: str, job: str, pause: bool, project: str | None = None) -> None:
        """Let a job start by hand only, or by itself again; needs RUN on it."""
        resource = self._deployed(identity, environment, job, project)
        key = (environment, resource.project, resource.name)
        if pause:
            self.starts.pause(key, identity.principal)
        else:
            self.starts.resume(key, identity.principal, resource.definition)
        self._audit.record(identity.principal, "pause job" if pause else "resume job", f"{environment}.{resource.name}")

    def backfill(self, identity: Identity, environment: str, job: str, since: datetime, until: datetime,
                 parameters: Mapping[str, str], every: str | None = None, project: str | None = None) -> list[str]:  # fmt: skip
        """Runs of a job for logical times of the past, all or none; needs RUN. Raises InvalidInput."""
        resource = self._deployed(identity, environment, job, project)
        with self._database.writing():
            return [
                self.submit(identity, environment, resource.name, trigger="backfill", project=resource.project,
                                parameters={**parameters, "as_of": at.isoformat()})
                for at in logical_times(resource.definition, since, until, every)
            ]  # fmt: skip

    def cancel(self, identity: Identity, run: Run) -> None:
        """Kill a run; needs RUN on its job, its project or its environment."""
        self._authorize_run(identity, run)
        self._runner.cancel(run.id)
        self._audit.record(identity.principal, "cancel run", f"{run.environment}.{run.job}", {"run": run.id})

    def repair(self, identity: Identity, run: Run) -> None:
        """Run again what did not succeed; needs RUN on its job, its project or its environment."""
        self._authorize_run(identity, run)
        self._runner.repair(run.id)
        self._audit.record(identity.principal, "repair run", f"{run.environment}.{run.job}", {"run": run.id})

    def sees(self, identity: Identity, run: Run) -> bool:
        """Whether the identity may see a run and its logs; code under test sees its own."""
        if identity.scratch:
            return identity.scratch == run.scratch
        return self._access.sees(identity, "job", f"{run.environment}.{run.job}")

    def may_run(self, identity: Identity, run: Run) -> bool:
        """Whether the identity may cancel and repair a run."""
        return self._access.allows(identity, "RUN", *_secured(run))

    def _authorize_run(self, identity: Identity, run: Run) -> None:
        self._access.authorize(identity, "RUN", *_secured(run))

    def submit_builtin(self, environment: str, name: str, arguments: list[str], *, label: str, trigger: str,
                       start_key: str | None = None, code: Resource | None = None) -> str:  # fmt: skip
        """Start one of the platform's own tasks in an environment, in a process of its own; the run's id.

        With `code` it has the code and the packages of the project that deployed that resource.
        """
        deployment = self._deployments.deployment(code.deployment) if code and code.project not in OURS else None
        definition = {"tasks": [{"task_key": name, "builtin_task": {"name": name, "parameters": arguments}}],
                      "max_concurrent_runs": 1}  # fmt: skip
        return self._runner.submit(
            RunRequest(
                environment=environment, project=deployment.project if deployment else "boathouse", job=label,
                definition=definition, source=self._code_of(deployment) if deployment else str(self._nowhere()),
                principal=service_principal(environment), submitted_by=service_principal(environment), trigger=trigger,
                start_key=start_key, commit=deployment.commit_id if deployment else None,
                dirty=deployment is not None and deployment.dirty, place=self._place_of(deployment) if deployment else None,
            )
        )  # fmt: skip

    def start(self, job: Startable, parameters: Mapping[str, str], trigger: str, start_key: str) -> str:
        """Start what starts by itself, as its environment; the run's id."""
        return self.starters[job.kind](job, parameters, trigger, start_key)

    def _start(self, job: Startable, parameters: Mapping[str, str], trigger: str, start_key: str) -> str:
        who = service_identity(self._identities, job.environment)
        return self.submit(who, job.environment, job.name, parameters=parameters, trigger=trigger, start_key=start_key)

    def check_code(self, project: str, environment: str, commit: str | None, dirty: bool, scratch: str) -> None:
        """Whether an environment may run a commit. Raises Conflict, NotReleased."""
        if environment == "dev":
            return
        if dirty or not commit:
            raise Conflict(f"{environment} runs committed code only, and {project} was deployed there without a commit")
        self._code.check_policy(project, environment, commit, dirty=False, scratch=scratch)

    def _code_of(self, deployment: Deployment) -> str:
        return self._projects.code_at(deployment.project, deployment.source, deployment.commit_id)

    def _place_of(self, deployment: Deployment) -> str | None:
        """The home that has a deployment's working tree; None where its code is a commit, which any has."""
        commit = self._projects.is_checkout(deployment.project, deployment.source, deployment.commit_id)
        return None if commit else deployment.place

    def located(self, run: Run) -> Run:
        """A run with its code where it lies on this machine. Raises InvalidInput for a working tree of another one."""
        if run.project in OURS:
            return replace(run, source=str(self._nowhere()))
        found = self._projects.code_at(run.project, run.source, run.commit_id)
        if not Path(found).is_dir():
            raise InvalidInput(f"the code in {found} is not on this machine: deploy a commit, which any server can check out")
        return replace(run, source=found)

    def _nowhere(self) -> Path:
        """Where tasks run that bring no code."""
        self._folder.mkdir(parents=True, exist_ok=True)
        return self._folder


def _secured(run: Run) -> tuple[SecurableKind, str]:
    """What a run is guarded by: its job; in a throw-away place, where jobs are no securables, the environment."""
    return ("catalog", run.environment) if run.scratch else ("job", f"{run.environment}.{run.job}")
