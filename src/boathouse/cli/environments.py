"""dev, staging and prod: what is deployed there, and the Python environments of their tasks."""

import typer

from boathouse.cli.output import JSON, facts, say, show
from boathouse.cli.session import connected

environments = typer.Typer(help="dev, staging and prod, and what is deployed there.", no_args_is_help=True)
python = typer.Typer(help="Python environments, one for each lock of a project.", no_args_is_help=True)
environments.add_typer(python, name="python")


def register(app: typer.Typer) -> None:
    """Add this room's commands."""
    app.add_typer(environments, name="environments")


@environments.command("list")
def list_environments(as_json: bool = JSON) -> None:
    """The environments you may use."""
    with connected() as lake:
        rows = lake.call("GET", "/api/v1/environments")
        for row in rows:
            row["projects"] = [f"{d['project']} {(d['commit_id'] or '-')[:12]}" for d in row["deployments"]]
        show(rows, ["name", "projects", "tables"], as_json)


@environments.command("show")
def show_environment(name: str, as_json: bool = JSON) -> None:
    """What is deployed in an environment."""
    with connected() as lake:
        found = lake.call("GET", f"/api/v1/environments/{name}")
        if as_json:
            facts(found, True)
            return
        show(
            found["deployments"],
            ["project", "commit_id", "dirty", "deployed_by", "deployed_at"],
            False,
            empty="nothing is deployed",
        )
        rows = lake.http.call("GET", "/api/v1/resources", params={"environment": name})
        show(rows, ["kind", "name", "project"], False, empty="no resources")


@python.command("list")
def list_python(as_json: bool = JSON) -> None:
    """Python environments that were built on the server, the last used first."""
    with connected() as lake:
        rows = lake.call("GET", "/api/v1/python-environments")
    show(rows, ["key", "lock", "libraries", "size", "used_at"], as_json,
         empty="none: tasks run in the server's own environment, which holds all that their locks name")  # fmt: skip


@python.command("runtimes")
def list_runtimes(
    version: str = typer.Argument("", help="one of them: all that it holds"), as_json: bool = JSON
) -> None:
    """Versioned, locked lists of common packages, for projects without a lock: `runtime: VERSION` in a job's environments."""
    with connected() as lake:
        found = lake.http.call("GET", "/api/v1/python-environments/runtimes", params={"version": version})
    if version and not as_json:
        say("\n".join(found[0]["packages"]))
        return
    rows = found if as_json else [{**row, "packages": ", ".join(row["packages"])} for row in found]
    show(rows, ["version", "packages", "without_a_lock"], as_json)


@python.command("prune")
def prune_python(
    unused: str = typer.Option("", "--unused", help="not used for so long, such as 7d; 0s for all; else as the setting says"),
    as_json: bool = JSON,
) -> None:
    """Remove Python environments that are not used any more; those that open runs need stay."""
    with connected() as lake:
        rows = lake.call("POST", "/api/v1/python-environments/prune", {"unused": unused or None})
    show(rows, ["key", "lock", "size", "used_at"], as_json, empty="nothing to remove")


@environments.command("diff")
def diff(first: str, second: str, as_json: bool = JSON) -> None:
    """What differs between what two environments run."""
    with connected() as lake:
        both = [lake.http.call("GET", "/api/v1/resources", params={"environment": e}) for e in (first, second)]
    sides = [{(r["kind"], r["name"]): r["definition"] for r in rows} for rows in both]
    rows = [
        {"kind": k, "name": n, first: (k, n) in sides[0], second: (k, n) in sides[1],
         "same": sides[0].get((k, n)) == sides[1].get((k, n))}
        for k, n in sorted({*sides[0], *sides[1]})
    ]  # fmt: skip
    show(
        [r for r in rows if as_json or not r["same"]],
        ["kind", "name", first, second],
        as_json,
        empty=f"{first} and {second} run the same",
    )
