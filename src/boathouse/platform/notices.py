"""Who is told of a run, a task or an alert, and what: events in, notifications out."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from boathouse.alerts import Alerts
from boathouse.environments import Deployments, service_principal
from boathouse.errors import NotFound
from boathouse.events import Event, Notice, Notifications, channel_of
from boathouse.jobs import Run, Runs, TaskRun

_MOMENTS = {"started": "on_start", "slow": "on_duration_warning_threshold_exceeded"}


class Notices:
    """Makes notifications of what project files ask for. Code under test tells nobody."""

    def __init__(self, notifications: Notifications, runs: Runs, deployments: Deployments, alerts: Alerts) -> None:
        self._notifications = notifications
        self._runs = runs
        self._deployments = deployments
        self._alerts = alerts

    def on_event(self, event: Event, url: str) -> None:
        """Take in something that happened; it may come twice. `url` is where the server's pages are."""
        with suppress(NotFound):  # what it tells of is gone
            if event.kind in ("alert.fired", "alert.resolved"):
                self._notifications.add(self._of_alert(event, url))
            elif event.kind.startswith(("run.", "task.")):
                run = self._runs.get(str(event.data["run_id"]))
                if not run.scratch:
                    self._notifications.add(self._of_run(event, run, url))

    def _of_run(self, event: Event, run: Run, url: str) -> Iterator[Notice]:
        key = event.data.get("task")
        asked: Mapping[str, Any] = run.definition
        if key is not None:
            asked = next(t for t in run.definition["tasks"] if t["task_key"] == str(key).partition(".")[0])
            asked = (asked.get("for_each_task") or {}).get("task") or asked if "." in str(key) else asked
        moment = _moment(event)
        if moment is None or not _wanted(event, run, moment, asked):
            return
        where = "jobs" if key is None else "tasks"
        task = next((t for t in run.tasks if t.task_key == key), None)
        title, text = _words(event, run, moment, f"{url}/runs/{run.id}")
        body = {"event_type": f"{where}.{moment}", **_facts(run, task, event, url)}
        reason = f"{run.id} {moment}" if event.kind == "run.slow" else f"{event.id}"
        if event.kind == "task.slow":
            reason = f"{run.id} {key}@{event.data['tries']} {moment}"
        for address in _addresses(asked, moment, run.environment):
            yield Notice(f"{reason} {address}"[:900], run.environment, f"{where}.{moment}", f"{run.environment}.{run.job}",
                         channel_of(address), address, run.principal, title, text, body)  # fmt: skip

    def _of_alert(self, event: Event, url: str) -> Iterator[Notice]:
        environment, _, name = event.subject.partition(".")
        definition = self._deployments.resource("alert", environment, name).definition
        incident = self._alerts.incident(int(event.data["incident"]))
        fired = event.kind == "alert.fired"
        title = f"[{environment}] alert {name} {'fired' if fired else 'is over'}"
        text = f"{title}\n\n{definition['condition']} (monitor {definition['monitor']})\n{incident.reason}\n\n{url}/monitoring"
        body = {"event_type": event.kind, "environment": environment, "alert": name, "monitor": definition["monitor"],
                "condition": definition["condition"], "reason": incident.reason, "incident": incident.id,
                "windows": incident.windows}  # fmt: skip
        for target in definition.get("notify") or ():
            name = target if isinstance(target, str) else (
                target.get("email") or target.get("url") or f"webhook:{target['webhook']}")  # fmt: skip
            address = f"webhook:{environment}.{name.partition(':')[2]}" if name.startswith("webhook:") else name
            yield Notice(f"{event.id} {address}"[:900], environment, event.kind, event.subject, channel_of(address), address,
                         service_principal(environment), title, text, body)  # fmt: skip


def _moment(event: Event) -> str | None:
    """The key under which the project file names whom to tell."""
    what = event.kind.partition(".")[2]
    if what == "ended":
        return "on_success" if event.data["state"] == "SUCCESS" else "on_failure"
    return _MOMENTS.get(what)


def _wanted(event: Event, run: Run, moment: str, asked: Mapping[str, Any]) -> bool:
    settings: Mapping[str, Any] = asked.get("notification_settings") or {}
    if event.data.get("state") == "CANCELED":
        skipped = (run.reason or "").startswith("skipped")
        quiet = "no_alert_for_skipped_runs" if skipped else "no_alert_for_canceled_runs"
        mails = asked.get("email_notifications") or {}
        return not (settings.get(quiet) or (skipped and mails.get(quiet)))
    if settings.get("alert_on_last_attempt") and event.kind.startswith("task."):
        return not (moment == "on_start" and event.data["attempt"] > 0) and not (moment == "on_failure" and event.data["again"])
    return True


def _addresses(asked: Mapping[str, Any], moment: str, environment: str) -> Iterator[str]:
    yield from (asked.get("email_notifications") or {}).get(moment) or ()
    for hook in (asked.get("webhook_notifications") or {}).get(moment) or ():
        yield hook.get("url") or f"webhook:{environment}.{hook['id']}"


def _words(event: Event, run: Run, moment: str, link: str) -> tuple[str, str]:
    what = f"task {event.data['task']} of {run.job}" if event.data.get("task") else run.job
    state = {"on_start": "started", "on_success": "succeeded", "on_duration_warning_threshold_exceeded": "takes long"}.get(
        moment, str(event.data.get("state", "FAILED")).lower())  # fmt: skip
    title = f"[{run.environment}] {what} {state}"
    reason = event.data.get("reason") or run.reason
    lines = [title, "", f"run {run.id} of {run.project}, started by {run.trigger}", *([reason] if reason else []), "", link]
    return title, "\n".join(lines)


def _facts(run: Run, task: TaskRun | None, event: Event, url: str) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "environment": run.environment, "project": run.project, "job": {"job_id": run.job, "name": run.job},
        "run": {"run_id": run.id, "state": run.state, "reason": run.reason, "trigger": run.trigger,
                "started_at": _iso(run.started_at), "ended_at": _iso(run.ended_at), "seconds": run.seconds,
                "url": f"{url}/runs/{run.id}"},
    }  # fmt: skip
    if task is not None:
        facts["task"] = {"task_key": task.task_key, "state": event.data.get("state", task.state),
                         "reason": event.data.get("reason"), "attempt": event.data.get("attempt")}  # fmt: skip
    return facts


def _iso(moment: Any) -> str | None:
    return moment.isoformat() if moment else None
