"""Monitors and alerts as people and rooms ask for them."""

from collections.abc import Mapping
from typing import Any

from boathouse import clock
from boathouse.alerts import Alerts, Incident, evaluate, rule_of, steps
from boathouse.catalog import Catalog, SqlDesk
from boathouse.environments import BY_HAND, Deployments, service_identity
from boathouse.errors import AlreadyExists
from boathouse.events import Event
from boathouse.identity import Identities, Identity
from boathouse.jobs import Startable
from boathouse.lake import text
from boathouse.monitoring import completed, gold_of, parse_granularity
from boathouse.names import parse
from boathouse.platform.hand_made_monitors import checked
from boathouse.platform.inference import InferenceFlush
from boathouse.platform.job_desk import JobDesk
from boathouse.platform.starting import MONITOR, MONITOR_NAME


class MonitorDesk:
    """Monitors with what they need of other rooms, their refreshes, and what an alert starts."""

    def __init__(self, deployments: Deployments, alerts: Alerts, jobs: JobDesk, inference: InferenceFlush,
                 identities: Identities, catalog: Catalog, sql: SqlDesk) -> None:  # fmt: skip
        self._catalog = catalog
        self._sql = sql
        self._deployments = deployments
        self._alerts = alerts
        self._jobs = jobs
        self._inference = inference
        self._identities = identities
        jobs.starters[MONITOR] = self._start

    def get(self, environment: str, name: str) -> dict[str, Any]:
        """A monitor, completed by its project's models, with its alerts."""
        resource = self._deployments.resource("quality_monitor", environment, name)
        models = {m.key: m.definition for m in self._deployments.resources("registered_model", environment, resource.project)}
        alerts = [{"name": a.name, "definition": a.definition}
                  for a in self._deployments.resources("alert", environment, resource.project)
                  if a.definition["monitor"] == name]  # fmt: skip
        return {"name": name, "monitor": completed(resource.definition, models), "alerts": alerts}

    def create(self, identity: Identity, environment: str, name: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """A monitor by hand; needs DEPLOY, and SELECT on all that it reads. Raises AlreadyExists, InvalidInput, NotFound."""
        self._catalog.access.authorize(identity, "DEPLOY", "catalog", environment)
        if any(m.name == name for m in self._deployments.resources(MONITOR, environment)):
            raise AlreadyExists(f"{environment} has a monitor {name!r}; `boathouse monitors show {name}` shows what it found")
        wanted = checked(self._catalog, identity, environment, name, body)
        self._deployments.put(identity, environment, MONITOR, name, wanted)
        return self.get(environment, name)

    def delete(self, identity: Identity, environment: str, name: str) -> None:
        """Delete a monitor made by hand; what it found stays. Needs DEPLOY. Raises NotFound, Conflict for a project's."""
        self._catalog.access.authorize(identity, "DEPLOY", "catalog", environment)
        self._deployments.remove(identity, environment, MONITOR, name)
        self._jobs.starts.resume((environment, BY_HAND, f"{MONITOR_NAME}{name}"))  # forgets when it was due

    def try_alert(self, identity: Identity, environment: str, name: str) -> dict[str, Any]:
        """What an alert would say and do now, and would have done window by window. It changes nothing and tells nobody.

        The gold tables are read with the caller's rights. Raises NotFound, NotPermitted.
        """
        alert = self._deployments.resource("alert", environment, name)
        about = self.get(environment, alert.definition["monitor"])["monitor"]
        rule, rows, refreshed = rule_of(about, name, alert.definition), [], False
        for gold in (str(parse(gold, environment)) for gold in gold_of(about)):
            self._catalog.access.authorize(identity, "SELECT", "table", gold)
            if self._catalog.exists("table", gold):
                refreshed, quoted = True, ".".join(f'"{level}"' for level in gold.split("."))
                query = f"SELECT * FROM {quoted} WHERE column_name = {text(rule.column)}"
                with self._sql.run(identity, query, environment) as found:
                    rows += found.to_dicts()
        verdict = evaluate(rule, rows)
        open_ = next((i.id for i in self._alerts.incidents(environment) if i.alert == name and i.closed_at is None), None)
        muted = self._alerts.states(environment).get((environment, name), {}).get("muted_until")
        unread = f"the monitor {alert.definition['monitor']} was not refreshed yet"
        return {
            "environment": environment, "alert": name, "monitor": alert.definition["monitor"], "condition": rule.condition,
            "granularity": rule.granularity, "needed": rule.windows, "state": verdict.state,
            "reason": verdict.reason if refreshed else unread, "open_incident": open_, "muted_until": muted,
            "would": would_do(alert.definition, verdict.state, open_, muted),
            "windows": [{"start": s.window.start.isoformat(), "values": s.window.values, "violated": s.window.violated,
                         "state": s.state, "happens": s.happens} for s in steps(rule, verdict)],
        }  # fmt: skip

    def refresh(self, environment: str, name: str, as_of: str = "", trigger: str = "manual",
                start_key: str | None = None) -> str:  # fmt: skip
        """Start a refresh of a monitor; the run's id. Raises NotFound."""
        self._deployments.resource("quality_monitor", environment, name)
        for endpoint in self._deployments.resources("model_serving_endpoint", environment):
            self._inference.flush(environment, endpoint.name)
        arguments = [name, as_of] if as_of else [name]
        return self._jobs.submit_builtin(environment, "refresh-monitor", arguments, label=f"monitor-{name}", trigger=trigger,
                                         start_key=start_key)  # fmt: skip

    def _start(self, monitor: Startable, _parameters: Mapping[str, str], trigger: str, start_key: str) -> str:
        name = monitor.name.removeprefix(MONITOR_NAME)
        return self.refresh(monitor.environment, name, trigger=trigger, start_key=start_key)

    def answer(self, event: Event) -> None:
        """Start the job that an alert names; delivered twice, it still starts once."""
        environment, _, name = event.subject.partition(".")
        alert = self._deployments.resource("alert", environment, name)
        definition = alert.definition
        incident = self._alerts.incident(int(event.data["incident"]))
        if not definition.get("run_job") or incident.run_id:
            return
        given, end = definition.get("params") or {}, _window_end(incident)
        parameters = {k: str(v).replace("{{alert.window_end}}", end) for k, v in given.items()}
        run_id = self._jobs.submit(service_identity(self._identities, environment), environment, definition["run_job"],
                                 parameters=parameters, trigger=f"alert {name}", project=alert.project)  # fmt: skip
        self._alerts.answered_by(incident.id, run_id)


def would_do(alert: Mapping[str, Any], state: str, open_incident: int | None, muted_until: Any) -> str:
    """What a refresh that judges an alert so would do about it, in words."""
    if state != "firing":
        return f"close incident {open_incident}" if state == "ok" and open_incident else "do nothing"
    if open_incident:
        return f"do nothing: incident {open_incident} is open already"
    if muted_until:
        return f"do nothing: it is muted until {muted_until.isoformat()}"
    job, told = alert.get("run_job"), len(alert.get("notify") or ())
    return "open an incident" + (f", start {job}" if job else "") + (f", tell {told}" if told else "")


def _window_end(incident: Incident) -> str:
    """The end of the newest window that an alert fired for: what a retraining in simulated time is as of."""
    newest = [w for w in incident.windows if w["violated"]][-1]
    granularity = parse_granularity(newest.get("granularity") or "1 week")
    return granularity.end(clock.parse_instant(newest["start"])).isoformat()
