"""From a working tree to prod: validate, plan, deploy, test, merge requests, releases."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from boathouse.cli.output import JSON, dump, facts, pairs, say, show
from boathouse.cli.session import connected, options
from boathouse.errors import InvalidBundle, InvalidInput, NotPermitted, RunFailed

if TYPE_CHECKING:
    from boathouse.client import Connection

requests = typer.Typer(help="Merge requests where no Git host has them: tests in staging, then merge.", no_args_is_help=True)
releases = typer.Typer(help="Releases: a branch that prod may run.", no_args_is_help=True)

TARGET = typer.Option("", "-t", "--target", help="target of the bundle: dev, staging or prod")
VAR = typer.Option([], "--var", help="NAME=VALUE of a bundle variable")


def register(app: typer.Typer) -> None:
    """Add this room's commands."""
    for verb in (validate, plan, deploy, destroy, test):
        app.command()(verb)
    app.add_typer(requests, name="requests")
    app.add_typer(releases, name="releases")


def validate(target: str = TARGET, var: list[str] = VAR, as_json: bool = JSON) -> None:
    """Read boathouse.yml: exits 1 naming file, line and key of what is wrong."""
    from boathouse.project import load

    bundle = load(Path.cwd(), target or None, pairs(var, "variable"))
    if absent := bundle.missing_files():
        raise InvalidBundle("\n".join(absent))
    counted: dict[str, int] = {}
    for kind, _, _ in bundle.resources_list():
        counted[kind] = counted.get(kind, 0) + 1
    about = {"project": bundle.name, "target": bundle.target, "environment": bundle.environment,
             "files": list(bundle.files), "resources": counted}  # fmt: skip
    if as_json:
        dump({**about, "ignored": bundle.ignored})
        return
    facts(about, as_json)
    for line in bundle.ignored:
        say(line)
    for name, at in bundle.computes_elsewhere():
        say(at(f"{name} is not declared here, so {bundle.environment} has to have it: `boathouse plan` looks"))


def plan(
    target: str = TARGET,
    ref: str = typer.Option("", "--ref", help="commit, branch or tag"),
    var: list[str] = VAR,
    as_json: bool = JSON,
) -> None:
    """What `deploy` would create, change and delete."""
    with connected() as lake:
        changes = lake.call("POST", "/api/v1/deployments/plan", _source(lake, target, ref, var))
    if as_json:
        dump(changes)
    elif all(change["action"] == "same" for change in changes):
        say("nothing to do: what is deployed is what the bundle says")
    else:
        from boathouse.project import Change, FieldChange, render

        say(render(Change(**{**change, "fields": tuple(FieldChange(*f) for f in change["fields"])}) for change in changes))


def deploy(
    target: str = TARGET, ref: str = typer.Option("", "--ref", help="commit, branch or tag"), var: list[str] = VAR
) -> None:
    """Deploy the bundle, all of it or nothing. dev takes the working tree; staging and prod take commits."""
    with connected() as lake:
        done = lake.call("POST", "/api/v1/deployments", _source(lake, target, ref, var))
        commit, changed = (done["commit_id"] or "")[:12], " with uncommitted changes" if done["dirty"] else ""
        at = f"at {commit}{changed}" if commit else "from files that are in no commit yet"
        say(f"deployed {done['project']} to {done['environment']} {at}")
        for note in done["notes"]:
            say(note)


def destroy(target: str = TARGET, yes: bool = typer.Option(False, "--yes", help="do not ask")) -> None:
    """Remove what the project deployed; tables and models stay."""
    with connected() as lake:
        name, environment = _bundle(target).name, _bundle(target).environment
        if not yes:
            typer.confirm(f"Remove the resources of {name} from {environment}?", abort=True)
        gone = lake.call("DELETE", f"/api/v1/deployments/{environment}/{name}")
        say(f"removed {gone['removed']} resources of {name} from {environment}")
        for note in gone["notes"]:
            say(note)


def test(
    unit: bool = typer.Option(False, "--unit", help="unit tests only: no data, no services"),
    integration: bool = typer.Option(False, "--integration", help="integration tests only"),
    target: str = typer.Option("staging", "-t", "--target", help="target of the bundle"),
    branch: str = typer.Option("", help="branch for the integration tests; default: the one checked out"),
    junit: Path | None = typer.Option(None, "--junit", metavar="DIR", help="write unit.xml and integration.xml there"),
) -> None:
    """What CI runs: unit tests here, then integration tests of the committed code in a throw-away place of staging."""
    bundle = _bundle(target)
    if unit or not integration:
        _unit_tests(bundle.tests, junit.absolute() if junit else None)
    if integration or not unit:
        with connected() as lake:
            request = _open(lake, bundle.name, branch or _branch(), "boathouse test")
            _follow(lake, request, junit)


def _unit_tests(tests: Any, junit: Path | None) -> None:
    """Run them alone: behind walls where there are some, and else by their own word."""
    from boathouse import settings
    from boathouse.environments import Sandbox, isolation

    words = [sys.executable, "-P", "-m", "boathouse.client.task", "builtin", "unit-tests", tests.unit]
    words += ["--network"] if tests.network else []
    if junit:
        junit.mkdir(parents=True, exist_ok=True)
        words.append(f"--junit={junit / 'unit.xml'}")
    wanted, environ = settings.load(home=options.home), dict(os.environ)
    with tempfile.TemporaryDirectory(prefix="boathouse-tests-") as scratch:
        if program := isolation(wanted.isolation).program:
            seen = (str(Path.cwd()), *([str(junit)] if junit else []))
            walls = Sandbox(program, seen, wanted.words("isolation_folders"), (str(wanted.home),), network=tests.network)
            words, environ = walls.around(words, cwd=str(Path.cwd()), scratch=scratch), environ | walls.environ
        if subprocess.run(words, check=False, env=environ).returncode:
            raise RunFailed("the unit tests did not pass")


@requests.command("open")
def open_request(
    title: str = typer.Option("", help="what it does"),
    branch: str = typer.Option("", help="default: the one checked out"),
    detach: bool = typer.Option(False, "--detach", help="do not wait for the tests"),
) -> None:
    """Push a branch and test it merged into main: unit tests, then integration tests in staging."""
    bundle = _bundle("staging")
    with connected() as lake:
        request = _open(lake, bundle.name, branch or _branch(), title)
        say(f"merge request {request['id']}: {request['branch']} at {request['head'][:12]}")
        if not detach:
            _follow(lake, request)
            say(f"the tests passed; merge with `boathouse requests merge {request['id']}`")


@requests.command("list")
def list_requests(as_json: bool = JSON) -> None:
    """Merge requests, newest first."""
    with connected() as lake:
        rows = lake.call("GET", "/api/v1/requests")
        show(rows, ["id", "project", "branch", "state", "title", "opened_by", "opened_at"], as_json, empty="no merge requests")


@requests.command("show")
def show_request(number: int, as_json: bool = JSON) -> None:
    """One merge request with its checks."""
    with connected() as lake:
        facts(lake.call("GET", f"/api/v1/requests/{number}"), as_json)


@requests.command("test")
def test_request(number: int) -> None:
    """Run a request's tests again."""
    with connected() as lake:
        lake.call("POST", f"/api/v1/requests/{number}/test")
        _follow(lake, lake.call("GET", f"/api/v1/requests/{number}"))


@requests.command("close")
def close_request(number: int) -> None:
    """Close a request that is not to be merged; its branch stays."""
    with connected() as lake:
        closed = lake.call("POST", f"/api/v1/requests/{number}/close")
        say(f"merge request {number} of {closed['branch']} is closed")


@requests.command("merge")
def merge_request(number: int) -> None:
    """Merge what passed, and deploy it to staging."""
    with connected() as lake:
        merged = lake.call("POST", f"/api/v1/requests/{number}/merge")
        say(f"merged {merged['branch']} into main at {merged['merge_commit'][:12]}; staging runs it")
        _bring_main(lake, merged)


@releases.command("cut")
def cut(version: str) -> None:
    """A release branch at main's head, deployed to prod."""
    with connected() as lake:
        done = lake.call("POST", "/api/v1/releases", {"project": _bundle("prod").name, "version": version})
        say(f"{done['branch']} is {done['commit_id'][:12]}; prod runs it")


@releases.command("list")
def list_releases(as_json: bool = JSON) -> None:
    """Releases, newest first."""
    with connected() as lake:
        show(lake.call("GET", "/api/v1/releases"), ["project", "version", "commit_id", "branch", "cut_by", "cut_at"], as_json,
             empty="no releases; `boathouse releases cut 1.0` makes one")  # fmt: skip


@releases.command("show")
def show_release(version: str, as_json: bool = JSON) -> None:
    """One release."""
    with connected() as lake:
        found = [r for r in lake.call("GET", "/api/v1/releases") if r["version"] == version]
        if not found:
            raise InvalidInput(f"there is no release {version}; `boathouse releases list` shows them")
        facts(found[0], as_json)


def _bundle(target: str) -> Any:
    from boathouse.project import load

    return load(Path.cwd(), target or options.env or None)


def _source(lake: "Connection", target: str, ref: str, var: list[str]) -> dict[str, Any]:
    from boathouse.client.working_tree import source_of

    bundle = _bundle(target)
    body: dict[str, Any] = {"target": bundle.target, "variables": pairs(var, "variable")}
    if bundle.environment == "dev" and not ref:
        return {**body, **source_of(lake, Path.cwd(), bundle.name)}
    if lake.call("PUT", f"/api/v1/projects/{bundle.name}")["origin"]:
        lake.call("POST", f"/api/v1/projects/{bundle.name}/fetch")
    return {**body, "project": bundle.name, "ref": ref or ("main" if bundle.environment == "staging" else _branch())}


def _branch() -> str:
    from boathouse.environments import working_tree_facts

    branch = working_tree_facts(Path.cwd()).branch
    if not branch:
        raise InvalidInput(f"{Path.cwd()} is on no Git branch: commit your work on one, or name it with --branch")
    return branch


def _open(lake: "Connection", project: str, branch: str, title: str) -> Any:
    there = _hand_over(lake, project, branch)
    return lake.call("POST", "/api/v1/requests", {"project": project, "branch": there, "title": title or branch})


def _hand_over(lake: "Connection", project: str, branch: str) -> str:
    """Let the server's copy have a branch, from the project's origin or by a push; what it is called there."""
    from boathouse.environments import push

    known = lake.call("PUT", f"/api/v1/projects/{project}")
    if known["origin"]:
        lake.call("POST", f"/api/v1/projects/{project}/fetch")
        return branch
    repository = Path(known["repository"])
    if not (lake.same_machine and repository.is_dir()):
        return _by_workspace(lake, project, branch)
    push(Path.cwd(), repository, f"refs/heads/{branch}:refs/heads/{branch}")
    _seed_main(repository)
    return branch


def _by_workspace(lake: "Connection", project: str, branch: str) -> str:
    """From another machine, without an origin: the caller's workspace, which holds just what the branch does."""
    from boathouse.client.sync import Sync, unsettled
    from boathouse.environments import working_tree_facts

    facts = working_tree_facts(Path.cwd())
    if facts.dirty or facts.branch != branch:
        raise InvalidInput(f"{project} has no origin on the server, so {branch} goes there by your workspace: check it out and "
                           "commit what is changed, or let an admin run `boathouse projects remote`")  # fmt: skip
    if (done := Sync(lake, Path.cwd(), project).once()).conflicts:
        raise unsettled(done.conflicts)
    if done.received:
        raise InvalidInput(f"{len(done.received)} files came from your workspace, which {branch} lacks: commit them, and open "
                           "the request again")  # fmt: skip
    return done.branch


def _seed_main(repository: Path) -> None:
    """The first push brings the project's own main, so that there is something to merge into."""
    from boathouse.environments import Repository, push

    if "main" not in Repository(repository).branches():
        push(Path.cwd(), repository, "refs/heads/main:refs/heads/main")


def _bring_main(lake: "Connection", merged: Any) -> None:
    """Where this folder is a checkout that the request came from, its main moves on, too."""
    from boathouse.environments import bring, holds

    if not (lake.same_machine and holds(Path.cwd(), merged["head"])):
        return
    try:
        repository = Path(lake.call("PUT", f"/api/v1/projects/{merged['project']}")["repository"])
    except NotPermitted:  # who may merge, and not deploy in dev, is not told where it lies
        return
    if bring(Path.cwd(), repository, "main"):
        say("main is there in this folder, too")
    else:
        say(f"`git pull --ff-only {repository} main` brings it into this folder")


def _follow(lake: "Connection", request: Any, junit: Path | None = None) -> None:
    run_id = next(c["run"] for c in request["checks"].values() if c.get("run"))
    for key, line in lake.jobs.follow(run_id):
        print(f"{key} | {line}", flush=True)
    run = lake.jobs.get(run_id)
    report = next((t["results"]["junit"] for t in run["tasks"] if "junit" in t["results"]), None)
    if junit and report:
        junit.mkdir(parents=True, exist_ok=True)
        (junit / "integration.xml").write_text(report)
    if run["state"] != "SUCCESS":
        raise RunFailed(f"the tests of merge request {request['id']} did not pass: {run['reason']}")
