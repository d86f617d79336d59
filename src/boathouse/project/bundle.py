"""What a repository declares, read for one target."""

import getpass
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from boathouse.environments import GitFacts, working_tree_facts
from boathouse.errors import InvalidBundle
from boathouse.project import presets
from boathouse.project.interpolation import Scope, as_node
from boathouse.project.keys import sift
from boathouse.project.located import Node, merge, spelled
from boathouse.project.references import loose_ends, model_name
from boathouse.project.resources import Definition, Resources, definition
from boathouse.project.shape import Permission, Principal, Shape
from boathouse.project.source_path import localised, missing_file
from boathouse.project.sources import read_all
from boathouse.project.target import ENVIRONMENTS, BundleInfo, Document, Presets, Target, TestFolders

_OVERRIDABLE = ("resources", "presets", "bundle", "run_as", "permissions", "workspace")
_PREFIXES = ("BOATHOUSE_VAR_", "BUNDLE_VAR_")
_NOBODY = Node(None)


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

    def resources_list(self) -> list[tuple[str, str, Definition]]:
        """(kind, key, definition) of every resource, always in the same order."""
        return [(kind, key, definition(resource)) for kind, key, resource in self.resources.each()]

    def model_name(self, reference: str) -> str:
        """A registered model's `schema.name`, from its key, its name or its full name."""
        return model_name(self.resources, reference)

    def missing_files(self) -> list[str]:
        """A sentence for every source file that tasks name and that is not there."""
        found = []
        for key, job in sorted(self.resources.jobs.items()):
            for task in job.tasks:
                inner = task.for_each_task.task if task.for_each_task else task
                paths = (
                    inner.spark_python_task.python_file if inner.spark_python_task else None,
                    inner.notebook_task.notebook_path if inner.notebook_task else None,
                    inner.sql_task.file.path if inner.sql_task and inner.sql_task.file else None,
                )
                missing = [p for p in paths if p and "{{" not in p and missing_file(self.directory, p)]
                found += [
                    f"resources.jobs.{key}.tasks[{task.task_key}] runs {p}, which is no file" for p in missing
                ]
        return found


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
    override = (
        document.find(["targets", chosen]) if chosen in _child(document, "targets").mapping else Node({})
    )
    unsifted = root.find(["targets", chosen]) if override.mapping else Node({})
    merged = {key: merge(_child(document, key), _child(override, key)) for key in _OVERRIDABLE}
    workspace = merge(_child(root, "workspace"), _child(unsifted, "workspace"))

    facts = git or working_tree_facts(directory)
    values, unset = _variables(
        document, override, chosen, variables or {}, os.environ if environ is None else environ
    )
    info = _validated(Scope(Node({}), {}).resolve(merged["bundle"]), BundleInfo, ("bundle",))
    base = {
        "bundle": _bundle_facts(info.name, chosen, facts),
        "var": Node(values),
        "workspace": _workspace(workspace, user),
        "resources": replace(merged["resources"], value=merged["resources"].mapping),
    }
    scope = Scope(Node(base), unset)

    def part(node: Node, shape: type[Any], path: tuple[str, ...]) -> Any:
        return _validated(scope.resolve(node), shape, path)

    settings = part(_without(override, "resources", "variables", "bundle"), Target, ("targets", chosen))
    resources = _resources(scope.resolve(merged["resources"]), directory)
    resources = presets.apply(
        resources,
        _by_mode(part(merged["presets"], Presets, ("presets",)), settings),
        permissions=part(merged["permissions"], tuple[Permission, ...], ("permissions",)),
        run_as=part(merged["run_as"], Principal, ("run_as",)) if merged["run_as"].value else None,
    )
    return Bundle(
        name=info.name,
        target=chosen,
        environment=_environment(chosen, settings, override),
        settings=settings,
        resources=resources,
        tests=part(_child(document, "tests"), TestFolders, ("tests",)),
        git=facts,
        directory=directory,
        files=files,
        ignored=list(sifted.ignored),
    )


def _choose(document: Node, target: str | None) -> str:
    targets = _child(document, "targets").mapping
    if target is not None:
        if target in targets or (not targets and target in ENVIRONMENTS):
            return target
        near = get_close_matches(target, targets, 1)
        hint = (
            f"did you mean '{near[0]}'?"
            if near
            else f"the targets are {', '.join(targets) or 'dev, staging, prod'}"
        )
        raise InvalidBundle(f"{document.file}: there is no target '{target}'; {hint}")
    defaults = [name for name, node in targets.items() if _child(node, "default").value is True]
    if len(defaults) > 1:
        where = targets[defaults[1]].where
        raise InvalidBundle(f"{where}: targets {' and '.join(defaults)} both say default: true; one can")
    if defaults or len(targets) <= 1:
        return next(iter(defaults or targets), "dev")
    if "dev" in targets:
        return "dev"
    raise InvalidBundle(
        f"{document.file}: choose a target with -t: {', '.join(targets)}, or give one default: true"
    )


def _environment(chosen: str, settings: Target, node: Node) -> str:
    if settings.environment:
        return settings.environment
    if chosen in ENVIRONMENTS:
        return chosen
    if chosen == "test":
        return "staging"
    if settings.mode == "development":
        return "dev"
    known = ", ".join(ENVIRONMENTS)
    raise InvalidBundle(
        f"{node.where}: targets.{chosen}: say its environment: one of {known}, or one of your own"
    )


def _by_mode(given: Presets, settings: Target) -> Presets:
    """A development target starts nothing by itself unless it says so."""
    if settings.mode == "development" and given.trigger_pause_status is None:
        return given.model_copy(update={"trigger_pause_status": "PAUSED"})
    return given


def _variables(
    document: Node, override: Node, chosen: str, given: Mapping[str, str], environ: Mapping[str, str]
) -> tuple[dict[str, Node], dict[str, str]]:
    """Values by name, and for names without one what to do about it."""
    declared = _child(document, "variables").mapping
    of_target = _child(override, "variables").mapping
    for name in (*given, *of_target):
        if name not in declared:
            near = get_close_matches(name, declared, 1)
            hint = f"did you mean '{near[0]}'?" if near else f"declared are: {', '.join(declared) or 'none'}"
            where = of_target[name].where if name in of_target else document.file
            raise InvalidBundle(f"{where}: there is no variable '{name}'; {hint}")
    values: dict[str, Node] = {}
    for name, node in declared.items():
        is_complex = _child(node, "type").value == "complex"
        outside = next(
            (v for v in (given.get(name), *(environ.get(p + name) for p in _PREFIXES)) if v is not None), None
        )
        if outside is not None:
            values[name] = _from_text(name, outside, is_complex)
        elif name in of_target:
            own = of_target[name]
            values[name] = own if is_complex or not own.mapping else _child(own, "default")
        elif "default" in node.mapping:
            values[name] = node.mapping["default"]
    advice = f"it has no value in target '{chosen}': give it a default, a value there, or --var"
    return values, {name: f"{advice} {name}=…" for name in declared if name not in values}


def _from_text(name: str, text: str, is_complex: bool) -> Node:
    if not is_complex:
        return Node(text)
    try:
        return as_node(json.loads(text))
    except ValueError as error:
        raise InvalidBundle(f"variable '{name}' is complex, and its value is not JSON: {error}") from error


def _bundle_facts(name: str, target: str, facts: GitFacts) -> Node:
    git = {"commit": facts.commit, "branch": facts.branch, "origin_url": facts.origin_url}
    known = {key: value or "" for key, value in git.items()}
    return as_node({"name": name, "target": target, "environment": target, "git": known})


def _workspace(given: Node, user: str | None) -> Node:
    """Who deploys; paths of a workspace are the project's own folder."""
    name = user or _login()
    short = name.partition("@")[0]
    people = {"userName": name, "short_name": short, "domain_friendly_name": short.replace(".", "-")}
    paths = {"root_path": ".", "file_path": ".", "host": ""}
    return as_node({**paths, **given.mapping, "current_user": people})


def _login() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return "unknown"


def _resources(node: Node, directory: Path) -> Resources:
    jobs = {"jobs": localised(node.mapping["jobs"], directory)} if "jobs" in node.mapping else {}
    root = replace(
        node, value={key: child for key, child in {**node.mapping, **jobs}.items() if child.value is not None}
    )
    for kind, entries in root.mapping.items():
        for key, entry in entries.mapping.items():
            if not key.replace("_", "").replace("-", "").isalnum():
                allowed = "letters, digits, '_' and '-'"
                raise InvalidBundle(f"{entry.where}: resources.{kind}.{key}: a key has {allowed} only")
    resources: Resources = _validated(root, Resources, ("resources",))
    problems = [_problem(root, ("resources",), path, sentence) for path, sentence in loose_ends(resources)]
    if problems:
        raise InvalidBundle("\n".join(problems), problems=problems)
    return resources


def _validated(node: Node, shape: Any, above: tuple[str, ...]) -> Any:
    """The tree as a model; what does not fit is told with its place."""
    empty: Any = {} if isinstance(shape, type) and issubclass(shape, Shape) else ()
    try:
        return TypeAdapter(shape).validate_python(empty if node.value is None else node.plain())
    except ValidationError as error:
        problems = list(dict.fromkeys(_sentences(error, node, above)))
        raise InvalidBundle("\n".join(problems), problems=problems) from error


def _sentences(error: ValidationError, node: Node, above: tuple[str, ...]) -> Iterator[str]:
    for entry in error.errors(include_url=False):
        path, spot = [], node
        for step in entry["loc"]:
            below = spot.find([step])
            if below is spot and entry["type"] != "missing":
                continue  # a step inside pydantic, not of the file
            path.append(step)
            spot = below
        text = entry["msg"].removeprefix("Value error, ")
        text = text[0].lower() + text[1:] if text[:1].isupper() and not text[1:2].isupper() else text
        shown = entry.get("input")
        given = (
            f", not {shown!r}"
            if isinstance(shown, str | int | float) and entry["type"] != "value_error"
            else ""
        )
        yield _problem(node, above, path, f"{text}{given}")


def _problem(node: Node, above: tuple[str, ...], path: Sequence[str | int], sentence: str) -> str:
    spot = node.find(path)
    name = ".".join(filter(None, (".".join(above), spelled(node, path))))
    return f"{spot.where}: {name}: {sentence}"


def _child(node: Node, key: str) -> Node:
    return node.mapping.get(key, _NOBODY)


def _without(node: Node, *keys: str) -> Node:
    return replace(node, value={key: child for key, child in node.mapping.items() if key not in keys})
