"""Monitors and alerts."""

import typer

from boathouse.cli.output import JSON, facts, say, show
from boathouse.cli.session import connected
from boathouse.errors import RunFailed

monitors = typer.Typer(help="Monitors: profiles, drift and quality by window.", no_args_is_help=True)
alerts = typer.Typer(help="Alerts over what monitors found.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add this room's commands."""
    app.add_typer(monitors, name="monitors")
    app.add_typer(alerts, name="alerts")


@monitors.command("list")
def list_monitors(as_json: bool = JSON) -> None:
    """Deployed monitors."""
    with connected() as lake:
        rows = lake.http.call("GET", "/api/v1/monitors", params={"environment": lake.environment})
        show(rows, ["name", "table_name", "project"], as_json, empty=f"{lake.environment} has no monitors")


@monitors.command("show")
def show_monitor(name: str, granularity: str = "1 week", as_json: bool = JSON) -> None:
    """Quality of the watched table, window by window."""
    with connected() as lake:
        table = lake.monitor(name)["monitor"]["table_name"]
        text = granularity.replace("'", "")
        rows = lake.sql(
            f"""SELECT "window".start AS window_start, count, num_labels, roc_auc_score, log_loss, mean_prediction, mean_label
            FROM {table}_profile_metrics WHERE column_name = ':table' AND slice_key IS NULL AND log_type = 'INPUT'
            AND granularity = '{text}' AND model_version = '*' ORDER BY 1"""
        ).to_dicts()
        columns = ["window_start", "count", "num_labels", "roc_auc_score", "log_loss", "mean_prediction", "mean_label"]
        show(rows, columns, as_json, empty="no windows yet; `boathouse monitors refresh` computes them")


@monitors.command("refresh")
def refresh(name: str, as_of: str = typer.Option("", help="hide labels known later (simulated time)")) -> None:
    """Unpack, join labels, recompute the windows that changed, judge the alerts."""
    with connected() as lake:
        run_id = lake.http.call("POST", f"/api/v1/monitors/{lake.environment}/{name}/refreshes", params={"as_of": as_of})[
            "run_id"
        ]
        for _, line in lake.jobs.follow(run_id):
            print(line)
        run = lake.jobs.get(run_id)
        lake.settle()
        if run["state"] != "SUCCESS":
            raise RunFailed(f"the refresh of {name} failed: {run['reason']}")


@alerts.command("list")
def list_alerts(as_json: bool = JSON) -> None:
    """Alerts, with what they said last."""
    with connected() as lake:
        rows = lake.http.call("GET", "/api/v1/alerts", params={"environment": lake.environment})
        columns = ["name", "state", "reason", "condition", "run_job", "muted_until"]
        show(rows, columns, as_json, empty=f"{lake.environment} has no alerts")


@alerts.command("show")
def show_alert(name: str, as_json: bool = JSON) -> None:
    """An alert and its incidents."""
    with connected() as lake:
        found = [
            a for a in lake.http.call("GET", "/api/v1/alerts", params={"environment": lake.environment}) if a["name"] == name
        ]
        incidents = lake.http.call("GET", "/api/v1/incidents", params={"environment": lake.environment})
        if found:
            facts(found[0], as_json)
        if not as_json:
            columns = ["id", "opened_at", "closed_at", "acknowledged_by", "reason", "run_id"]
            show([i for i in incidents if i["alert"] == name], columns, False,
                 empty="no incidents")  # fmt: skip


@alerts.command("ack")
def acknowledge(incident: int) -> None:
    """Say that you look after an incident."""
    with connected() as lake:
        done = lake.call("POST", f"/api/v1/incidents/{incident}/acknowledge")
        say(f"incident {incident} of {done['alert']} is yours, {done['acknowledged_by']}")


@alerts.command("mute")
def mute(name: str, span: str = typer.Option("1h", "--for", help="how long, such as 30m, 12h or 2d; 0s ends it"),
         as_json: bool = JSON) -> None:  # fmt: skip
    """Open no incident of an alert for a time: nobody is told and no job starts. It is judged all the same."""
    with connected() as lake:
        done = lake.http.call("POST", f"/api/v1/alerts/{lake.environment}/{name}/mute", {"for": span})
        if as_json:
            facts(done, as_json)
        else:
            say(f"{name} opens no incident until {done['muted_until']}")
