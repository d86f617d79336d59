"""Who may do what, and who did: grants and the audit log."""

from typing import Any

import typer

from boathouse.cli.output import JSON, dump, say, show
from boathouse.cli.session import connected

grants = typer.Typer(help="Who may do what: privileges on securables, and who owns them.", no_args_is_help=True)

KIND = typer.Option("", "--kind", help="where securables of several kinds have the name: table, job, endpoint, …")
METASTORE = typer.Option(False, "--metastore", help="the one above all catalogs, for CREATE CATALOG and the like")
SERVICE_PRINCIPAL = typer.Option("", "--principal", help="a service principal, on which MANAGE is to make its tokens")
_ABOVE_ALL = "boathouse"


def register(app: typer.Typer) -> None:
    """Add this room's commands."""
    app.add_typer(grants, name="grants")
    app.command()(audit)


@grants.command("list")
def list_grants(
    name: str = typer.Argument("", help="one securable only"),
    effective: bool = typer.Option(False, "--effective", help="what holds there, inherited grants and owners included"),
    principal: str = typer.Option("", "--principal", help="one principal only; with --effective by its groups too"),
    kind: str = KIND,
    as_json: bool = JSON,
) -> None:
    """Grants you may see."""
    asked = {"name": name or None, "principal": principal or None, "kind": kind or None}
    with connected() as lake:
        if not effective:
            rows = lake.http.call("GET", "/api/v1/grants", params=asked)
            show(rows, ["securable", "kind", "principal", "privilege"], as_json)
            return
        if not name:
            raise typer.BadParameter("name a securable: `boathouse grants list NAME --effective`")
        rows = lake.http.call("GET", "/api/v1/effective-grants", params=asked)
        show(rows, ["principal", "privilege", "inherited_from", "inherited_from_kind"], as_json)


@grants.command("check")
def check_grant(principal: str, privilege: str, securable: str, kind: str = KIND, as_json: bool = JSON) -> None:
    """Whether a principal holds a privilege, and by which grants; exits 1 when it does not."""
    with connected() as lake:
        asked = {"principal": principal, "privilege": privilege, "name": securable, "kind": kind or None}
        found = lake.http.call("GET", "/api/v1/grants/check", params=asked)
    if as_json:
        dump(found)
    else:
        say(f"{'yes' if found['allowed'] else 'no'}: {principal} and {privilege.upper()} on {found['kind']} {securable}")
        for step in found["steps"]:
            say(f"  {step['privilege']} on {step['securable']}: {_why(step)}")
    raise typer.Exit(0 if found["allowed"] else 1)


def _why(step: dict[str, Any]) -> str:
    by = step["by"]
    if by is None:
        return "not held"
    if by["privilege"] == "OWNER":
        return f"{by['principal']} owns {by['securable']}"
    return f"{by['principal']} was granted {by['privilege']} on {by['securable']}"


@grants.command("owner")
def owner(
    name: str, to: str = typer.Option("", "--to", help="the new owner: a user, group or service principal"), kind: str = KIND
) -> None:
    """Who owns a securable; with --to, hand it over."""
    with connected() as lake:
        found = lake.http.call("GET", f"/api/v1/securables/{name}", params={"kind": kind or None})
        if not to:
            print(found["owner"])
            return
        lake.call("PUT", f"/api/v1/securables/{found['kind']}/{name}/owner", {"owner": to})
        say(f"{to} owns the {found['kind'].replace('_', ' ')} {name}")


def _securable(metastore: bool, **given: str) -> tuple[str, str]:
    named = [(kind, name) for kind, name in given.items() if name] + [("metastore", _ABOVE_ALL)] * metastore
    if len(named) != 1:
        words = ", ".join(f"--{kind.replace('_', '-')}" for kind in given if kind != "service_principal")
        raise typer.BadParameter(f"name one of --metastore, {words}, --principal")
    return named[0]


def _change(verb: str, privilege: str, principal: str, securable: tuple[str, str]) -> None:
    with connected() as lake:
        body = {"principal": principal, "privilege": privilege, "kind": securable[0], "securable": securable[1]}
        lake.call("POST", f"/api/v1/grants{verb}", body)


@grants.command("add")
def add_grant(
    privilege: str,
    to: str = typer.Option(..., "--to", help="a user, group or service principal"),
    catalog: str = "", schema: str = "", table: str = "", volume: str = "", model: str = "", function: str = "",
    external_location: str = "", project: str = "", job: str = "", endpoint: str = "", secret_scope: str = "",
    compute: str = "", experiment: str = "",
    metastore: bool = METASTORE, service_principal: str = SERVICE_PRINCIPAL,
) -> None:  # fmt: skip
    """Give a privilege, for example `grants add SELECT --table prod.features.weather --to data-scientists`."""
    securable = _securable(
        metastore, catalog=catalog, schema=schema, table=table, volume=volume, model=model, function=function,
        external_location=external_location, project=project, job=job, endpoint=endpoint, secret_scope=secret_scope,
        compute=compute, experiment=experiment, service_principal=service_principal,
    )  # fmt: skip
    _change("", privilege, to, securable)
    say(f"{to} holds {privilege.upper()} on {securable[1]}")


@grants.command("remove")
def remove_grant(
    privilege: str,
    source: str = typer.Option(..., "--from", help="who holds it"),
    catalog: str = "", schema: str = "", table: str = "", volume: str = "", model: str = "", function: str = "",
    external_location: str = "", project: str = "", job: str = "", endpoint: str = "", secret_scope: str = "",
    compute: str = "", experiment: str = "",
    metastore: bool = METASTORE, service_principal: str = SERVICE_PRINCIPAL,
) -> None:  # fmt: skip
    """Take a privilege away; holds at once."""
    securable = _securable(
        metastore, catalog=catalog, schema=schema, table=table, volume=volume, model=model, function=function,
        external_location=external_location, project=project, job=job, endpoint=endpoint, secret_scope=secret_scope,
        compute=compute, experiment=experiment, service_principal=service_principal,
    )  # fmt: skip
    _change("/revoke", privilege, source, securable)
    say(f"{source} no longer holds {privilege.upper()} on {securable[1]}")


def audit(
    verify: bool = typer.Option(False, "--verify", help="check the chain; exits 1 when it is broken"),
    subject: str = typer.Option("", help="entries about one name"),
    principal: str = typer.Option("", help="entries of one principal"),
    action: str = typer.Option("", help="one kind of action, for example grant, read or 'create table'"),
    since: str = typer.Option("", help="not before this moment, UTC, for example 2026-01-31T12:00"),
    until: str = typer.Option("", help="before this moment"),
    denied: bool = typer.Option(False, "--denied", help="refusals only"),
    limit: int = typer.Option(50, "--limit", min=1, max=10_000, help="how many at most"),
    as_json: bool = JSON,
) -> None:
    """Who did what, newest first."""
    with connected() as lake:
        if verify:
            found = lake.call("GET", "/api/v1/audit/verify")
            say(f"the chain is whole; its head is {found['head']}" if found["whole"] else f"broken: {found['fault']}")
            raise typer.Exit(0 if found["whole"] else 1)
        wanted = {"limit": limit, "subject": subject or None, "principal": principal or None, "action": action or None,
                  "since": since or None, "until": until or None, "outcome": "denied" if denied else None}  # fmt: skip
        rows = lake.http.call("GET", "/api/v1/audit", params=wanted)
        show(rows, ["sequence", "at", "principal", "action", "subject", "outcome", "details"], as_json)
