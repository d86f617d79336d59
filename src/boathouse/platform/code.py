"""Code on its way: deploy a bundle, test and merge a request, cut a release and update prod by it."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

from boathouse.catalog import Catalog
from boathouse.environments import (
    ENVIRONMENTS,
    MAIN,
    RELEASE_PATTERN,
    Declared,
    Deployment,
    Deployments,
    GitFacts,
    MergeRequest,
    Projects,
    Release,
    of_data_alone,
    share_project,
    working_tree_facts,
)
from boathouse.errors import InvalidBundle, InvalidInput, NotFound
from boathouse.identity import Identities, Identity
from boathouse.jobs import Run, Runner, RunRequest
from boathouse.names import in_scratch, parse
from boathouse.platform.computing import Computing
from boathouse.platform.declared_aliases import DeclaredAliases
from boathouse.platform.declared_experiments import EXPERIMENT, DeclaredExperiments
from boathouse.platform.declared_tables import TABLE, DeclaredTables
from boathouse.platform.run_as import RunAs
from boathouse.project import Bundle, Change, load, plan
from boathouse.registry import Registry

_CHECKS = ("unit", "integration")
_MODEL = "registered_model"
_PROJECT, _COMMIT = "boathouse.project", "boathouse.git_commit"
_STATES = {"pass": "success", "hold": "pending", "fail": "failure"}


@dataclass(frozen=True)
class Source:
    """Code at one commit, or a working tree in dev."""

    folder: Path
    commit: str | None
    dirty: bool


class CodeDelivery:
    """Moves code through environments."""

    def __init__(self, catalog: Catalog, identities: Identities, deployments: Deployments, projects: Projects,
                 runner: Runner, registry: Registry, declared: Declared) -> None:  # fmt: skip
        self._catalog = catalog
        self._identities = identities
        self._deployments = deployments
        self._projects = projects
        self._runner = runner
        self._registry = registry
        self._declared = declared
        self.computing = Computing(deployments, catalog.access)
        self.run_as = RunAs(identities, catalog.access, catalog.audit)
        self._aliases = DeclaredAliases(registry, catalog.access)
        self._experiments = DeclaredExperiments(registry, catalog, deployments)
        self._tables = DeclaredTables(catalog, deployments)
        self.told: Callable[[int, str], None] = lambda _number, _check: None
        """Hears which check of which merge request stands otherwise than before."""

    def plan(self, identity: Identity, target: str, **source: Any) -> list[Change]:
        """What `deploy` would change."""
        bundle, _, environment = self._read(identity, target, source)
        self.computing.check(identity, environment, bundle)
        current = self._deployments.resources(environment=environment, project=bundle.name)
        return plan([(r.kind, r.name, r.definition) for r in current], self._named(environment, bundle))

    def deploy(self, identity: Identity, target: str, **source: Any) -> Deployment:
        """Make an environment run a project's bundle; needs DEPLOY. `path` is a working tree, else `project` and `ref`.

        Raises NotReleased when the environment may not run the commit.
        """
        bundle, code, environment = self._read(identity, target, source)
        return self._replace(identity, environment, bundle, code)

    def destroy(self, identity: Identity, environment: str, project: str) -> tuple[int, list[str]]:
        """Remove a project's resources and what it granted; how many, and texts about what stays.

        Needs DEPLOY as deploying them would.
        """
        there = self._deployments.resources(environment=environment, project=project)
        self._authorize(identity, environment, project, [r.kind for r in there])
        with self._declared.together():
            models, tables = (self._deployed(kind, environment, project) for kind in (_MODEL, TABLE))
            removed = self._deployments.destroy(identity, environment, project)
            notes = self._aliases.sync(identity, environment, models, [])
            self._tables.sync(identity, environment, tables, [])
            return removed, notes + self._declared.sync(identity, environment, project, [])

    def open_request(self, identity: Identity, project: str, branch: str, title: str) -> MergeRequest:
        """A merge request, with its tests started."""
        request = self._projects.open_request(identity, project, branch, title)
        self.test_request(identity, request.id)
        return self._projects.request(request.id)

    def test_request(self, identity: Identity, number: int) -> str:
        """Start a request's tests in a throw-away place in staging; the run's id."""
        request = self._projects.request(number)
        folder = self._projects.checkout(request.project, request.merge_commit)
        bundle = load(folder, "staging", git=GitFacts(request.merge_commit, request.branch, False))
        principal = f"request-{number}"
        self._identities.ensure(principal, "service_principal")
        code = Source(folder, request.merge_commit, False)
        self._replace(identity, "staging", bundle, code, request.scratch)
        tests, network = bundle.tests, ["--network"] if bundle.tests.network else []
        tasks = [
            {"task_key": "unit", "builtin_task": {"name": "unit-tests", "parameters": [tests.unit, *network]}},
            {"task_key": "integration", "depends_on": [{"task_key": "unit"}],
             "builtin_task": {"name": "integration-tests", "parameters": [tests.integration]}},
        ]  # fmt: skip
        for check in _CHECKS:
            self._report(number, check, {"state": "pending"})
        run_id = self._runner.submit(
            RunRequest(
                environment="staging", project=request.project, job=f"request-{number}", definition={"tasks": tasks},
                source=str(folder), principal=principal, submitted_by=identity.principal, commit=request.merge_commit,
                scratch=request.scratch, trigger=f"request {number}",
            )
        )  # fmt: skip
        for check in _CHECKS:
            self._report(number, check, {"state": "pending", "run": run_id})
        return run_id

    def tests_ended(self, run: Run) -> None:
        """Keep what a request's tests found and throw away all they made."""
        number = int(run.job.removeprefix("request-"))
        for task in run.tasks:
            state = "success" if task.state == "SUCCESS" else "failure"
            self._report(number, task.task_key, {"state": state, "run": run.id, "reason": task.reason})
        self.clean(run.environment, run.scratch)

    def _report(self, number: int, check: str, outcome: Mapping[str, Any]) -> None:
        with self._declared.together():
            self._projects.report_check(number, check, outcome)
            self.told(number, check)

    def tell_requests(self, model: str, told: Mapping[str, Any]) -> None:
        """Post a verdict on a model's version to the merge requests whose commit made it."""
        version = self._registry.version(model, int(told["version"]))
        record = self._registry.run_record(version.run_id, (_PROJECT, _COMMIT)) if version.run_id else {}
        if not (record.get(_PROJECT) and record.get(_COMMIT)):
            return
        verdict = told["verdict"]
        said = {"state": _STATES[verdict["outcome"]], "run": verdict.get("run_id"), "reason": "; ".join(verdict["reasons"]),
                "model": model, "version": version.version}  # fmt: skip
        for request in self._projects.requests(record[_PROJECT]):
            if record[_COMMIT] in (request.head, request.merge_commit):
                self._report(request.id, f"{model} v{version.version}", said)

    def clean(self, environment: str, scratch: str) -> None:
        """Remove every schema, table and resource of a throw-away place."""
        for model in self._registry.models(environment):
            if in_scratch(parse(model.name).schema, scratch):
                self._registry.discard(model.name, principal="admins")
        janitor = Identity("admins", frozenset({"admins"}), environment)
        for schema in self._catalog.securables("schema", parent=environment):
            if in_scratch(schema.name.partition(".")[2], scratch):
                self._catalog.drop_schema(janitor, schema.name, cascade=True)
        self._deployments.forget(environment, scratch)

    def merge(self, identity: Identity, number: int) -> MergeRequest:
        """Merge a request whose tests passed, and deploy main to staging; needs MERGE in staging.

        One that was merged, and whose deployment was cut off, is deployed.
        """
        self._catalog.access.authorize(identity, "MERGE", "catalog", "staging")
        request = self._projects.request(number)
        if request.state != "merged" or not self._waits(request.project, MAIN, request.merge_commit, "staging"):
            asked = self._projects.mergeable(number)
            folder = self._projects.checkout(asked.project, asked.merge_commit)
            self._check(identity, "staging", load(folder, "staging", git=GitFacts(asked.merge_commit, MAIN, False)))
            request = self._projects.merge(identity, number)
        self.deploy(identity, "staging", project=request.project, ref=request.merge_commit)
        return request

    def cut_release(self, identity: Identity, project: str, version: str) -> tuple[Release, Deployment]:
        """A release branch at main's head, deployed to prod; needs DEPLOY there.

        One that was cut, and whose deployment was cut off, is deployed.
        """
        if not self._may_deploy(identity, "prod", project):
            self._catalog.access.authorize(identity, "DEPLOY", "catalog", "prod")
        code = self._source({"project": project, "ref": "main"})
        bundle = load(code.folder, "prod", {}, GitFacts(code.commit, "main", False))
        self._authorize(identity, "prod", project, _kinds(bundle))
        self._check(identity, "prod", bundle)
        cut = next((r for r in self._projects.releases(project) if r.version == version), None)
        waits = cut is not None and self._waits(project, cut.branch, code.commit, "prod")
        release = cut if cut and waits else self._projects.cut_release(identity, project, version)
        return release, self.deploy(identity, "prod", project=project, ref=release.commit_id)

    def prune_checkouts(self, unused: timedelta, going: Iterable[Run]) -> list[Path]:
        """Remove checkouts that nobody needed for so long; what is deployed, and what runs, stays."""
        needed = {(run.project, run.commit_id) for run in going}
        needed |= {(d.project, d.commit_id) for d in self._deployments.pointed_at()}
        return self._projects.checkouts.prune(unused, {(project, commit) for project, commit in needed if commit})

    def _waits(self, project: str, branch: str, commit: str | None, environment: str) -> bool:
        """Whether a commit that a branch came to stands there, and its environment does not run it yet."""
        there = {d.commit_id for d in self._deployments.current(environment, project)}
        return commit not in there and self._projects.repository(project).branches().get(branch) == commit

    def check_policy(self, project: str, environment: str, commit: str, *, dirty: bool, scratch: str = "") -> None:
        """Whether a commit may run in an environment, or in a throw-away place of it. Raises NotReleased."""
        pattern = self.release_pattern(project) if environment == "prod" else RELEASE_PATTERN
        self._projects.check_policy(project, environment, commit, dirty=dirty, release_pattern=pattern, scratch=scratch)

    def release_pattern(self, project: str) -> str:
        """The branches whose heads prod runs, as main says: a commit cannot let itself in by naming its own branch."""
        repository = self._projects.repository(project)
        main = repository.branches().get(MAIN) if repository.path.exists() else None
        return _pattern_of(self._projects.checkout(project, main)) if main else RELEASE_PATTERN

    def _read(self, identity: Identity, target: str, source: Mapping[str, Any]) -> tuple[Bundle, Source, str]:
        if not any(self._may_deploy(identity, e, source.get("project")) for e in ENVIRONMENTS):
            self._catalog.access.authorize(identity, "DEPLOY", "catalog", target if target in ENVIRONMENTS else "dev")
        code = self._source(source)
        bundle = load(code.folder, target, source.get("variables") or {}, GitFacts(code.commit, source.get("ref"), code.dirty))
        environment = bundle.environment
        self._authorize(identity, environment, bundle.name, _kinds(bundle))
        self._check(identity, environment, bundle)
        if environment != "dev":
            self.check_policy(bundle.name, environment, code.commit or "", dirty=code.dirty)
            if source.get("path"):  # a working tree can change after this, a checkout of its commit cannot
                return self._read(identity, target, {**source, "path": None, "project": bundle.name, "ref": code.commit})
        return bundle, code, environment

    def _may_deploy(self, identity: Identity, environment: str, project: str | None) -> bool:
        """Whether there is something that the identity could deploy there."""
        access = self._catalog.access
        return access.allows(identity, "DEPLOY", "catalog", environment) or bool(
            project and access.allows(identity, "DEPLOY", "project", f"{environment}.{project}")
        )

    def _authorize(self, identity: Identity, environment: str, project: str, kinds: Iterable[str]) -> None:
        """DEPLOY on the environment, or on the project where it moves data alone. Raises NotPermitted."""
        if not (of_data_alone(kinds) and self._may_deploy(identity, environment, project)):
            self._catalog.access.authorize(identity, "DEPLOY", "catalog", environment)

    def _check(self, identity: Identity, environment: str, bundle: Bundle) -> None:
        """Whether who deploys may let its jobs run as whom they name. Raises as RunAs.check does."""
        self.run_as.check_bundle(identity.principal, environment, bundle.resources_list())

    def _source(self, source: Mapping[str, Any]) -> Source:
        if path := source.get("path"):
            folder = Path(path)
            facts = working_tree_facts(folder)
            return Source(folder, facts.commit, facts.dirty)
        if not (source.get("project") and source.get("ref")):
            raise InvalidInput("say what to deploy: a folder, or a project and a commit, branch or tag")
        commit = self._projects.repository(source["project"]).head(source["ref"])
        return Source(self._projects.checkout(source["project"], commit), commit, False)

    def _named(self, environment: str, bundle: Bundle, scratch: str = "") -> list[tuple[str, str, dict[str, Any]]]:
        """A bundle's (kind, name, definition) by the names they are deployed under."""
        return self._deployments.told_apart(environment, bundle.name, _named(bundle), scratch)

    def _deployed(self, kind: str, environment: str, project: str) -> list[Mapping[str, Any]]:
        """The definitions of a project's resources of a kind, as they are deployed."""
        return [r.definition for r in self._deployments.resources(kind, environment, project)]

    def _replace(self, identity: Identity, environment: str, bundle: Bundle, code: Source, scratch: str = "") -> Deployment:
        self._projects.ensure(identity, bundle.name)
        if code.commit and not scratch:
            with suppress(InvalidInput):  # a shallow clone: then a model cannot be made again once the clone is gone
                self._projects.repository(bundle.name).keep(code.commit, code.folder)
                self._projects.settle(bundle.name)
        if absent := bundle.missing_files():
            raise InvalidBundle("\n".join(absent), problems=absent)
        with self._declared.together():
            wanted = self._named(environment, bundle, scratch)
            self.computing.check(identity, environment, bundle)
            models, experiments, tables = (
                self._deployed(kind, environment, bundle.name) for kind in (_MODEL, EXPERIMENT, TABLE)
            )
            deployed = self._deployments.replace(
                identity, environment=environment, project=bundle.name, wanted=wanted,
                source=str(code.folder), commit=code.commit, dirty=code.dirty, scratch=scratch,
            )  # fmt: skip
            notes = [] if scratch else self._declared.sync(identity, environment, bundle.name, wanted)
            if not scratch:
                notes += self._aliases.sync(identity, environment, models, _bodies(wanted, _MODEL))
                notes += self._experiments.sync(identity, environment, experiments, _bodies(wanted, EXPERIMENT))
                self._tables.sync(identity, environment, tables, _bodies(wanted, TABLE))
            if environment == "staging" and not scratch:
                share_project(self._catalog, bundle.name, _kinds(bundle))
        return replace(deployed, notes=tuple(notes))


@lru_cache(maxsize=256)
def _pattern_of(checkout: Path) -> str:
    """What the target prod of a commit, which never changes, says; the usual pattern where it says nothing."""
    try:
        settings = load(checkout, "prod", git=GitFacts(checkout.name, MAIN, False), environ={}).settings
    except (InvalidBundle, NotFound):
        return RELEASE_PATTERN
    return settings.git.branch or RELEASE_PATTERN


def _bodies(wanted: Iterable[tuple[str, str, Mapping[str, Any]]], kind: str) -> list[Mapping[str, Any]]:
    return [body for found, _, body in wanted if found == kind]


def _kinds(bundle: Bundle) -> set[str]:
    return {kind for kind, _, _ in bundle.resources_list()}


def _named(bundle: Bundle) -> list[tuple[str, str, dict[str, Any]]]:
    """(kind, name, definition): endpoints go by their own name, which is in their address; all else by its key."""
    return [
        (kind, str(body.get("name") or key) if kind == "model_serving_endpoint" else key, body)
        for kind, key, body in bundle.resources_list()
    ]
