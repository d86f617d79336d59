"""Webhooks: who is told of what happens to models."""

import typer

from boathouse.cli.output import JSON, dump, say, show
from boathouse.cli.session import connected
from boathouse.errors import RunFailed

webhooks = typer.Typer(help="Tell other systems what happens to models, signed as MLflow does.", no_args_is_help=True)
events = typer.Typer(help="Events that the platform could not deal with.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add this room's commands."""
    app.add_typer(webhooks, name="webhooks")
    app.add_typer(events, name="events")


@events.command("list")
def list_events(as_json: bool = JSON) -> None:
    """Events that were set aside after ten failed tries, with the error; their followers never heard of them."""
    with connected() as lake:
        rows = lake.http.call("GET", "/api/v1/events")
        show(rows, ["id", "at", "kind", "subject", "attempts", "error"], as_json, empty="no event was set aside")


@events.command("redeliver")
def redeliver_event(number: int) -> None:
    """Deliver an event that was set aside again, once what it failed at is mended."""
    with connected() as lake:
        lake.http.call("POST", f"/api/v1/events/{number}/redeliver")
        say(f"event {number} is delivered again; `boathouse events list` shows it if it fails ten times more")


@webhooks.command("list")
def list_webhooks(as_json: bool = JSON) -> None:
    """Webhooks of the environment, and which of them fail."""
    with connected() as lake:
        rows = lake.call("GET", f"/api/v1/webhooks/{lake.environment}")
        show(rows, ["name", "url", "events", "place", "failing_since", "next_try"], as_json, empty="no webhooks")


@webhooks.command("create")
def create(
    name: str,
    url: str,
    event: list[str] = typer.Option(["*"], "--event", help="an event it hears of; may be repeated (default: all of models)"),
    as_json: bool = JSON,
) -> None:
    """A webhook, for example `webhooks create ci https://ci.example.org/hook --event model_version.transitioned`."""
    with connected() as lake:
        made = lake.call("POST", f"/api/v1/webhooks/{lake.environment}/{name}", {"url": url, "events": event})
    if as_json:
        dump(made)
    else:
        say(f"webhook {made['environment']}.{name} hears of {', '.join(event)}; its secret, shown this once: {made['secret']}")


@webhooks.command("delete")
def delete(name: str) -> None:
    """Tell it no more, and forget its deliveries."""
    with connected() as lake:
        lake.call("DELETE", f"/api/v1/webhooks/{lake.environment}/{name}")
        say(f"deleted webhook {lake.environment}.{name}")


@webhooks.command("deliveries")
def deliveries(name: str, as_json: bool = JSON) -> None:
    """Tries at telling it, newest first, with what it answered."""
    with connected() as lake:
        rows = lake.call("GET", f"/api/v1/webhooks/{lake.environment}/{name}/deliveries")
        show(rows, ["id", "at", "kind", "subject", "attempt", "status", "error"], as_json, empty="nothing was delivered yet")


@webhooks.command("redeliver")
def redeliver(name: str, delivery: str) -> None:
    """Send an earlier delivery again, now."""
    with connected() as lake:
        done = lake.call("POST", f"/api/v1/webhooks/{lake.environment}/{name}/deliveries/{delivery}")
    if done["error"]:
        raise RunFailed(f"{name} did not take delivery {delivery}: {done['status'] or ''} {done['error']}")
    say(f"{name} took delivery {delivery}")
