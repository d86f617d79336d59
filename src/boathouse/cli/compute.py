"""Named computes: processors and memory that tasks may use."""

import typer

from boathouse.cli.output import JSON, say, show
from boathouse.cli.session import connected
from boathouse.errors import InvalidInput

compute = typer.Typer(help="Named computes: processors and memory that tasks may use.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add this room's commands."""
    app.add_typer(compute, name="compute")


@compute.command("list")
def list_computes(as_json: bool = JSON) -> None:
    """Computes of the environment, and whether you may use each."""
    with connected() as lake:
        rows = lake.http.call("GET", "/api/v1/compute", params={"environment": lake.environment})
        empty = f"{lake.environment} has no computes; `boathouse compute create small --cpus 1 --memory 2GB` makes one"
        show(rows, ["name", "cpus", "memory", "ray", "project", "may_use", "comment"], as_json, empty=empty)


@compute.command("create")
def create(
    name: str,
    cpus: int = typer.Option(0, "--cpus", help="processors; 0 for as many as there are"),
    memory: str = typer.Option("", "--memory", help="all processes of a task together, such as 512MB or 4GB"),
    ray: str = typer.Option("", "--ray", help="tasks run on the Ray cluster whose dashboard answers there: http://ray-head:8265"),
    server: str = typer.Option("", "--server", help="how that cluster reaches this server: https://boathouse.example.org"),
    ray_token: str = typer.Option("", "--ray-token", help="what that cluster asks for: '{{secrets/SCOPE/KEY}}'"),
    gpus: float = typer.Option(0.0, "--gpus", help="of the Ray cluster, a task"),
    packages: str = typer.Option("", "--packages", help="on the Ray cluster: lock (as everywhere) or cluster (what it has)"),
    comment: str = typer.Option("", "--comment", help="what it is for"),
) -> None:
    """Make or change a compute: `compute create small --cpus 1 --memory 2GB`. A task uses it by `compute: small`."""
    given = {"address": ray, "server": server, "token": ray_token, "gpus": gpus, "packages": packages}
    cluster = {k: v for k, v in given.items() if v}
    if cluster and not ray:
        raise InvalidInput(f"--{next(iter(cluster))} is for a Ray cluster: say where its dashboard answers, --ray http://HOST:8265")
    with connected() as lake:
        lake.call("PUT", f"/api/v1/compute/{lake.environment}/{name}", {
            "cpus": cpus or None, "memory": memory or None, "comment": comment, "ray": cluster or None})  # fmt: skip
        limits = f"{cpus or 'all'} processors, {memory or 'all'} memory" if not ray else f"the Ray cluster at {ray}"
        say(f"{lake.environment}.{name}: {limits}; using it takes USE COMPUTE on it")


@compute.command("delete")
def delete(name: str) -> None:
    """Delete a compute that was made by hand. Jobs that name it do not start any more."""
    with connected() as lake:
        lake.call("DELETE", f"/api/v1/compute/{lake.environment}/{name}")
        say(f"deleted compute {lake.environment}.{name}")
