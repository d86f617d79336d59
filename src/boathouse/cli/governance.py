"""Who may do what, and who did: grants and the audit log."""

import typer

from boathouse.cli.output import JSON, say, show
from boathouse.cli.session import connected

grants = typer.Typer(help="Privileges on environments, schemas, tables, models, endpoints and jobs.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add this room's commands."""
    app.add_typer(grants, name="grants")
    app.command()(audit)


@grants.command("list")
def list_grants(name: str = typer.Argument("", help="one securable only"), as_json: bool = JSON) -> None:
    """Grants you may see."""
    with connected() as lake:
        rows = lake.http.call("GET", "/api/v1/grants", params={"name": name or None})
        show(rows, ["securable", "kind", "principal", "privilege"], as_json)


def _securable(**given: str) -> tuple[str, str]:
    named = [(kind, name) for kind, name in given.items() if name]
    if len(named) != 1:
        raise typer.BadParameter("name one of --catalog, --schema, --table, --model, --endpoint, --job, --function, --principal")
    return named[0]


def _change(verb: str, privilege: str, principal: str, securable: tuple[str, str]) -> None:
    with connected() as lake:
        body = {"principal": principal, "privilege": privilege, "kind": securable[0], "securable": securable[1]}
        lake.call("POST", f"/api/v1/grants{verb}", body)


@grants.command("add")
def add_grant(
    privilege: str,
    to: str = typer.Option(..., "--to", help="a user, group or service principal"),
    catalog: str = "", schema: str = "", table: str = "", model: str = "", endpoint: str = "", job: str = "", function: str = "",
    service_principal: str = typer.Option("", "--principal", help="a service principal, on which MANAGE is to make its tokens"),
) -> None:  # fmt: skip
    """Give a privilege, for example `grants add SELECT --table prod.features.weather --to data-scientists`."""
    securable = _securable(catalog=catalog, schema=schema, table=table, model=model, endpoint=endpoint, job=job,
                           function=function, service_principal=service_principal)  # fmt: skip
    _change("", privilege, to, securable)
    say(f"{to} holds {privilege.upper()} on {securable[1]}")


@grants.command("remove")
def remove_grant(
    privilege: str,
    source: str = typer.Option(..., "--from", help="who holds it"),
    catalog: str = "", schema: str = "", table: str = "", model: str = "", endpoint: str = "", job: str = "", function: str = "",
    service_principal: str = typer.Option("", "--principal", help="a service principal, on which MANAGE is to make its tokens"),
) -> None:  # fmt: skip
    """Take a privilege away; holds at once."""
    securable = _securable(catalog=catalog, schema=schema, table=table, model=model, endpoint=endpoint, job=job,
                           function=function, service_principal=service_principal)  # fmt: skip
    _change("/revoke", privilege, source, securable)
    say(f"{source} no longer holds {privilege.upper()} on {securable[1]}")


def audit(
    verify: bool = typer.Option(False, "--verify", help="check the chain; exits 1 when it is broken"),
    subject: str = typer.Option("", help="entries about one name"),
    limit: int = 50,
    as_json: bool = JSON,
) -> None:
    """Who did what, newest first."""
    with connected() as lake:
        if verify:
            found = lake.call("GET", "/api/v1/audit/verify")
            say(f"the chain is whole; its head is {found['head']}" if found["whole"] else f"broken: {found['fault']}")
            raise typer.Exit(0 if found["whole"] else 1)
        rows = lake.http.call("GET", "/api/v1/audit", params={"limit": limit, "subject": subject or None})
        show(rows, ["sequence", "at", "principal", "action", "subject", "outcome", "details"], as_json)
