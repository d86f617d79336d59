"""Monitors and alerts."""

import json
import sys
from pathlib import Path
from typing import Any

import typer

from boathouse.cli.output import JSON, dump, facts, say, show
from boathouse.cli.session import connected, lakehouse
from boathouse.errors import NotFound, RunFailed

monitors = typer.Typer(help="Monitors: profiles, drift and quality by window.", no_args_is_help=True)
alerts = typer.Typer(help="Alerts over what monitors found.", no_args_is_help=True)
_QUALITY = ["num_labels", "roc_auc_score", "accuracy_score", "log_loss", "root_mean_squared_error", "mean_average_error",
            "r2_score", "mean_prediction", "mean_label"]  # fmt: skip


def register(app: typer.Typer) -> None:
    """Add this room's commands."""
    app.add_typer(monitors, name="monitors")
    app.add_typer(alerts, name="alerts")


@monitors.command("list")
def list_monitors(as_json: bool = JSON) -> None:
    """Monitors, with what they watch and when they refresh by themselves."""
    with connected() as lake:
        rows = lake.http.call("GET", "/api/v1/monitors", params={"environment": lake.environment})
        shown = [{**row, "schedule": _when(row.get("schedule"))} for row in rows]
        show(rows if as_json else shown, ["name", "table_name", "schedule", "project"], as_json,
             empty=f"{lake.environment} has no monitors")  # fmt: skip


def _when(schedule: dict[str, Any] | None) -> str:
    if not schedule:
        return ""
    paused = " (paused)" if schedule.get("pause_status") == "PAUSED" else ""
    return f"{schedule.get('quartz_cron_expression') or schedule.get('cron')}{paused}"


@monitors.command("show")
def show_monitor(
    name: str,
    granularity: str = typer.Option("", help="width of the windows; without it the monitor's last one"),
    as_json: bool = JSON,
) -> None:
    """What the watched table held, window by window; of predictions their quality."""
    with lakehouse() as lake:
        monitor = lake.monitor(name)["monitor"]
        log = monitor.get("inference_log") or {}
        columns = ["count", *_QUALITY] if log else ["count"]
        of_all = f"""AND "{log["model_id_col"]}" = '*'""" if log.get("model_id_col") else ""
        there = (log or monitor.get("time_series") or {}).get("granularities") or []
        if granularity and granularity not in there:
            raise NotFound(f"the monitor {name} has no windows of {granularity}: it has {', '.join(there) or 'snapshots'}")
        windows = f"granularity = '{granularity or there[-1]}'" if there else "granularity IS NULL"
        rows = lake.sql(
            f"""SELECT "window".start AS window_start, {", ".join(columns)} FROM {monitor["profile_metrics_table_name"]}
            WHERE column_name = ':table' AND slice_key IS NULL AND log_type = 'INPUT' AND {windows} {of_all} ORDER BY 1"""
        ).to_dicts()
        shown = [c for c in columns if c == "count" or any(row[c] is not None for row in rows)]
        if "roc_auc_score" in shown:
            shown.remove("accuracy_score")  # it says less, and the line is long
        show(rows, ["window_start", *shown], as_json, empty="no windows yet; `boathouse monitors refresh` computes them")


@monitors.command("create")
def create(
    name: str,
    table: str = typer.Option("", "--table", help="the table to watch"),
    model: str = typer.Option("", "--model", help="instead of a table: a registered model, schema.model, with its predictions"),
    timestamp: str = typer.Option("", "--timestamp", help="the column with a row's time; without it all rows are one window"),
    granularity: list[str] = typer.Option([], "--granularity", help="width of the windows, such as '1 day'; may be repeated"),
    slices: list[str] = typer.Option([], "--slice", help="a column or an SQL expression to look at apart; may be repeated"),
    baseline: str = typer.Option("", "--baseline", help="a table to compare with; else the first rows"),
    output_schema: str = typer.Option("", "--output-schema", help="where the results go; else beside the table"),
    cron: str = typer.Option("", "--cron", help="refresh by the clock, for example '0 6 * * *'; UTC"),
    file: Path | None = typer.Option(None, "--file", help="its whole definition as JSON, as under quality_monitors; - for stdin"),
    as_json: bool = JSON,
) -> None:  # fmt: skip
    """A monitor made by hand; those of a project are made by `boathouse deploy`. `monitors refresh` then looks at the table.

    Needs DEPLOY on the environment and SELECT on what it reads. Predictions in a table of your own, with their labels, are
    described by --file: {"table_name": …, "inference_log": {…}, "labels": {…}}.
    """
    if sum(map(bool, (table, model, file))) != 1:
        raise typer.BadParameter("name one of --table, --model, --file")
    body: dict[str, Any]
    if file is not None:
        body = json.loads(sys.stdin.read() if str(file) == "-" else file.read_text())
    elif model:
        body = {"model": model, "inference_log": {"granularities": granularity}}
    elif timestamp:
        body = {"table_name": table, "time_series": {"timestamp_col": timestamp, "granularities": granularity or ["1 day"]}}
    else:
        body = {"table_name": table, "snapshot": {}}
    said = {"slicing_exprs": slices, "baseline_table_name": baseline, "output_schema_name": output_schema}
    body |= {key: value for key, value in said.items() if value} | ({"schedule": {"cron": cron}} if cron else {})
    with connected() as lake:
        made = lake.call("POST", f"/api/v1/monitors/{lake.environment}/{name}", body)
        if as_json:
            dump(made)
        else:
            say(f"{name} watches {made['monitor']['table_name']}; `boathouse monitors refresh {name}` looks at it")


@monitors.command("delete")
def delete(name: str) -> None:
    """Delete a monitor that was made by hand. The tables with what it found stay."""
    with connected() as lake:
        lake.call("DELETE", f"/api/v1/monitors/{lake.environment}/{name}")
        say(f"the monitor {name} of {lake.environment} is gone; what it found stays")


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
        if not found:
            raise NotFound(f"{lake.environment} has no alert {name!r}; `boathouse alerts list` shows those there are")
        incidents = [
            i for i in lake.http.call("GET", "/api/v1/incidents", params={"environment": lake.environment}) if i["alert"] == name
        ]
        if as_json:
            dump({**found[0], "incidents": incidents})
            return
        facts(found[0], False)
        columns = ["id", "opened_at", "closed_at", "acknowledged_by", "reason", "run_id"]
        show(incidents, columns, False, empty="no incidents")


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


def _windows(needed: int, granularity: str | None) -> str:
    """How many windows, or snapshots, must meet a condition: `2 windows of 1 day`."""
    noun = "window" if granularity else "snapshot"
    return f"{needed} {noun}{'' if needed == 1 else 's'}" + (f" of {granularity}" if granularity else "") + (
        " in a row" if needed > 1 else ""
    )


@alerts.command("test")
def try_alert(name: str, as_json: bool = JSON) -> None:
    """What an alert would say and do now, and would have done window by window. Opens no incident and starts nothing.

    It looks at what the last refresh of its monitor found, with your own rights: SELECT on the monitor's tables.
    """
    with connected() as lake:
        found = lake.call("GET", f"/api/v1/alerts/{lake.environment}/{name}/test")
        if as_json:
            dump(found)
            return
        rows = [{**w, "window": w["start"], **w["values"], "holds": "yes" if w["violated"] else "no"} for w in found["windows"]]
        metrics = list(dict.fromkeys(m for w in found["windows"] for m in w["values"]))
        show(rows, ["window", *metrics, "holds", "state", "happens"], False, empty="no window has what the condition asks for")
        say(f"{name}: {found['condition']} in {_windows(found['needed'], found['granularity'])}")
        say(f"{name}: {found['state']}: {found['reason']}")
        say(f"a refresh that finds the same would {found['would']}")
