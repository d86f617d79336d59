"""Notifications: who was told of runs and alerts, and whether it arrived."""

import typer

from boathouse.cli.output import JSON, say, show
from boathouse.cli.session import connected
from boathouse.errors import RunFailed

notifications = typer.Typer(help="Who was told of runs and alerts, and whether it arrived.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add this room's commands."""
    app.add_typer(notifications, name="notifications")


@notifications.command("list")
def list_notifications(
    state: str = typer.Option("", "--state", help="WAITING, SENT or FAILED only"),
    limit: int = typer.Option(50, "--limit", min=1, help="how many at most"),
    as_json: bool = JSON,
) -> None:
    """E-mails and requests of the environment's jobs and alerts, newest first, with what became of each."""
    with connected() as lake:
        where = {"state": state.upper() or None, "limit": limit}
        rows = lake.http.call("GET", f"/api/v1/notifications/{lake.environment}", params=where)
        columns = ["id", "created_at", "occasion", "subject", "channel", "address", "state", "attempts", "last_error"]
        show(rows, columns, as_json, empty=f"{lake.environment} has told nobody of anything yet")


@notifications.command("resend")
def resend(number: int) -> None:
    """Send one again, now: after an address, a server or a secret was mended."""
    with connected() as lake:
        done = lake.call("POST", f"/api/v1/notifications/{lake.environment}/{number}")
    if done["state"] != "SENT":
        raise RunFailed(f"notification {number} did not reach {done['address']}: {done['last_error']}")
    say(f"notification {number} reached {done['address']}")
