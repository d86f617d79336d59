"""What a repository declares, read for one target."""

import getpass
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import Any

from boathouse.environments import GitFacts, without_meaning, working_tree_facts
from boathouse.errors import InvalidBundle
from boathouse.project import presets
from boathouse.project.interpolation import Scope, as_node
from boathouse.project.keys import sift
from boathouse.project.located import Node, merge
from boathouse.project.references import loose_ends, model_name
from boathouse.project.resources import KINDS, Definition, Resources, definition
from boathouse.project.shape import Permission, Principal
from boathouse.project.source_path import localised, missing_file
from boathouse.project.sources import read_all
from boathouse.project.target import ENVIRONMENTS, BundleInfo, Document, Presets, Target, TestFolders
from boathouse.project.validation import problem, validated
from boathouse.project.variables import values_of

_OVERRIDABLE = ("resources", "presets", "bundle", "run_as", "permissions")
_KEY = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True)
class Bundle:
    """A project as one target sees it.

    `environment` is where it is deployed, `git` what its references to git said, `files` what was read,
    `ignored` what is valid in bundle YAML and has no meaning here.
    """

    name: str
    target: str
    environment: str
    settings: Target
    resources: Resources
    tests: TestFolders
    git: GitFacts
    directory: Path
    files: tuple[str, ...]
    ignored: list[str] = field(default_factory=list)
    places: Node = field(default=Node({}), repr=False, compare=False)
    """The resources as they are written, with file and line."""

    def resources_list(self) -> list[tuple[str, str, Definition]]:
        """(kind, key, definition) of every resource, always in the same order."""
        return [(kind, key, definition(resource)) for kind, key, resource in self.resources.each()]

    def model_name(self, reference: str) -> str:
        """A registered model's `schema.name`, from its key, its name or its full name."""
        return model_name(self.resources, reference)

    def computes_elsewhere(self) -> Iterator[tuple[str, Callable[[str], str]]]:
        """(name, what puts file and line before a sentence) of each compute that tasks name and the bundle does not declare."""
        for key, job in sorted(self.resources.jobs.items()):
            for position, task in enumerate(job.tasks):
                path: tuple[str | int, ...] = ("jobs", key, "tasks", position)
                inner = task.for_each_task.task if task.for_each_task else None
                for named, below in ((task, ()), (inner, ("for_each_task", "task"))):
                    if named and named.compute and named.compute not in self.resources.compute:
                        yield named.compute, partial(problem, self.places, ("resources",), (*path, *below, "compute"))

    def missing_files(self) -> list[str]:
        """A sentence for every source file that tasks name and that is not there, with file and line."""
        found = []
        for key, job in sorted(self.resources.jobs.items()):
            for position, task in enumerate(job.tasks):
                inner = task.for_each_task.task if task.for_each_task else task
                paths = (
                    inner.spark_python_task.python_file if inner.spark_python_task else None,
                    inner.notebook_task.notebook_path if inner.notebook_task else None,
                    inner.sql_task.file.path if inner.sql_task and inner.sql_task.file else None,
                )
                found += [
                    problem(self.places, ("resources",), ("jobs", key, "tasks", position), f"runs {path}, which is no file")
                    for path in paths
                    if path and "{{" not in path and missing_file(self.directory, path)
                ]
        return found


@dataclass(frozen=True)
class _View:
    """The project file as one target sees it, and what its references can name."""

    target: str
    document: Node
    override: Node
    merged: Mapping[str, Node]
    scope: Scope

    def part(self, node: Node, shape: Any, *path: str) -> Any:
        """One part of the file with its references replaced, as a model."""
        return validated(self.scope.resolve(node), shape, path)


def load(
    directory: Path,
    target: str | None = None,
    variables: Mapping[str, str] | None = None,
    git: GitFacts | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    user: str | None = None,
) -> Bundle:
    """Read the project in `directory` for a target (by default its default one).

    A variable's value is the first of `variables`, BOATHOUSE_VAR_<name> and BUNDLE_VAR_<name> in the
    environment, the target's and the default. Without `git` the facts of the working tree are used.
    Raises NotFound without a project file, and InvalidBundle, naming file, line and key, for what is wrong.
    """
    root, files = read_all(directory)
    sifted = sift(root, Document)
    if sifted.problems:
        raise InvalidBundle("\n".join(sifted.problems), problems=list(sifted.problems))
    document, chosen = sifted.node, _choose(sifted.node, target)
    override = document.child("targets").child(chosen)
    merged = {key: merge(document.child(key), override.child(key)) for key in _OVERRIDABLE}
    own = root.child("targets").child(chosen)
    written = merge(root.child("resources"), own.child("resources"))
    facts = git or working_tree_facts(directory)
    info: BundleInfo = validated(merged["bundle"], BundleInfo, ("bundle",))
    values, unset = values_of(
        document, override, chosen, variables or {}, os.environ if environ is None else environ
    )
    tree = {
        "bundle": _bundle_facts(info.name, chosen, facts),
        "var": Node(values),
        "workspace": _workspace(merge(root.child("workspace"), own.child("workspace")), user),
        "resources": replace(written, value={**written.mapping, **merged["resources"].mapping}),
    }
    view = _View(chosen, document, override, merged, Scope(Node(tree), unset))
    settings: Target = view.part(
        override.without("resources", "variables", "bundle"), Target, "targets", chosen
    )
    resources, environment = _resources(view, settings, directory), _environment(view, settings)
    return Bundle(
        name=info.name,
        target=chosen,
        environment=environment,
        settings=settings,
        resources=resources,
        tests=view.part(document.child("tests"), TestFolders, "tests"),
        git=facts,
        directory=directory,
        files=files,
        ignored=[*sifted.ignored, *_powerless(resources, written), *_elsewhere(resources, environment, written)],
        places=merged["resources"],
    )


def _powerless(resources: Resources, written: Node) -> Iterator[str]:
    """What of permissions, grants and logging means nothing here, each named with its resource."""
    sections = {kind: section for section, kind in KINDS.items()}
    for kind, key, resource in resources.each():
        for field_, text in without_meaning(kind, definition(resource)):
            yield problem(written, ("resources",), (sections[kind], key, field_), text)
    for key, endpoint in resources.model_serving_endpoints.items():
        if endpoint.asks_for_no_log:
            text = "enabled: false of its inference table is ignored: all requests are logged, since monitors live on them"
            yield problem(written, ("resources",), ("model_serving_endpoints", key), text)


def _elsewhere(resources: Resources, environment: str, written: Node) -> Iterator[str]:
    """Monitors whose results are to lie in another catalog than the environment's, which they do not."""
    for key, monitor in resources.quality_monitors.items():
        catalog = (monitor.output_schema_name or "").rpartition(".")[0]
        if catalog not in ("", environment):
            text = f"the catalog {catalog} is ignored: the environment is the catalog"
            yield problem(written, ("resources",), ("quality_monitors", key, "output_schema_name"), text)


def _choose(document: Node, target: str | None) -> str:
    targets = document.child("targets").mapping
    if target is not None:
        if target in targets or (not targets and target in ENVIRONMENTS):
            return target
        near = get_close_matches(target, targets, 1)
        known = ", ".join(targets or ENVIRONMENTS)
        hint = f"did you mean '{near[0]}'?" if near else f"the targets are {known}"
        raise InvalidBundle(f"{document.file}: there is no target '{target}'; {hint}")
    defaults = [name for name, node in targets.items() if node.child("default").value is True]
    if len(defaults) > 1:
        where = targets[defaults[1]].where
        raise InvalidBundle(f"{where}: targets {' and '.join(defaults)} both say default: true; one can")
    if defaults or len(targets) <= 1:
        return next(iter(defaults or targets), "dev")
    if "dev" in targets:
        return "dev"
    known = ", ".join(targets)
    raise InvalidBundle(f"{document.file}: choose a target with -t: {known}, or give one default: true")


def _environment(view: _View, settings: Target) -> str:
    if settings.environment in ENVIRONMENTS:
        return settings.environment
    if settings.environment:
        near = get_close_matches(settings.environment, ENVIRONMENTS, 1)
        hint = f"did you mean '{near[0]}'?" if near else f"there are {', '.join(ENVIRONMENTS)}"
        spot = f"{view.override.child('environment').where}: targets.{view.target}.environment"
        raise InvalidBundle(f"{spot}: there is no environment '{settings.environment}'; {hint}")
    if view.target in ENVIRONMENTS:
        return view.target
    if view.target == "test":
        return "staging"
    if settings.mode == "development":
        return "dev"
    known = ", ".join(ENVIRONMENTS)
    where = view.override.where
    raise InvalidBundle(f"{where}: targets.{view.target}: say its environment: {known}")


def _bundle_facts(name: str, target: str, facts: GitFacts) -> Node:
    git = {"commit": facts.commit, "branch": facts.branch, "origin_url": facts.origin_url}
    known = {key: value or "" for key, value in git.items()}
    return as_node({"name": name, "target": target, "environment": target, "git": known})


def _workspace(given: Node, user: str | None) -> Node:
    """Who deploys; paths of a workspace are the project's own folder."""
    name = user or _login()
    short = name.partition("@")[0]
    people = {"userName": name, "displayName": name, "id": name, "short_name": short,
              "domain_friendly_name": short.replace(".", "-")}  # fmt: skip
    paths = {"root_path": ".", "file_path": ".", "host": ""}
    return as_node({**paths, **given.mapping, "current_user": people})


def _login() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return "unknown"


def _resources(view: _View, settings: Target, directory: Path) -> Resources:
    declared = view.scope.resolve(view.merged["resources"])
    kinds = {kind: entries for kind, entries in declared.mapping.items() if entries.value is not None}
    if "jobs" in kinds:
        kinds["jobs"] = localised(kinds["jobs"], directory)
    node = replace(declared, value=kinds)
    _check_keys(node)
    resources: Resources = validated(node, Resources, ("resources",))
    if problems := [problem(node, ("resources",), path, text) for path, text in loose_ends(resources)]:
        raise InvalidBundle("\n".join(problems), problems=problems)
    run_as = view.merged["run_as"]
    return presets.apply(
        resources,
        _by_mode(view.part(view.merged["presets"], Presets, "presets"), settings),
        permissions=view.part(view.merged["permissions"], tuple[Permission, ...], "permissions"),
        run_as=view.part(run_as, Principal, "run_as") if run_as.value else None,
    )


def _check_keys(resources: Node) -> None:
    for kind, entries in resources.mapping.items():
        for key, entry in entries.mapping.items():
            if not _KEY.fullmatch(key):
                spot = f"{entry.where}: resources.{kind}.{key}"
                raise InvalidBundle(f"{spot}: a key has letters, digits, '_' and '-' only")


def _by_mode(given: Presets, settings: Target) -> Presets:
    """A development target starts nothing by itself unless it says so."""
    if settings.mode == "development" and given.trigger_pause_status is None:
        return given.model_copy(update={"trigger_pause_status": "PAUSED"})
    return given
